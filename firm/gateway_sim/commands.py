"""What changes the gateway's memory, as it is journaled: each command says everything it depends on."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct


class Step(Struct, frozen=True, tag="step", array_like=True):
    """Time moves to `at`; with `frame`, the next frame of the tape (which is at `at`) is played."""

    at: int
    frame: bool


class Place(Struct, frozen=True, tag="place", array_like=True):
    """A client's placeOrder request, as the wire fields of its protocol version.

    `twin`: a modification that leaves the old order alive beside the new one.
    """

    client_id: int
    version: int
    fields: list[str]
    twin: bool = False


class Cancel(Struct, frozen=True, tag="cancel", array_like=True):
    """A client's cancelOrder request."""

    client_id: int
    order_id: int


class CancelAll(Struct, frozen=True, tag="cancel_all", array_like=True):
    """A client's reqGlobalCancel request: every working order, whoever placed it."""

    client_id: int


class Correct(Struct, frozen=True, tag="correct", array_like=True):
    """The broker corrects an execution's quantity or price (None: as it was)."""

    exec_id: str
    quantity: Decimal | None
    price: Decimal | None


class Bust(Struct, frozen=True, tag="bust", array_like=True):
    """The broker takes an execution back."""

    exec_id: str


class Manual(Struct, frozen=True, tag="manual", array_like=True):
    """A market order nobody's program placed: by hand, or a `liquidation` by the broker."""

    instrument: int
    side: str
    quantity: Decimal
    liquidation: bool


class Lend(Struct, frozen=True, tag="lend", array_like=True):
    """How many shares can be borrowed from now on (None: any number)."""

    instrument: int
    quantity: Decimal | None


class Dividend(Struct, frozen=True, tag="dividend", array_like=True):
    """`amount` a share, paid now to who holds it and by who is short."""

    instrument: int
    amount: Decimal


class Split(Struct, frozen=True, tag="split", array_like=True):
    """`new` shares for every `old`."""

    instrument: int
    new: int
    old: int


class Halt(Struct, frozen=True, tag="halt", array_like=True):
    """Trading in an instrument stops, or goes on."""

    instrument: int
    on: bool


Command: TypeAlias = (
    Step | Place | Cancel | CancelAll | Correct | Bust | Manual | Lend | Dividend | Split | Halt
)
