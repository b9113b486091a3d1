"""How long the firm takes from news to order: real milliseconds, for the unhashed operations table."""

import time


class Stopwatch:
    """From the first news of a page to each order it led to, on the wire. All in one process, one clock."""

    def __init__(self) -> None:
        self._next: float | None = None
        self._page: float | None = None
        self._measured: list[float] = []

    def restart(self) -> None:
        """Whatever arrived so far does not count as the beginning of the next page."""
        self._next = None

    def arrived(self) -> None:
        """Bytes have come from the gateway."""
        if self._next is None:
            self._next = time.perf_counter()

    def taken(self) -> None:
        """A page is handed to the firm; the orders that come back answer it."""
        self._page, self._next = self._next, None

    def sent(self) -> None:
        """An order has been written to the socket."""
        if self._page is not None:
            self._measured.append((time.perf_counter() - self._page) * 1000)

    def take(self) -> tuple[tuple[str, float], ...]:
        """What was measured since the last look, by name."""
        measured, self._measured = self._measured, []
        return tuple(("tick_to_order_ms", round(value, 3)) for value in measured)
