"""Answers about positions, account values and profit, and the updates their subscribers get. Pure."""

from collections.abc import Iterable

from firm.gateway_sim.account_values import AccountValue, Holding, account_values, ledger, portfolio, profit
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.catalogue import NO_DEFINITION, contract
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.lines import ACCOUNTS, PROFITS, SUMMARIES, beyond
from firm.gateway_sim.session import Session
from firm.gateway_sim.times import local

LEDGER_TAG = "$LEDGER"


def positions(brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """Every open position now, and each change later."""
    session.positions = True
    session.drop("positions", -1)
    _say_positions(brokerage, session)
    session.say("positionEnd")


def positions_multi(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The same for one account."""
    req_id = asked["reqId"]
    if asked["account"] not in {"", brokerage.account}:
        return session.error(
            req_id, 321, f"Error validating request: invalid account code {asked['account']!r}"
        )
    if (refused := beyond(ACCOUNTS, session.position_requests, req_id)) is not None:
        return session.error(req_id, *refused)
    session.position_requests.add(req_id)
    session.drop("positions multi", req_id)
    _say_positions_multi(brokerage, session, req_id)
    return session.say("positionMultiEnd", reqId=req_id)


def account_updates(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """All account values and the portfolio now, and changes later, or the end of that."""
    session.account_updates = asked["subscribe"]
    session.drop("account", -1)
    session.drop("portfolio", -1)
    if asked["subscribe"]:
        _say_account(brokerage, session)
        session.say("accountDownloadEnd", account=brokerage.account)


def account_updates_multi(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Account values under a request id."""
    req_id = asked["reqId"]
    if asked["account"] not in {"", brokerage.account, "All"}:
        return session.error(
            req_id, 321, f"Error validating request: invalid account code {asked['account']!r}"
        )
    if (refused := beyond(ACCOUNTS, session.account_requests, req_id)) is not None:
        return session.error(req_id, *refused)
    session.account_requests.add(req_id)
    session.drop("account multi", req_id)
    _say_account_multi(brokerage, session, req_id)
    return session.say("accountUpdateMultiEnd", reqId=req_id)


def account_summary(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The tags asked for (`$LEDGER` and `$LEDGER:ALL` bring the cash ledger) now, and changes later."""
    req_id = asked["reqId"]
    if (refused := beyond(SUMMARIES, session.summaries, req_id)) is not None:
        return session.error(req_id, *refused)
    session.summaries[req_id] = frozenset(tag.strip() for tag in asked["tags"].split(",") if tag.strip())
    session.drop("summary", req_id)
    _say_summary(brokerage, session, req_id)
    return session.say("accountSummaryEnd", reqId=req_id)


def profit_and_loss(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Profit of the account, or (with a conId) of one position, now and whenever it changes."""
    req_id, con_id = asked["reqId"], asked.get("conId")
    if asked["account"] not in {"", brokerage.account}:
        return session.error(
            req_id, 321, f"Error validating request: invalid account code {asked['account']!r}"
        )
    if con_id is not None and brokerage.catalogue.find({"conId": con_id}) is None:
        return session.error(req_id, 200, NO_DEFINITION)
    if (refused := beyond(PROFITS, session.pnl, req_id)) is not None:
        return session.error(req_id, *refused)
    session.pnl[req_id] = con_id
    session.drop("pnl", req_id)
    return _say_profit(brokerage, session, req_id)


def say_changes(brokerage: Brokerage, session: Session, *, whole: bool) -> None:
    """What subscribers are owed after a command.

    Positions and account values follow fills, and the clock now and then (`whole`); profit follows every
    change of marks.
    """
    if whole:
        if session.positions:
            _say_positions(brokerage, session)
        for req_id in sorted(session.position_requests):
            _say_positions_multi(brokerage, session, req_id)
        if session.account_updates:
            _say_account(brokerage, session)
        for req_id in sorted(session.account_requests):
            _say_account_multi(brokerage, session, req_id)
        for req_id in sorted(session.summaries):
            _say_summary(brokerage, session, req_id)
    for req_id in sorted(session.pnl):
        _say_profit(brokerage, session, req_id)


def _position_items(brokerage: Brokerage, session: Session, topic: str, req_id: int) -> list[Holding]:
    """Holdings to report: open ones, and those told before that have become flat, if they changed."""
    before = session.before(topic, req_id)
    holdings = [h for h in portfolio(brokerage) if h.quantity or h.instrument.index in before]
    items = [(h.instrument.index, (h.quantity, h.average_cost)) for h in holdings]
    changed = {index for index, _ in session.news(topic, req_id, items)}
    return [h for h in holdings if h.instrument.index in changed]


def _say_positions(brokerage: Brokerage, session: Session) -> None:
    for holding in _position_items(brokerage, session, "positions", -1):
        session.say("position", **_position(brokerage, holding))


def _say_positions_multi(brokerage: Brokerage, session: Session, req_id: int) -> None:
    for holding in _position_items(brokerage, session, "positions multi", req_id):
        session.say("positionMulti", reqId=req_id, **_position(brokerage, holding))


def _position(brokerage: Brokerage, holding: Holding) -> Values:
    return {
        **contract(holding.instrument, holding.instrument.venue),
        "account": brokerage.account,
        "position": holding.quantity,
        "averageCost": holding.average_cost,
    }


def _say_account(brokerage: Brokerage, session: Session) -> None:
    values = [*account_values(brokerage, brokerage.margin), *ledger(brokerage)]
    for (tag, currency), value in session.news("account", -1, _keyed(values)):
        session.say("updateAccountValue", key=tag, value=value, currency=currency, account=brokerage.account)
    holdings = {h.instrument.index: h for h in portfolio(brokerage)}
    for index, _ in session.news("portfolio", -1, holdings.items()):
        holding = holdings[index]
        session.say(
            "updatePortfolio",
            **contract(holding.instrument, holding.instrument.venue),
            position=holding.quantity,
            marketPrice=holding.market_price,
            marketValue=holding.market_value,
            averageCost=holding.average_cost,
            unrealizedPNL=holding.unrealized,
            realizedPNL=holding.realized,
            account=brokerage.account,
        )
    session.say("updateAccountTime", time=f"{local(brokerage.at):%H:%M}")


def _say_account_multi(brokerage: Brokerage, session: Session, req_id: int) -> None:
    values = [*account_values(brokerage, brokerage.margin), *ledger(brokerage)]
    for (tag, currency), value in session.news("account multi", req_id, _keyed(values)):
        session.say(
            "accountUpdateMulti",
            reqId=req_id,
            account=brokerage.account,
            modelCode="",
            key=tag,
            value=value,
            currency=currency,
        )


def _say_summary(brokerage: Brokerage, session: Session, req_id: int) -> None:
    tags = session.summaries[req_id]
    chosen = [v for v in account_values(brokerage, brokerage.margin) if v.tag in tags]
    if any(tag.startswith(LEDGER_TAG) for tag in tags):
        chosen += ledger(brokerage)
    for (tag, currency), value in session.news("summary", req_id, _keyed(chosen)):
        session.say(
            "accountSummary", reqId=req_id, account=brokerage.account, tag=tag, value=value, currency=currency
        )


def _say_profit(brokerage: Brokerage, session: Session, req_id: int) -> None:
    con_id = session.pnl[req_id]
    if con_id is None:
        daily, unrealized, realized = profit(brokerage)
        figures: Values = {"daily": daily, "unrealized": unrealized, "realized": realized}
    else:
        figures = _single_profit(brokerage, con_id)
    if session.news("pnl", req_id, figures.items()):
        session.say("pnl" if con_id is None else "pnlSingle", reqId=req_id, **figures)


def _single_profit(brokerage: Brokerage, con_id: int) -> Values:
    held = next((h for h in portfolio(brokerage) if h.instrument.con_id == con_id), None)
    if held is None:
        return {"position": 0, "daily": 0.0, "unrealized": 0.0, "realized": 0.0, "value": 0.0}
    return {
        "position": held.quantity,
        "daily": _day_gain(brokerage, held.instrument.index) * held.rate,
        "unrealized": held.unrealized * held.rate,
        "realized": held.realized * held.rate,
        "value": held.market_value * held.rate,
    }


def _day_gain(brokerage: Brokerage, instrument: int) -> float:
    return float(round(brokerage.gain(instrument) - brokerage.day_start.gains[instrument], 6))


def _keyed(values: Iterable[AccountValue]) -> list[tuple[tuple[str, str], str]]:
    return [((v.tag, v.currency), v.value) for v in values]
