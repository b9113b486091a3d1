"""When the market is open, as plain arrays of UTC nanoseconds."""

from bisect import bisect_right

from msgspec import Struct

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000


class Sessions(Struct, frozen=True, array_like=True):
    """Trading sessions in order: `opens[i] <= t < closes[i]` is inside session i."""

    opens: tuple[int, ...]
    closes: tuple[int, ...]

    def __post_init__(self) -> None:
        edges = [edge for pair in zip(self.opens, self.closes, strict=True) for edge in pair]
        assert edges == sorted(set(edges)), "sessions must be in order and not overlap"

    def is_open(self, at: int) -> bool:
        """Whether `at` lies inside a session."""
        i = bisect_right(self.opens, at) - 1
        return i >= 0 and at < self.closes[i]

    def next_open(self, at: int) -> int | None:
        """`at` itself inside a session, else the next opening; None after the last known session."""
        if self.is_open(at):
            return at
        i = bisect_right(self.opens, at)
        return self.opens[i] if i < len(self.opens) else None

    def close_of(self, at: int) -> int | None:
        """The close of the session that contains `at`, else of the next one; None after the last."""
        opened = self.next_open(at)
        if opened is None:
            return None
        return self.closes[bisect_right(self.opens, opened) - 1]
