"""How long the firm takes from news to order: real milliseconds, for the unhashed operations table."""

import time


class Stopwatch:
    """From the first news of a page to each order it led to, on the wire. All in one process, one clock."""

    def __init__(self) -> None:
        self._next: float | None = None
        self._page: float | None = None
        self._measured: list[tuple[str, float]] = []
        self._first = True

    def restart(self) -> None:
        """Whatever arrived so far does not count as the beginning of the next page."""
        self._next = None

    def arrived(self) -> None:
        """Bytes have come from the gateway."""
        if self._next is None:
            self._next = time.perf_counter()

    def taken(self) -> None:
        """A page is handed to the firm; the orders that come back answer it."""
        self._page, self._next, self._first = self._next, None, True

    def sent(self) -> None:
        """An order has been written to the socket."""
        if self._page is None:
            return
        elapsed_ms = round((time.perf_counter() - self._page) * 1000, 3)
        self._measured.append(("tick_to_order_ms", elapsed_ms))
        if self._first:
            self._measured.append(("tick_to_first_order_ms", elapsed_ms))
            self._first = False

    def take(self) -> tuple[tuple[str, float], ...]:
        """What was measured since the last look, by name: of every order, and of the first of each page."""
        measured, self._measured = self._measured, []
        return tuple(measured)
