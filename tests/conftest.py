"""Shared by all tests. `firm` comes first: it pins the numeric environment before anyone imports numpy."""

import firm  # noqa: F401
