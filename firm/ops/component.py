"""One part of the firm as health sees it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "degraded", "down", "unknown"]


@dataclass(frozen=True)
class Component:
    """One part of the firm; `reason` says what is known, and if not ok what is missing and what to do."""

    state: State
    reason: str
