"""What can be made to go wrong on purpose, by command on the control port. Pure.

Faults act on what is heard from a client and said to it; what the exchange does is not touched. So an order
whose reports are withheld still fills, as it would behind a broken link.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

EVERYTHING = "*"
Key = tuple[int | None, str]


class Switch:
    """Marks messages or requests, by name, for one client id or (None) for all; some only so many times."""

    def __init__(self) -> None:
        self._left: dict[Key, int | None] = {}
        self._order: dict[Key, Any] = {}

    def set(
        self,
        client_id: int | None,
        names: Iterable[str],
        *,
        on: bool,
        times: int | None = None,
        what: Any = None,
    ) -> None:
        """Mark `names` (`*`: everything), for the next `times` of each (None: until switched off)."""
        for name in names:
            if on:
                self._left[client_id, name] = times
                self._order[client_id, name] = what
            else:
                self._left.pop((client_id, name), None)

    def hit(self, client_id: int | None, name: str) -> Key | None:
        """The mark that applies to this one, used up by one; None if there is none."""
        key = self.find(client_id, name)
        if key is not None:
            left = self._left[key]
            if left == 1:
                del self._left[key]
            elif left is not None:
                self._left[key] = left - 1
        return key

    def find(self, client_id: int | None, name: str) -> Key | None:
        """The mark that applies to this one, not used up."""
        if not self._left:
            return None
        keys = ((client_id, name), (client_id, EVERYTHING), (None, name), (None, EVERYTHING))
        return next((key for key in keys if key in self._left), None)

    def what(self, key: Key) -> Any:
        """What was said when the mark was set."""
        return self._order[key]


class Fate(NamedTuple):
    """What becomes of one message: said `times`, `delay_ms` later, or kept until `kept_until` releases it."""

    times: int = 1
    delay_ms: int = 0
    kept_until: str | None = None


PLAIN_FATE = Fate()
RELEASED_BY_COMMAND = ""


class Faults:
    """All faults that are on."""

    def __init__(self) -> None:
        self._switches: dict[str, Switch] = {}
        self.entitlements: dict[str, str] = {}

    def switch(self, name: str) -> Switch:
        """The switch of one kind of fault: `withhold`, `double`, `delay`, `hold`, `rewrite`, `ignore`, ..."""
        return self._switches.setdefault(name, Switch())

    def clear(self) -> None:
        """Everything is in order again."""
        self._switches.clear()
        self.entitlements.clear()

    def fate(self, client_id: int | None, message: str) -> Fate:
        """What becomes of a message that is about to be said."""
        if not self._switches:
            return PLAIN_FATE
        if self.switch("withhold").hit(client_id, message):
            return Fate(times=0)
        times = 2 if self.switch("double").hit(client_id, message) else 1
        if key := self.switch("hold").hit(client_id, message):
            return Fate(times, kept_until=self.switch("hold").what(key))
        if key := self.switch("delay").hit(client_id, message):
            return Fate(times, delay_ms=self.switch("delay").what(key))
        return Fate(times) if times > 1 else PLAIN_FATE

    def rewritten(self, client_id: int | None, message: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The message's values with what a fault puts in their place."""
        if not self._switches:
            return values
        key = self.switch("rewrite").hit(client_id, message)
        return values if key is None else {**values, **self.switch("rewrite").what(key)}

    def on(self, fault: str, client_id: int | None, name: str = EVERYTHING) -> bool:
        """Whether this happens now; uses up one of its times."""
        return bool(self._switches) and self.switch(fault).hit(client_id, name) is not None
