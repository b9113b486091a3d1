"""What can be made to go wrong on purpose, by command on the control port. Pure.

Faults act on what is said to a client; what the exchange does is not touched, so an order whose reports are
withheld still fills, as it would behind a broken link.
"""

from collections.abc import Iterable

EVERYTHING = "*"


class Faults:
    """Messages withheld or said twice, for one client id or (None) for all."""

    def __init__(self) -> None:
        self._withheld: set[tuple[int | None, str]] = set()
        self._doubled: set[tuple[int | None, str]] = set()

    def withhold(self, client_id: int | None, messages: Iterable[str], *, on: bool) -> None:
        """Say these messages no more (`*`: none at all), or, with `on` false, again."""
        _switch(self._withheld, client_id, messages, on=on)

    def double(self, client_id: int | None, messages: Iterable[str], *, on: bool) -> None:
        """Say these messages twice, or, with `on` false, once."""
        _switch(self._doubled, client_id, messages, on=on)

    def times(self, client_id: int | None, message: str) -> int:
        """How often a message is to be said: once, unless a fault says otherwise."""
        if not self._withheld and not self._doubled:
            return 1
        keys = {(who, what) for who in (client_id, None) for what in (message, EVERYTHING)}
        if keys & self._withheld:
            return 0
        return 2 if keys & self._doubled else 1


def _switch(
    faults: set[tuple[int | None, str]], client_id: int | None, messages: Iterable[str], *, on: bool
) -> None:
    keys = {(client_id, message) for message in messages}
    if on:
        faults |= keys
    else:
        faults -= keys
