"""The thirty faults that users of Interactive Brokers know: each injected, what happened, what holds after.

Every row is a script at the simulated gateway. What its log must say is listed; afterwards everything that
`reconciled` checks must hold, and what nobody could have known must be the break that the row names.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from chaos import Action, World, play
from conversation import working
from trading import RUN

from firm.domain.order import OrderState
from firm.events import CODEC
from firm.events.orders import OrderFilled, OrderSubmitted
from firm.gateway_sim import control

OPEN: list[Action] = [("step",), ("step",)]
REST: Action = ("submit", 0, "BUY", 10, "far", "GTC", True)
FILL: Action = ("submit", 1, "BUY", 100, "market", "DAY", True)
ELSE: Action = ("submit", 2, "BUY", 20, "market", "DAY", True)
SOON: Action = ("wait", 8.0)
TURNS: list[Action] = [("turn",)] * 3


def ask(**command: Any) -> Action:
    return ("ask", command)


@dataclass(frozen=True)
class Row:
    """`says` must be in the log in this order, `never` not at all; `breaks` is what stays at the end."""

    number: int
    fault: str
    script: list[Action]
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ("OrderNotAccepted",)
    breaks: str = ""
    broker: dict[str, Any] = field(default_factory=dict)


ERRORS = (161, 10148, 10147, 103, 104, 201, 10318, 10052, 110)
MATRIX = [
    Row(
        1,
        "the client id is in use by a dead session",
        [*OPEN, ("occupy", 1.0), SOON, *TURNS, FILL],
        says=("BrokerDisconnected", "BrokerConnected", "Reconciled", "OrderFilled"),
    ),
    Row(
        2,
        "10349 on a live order",
        [*OPEN, REST, ("error_on", 0, 10349), *TURNS, ("cancel", 0, True)],
        says=("OrderAccepted", "OrderCanceled"),
        never=("OrderUnknown", "OrderNotAccepted"),
    ),
    *(
        Row(
            3,
            f"error {code} on a live order",
            [*OPEN, REST, ("error_on", 0, code), *TURNS, *TURNS],
            says=("OrderAccepted", "OrderUnknown"),
            never=("OrderCanceled", "BrokerRejected"),
        )
        for code in ERRORS
    ),
    *(
        Row(
            3,
            f"warning {code} on a live order",
            [*OPEN, REST, ("error_on", 0, code), *TURNS],
            says=("OrderAccepted",),
            never=("OrderUnknown", "OrderCanceled"),
        )
        for code in (399, 404, 2109)
    ),
    Row(
        4,
        "a cancel comes too late",
        [
            ("submit", 1, "BUY", 100, "market", "DAY", True),
            ask(cmd="refuse_cancel"),
            ("cancel", 0, True),
            ("step",),
            *TURNS,
        ],
        says=("OrderAccepted", "OrderUnknown", "OrderFilled"),
        never=("OrderCanceled",),
    ),
    Row(
        5,
        "an execution is corrected",
        [*OPEN, FILL, ("amend", 0, 60), *TURNS],
        says=("OrderFilled", "OrderFilled"),
    ),
    Row(
        5,
        "an execution is busted",
        [*OPEN, FILL, ("amend", 0, 0), *TURNS],
        says=("OrderFilled", "OrderFilled"),
    ),
    Row(
        6,
        "everything is said twice",
        [*OPEN, ask(cmd="double", messages=["*"]), FILL, *TURNS],
        says=("OrderAccepted", "OrderFilled", "CommissionReported"),
    ),
    Row(
        7,
        "commissions come before their executions",
        [*OPEN, ask(cmd="hold", messages=["execDetails"], until="commissionReport"), FILL, *TURNS],
        says=("OrderAccepted", "CommissionReported"),
    ),
    Row(
        7,
        "a commission is lost",
        [*OPEN, ask(cmd="withhold", messages=["commissionReport"], times=1), FILL, ("wait", 301.0), *TURNS],
        says=("OrderFilled", "CommissionReported", "Reconciled"),
    ),
    Row(
        8,
        "somebody trades the account by hand",
        [*OPEN, ask(cmd="manual", symbol="KO", side="BUY", quantity=5), *TURNS, ELSE],
        says=("BreakFound", "Reconciled"),
        breaks="KO: the broker holds",
    ),
    Row(
        8,
        "the broker liquidates a position",
        [*OPEN, FILL, ask(cmd="manual", symbol="AMD", side="SELL", quantity=40, liquidation=True), *TURNS],
        says=("OrderFilled", "BreakFound", "Reconciled"),
        breaks="AMD: the broker holds 60",
    ),
    Row(
        9,
        "an order lives twice",
        [*OPEN, REST, ("twin", 0), *TURNS, *TURNS],
        says=("OrderAccepted", "OrderUnknown", "OrderCanceled"),
    ),
    Row(
        9,
        "an order is changed while the link is down, and lives twice",
        [
            *OPEN,
            REST,
            ask(cmd="link", up=False),
            *TURNS,
            ("twin", 0),
            ask(cmd="link", up=True),
            *TURNS,
            *TURNS,
        ],
        says=("OrderAccepted", "BrokerDisconnected", "BrokerConnected", "OrderCanceled"),
    ),
    Row(
        10,
        "permId 0 on several orders",
        [
            *OPEN,
            ask(cmd="rewrite", message="openOrder", values={"permId": 0}),
            ask(cmd="rewrite", message="orderStatus", values={"permId": 0}),
            REST,
            FILL,
            ELSE,
            *TURNS,
        ],
        says=("OrderAccepted", "OrderFilled"),
    ),
    Row(
        11,
        "fills while the link is down are never told",
        [
            ("submit", 1, "BUY", 100, "market", "DAY", True),
            ask(cmd="link", up=False),
            *TURNS,
            ("step",),
            ask(cmd="link", up=True),
            *TURNS,
        ],
        says=("OrderAccepted", "BrokerDisconnected", "BrokerConnected", "OrderFilled", "Reconciled"),
    ),
    Row(
        12,
        "1101: the subscriptions are dead",
        [*OPEN, ask(cmd="link", up=False), *TURNS, ask(cmd="link", up=True, lost=True), *TURNS, ("step",)],
        says=("BrokerDisconnected", "Reconciled", "MarketData"),
    ),
    Row(
        12,
        "a farm comes back and its subscriptions stay dead",
        [*OPEN, ask(cmd="farm", ok=False), *TURNS, ask(cmd="farm", ok=True), *TURNS, ("step",)],
        says=("GateChanged", "GateChanged", "MarketData"),
        never=("BrokerDisconnected",),
    ),
    Row(
        12,
        "an instrument falls silent in a session",
        [*OPEN, ask(cmd="withhold", messages=["tickPrice", "tickSize"]), *[("step",)] * 4, ELSE],
        says=("DataStateChanged", "GateChanged", "BrokerRejected"),
        broker={"data_stale_ms": 3_600_000},
    ),
    Row(
        13,
        "a margin preview is refused",
        [*OPEN, ("submit", 0, "BUY", 10**7, "market", "DAY", True), *TURNS],
        says=("BrokerRejected",),
        never=("OrderAccepted",),
    ),
    Row(
        14,
        "more than fifty orders at once",
        [*OPEN, *[("submit", 0, "BUY", 1, "far", "GTC", False)] * 120, ("turn",), ("wait", 4.0), *TURNS],
        says=("OrderAccepted",) * 120,
        never=("BrokerRejected",),
    ),
    *(
        Row(
            15,
            f"the connection ends with a {how}",
            [("submit", 1, "BUY", 100, "market", "DAY", True), ("cut", how), *TURNS, ("step",), *TURNS],
            says=("OrderAccepted", "BrokerDisconnected", "BrokerConnected", "OrderFilled"),
        )
        for how in ("rst", "fin")
    ),
    Row(
        16,
        "the link is half-open",
        [*OPEN, ("cut", "silent"), SOON, SOON, FILL, *TURNS],
        says=("BrokerDisconnected", "Reconciled", "OrderFilled"),
    ),
    Row(
        16,
        "an order goes into a half-open link",
        [*OPEN, ("cut", "silent"), FILL, SOON, SOON, *TURNS],
        says=("OrderUnknown", "BrokerDisconnected", "OrderNotAccepted"),
        never=("OrderFilled",),
    ),
    Row(
        17,
        "positions are never answered",
        [*OPEN, FILL, ask(cmd="ignore", requests=["reqPositions"], times=1), ("wait", 301.0), *TURNS],
        says=("BrokerDisconnected", "BrokerConnected", "Reconciled"),
    ),
    Row(
        18,
        "a stray order bears our name",
        [*OPEN, ("stray",), ("wait", 301.0), *TURNS],
        says=("BreakFound", "Reconciled"),
        breaks="is live and not in the log",
    ),
    Row(
        19,
        "an order is rejected",
        [*OPEN, ("submit", 1, "BUY", 10**7, "market", "DAY", True), *TURNS],
        says=("BrokerRejected",),
        never=("OrderAccepted", "OrderCanceled"),
    ),
    Row(
        20,
        "no market data are subscribed",
        [*OPEN, ask(cmd="entitle", symbol="KO", level="none"), *TURNS, ELSE],
        says=("DataStateChanged", "GateChanged", "BrokerRejected"),
        never=("OrderAccepted",),
    ),
    Row(
        20,
        "market data are delayed",
        [*OPEN, ask(cmd="entitle", symbol="KO", level="delayed"), ("step",), *TURNS, ELSE],
        says=("DataStateChanged", "GateChanged", "BrokerRejected"),
        never=("OrderAccepted",),
    ),
    Row(
        20,
        "another session takes the market data",
        [*OPEN, ask(cmd="compete"), *TURNS, ELSE, FILL],
        says=("DataStateChanged", "GateChanged", "BrokerRejected", "BrokerRejected"),
    ),
    Row(
        21,
        "sending raises and nobody knows whether it was sent",
        [*OPEN, ask(cmd="lose", count=1), FILL, *TURNS, *TURNS],
        says=("BrokerDisconnected", "OrderNotAccepted"),
        never=("OrderFilled",),
    ),
    Row(
        22,
        "an error 110 on a working order leaves its price",
        [*OPEN, REST, ("error_on", 0, 110), *TURNS, ("cancel", 0, True), *TURNS],
        says=("OrderUnknown", "OrderCanceled"),
    ),
    Row(
        23,
        "filled and cancelled while nobody was there",
        [
            ("submit", 1, "BUY", 100, "market", "DAY", True),
            REST,
            ("cancel", 1, False),
            ("gateway_away", 3.0),
            SOON,
            ("step",),
            *TURNS,
        ],
        says=("OrderAccepted", "BrokerConnected", "OrderFilled"),
    ),
    Row(
        24,
        "bars with an empty beginning: quotes are the firm's own",
        [*OPEN, ask(cmd="stale"), ("step",)],
        says=("MarketData",),
    ),
    Row(
        25,
        "times in another time zone",
        [
            *OPEN,
            ask(cmd="rewrite", message="execDetails", values={"time": "20231116-12:15:35"}),
            FILL,
            *TURNS,
        ],
        says=("OrderAccepted", "OrderFilled"),
    ),
    Row(
        26,
        "orders are lost in flight and their ids given out again",
        [
            *OPEN,
            ask(cmd="lose", count=2),
            ("submit", 0, "BUY", 5, "market", "DAY", False),
            ("submit", 1, "BUY", 6, "market", "DAY", False),
            ("turn",),
            *TURNS,
            ELSE,
            *TURNS,
        ],
        says=("OrderNotAccepted", "OrderNotAccepted", "OrderFilled"),
        never=(),
    ),
    Row(
        27,
        "a symbol has become ambiguous",
        [*OPEN, ask(cmd="ambiguous", symbol="AMD"), FILL, *TURNS],
        says=("OrderFilled",),
    ),
    Row(
        28,
        "executions of yesterday are not told any more",
        [
            *OPEN,
            ask(cmd="withhold", messages=["execDetails", "orderStatus"]),
            FILL,
            *[("step",)] * 28,
            ask(cmd="clear"),
            ("wait", 301.0),
            *TURNS,
            *TURNS,
        ],
        says=("OrderAccepted", "BreakFound"),
        never=("OrderFilled",),
        breaks="AMD: the broker holds 100",
    ),
    Row(
        28,
        "the firm comes back on another day: the log has what the broker does not tell any more",
        [*OPEN, FILL, *[("step",)] * 14, ("kill_firm",), ("step",), ELSE, *TURNS],
        says=("OrderFilled", "BrokerConnected", "Reconciled", "OrderFilled"),
        never=("BreakFound", "OrderNotAccepted"),
    ),
    Row(
        29,
        "orders held until the opening, day orders over the close, GTC orders over the night",
        [
            ("submit", 0, "BUY", 10, "far", "DAY", True),
            ("submit", 1, "BUY", 10, "far", "GTC", True),
            *[("step",)] * 28,
            *TURNS,
        ],
        says=("OrderAccepted", "OrderAccepted", "OrderExpired"),
        never=("OrderUnknown", "OrderNotAccepted"),
    ),
    Row(
        30,
        "a price off the grid and a fraction of a share",
        [*OPEN, ("odd", "10", "1.001"), ("odd", "1.5", "1.00"), *TURNS],
        says=("BrokerRejected", "BrokerRejected"),
        never=("OrderAccepted",),
    ),
]


def names(world: World) -> list[str]:
    return [type(CODEC.event(record)).__name__ for record in world.store.read()] + world.seen


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.number}-{row.fault}")
def test_the_fault_is_found_named_and_survived(row: Row):
    world = play(row.script, "free", breaks=row.breaks, **row.broker)

    rest = iter(names(world))
    for name in row.says:
        assert name in rest, f"{name} of {row.says} is missing in {names(world)}"
    assert not set(row.never) & set(names(world))


def test_every_one_of_the_thirty_is_in_the_matrix():
    assert sorted({row.number for row in MATRIX}) == list(range(1, 31))


def test_a_false_cancellation_never_leads_to_a_second_order():
    world = play([*OPEN, REST, *[("error_on", 0, code) for code in (*ERRORS, 10349)], *TURNS], "free")

    assert world.wire.gateway is not None
    assert len(control.orders(world.wire.gateway)) == 1


def test_an_execution_without_a_perm_id_belongs_to_the_order_of_its_name():
    session = working()

    assert session.children.find(0, f"{RUN}-7", 11, 0) is session.children[7]
    assert session.children.find(0, "", 11, 999) is None
    assert session.children[7].state is OrderState.NEW


def test_ids_that_were_lost_in_flight_are_not_used_again():
    world = play(MATRIX[[row.number for row in MATRIX].index(26)].script, "free")

    assert world.wire.gateway is not None
    (order,) = control.orders(world.wire.gateway)
    submitted = [record.seq for record in world.store.read(kinds={OrderSubmitted.KIND})]
    assert order["order_ref"] == f"{RUN}-{submitted[-1]}"
    assert [fill.quantity for fill in world.logged(OrderFilled)] == [Decimal(20)]
