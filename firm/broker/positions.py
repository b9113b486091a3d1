"""The account's positions as the broker tells them, against what the log adds up to. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from firm.broker.breaks import Break
from firm.broker.messages import PositionMessage
from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.events.broker import BreakClass


class Positions:
    """Holdings at the broker, and where they differ from opening positions plus fills."""

    def __init__(self) -> None:
        self.instruments: Sequence[Instrument] = ()
        self.opening: dict[int, Decimal] | None = None
        self.reported: tuple[Break, ...] = ()
        self._held: dict[int, PositionMessage] = {}

    def know(self, instruments: Sequence[Instrument]) -> None:
        """The universe of the run, in index order."""
        self.instruments = instruments

    def clear(self) -> None:
        """All positions are being asked for again."""
        self._held.clear()

    def hear(self, message: PositionMessage) -> None:
        """Take in what the account holds of one contract."""
        self._held[message.con_id] = message

    def held(self) -> dict[int, Decimal]:
        """Non-zero holdings by instrument index."""
        quantities = {
            i.index: self._held[i.con_id].quantity for i in self.instruments if i.con_id in self._held
        }
        return {index: quantity for index, quantity in quantities.items() if quantity}

    def open_with(self, fills: Mapping[int, Decimal]) -> None:
        """At the first reconciliation of a log: what is held beyond the fills was there before."""
        if self.opening is None:
            held = self.held()
            beyond = {i: held.get(i, ZERO) - fills.get(i, ZERO) for i in {*held, *fills}}
            self.opening = {i: quantity for i, quantity in beyond.items() if quantity}

    def booked(self, index: int, fills: Mapping[int, Decimal]) -> Decimal:
        """What the log adds up to for one instrument."""
        return (self.opening or {}).get(index, ZERO) + fills.get(index, ZERO)

    def apart(self, index: int, fills: Mapping[int, Decimal]) -> Decimal:
        """How much more the broker holds of one instrument than the log adds up to."""
        return self.held().get(index, ZERO) - self.booked(index, fills)

    def breaks(self, fills: Mapping[int, Decimal]) -> tuple[Break, ...]:
        """One for each difference, and for each holding outside the universe."""
        held, opening = self.held(), self.opening or {}
        known = {i.con_id for i in self.instruments}
        found = []
        for i in sorted({*held, *opening, *fills}):
            booked = self.booked(i, fills)
            if held.get(i, ZERO) != booked:
                symbol = self.instruments[i].symbol
                text = f"{symbol}: the broker holds {held.get(i, ZERO)}, the log adds up to {booked}"
                found.append(Break(BreakClass.POSITION, symbol, text))
        strangers = [p for con_id, p in self._held.items() if con_id not in known and p.quantity]
        found += [
            Break(
                BreakClass.HOLDING_OUTSIDE,
                f"conId {p.con_id}",
                f"{p.symbol} (conId {p.con_id}): the broker holds {p.quantity}, which is not in the universe",
            )
            for p in sorted(strangers, key=lambda p: p.con_id)
        ]
        return tuple(found)
