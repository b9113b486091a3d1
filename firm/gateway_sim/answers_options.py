"""Answers about options: chains, contracts, and what the model says they are worth. Pure."""

import math

from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.catalogue import NO_DEFINITION
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.lines import MARKET_DATA, beyond
from firm.gateway_sim.options import MULTIPLIER, Option, implied, value
from firm.gateway_sim.rights import refusal
from firm.gateway_sim.session import OptionRequest, Session
from firm.gateway_sim.times import local_date
from firm.tape.tape import Frame

MODEL_TICK, CUSTOM_TICK = 13, 53
OPTION_VENUES = ("SMART", "CBOE", "ISE")


def option_parameters(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Expiries and strikes of the options on a stock."""
    req_id = asked["reqId"]
    known = asked["conId"] and brokerage.catalogue.find({"conId": asked["conId"]})
    instrument = known or brokerage.catalogue.find({"symbol": asked["symbol"], "secType": asked["secType"]})
    strikes = brokerage.chains.strikes(instrument.index) if instrument else ()
    if instrument is not None and strikes and asked["secType"] == "STK":
        days = sorted({o.expiry for o in brokerage.chains.listed(local_date(brokerage.at)).values()})
        for venue in OPTION_VENUES:
            session.say(
                "securityDefinitionOptionParameter",
                reqId=req_id,
                exchange=venue,
                underlyingConId=instrument.con_id,
                tradingClass=instrument.symbol,
                multiplier=str(MULTIPLIER),
                expirations=[{"expiration": f"{day:%Y%m%d}"} for day in days],
                strikes=[{"strike": float(strike)} for strike in strikes],
            )
    session.say("securityDefinitionOptionParameterEnd", reqId=req_id)


def option_details(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Every listed option that fits; error 200 if none does."""
    options = brokerage.chains.find(asked, local_date(brokerage.at))
    if not options:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    for option in options:
        details = brokerage.catalogue.details(option.underlying, brokerage.at)
        venues = ",".join(OPTION_VENUES)
        own = {
            **option_contract(option),
            "marketName": option.underlying.symbol,
            "orderTypes": "",
            "validExchanges": venues,
            "primaryExchange": "",
            "underConId": option.underlying.con_id,
            "underSymbol": option.underlying.symbol,
            "underSecType": "STK",
            "contractMonth": f"{option.expiry:%Y%m}",
            "realExpirationDate": f"{option.expiry:%Y%m%d}",
            "stockType": "",
            "marketRuleIds": ",".join(["26"] * len(OPTION_VENUES)),
        }
        session.say("contractDetails", reqId=asked["reqId"], **{**details, **own})
    return session.say("contractDetailsEnd", reqId=asked["reqId"])


def option_contract(option: Option) -> Values:
    """The option as the gateway names it."""
    return {
        "conId": option.con_id,
        "symbol": option.underlying.symbol,
        "secType": "OPT",
        "lastTradeDate": f"{option.expiry:%Y%m%d}",
        "strike": float(option.strike),
        "right": option.right,
        "multiplier": str(MULTIPLIER),
        "exchange": "SMART",
        "currency": option.underlying.currency,
        "localSymbol": option.local_symbol,
        "tradingClass": option.underlying.symbol,
    }


def option_data(brokerage: Brokerage, session: Session, asked: Values, option: Option) -> None:
    """Model values and greeks of one option, now and with every quote of its stock."""
    if (refused := refusal(session, option.underlying)) is not None:
        return session.error(asked["reqId"], *refused)
    if not asked["snapshot"] and (refused := beyond(MARKET_DATA, session.lines, asked["reqId"])) is not None:
        return session.error(asked["reqId"], *refused)
    session.say("marketDataType", reqId=asked["reqId"], type=1)
    _say_model(brokerage, session, OptionRequest(asked["reqId"], option))
    if asked["snapshot"]:
        return session.say("tickSnapshotEnd", reqId=asked["reqId"])
    session.options[asked["reqId"]] = OptionRequest(asked["reqId"], option)
    return None


def say_options(brokerage: Brokerage, session: Session, frame: Frame) -> None:
    """Model values of the subscribed options whose stock was quoted in the frame."""
    quoted = set(frame.quotes["instrument"].tolist()) if session.options else set()
    for request in session.options.values():
        if request.option.underlying.index in quoted:
            _say_model(brokerage, session, request)


def _say_model(brokerage: Brokerage, session: Session, request: OptionRequest) -> None:
    option = request.option
    spot = brokerage.exchange.book.mark(option.underlying.index)
    if spot is not None:
        volatility = brokerage.chains.volatilities[option.underlying.index]
        _say_value(session, request, MODEL_TICK, float(spot), volatility, brokerage.at)


def _say_value(
    session: Session, request: OptionRequest, tick: int, spot: float, volatility: float, at: int
) -> None:
    worth = value(request.option, spot, volatility, at)
    session.say(
        "tickOptionComputation",
        reqId=request.req_id,
        tickType=tick,
        impliedVol=round(volatility, 8),
        optPrice=round(worth.price, 8),
        undPrice=spot,
        **{name: round(getattr(worth, name), 8) for name in ("delta", "gamma", "vega", "theta")},
    )


def calculate(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The model's value at a given volatility, or the volatility at a given value."""
    req_id, spot = asked["reqId"], asked["underPrice"]
    found = brokerage.chains.find(asked, local_date(brokerage.at))
    if len(found) != 1:
        return session.error(req_id, 200, NO_DEFINITION)
    request = OptionRequest(req_id, found[0])
    volatility = asked.get("volatility")
    if volatility is None and asked.get("optionPrice") and spot:
        volatility = implied(found[0], spot, asked["optionPrice"], brokerage.at)
    if not volatility or not spot or not (math.isfinite(spot) and 0 < volatility <= 10 and spot > 0):
        return session.error(req_id, 321, "Error validating request: no volatility gives this price")
    return _say_value(session, request, CUSTOM_TICK, spot, volatility, brokerage.at)
