"""The control port's language: one JSON object a line in, one out. Pure.

The commands are in `control_commands`; `{"cmd":"status"}` is the simplest.
"""

from decimal import Decimal
from typing import Any, TypeAlias, assert_never

import msgspec

from firm.errors import ConfigError
from firm.gateway_sim import control_commands as commands
from firm.gateway_sim.answers_data import say_halt
from firm.gateway_sim.answers_reference import say_news
from firm.gateway_sim.codec.kinds import plain
from firm.gateway_sim.codec.replies import REPLIES
from firm.gateway_sim.commands import Bust, Correct, Dividend, Halt, Lend, Manual, Split
from firm.gateway_sim.control_commands import ControlCommand
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.records import NewsItem
from firm.gateway_sim.rights import entitle
from firm.gateway_sim.schedule import parse_scenario
from firm.gateway_sim.session import Cut, Session, set_link

DONE = {"done": True}
FIGURE_MAX = Decimal(10) ** 9
RUNS_BY_ITSELF = "the clock runs by itself; start the gateway with --clock stepped"
STALE = "Failed to request live updates (disconnected)."


def answer(gateway: Gateway, line: bytes, *, stepped: bool) -> dict[str, Any]:
    """Carry out one line; `{"error": ...}` if it cannot be. Steps are refused unless the clock is stepped."""
    try:
        command = msgspec.json.decode(line, type=ControlCommand)
    except msgspec.DecodeError as reason:
        return {"error": f'a command such as {{"cmd":"status"}} is needed: {reason}'}
    match command:
        case commands.StepCommand(until=until):
            return _stepped(gateway, until) if stepped else {"error": RUNS_BY_ITSELF}
        case commands.StatusCommand() | commands.OrdersCommand() | commands.ExecutionsCommand():
            return _looked_at(gateway, command)
        case (
            commands.CorrectCommand()
            | commands.BustCommand()
            | commands.ManualCommand()
            | commands.LendCommand()
            | commands.DividendCommand()
            | commands.SplitCommand()
            | commands.HaltCommand()
        ):
            return _traded(gateway, command)
        case _:
            return _disturbed(gateway, command)


def _looked_at(
    gateway: Gateway,
    command: commands.StatusCommand | commands.OrdersCommand | commands.ExecutionsCommand,
) -> dict[str, Any]:
    if isinstance(command, commands.OrdersCommand):
        return {"orders": orders(gateway)}
    if isinstance(command, commands.ExecutionsCommand):
        return {"executions": executions(gateway)}
    return status(gateway)


def _stepped(gateway: Gateway, until: int | None) -> dict[str, Any]:
    try:
        return gateway.step(until)._asdict()
    except ValueError as reason:
        return {"error": str(reason)}


Trade: TypeAlias = (
    commands.CorrectCommand
    | commands.BustCommand
    | commands.ManualCommand
    | commands.LendCommand
    | commands.DividendCommand
    | commands.SplitCommand
    | commands.HaltCommand
)


def _traded(gateway: Gateway, command: Trade) -> dict[str, Any]:
    """What changes the account: it is journaled like an order."""
    brokerage = gateway.brokerage
    for name in command.__struct_fields__:
        figure = getattr(command, name)
        if isinstance(figure, Decimal) and not (figure.is_finite() and 0 <= figure <= FIGURE_MAX):
            return {"error": f"{name} must be from 0 to {FIGURE_MAX:f}, found {figure}"}
    match command:
        case commands.CorrectCommand(exec_id=exec_id) | commands.BustCommand(exec_id=exec_id):
            execution = brokerage.ledger.execution(exec_id)
            if execution is None:
                return {"error": f"no execution {exec_id!r} stands; the command executions lists them"}
            if execution.order.live and not (isinstance(command, commands.CorrectCommand) and command.price):
                return {"error": f"the order of {exec_id} still works; only its price can be corrected"}
        case (
            commands.ManualCommand(symbol=symbol)
            | commands.LendCommand(symbol=symbol)
            | commands.DividendCommand(symbol=symbol)
            | commands.SplitCommand(symbol=symbol)
            | commands.HaltCommand(symbol=symbol)
        ):
            traded = _symbols(gateway)
            if symbol not in traded:
                return {"error": f"no symbol {symbol!r}; there are {', '.join(traded)}"}
            kind = brokerage.catalogue.instruments[brokerage.tape.symbols.index(symbol)].sec_type
            if isinstance(command, commands.DividendCommand | commands.SplitCommand) and kind != "STK":
                return {"error": f"dividends and splits are of shares, {symbol} is none"}
    match command:
        case commands.CorrectCommand(exec_id=exec_id, quantity=quantity, price=price):
            gateway.route(Correct(exec_id, quantity, price))
        case commands.BustCommand(exec_id=exec_id):
            gateway.route(Bust(exec_id))
        case commands.ManualCommand(symbol=symbol, side=side, quantity=quantity, liquidation=liquidation):
            instrument = brokerage.tape.symbols.index(symbol)
            gateway.route(Manual(instrument, side, quantity, liquidation))
        case commands.LendCommand(symbol=symbol, quantity=shares):
            gateway.route(Lend(brokerage.tape.symbols.index(symbol), shares))
        case commands.DividendCommand(symbol=symbol, amount=amount):
            gateway.route(Dividend(brokerage.tape.symbols.index(symbol), amount))
        case commands.SplitCommand(symbol=symbol, new=new, old=old):
            gateway.route(Split(brokerage.tape.symbols.index(symbol), new, old))
        case commands.HaltCommand(symbol=symbol, on=on):
            instrument = brokerage.tape.symbols.index(symbol)
            gateway.route(Halt(instrument, on))
            for session in gateway.sessions:
                say_halt(session, instrument, on=on)
    return DONE


def _disturbed(gateway: Gateway, command: ControlCommand) -> dict[str, Any]:
    """What only changes what is heard and said."""
    faults = gateway.faults
    match command:
        case commands.WithholdCommand(client_id=who, messages=names, on=on, times=times):
            faults.switch("withhold").set(who, names, on=on, times=times)
        case commands.DoubleCommand(client_id=who, messages=names, on=on, times=times):
            faults.switch("double").set(who, names, on=on, times=times)
        case commands.DelayCommand(client_id=who, messages=names, on=on, times=times, ms=ms):
            faults.switch("delay").set(who, names, on=on, times=times, what=ms)
        case commands.HoldCommand(client_id=who, messages=names, on=on, times=times, until=until):
            faults.switch("hold").set(who, names, on=on, times=times, what=until)
        case commands.ReleaseCommand(client_id=who, order=order):
            for session in sessions(gateway, who):
                session.release("", order)
        case commands.RewriteCommand():
            return _rewrite(gateway, command)
        case commands.IgnoreCommand(client_id=who, requests=names, on=on, times=times):
            faults.switch("ignore").set(who, names, on=on, times=times)
        case commands.LoseCommand(client_id=who, count=count):
            faults.switch("lose").set(who, ["placeOrder"], on=True, times=count)
        case commands.RefuseCancelCommand(client_id=who, times=times):
            faults.switch("refuse cancel").set(who, ["*"], on=True, times=times)
        case commands.TwinCommand(client_id=who, times=times):
            faults.switch("twin").set(who, ["*"], on=True, times=times)
        case commands.AmbiguousCommand(symbol=symbol, on=on):
            faults.switch("ambiguous").set(None, [symbol], on=on)
        case commands.PaceCommand(on=on):
            faults.switch("pace").set(None, ["*"], on=on)
        case commands.ClearCommand():
            _clear(gateway)
        case commands.ScheduleCommand(scenario=text):
            try:
                gateway.interruptions.scenarios.append(parse_scenario(text))
            except ConfigError as reason:
                return {"error": str(reason)}
        case commands.LoginCommand():
            gateway.interruptions.logged_out = False
        case _:
            return _broken(gateway, command)
    return DONE


def _broken(gateway: Gateway, command: ControlCommand) -> dict[str, Any]:
    """What happens to links and data."""
    match command:
        case commands.InjectCommand(code=code, text=text, req_id=req_id, client_id=who):
            for session in sessions(gateway, who):
                session.error(req_id, code, text)
        case commands.CutCommand(client_id=who, how=how, after_bytes=after):
            for session in sessions(gateway, who):
                session.cut = Cut(how, after)
        case commands.LinkCommand(client_id=who, up=up, lost=lost):
            for session in sessions(gateway, who):
                set_link(session, up=up, lost=lost)
        case commands.FarmCommand(client_id=who, ok=ok, farm=farm, mute=mute):
            gateway.faults.switch(f"{farm} farm").set(who, ["*"], on=not ok or mute)
            name = "usfarm" if farm == "market" else "ushmds"
            code = {"market": 2103, "history": 2105}[farm] + ok
            what = "Market" if farm == "market" else "HMDS"
            for session in sessions(gateway, who):
                session.error(-1, code, f"{what} data farm connection is {'OK' if ok else 'broken'}:{name}")
        case commands.CompeteCommand(client_id=who, on=on):
            gateway.faults.switch("compete").set(who, ["*"], on=on)
            for session in sessions(gateway, who) if on else ():
                for req_id in session.ticks:
                    session.error(req_id, 10197, "No market data during competing live session")
        case commands.EntitleCommand(symbol=symbol, level=level):
            if symbol not in gateway.brokerage.tape.symbols:
                return {
                    "error": f"no symbol {symbol!r}; there are {', '.join(gateway.brokerage.tape.symbols)}"
                }
            gateway.faults.entitlements[symbol] = level
            for session in gateway.sessions:
                entitle(session, symbol)
        case commands.NewsCommand() | commands.BulletinCommand():
            return _published(gateway, command)
        case commands.StaleCommand(client_id=who):
            for session in sessions(gateway, who):
                for req_id in (*session.growing_bars, *session.live_bars):
                    session.error(req_id, 10182, STALE)
                session.growing_bars.clear()
                session.live_bars.clear()
        case _:
            assert_never(command)  # type: ignore[arg-type]  # the others were dealt with before
    return DONE


def _published(gateway: Gateway, command: commands.NewsCommand | commands.BulletinCommand) -> dict[str, Any]:
    brokerage = gateway.brokerage
    if isinstance(command, commands.BulletinCommand):
        gateway.bulletins += 1
        for session in gateway.sessions:
            if session.bulletins:
                session.say("newsBulletins", msgId=gateway.bulletins, text=command.text)
        return DONE
    if command.symbol not in brokerage.tape.symbols:
        return {"error": f"no symbol {command.symbol!r}; there are {', '.join(brokerage.tape.symbols)}"}
    article = f"SIM${len(brokerage.news) + 1:06d}"
    brokerage.news.append(NewsItem(brokerage.at, command.symbol, article, command.headline, command.text))
    instrument = brokerage.tape.symbols.index(command.symbol)
    for session in gateway.sessions:
        say_news(session, instrument, brokerage.at, article, command.headline)
    return DONE


def _rewrite(gateway: Gateway, command: commands.RewriteCommand) -> dict[str, Any]:
    message = REPLIES.get(command.message)
    if message is None:
        return {"error": f"no message is called {command.message!r}"}
    names = message.names()
    if unknown := sorted(command.values.keys() - names):
        return {"error": f"{message.name} has no {', '.join(unknown)}; it has {', '.join(sorted(names))}"}
    try:
        values = {name: message.read(name, str(value)) for name, value in command.values.items()}
    except ValueError as reason:
        return {"error": f"{message.name}: {reason}"}
    gateway.faults.switch("rewrite").set(
        command.client_id, [message.name], on=command.on, times=command.times, what=values
    )
    return DONE


def _clear(gateway: Gateway) -> None:
    gateway.faults.clear()
    for session in gateway.sessions:
        session.down = False
        session.release("")


def sessions(gateway: Gateway, client_id: int | None) -> list[Session]:
    """The sessions of one client id, or all."""
    return [s for s in gateway.sessions if client_id in {None, s.client_id}]


def status(gateway: Gateway) -> dict[str, Any]:
    """Clock, tape and account. Quantities and money are texts, exact."""
    brokerage = gateway.brokerage
    tape, account = brokerage.tape, brokerage.exchange.account
    return {
        "at": brokerage.at,
        "first_at": tape.frames[0].at,
        "last_at": tape.frames[-1].at,
        "symbols": _symbols(gateway),
        "frames": len(tape.frames),
        "frames_left": len(tape.frames) - brokerage.cursor,
        "label": tape.label,
        "source_sha256": tape.source_sha256,
        "account": brokerage.account,
        "sessions_opens": list(tape.sessions.opens),
        "sessions_closes": list(tape.sessions.closes),
        "orders": len(brokerage.orders),
        "positions": {
            tape.symbols[i]: plain(p.quantity) for i, p in enumerate(account.positions) if p.quantity
        },
        "cash": plain(account.cash),
        "equity": plain(round(account.equity, 8)),
        "commissions": plain(account.commissions),
        "clients": sorted(s.client_id for s in gateway.sessions if s.client_id is not None),
        "unknown_requests": gateway.unknown,
        "over_pace": gateway.over_pace,
    }


def _symbols(gateway: Gateway) -> list[str]:
    """What can be asked for and traded: a column that is only a venue's feed is not among them."""
    return [i.symbol for i in gateway.brokerage.catalogue.matching("")]


def orders(gateway: Gateway) -> list[dict[str, Any]]:
    """Every order with what it asked for and what became of it."""
    return [
        {
            "perm_id": order.perm_id,
            "client_id": order.client_id,
            "order_id": order.order_id,
            "order_ref": order.ticket.ref,
            "symbol": order.instrument.symbol,
            "side": order.ticket.side.value,
            "type": order.values["orderType"],
            "tif": order.values["tif"] or order.ticket.tif.value,
            "quantity": plain(order.ticket.quantity),
            "limit_price": None if order.ticket.limit_price is None else plain(order.ticket.limit_price),
            "status": order.status,
            "live": order.live,
            "filled": plain(order.filled),
            "average_price": plain(order.average),
        }
        for order in gateway.brokerage.orders.values()
    ]


def executions(gateway: Gateway) -> list[dict[str, Any]]:
    """Every execution that stands (the newest revision of each, busted ones left out)."""
    return [
        {
            "exec_id": fill.exec_id,
            "perm_id": order.perm_id,
            "client_id": order.client_id,
            "order_id": order.order_id,
            "order_ref": fill.ref,
            "symbol": order.instrument.symbol,
            "side": fill.side.value,
            "quantity": plain(fill.quantity),
            "price": plain(fill.price),
            "commission": plain(fill.commission),
            "at": fill.at,
        }
        for order, fill in gateway.brokerage.ledger.standing()
    ]
