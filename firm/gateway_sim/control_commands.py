"""The commands of the control port, one struct each; `client_id` null means every client.

Where a fault takes `times`, it is over after so many messages or requests of each name.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]


class Command(Struct, tag_field="cmd", frozen=True, forbid_unknown_fields=True):
    """One line on the control port."""


class StepCommand(Command, frozen=True, tag="step"):
    """Move the clock to the next frame, or to `until` (ns UTC) if that is earlier."""

    until: int | None = None


class StatusCommand(Command, frozen=True, tag="status"):
    """Where things stand."""


class OrdersCommand(Command, frozen=True, tag="orders"):
    """Every order ever placed, for audits."""


class ExecutionsCommand(Command, frozen=True, tag="executions"):
    """Every execution that stands, for audits."""


class InjectCommand(Command, frozen=True, tag="inject"):
    """Say an error or notice (1100, 1102, 2103, 10349, ...) that has no cause here."""

    code: int
    text: str
    req_id: int = -1
    client_id: int | None = None


class WithholdCommand(Command, frozen=True, tag="withhold"):
    """Do not say these messages (by name, `*` for all): a half-open or lossy link."""

    messages: list[str]
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class DoubleCommand(Command, frozen=True, tag="double"):
    """Say these messages twice."""

    messages: list[str]
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class DelayCommand(Command, frozen=True, tag="delay"):
    """Say these messages `ms` of real time later: a slow synchronisation."""

    messages: list[str]
    ms: Milliseconds
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class HoldCommand(Command, frozen=True, tag="hold"):
    """Keep these messages back until one named `until` was said, or (empty) until `release`."""

    messages: list[str]
    until: str = ""
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class ReleaseCommand(Command, frozen=True, tag="release"):
    """Say what `hold` kept back, in the same order or reversed."""

    client_id: int | None = None
    order: Literal["same", "reverse"] = "same"


class RewriteCommand(Command, frozen=True, tag="rewrite"):
    """Put `values` in place of what these messages would say: a permId of 0, no commission, an odd time."""

    message: str
    values: dict[str, Any]
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class IgnoreCommand(Command, frozen=True, tag="ignore"):
    """Do not look at these requests (by name): never answered, orders lost in flight."""

    requests: list[str]
    client_id: int | None = None
    on: bool = True
    times: Positive | None = None


class CutCommand(Command, frozen=True, tag="cut"):
    """Break the connection: `rst`, `fin`, or `silent` (half-open: open, and dead).

    With `after_bytes`, once so many more bytes were written, in the middle of a message if it so falls.
    """

    client_id: int | None = None
    how: Literal["rst", "fin", "silent"] = "rst"
    after_bytes: Annotated[int, Meta(ge=0)] = 0


class LoseCommand(Command, frozen=True, tag="lose"):
    """The next `count` orders of the client are lost in flight, then its connection is reset.

    The gateway never knew them, so their ids are given out again.
    """

    count: Positive
    client_id: int | None = None


class LinkCommand(Command, frozen=True, tag="link"):
    """The gateway's own link to the broker: down says 1100 and then nothing more; up says 1101 or 1102.

    With `lost` (1101), subscriptions are gone. What happened meanwhile is not told afterwards.
    """

    up: bool
    lost: bool = False
    client_id: int | None = None


class FarmCommand(Command, frozen=True, tag="farm"):
    """A data farm goes (2103 market, 2105 history) or comes back (2104, 2106).

    `mute` leaves the market data subscriptions dead although the farm is said to be back.
    """

    ok: bool
    farm: Literal["market", "history"] = "market"
    mute: bool = False
    client_id: int | None = None


class CompeteCommand(Command, frozen=True, tag="compete"):
    """Another session of the same user takes the market data: 10197, and no ticks until it is over."""

    on: bool = True
    client_id: int | None = None


class EntitleCommand(Command, frozen=True, tag="entitle"):
    """What the account may see of a symbol: `live`, `delayed` (10167, delayed ticks) or `none` (354)."""

    symbol: str
    level: Literal["live", "delayed", "none"]


class StaleCommand(Command, frozen=True, tag="stale"):
    """Bars that grow and five-second bars die, each with error 10182."""

    client_id: int | None = None


class PaceCommand(Command, frozen=True, tag="pace"):
    """Hold clients to the message rate (error 100, at the third closed) and to the history rules (162)."""

    on: bool = True


class RefuseCancelCommand(Command, frozen=True, tag="refuse_cancel"):
    """The next `times` cancels come too late: error 161, and the order lives on."""

    client_id: int | None = None
    times: Positive = 1


class TwinCommand(Command, frozen=True, tag="twin"):
    """The next `times` modifications leave the old order alive beside the new one, under one order id."""

    client_id: int | None = None
    times: Positive = 1


class CorrectCommand(Command, frozen=True, tag="correct"):
    """An execution is corrected: the same execId with its last part one higher, and other figures."""

    exec_id: str
    quantity: Decimal | None = None
    price: Decimal | None = None


class BustCommand(Command, frozen=True, tag="bust"):
    """An execution is busted: error 10225, and it is as if it had not been."""

    exec_id: str


class ManualCommand(Command, frozen=True, tag="manual"):
    """Someone trades the account by hand (client 0, order id 0), or, with `liquidation`, the broker does."""

    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal
    liquidation: bool = False


class AmbiguousCommand(Command, frozen=True, tag="ambiguous"):
    """Contract requests for the symbol that name no conId find two contracts."""

    symbol: str
    on: bool = True


class LendCommand(Command, frozen=True, tag="lend"):
    """How many shares of the symbol can be borrowed for short sales (null: any number)."""

    symbol: str
    quantity: Decimal | None = None


class DividendCommand(Command, frozen=True, tag="dividend"):
    """A dividend of `amount` a share is paid."""

    symbol: str
    amount: Decimal


class SplitCommand(Command, frozen=True, tag="split"):
    """`new` shares for every `old` ones."""

    symbol: str
    new: Positive
    old: Positive


class HaltCommand(Command, frozen=True, tag="halt"):
    """Trading in the symbol stops (tick 49), or with `on` false goes on."""

    symbol: str
    on: bool = True


class NewsCommand(Command, frozen=True, tag="news"):
    """A headline about a symbol, for subscriptions with generic tick 292 and for later questions."""

    symbol: str
    headline: str
    text: str = ""


class BulletinCommand(Command, frozen=True, tag="bulletin"):
    """A bulletin from the broker."""

    text: str


class ScheduleCommand(Command, frozen=True, tag="schedule"):
    """From now on, an interruption by the clock: `restart@23:45`, `reset@00:15+10`, `logout@Sun-01:00`."""

    scenario: str


class LoginCommand(Command, frozen=True, tag="login"):
    """Someone has logged in again after a logout."""


class ClearCommand(Command, frozen=True, tag="clear"):
    """No fault is on any more. What has happened, has happened."""


ControlCommand = (
    StepCommand
    | StatusCommand
    | OrdersCommand
    | ExecutionsCommand
    | InjectCommand
    | WithholdCommand
    | DoubleCommand
    | DelayCommand
    | HoldCommand
    | ReleaseCommand
    | RewriteCommand
    | IgnoreCommand
    | CutCommand
    | LoseCommand
    | LinkCommand
    | FarmCommand
    | CompeteCommand
    | EntitleCommand
    | StaleCommand
    | PaceCommand
    | RefuseCancelCommand
    | TwinCommand
    | CorrectCommand
    | BustCommand
    | ManualCommand
    | AmbiguousCommand
    | LendCommand
    | DividendCommand
    | SplitCommand
    | HaltCommand
    | NewsCommand
    | BulletinCommand
    | ScheduleCommand
    | LoginCommand
    | ClearCommand
)
