"""The synchronisation barrier: who is expected to answer, who has, and who is missing."""

from collections.abc import Iterable

from firm.bus.crew import Unit


class SignalBarrier:
    """Collects one answer a unit. The order of arrival is forgotten: only membership counts.

    >>> barrier = SignalBarrier([("momentum", "A"), ("momentum", "B")])
    >>> barrier.answer(("momentum", "B"), b"view")
    >>> barrier.missing()
    (('momentum', 'A'),)
    """

    def __init__(self, expected: Iterable[Unit]) -> None:
        self._expected = tuple(expected)
        self._asked = frozenset(self._expected)
        self._answers: dict[Unit, bytes] = {}
        assert len(self._asked) == len(self._expected), "a unit is expected twice"

    def answer(self, unit: Unit, payload: bytes) -> None:
        """Take an answer. Who was not expected, or has answered, is a bug in the caller."""
        assert unit in self._asked, f"nobody asked {unit}"
        assert unit not in self._answers, f"{unit} has answered already"
        self._answers[unit] = payload

    def complete(self) -> bool:
        """Whether everybody has answered."""
        return len(self._answers) == len(self._expected)

    def missing(self) -> tuple[Unit, ...]:
        """Who has not answered, in the order expected."""
        return tuple(unit for unit in self._expected if unit not in self._answers)

    def answers(self) -> dict[Unit, bytes]:
        """The answers, in the order expected."""
        return {unit: self._answers[unit] for unit in self._expected if unit in self._answers}
