"""What needs foreign modules is run by interpreters that have them, and not collected here."""

collect_ignore = ["official_lineage.py"]
