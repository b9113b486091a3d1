"""From a placeOrder request to the exchange's order: every kind it knows, and refusals for the rest. Pure.

An attribute that changes how an order trades, and that the exchange does not know, is refused: trading the
order as a plain one would be a lie. The codes are Interactive Brokers'; which of them a real gateway chooses
where several fit is assumed.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.position import ZERO
from firm.exchange import Algo, Condition, OrderTicket, Special, Trail
from firm.exchange.algos import ADAPTIVE, PATIENCE_NS, TWAP, VWAP
from firm.exchange.orders import AT_CLOSE, AT_OPEN
from firm.gateway_sim.catalogue import contract
from firm.gateway_sim.codec.framing import VERSION_MAX
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.commands import Manual
from firm.gateway_sim.orders import PlacedOrder
from firm.gateway_sim.times import parse_moment, parse_time

MANUAL_CLIENT, MANUAL_ID, LIQUIDATION_ID = 0, 0, -1
Find = Callable[[Values], Instrument | None]


class Kind(NamedTuple):
    """What an order type of the wire is made of."""

    limited: bool
    stops: bool = False
    trails: bool = False
    closing: bool = False


KINDS = {
    "MKT": Kind(limited=False),
    "LMT": Kind(limited=True),
    "STP": Kind(limited=False, stops=True),
    "STP LMT": Kind(limited=True, stops=True),
    "TRAIL": Kind(limited=False, trails=True),
    "TRAIL LIMIT": Kind(limited=True, trails=True),
    "MOC": Kind(limited=False, closing=True),
    "LOC": Kind(limited=True, closing=True),
}
TIFS = {
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.IOC,
    "GTD": TimeInForce.GTC,
    "OPG": TimeInForce.DAY,
}
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "hidden": (False,),
    "minQty": (0, None),
    "hedgeType": ("",),
    "deltaNeutralContract": (False,),
    "deltaNeutralOrderType": ("", "None"),
    "discretionaryAmt": (0.0, None),
    "scalePriceIncrement": (0.0, None),
    "adjustedOrderType": ("", "None"),
    "cashQty": (0.0, None),
    "activeStartTime": ("",),
    "faGroup": ("",),
    "modelCode": ("",),
}
ALGO_TAGS = {
    TWAP: {"strategyType", "startTime", "endTime", "allowPastEndTime"},
    VWAP: {"maxPctVol", "startTime", "endTime", "allowPastEndTime", "noTakeLiq", "speedUp"},
    ADAPTIVE: {"adaptivePriority"},
}


class Refusal(ValueError):
    """Why a request makes no order here: Interactive Brokers' code and a sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def ticket_of(values: Values, instrument: Instrument, parent: int, find: Find, at: int) -> OrderTicket:
    """The exchange's order; `parent` is the `perm_id` behind parentId, `find` knows contracts.

    Raises `Refusal`.
    """
    kind = KINDS.get(values["orderType"])
    if kind is None:
        text = f"Unsupported order type for this exchange and security type: {values['orderType']}"
        raise Refusal(387, text)
    word = values["tif"] or "DAY"
    if word not in TIFS:
        raise Refusal(387, f"Invalid time in force: {word}; this gateway knows {', '.join(TIFS)}")
    if values["action"] not in {*Side}:
        raise Refusal(387, f"Invalid side: {values['action']}")
    if odd := [name for name, plain in UNSUPPORTED.items() if values.get(name, plain[0]) not in plain]:
        raise Refusal(201, f"Order rejected - reason: not simulated here: {', '.join(odd)}")
    limited = kind.limited and not kind.trails
    return OrderTicket(
        instrument=instrument.index,
        side=Side(values["action"]),
        quantity=values["totalQuantity"] or ZERO,
        order_type=OrderType.LIMIT if limited else OrderType.MARKET,
        limit_price=(values["lmtPrice"] or ZERO) if limited else None,
        tif=TIFS[word],
        ref=values["orderRef"],
        special=_special(values, kind, word, parent, find, at),
    )


def check_change(ticket: OrderTicket, values: Values, known: PlacedOrder) -> None:
    """Refuse what cannot become of the order that already has this id; raises `Refusal`."""
    if not known.live:
        raise Refusal(103, f"Duplicate order id: {known.order_id} is {known.status}")
    if values["orderType"] != known.values["orderType"]:
        raise Refusal(329, "Order modify failed. Cannot change to the new order type.")
    old, new = known.ticket, ticket
    before = (
        old.instrument,
        old.side,
        old.tif,
        old.special.parent,
        old.special.oca_group,
        old.special.auction,
        old.venue,
    )
    after = (
        new.instrument,
        new.side,
        new.tif,
        new.special.parent,
        new.special.oca_group,
        new.special.auction,
        new.venue,
    )
    if before != after:
        raise Refusal(105, "Order being modified does not match original order.")


def manual_order(instrument: Instrument, command: Manual) -> Values:
    """A placeOrder request as if someone had clicked it together, all unsaid attributes plain."""
    asked = {
        "orderId": LIQUIDATION_ID if command.liquidation else MANUAL_ID,
        **contract(instrument, "SMART"),
        "action": command.side,
        "totalQuantity": command.quantity,
        "orderType": "MKT",
        "tif": "DAY",
    }
    return PLACE_ORDER.decode(PLACE_ORDER.encode(VERSION_MAX, asked)[1:], VERSION_MAX)


def _special(values: Values, kind: Kind, tif: str, parent: int, find: Find, at: int) -> Special:
    display, quantity = values["displaySize"], values["totalQuantity"] or ZERO
    oca_type = values["ocaType"] or 0
    if values["ocaGroup"] and oca_type not in {0, 1, 2, 3}:
        raise Refusal(201, f"Order rejected - reason: OCA type {oca_type}; 1, 2 and 3 are known")
    return Special(
        stop=_stop(values, kind),
        trail=_trail(values) if kind.trails else None,
        trigger=values["triggerMethod"] or 0,
        auction=AT_CLOSE if kind.closing else AT_OPEN if tif == "OPG" else "",
        all_at_once=tif == "FOK" or values["allOrNone"],
        good_till=_good_till(values, tif),
        good_after=_time(values["goodAfterTime"]) if values["goodAfterTime"] else None,
        display=Decimal(display) if display and display < quantity else None,
        oca_group=values["ocaGroup"],
        oca_type=oca_type if values["ocaGroup"] else 0,
        parent=parent,
        transmit=values["transmit"],
        algo=_algo(values, at),
        conditions=tuple(_condition(c, find) for c in values.get("conditions") or ()),
        conditions_cancel=bool(values.get("conditionsCancelOrder")),
    )


def _stop(values: Values, kind: Kind) -> Decimal | None:
    if kind.stops:
        stop: Decimal = values["auxPrice"] or ZERO
        return stop
    start = values["trailStopPrice"]
    return Decimal(repr(start)) if kind.trails and start else None


def _trail(values: Values) -> Trail:
    percent, amount = values["trailingPercent"], values["auxPrice"]
    offset = None
    if values["orderType"] == "TRAIL LIMIT":
        offset = _offset(values)
    by_percent = Decimal(repr(percent)) if percent else None
    return Trail(None if by_percent is not None else amount, by_percent, offset)


def _offset(values: Values) -> Decimal:
    """The distance of the limit beyond the stop: said outright, or as a limit beside the first stop."""
    if values["lmtPriceOffset"] is not None:
        return abs(Decimal(repr(values["lmtPriceOffset"])))
    limit, stop = values["lmtPrice"], values["trailStopPrice"]
    if not limit or not stop:
        raise Refusal(321, "Error validating request: TRAIL LIMIT needs lmtPriceOffset, or both prices")
    first: Decimal = limit
    return abs(first - Decimal(repr(stop)))


def _good_till(values: Values, tif: str) -> int | None:
    if tif != "GTD":
        return None
    if not values["goodTillDate"]:
        raise Refusal(334, "Invalid Good Till Date order: it has no goodTillDate")
    return _time(values["goodTillDate"])


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as reason:
        raise Refusal(337, f"The date, time, or time-zone entered is invalid: {reason}") from None


def _algo(values: Values, at: int) -> Algo | None:
    name = values["algoStrategy"]
    if not name:
        return None
    if name not in ALGO_TAGS:
        raise Refusal(439, f"The algorithm definition is not found: {name}; known are {', '.join(ALGO_TAGS)}")
    asked = {p["tag"]: p["value"] for p in values.get("algoParams", ())}
    if unknown := sorted(asked.keys() - ALGO_TAGS[name]):
        raise Refusal(443, f"Unknown algo attribute: {', '.join(unknown)}")
    if asked.get("noTakeLiq") in {"1", "true"}:
        raise Refusal(441, "Algo attributes validation failed: noTakeLiq is not simulated here")
    priority = asked.get("adaptivePriority") or "Normal"
    if priority not in PATIENCE_NS:
        raise Refusal(441, f"Algo attributes validation failed: adaptivePriority {priority}")
    return Algo(
        name=name,
        start=_moment(asked, "startTime", at),
        end=_moment(asked, "endTime", at),
        past_end=asked.get("allowPastEndTime", "") in {"1", "true"},
        volume_max=_fraction(asked.get("maxPctVol", "")),
        patience_ns=PATIENCE_NS[priority],
    )


def _moment(asked: Mapping[str, str], tag: str, at: int) -> int | None:
    text = asked.get(tag, "")
    try:
        return parse_moment(text, at) if text else None
    except ValueError as reason:
        raise Refusal(441, f"Algo attributes validation failed: {tag}: {reason}") from None


def _fraction(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise Refusal(441, f"Algo attributes validation failed: maxPctVol {text[:20]!r} is not in (0, 1]")
    return Decimal(repr(value))


def _condition(values: Values, find: Find) -> Condition:
    kind = values["condType"]
    figure: object
    match kind:
        case 1:
            figure = values["condPrice"]
        case 3:
            figure = _time(values["condTime"])
        case 4:
            figure = values["percent"]
        case 5:
            figure = 0
        case 6:
            figure = values["condVolume"]
        case 7:
            figure = values["changePercent"]
        case _:
            raise Refusal(201, f"Order rejected - reason: unknown condition type {kind}")
    if figure is None:
        raise Refusal(201, f"Order rejected - reason: a condition of type {kind} without a figure")
    return Condition(
        kind=kind,
        more=bool(values.get("isMore")),
        value=Decimal(str(figure)),
        instrument=_looked_at(values, find),
        and_next=values["conjunction"] != "o",
    )


def _looked_at(values: Values, find: Find) -> int:
    if values["condType"] in {3, 4}:
        return -1
    if values["condType"] == 5:
        asked = {"symbol": values["condSymbol"], "secType": values["condSecType"]}
    else:
        asked = {"conId": values["condConId"]}
    instrument = find(asked)
    if instrument is None:
        raise Refusal(200, "No security definition has been found for the contract of a condition")
    return instrument.index
