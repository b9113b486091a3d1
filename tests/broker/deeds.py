"""What a script can do to a `World`: orders and cancels, deaths, and everything the gateway can get wrong."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from trading import CLIENT, RUN
from world import World

from firm.domain.order import OrderType, Side, TimeInForce
from firm.events import Origin
from firm.events.orders import Child, OrderCancelRequested, OrderSubmitted
from firm.events.system import InstrumentsResolved
from firm.gateway_sim import control
from firm.gateway_sim.codec.framing import frame
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.orders import open_order, order_status
from firm.gateway_sim.session import Cut
from firm.gateway_sim.times import local_date

Action = tuple[Any, ...]
LENGTH_BYTES = 4
Deed = Callable[..., Awaitable[None]]


async def act(world: World, action: Action) -> None:
    """Carry out one action, a deed's name and its arguments."""
    name, *rest = action
    world.done[f"{name} {rest[0]['cmd']}" if name == "ask" else name] += 1
    await DEEDS[name](world, *rest)


async def turn(world: World) -> None:
    await world.turn()


async def step(world: World) -> None:
    await world.step()


async def late(world: World, frames: int) -> None:
    """The market moves on by so many frames of the day while the firm has nothing to do."""
    gateway = world.wire.gateway
    for _ in range(frames):
        frame = None if gateway is None else gateway.brokerage.next_frame()
        if gateway is None or frame is None or local_date(frame.at) != world.day:
            break
        world.advance(gateway, None)
    await world.turn()


# the firm's own doing


async def submit(
    world: World, instrument: int, side: str, quantity: int, kind: str, tif: str, turn: bool
) -> None:
    """`kind`: `market`, `far` from the market, or a limit `near` it, at the side that is displayed."""
    _order(world, instrument, side, Decimal(quantity), _price(world, instrument, side, kind), tif)
    if turn:
        await world.turn()


async def odd(world: World, quantity: str, price: str) -> None:
    """An order that no market takes."""
    _order(world, 0, "BUY", Decimal(quantity), Decimal(price), "DAY")
    await world.turn()


def _price(world: World, instrument: int, side: str, kind: str) -> Decimal | None:
    if kind == "market":
        return None
    if kind == "near" and world.wire.gateway is not None:
        board = world.wire.gateway.brokerage.board
        shown = float((board.ask if side == "BUY" else board.bid)[instrument])
        if not math.isnan(shown):  # as it is before the first quote
            return Decimal(f"{shown:.2f}")
    return Decimal("1.00") if side == "BUY" else Decimal("9999.00")


def _order(
    world: World, instrument: int, side: str, quantity: Decimal, price: Decimal | None, tif: str
) -> None:
    contract = world.logged(InstrumentsResolved)[0].instruments[instrument].con_id
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    child = Child(instrument, contract, Side(side), quantity, kind, price, TimeInForce(tif))
    intent = OrderSubmitted(1, "market", child)
    world.commands.append(world.record("execution", Origin.DERIVED, intent))


async def cancel(world: World, which: int, turn: bool) -> None:
    seqs = [r.seq for r in world.store.read(kinds={OrderSubmitted.KIND})]
    if seqs:
        wish = OrderCancelRequested(seqs[which % len(seqs)], "no longer wanted")
        world.commands.append(world.record("execution", Origin.DERIVED, wish))
        if turn:
            await world.turn()


async def latch(world: World, down: bool) -> None:
    file = world.directory / "latch"
    if down:
        file.write_text("drill")
    else:
        file.unlink(missing_ok=True)


# deaths


async def lost_page(world: World) -> None:
    """The firm dies with a page that nobody has committed."""
    await world.turn(lose=True)


async def kill_firm(world: World) -> None:
    """The firm dies before it has sent what is committed, and lives again."""
    await world.stop_firm(kill=True)
    await world.start_firm()


async def restart_gateway(world: World) -> None:
    world.wire.stop()
    await asyncio.sleep(1)
    world.start_gateway()


async def gateway_away(world: World, seconds: float) -> None:
    """The gateway dies, the firm goes on meanwhile."""
    world.wire.stop()
    asyncio.get_running_loop().call_later(seconds, world.start_if_away)
    await world.turn()


# the wire


async def cut(world: World, how: str = "rst") -> None:
    world.ask_gateway(cmd="cut", how=how)


async def occupy(world: World, seconds: float) -> None:
    """A dead session keeps the firm's client id for a while after the next connection broke."""
    gateway = world.wire.gateway
    if gateway is None:
        return
    ghost = gateway.connect(178)
    for session in gateway.sessions:
        session.cut = Cut("rst", 0)
    world.wire.flush()
    await asyncio.sleep(0.1)
    if any(session.client_id == CLIENT for session in gateway.sessions):
        return  # the firm was faster
    ghost.client_id, ghost.cut = CLIENT, None
    asyncio.get_running_loop().call_later(seconds, gateway.disconnect, ghost)


async def deaf(world: World) -> None:
    """The link goes half-open: nobody is told, nothing arrives."""
    for line in world.wire.lines:
        line.deaf = True


async def mute(world: World) -> None:
    """What the firm sends from now on is lost in flight, until the connection is made anew."""
    for line in world.wire.lines:
        line.mute = True


async def lag(world: World, seconds: float) -> None:
    for line in world.wire.lines:
        line.lag_s = seconds


async def wait(world: World, seconds: float) -> None:
    await world.pass_time(seconds)


# what the gateway says


async def ask(world: World, command: dict[str, Any]) -> None:
    """Any command of the control port."""
    world.ask_gateway(**command)


async def inject(world: World, code: int, turn: bool) -> None:
    """A notice about the session."""
    world.ask_gateway(cmd="inject", code=code, text=f"notice {code}")
    if turn:
        await world.turn()


async def error_on(world: World, which: int, code: int) -> None:
    """An error with the id of a live order, which does it no harm."""
    if world.wire.gateway is None:
        return
    live = [o for o in control.orders(world.wire.gateway) if o["live"]]
    if live:
        order_id = live[which % len(live)]["order_id"]
        world.ask_gateway(cmd="inject", code=code, text=f"error {code}", req_id=order_id)


async def withhold(world: World, messages: list[str], on: bool) -> None:
    world.ask_gateway(cmd="withhold", messages=list(messages), on=on)


async def ghost(world: World, which: int) -> None:
    """An order of the firm is said to live a second time, under another permId."""
    gateway = world.wire.gateway
    live = [order for order in gateway.brokerage.orders.values() if order.live] if gateway else []
    if gateway and live and gateway.sessions:
        order = live[which % len(live)]
        for said in (open_order(order, "DU1"), order_status(order)):
            values = {**said.values, "permId": order.perm_id + 10_000}
            gateway.sessions[0].say(said.message, **values)
        world.wire.flush()


# what others do to the account


async def twin(world: World, which: int) -> None:
    """A change of a working order leaves the old one alive beside the new one."""
    world.ask_gateway(cmd="twin", client_id=CLIENT)
    _change(world, which, None)


async def modify(world: World, which: int, quantity: int) -> None:
    """A person at the terminal gives a working order another quantity."""
    _change(world, which, quantity)


def _change(world: World, which: int, quantity: int | None) -> None:
    """The gateway hears the order once more as the firm's session would send it, which never does."""
    gateway = world.wire.gateway
    sessions = [] if gateway is None else [s for s in gateway.sessions if s.client_id == CLIENT]
    live = [] if gateway is None else [o for o in gateway.brokerage.live_orders() if o.client_id == CLIENT]
    if gateway is None or not sessions or not live:
        return
    values = dict(live[which % len(live)].values)
    if quantity is not None:
        values["totalQuantity"] = Decimal(quantity)
    before = len(world.journal.commands)
    fields = PLACE_ORDER.encode(sessions[0].version, values)
    gateway.receive(sessions[0], frame(fields)[LENGTH_BYTES:])
    world.foreign += world.journal.commands[before:]
    world.wire.flush()


async def amend(world: World, which: int, quantity: int) -> None:
    """An execution of an order that has ended is corrected to `quantity`, or busted (0)."""
    if world.wire.gateway is None:
        return
    ended = {o["perm_id"] for o in control.orders(world.wire.gateway) if not o["live"]}
    found = [e for e in world.ask_gateway(cmd="executions")["executions"] if e["perm_id"] in ended]
    if found:
        exec_id = found[which % len(found)]["exec_id"]
        if quantity:
            world.ask_gateway(cmd="correct", exec_id=exec_id, quantity=quantity)
        else:
            world.ask_gateway(cmd="bust", exec_id=exec_id)


async def stray(world: World) -> None:
    """An order that bears the run's name and is not in its log."""
    desk = world.desk
    if desk is None or desk.pump is None or not desk.pump.connection.up:
        return
    connection = desk.pump.connection
    instrument = world.logged(InstrumentsResolved)[0].instruments[0]
    child = Child(0, instrument.con_id, Side.BUY, Decimal(7), OrderType.LIMIT, Decimal(1), TimeInForce.GTC)
    connection.place(connection.next_order_id(), f"{RUN}-99999", instrument, child)


DEEDS: dict[str, Deed] = {
    deed.__name__: deed
    for deed in (
        *(turn, step, late, submit, odd, cancel, latch),
        *(lost_page, kill_firm, restart_gateway, gateway_away),
        *(cut, occupy, deaf, mute, lag, wait),
        *(ask, inject, error_on, withhold, ghost),
        *(twin, modify, amend, stray),
    )
}
