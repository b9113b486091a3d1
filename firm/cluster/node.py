"""What is known of a node, and what of it would spoil a run: one judgement for before and after Ray is up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firm.cluster.probe import PACKAGES

CLOCK_SKEW_MAX_S = 0.1
"""Logs and reports of different hosts are read side by side; the firm's own time is the core node's alone. A
host that keeps its clock by NTP is within a few milliseconds."""


@dataclass(frozen=True)
class Clock:
    """A remote clock less ours, in seconds: it lies between `low` and `high`."""

    low: float
    high: float

    def less(self, other: "Clock") -> "Clock":
        """The difference between two clocks that were measured against ours."""
        return Clock(self.low - other.high, self.high - other.low)

    @property
    def surely_s(self) -> float:
        """The least deviation that explains what was measured, never negative."""
        return max(self.low, -self.high, 0.0)

    @classmethod
    def of(cls, exchanges: Sequence[tuple[int, int, int]]) -> "Clock":
        """From exchanges (asked, remote time, answered), each in nanoseconds: all of them hold.

        >>> Clock.of([(0, 5_000_000_000, 1_000_000_000), (0, 4_700_000_000, 200_000_000)])
        Clock(low=4.5, high=4.7)
        """
        low = max(remote - answered for _, remote, answered in exchanges)
        high = min(remote - asked for asked, remote, _ in exchanges)
        return Clock(low / 1e9, high / 1e9)


@dataclass(frozen=True)
class Node:
    """A node's own facts. `fingerprint` is None where the firm is not installed yet."""

    name: str
    python: str
    packages: Mapping[str, str]
    fingerprint: str | None
    clock: Clock


def differences(head: Node, node: Node) -> list[str]:
    """Why this node may not compute with the head; each with what was needed, what was found, what to do."""
    found = []
    if node.python != head.python:
        found.append(
            f"{node.name} needs Python {head.python} as on the head {head.name}, found {node.python}: "
            "name one interpreter for all hosts in setup_commands of cluster.yaml, "
            "and remove /opt/firm/.venv there"
        )
    other = [name for name in PACKAGES if head.packages.get(name) != node.packages.get(name)]
    if other and node.packages and head.packages:
        needed = ", ".join(f"{name} {head.packages.get(name, 'none')}" for name in other)
        has = ", ".join(f"{name} {node.packages.get(name, 'none')}" for name in other)
        found.append(
            f"{node.name} needs the packages of the head {head.name} ({needed}), found {has}: remove "
            "/opt/firm/.venv there, and `firm cluster up` installs what constraints.txt pins"
        )
    elif (
        node.fingerprint is not None and head.fingerprint is not None and node.fingerprint != head.fingerprint
    ):
        found.append(
            f"{node.name} needs the numeric fingerprint {head.fingerprint[:16]} of the head "
            f"{head.name}, found {node.fingerprint[:16]}: it computes other bits. "
            "Use machines of one kind, or leave it out"
        )
    skew_s = node.clock.less(head.clock).surely_s
    if skew_s > CLOCK_SKEW_MAX_S:
        found.append(
            f"{node.name} needs a clock within {CLOCK_SKEW_MAX_S:g} s of the head's, found {skew_s:.3f} s "
            "apart: start its time service (chrony or systemd-timesyncd) and wait until it is synchronised"
        )
    return found
