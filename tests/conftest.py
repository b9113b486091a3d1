"""Shared by all tests. `firm` comes first: it pins the numeric environment before anyone imports numpy."""

import firm  # noqa: F401

# isort: split
from hypothesis import settings

settings.register_profile("firm", deadline=None, print_blob=True)
settings.load_profile("firm")

collect_ignore_glob = ["conftest.py", "*/conftest.py"]
"""Doctests are looked for everywhere, but these have none, and share one name."""
