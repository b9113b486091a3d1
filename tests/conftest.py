"""Shared by all tests. `firm` comes first: it pins the numeric environment before anyone imports numpy."""

import firm  # noqa: F401

collect_ignore_glob = ["conftest.py", "*/conftest.py"]
"""Doctests are looked for everywhere, but these have none, and share one name."""
