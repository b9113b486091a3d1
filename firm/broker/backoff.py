"""How long to wait before the next attempt: twice as long each time, up to a limit, with seeded jitter."""

import random


class Backoff:
    """`wait` is between half and all of `first_s * 2**n`, never more than `longest_s`.

    Seeded, so that two firms with different seeds do not knock at the same moments, and one run is like the
    next.

    >>> waits = Backoff(1.0, 30.0, "cafe0001")
    >>> [0.5 * 2**n <= waits.next() <= 2**n for n in range(4)], waits.attempts
    ([True, True, True, True], 4)
    """

    def __init__(self, first_s: float, longest_s: float, seed: str) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._random = random.Random(seed)  # noqa: S311 - it only has to differ between firms
        self.attempts = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        doubled = self._first_s * 2.0 ** min(self.attempts, 30)
        self.attempts += 1
        return min(self._longest_s, doubled) * (0.5 + self._random.random() / 2)

    def succeeded(self) -> None:
        """The attempt went well: the next series begins with the short wait."""
        self.attempts = 0
