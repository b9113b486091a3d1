"""Answers about market depth, past ticks, news and scanners. Pure.

Depth is the one level the tape has, shown at the listing venue; scanners and fundamentals have nothing to
say, and say so.
"""

from typing import Any

import numpy as np

from firm.domain.order import Side
from firm.domain.session import NS_PER_MS, NS_PER_SECOND
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.catalogue import FILL_VENUE, NO_DEFINITION, fill_venue
from firm.gateway_sim.codec.kinds import shares
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.contracts import LETTERS
from firm.gateway_sim.lines import DEPTH, beyond
from firm.gateway_sim.rights import refusal
from firm.gateway_sim.session import Session
from firm.gateway_sim.times import local, parse_time

INSERT, UPDATE, DELETE = 0, 1, 2
ASK_SIDE, BID_SIDE = 0, 1
PROVIDER, PROVIDER_NAME = "SIM", "Simulated news"
TICKS_MAX = 1000
SCANNERS = '<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse></ScanParameterResponse>'


def market_depth(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The touch as a book of one level, now and with every quote."""
    instrument = brokerage.catalogue.find(asked)
    if instrument is None:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    if (refused := refusal(session, instrument)) is not None:
        return session.error(asked["reqId"], *refused)
    if (refused := beyond(DEPTH, session.depth, asked["reqId"])) is not None:
        return session.error(asked["reqId"], *refused)
    shown = instrument if asked["smartDepth"] else brokerage.catalogue.shown_at(instrument, asked["exchange"])
    session.depth[asked["reqId"]] = (shown.index, asked["smartDepth"])
    session.drop("depth", asked["reqId"])
    return _say_depth(brokerage, session, asked["reqId"])


def say_depths(brokerage: Brokerage, session: Session) -> None:
    """What has changed in the books this session watches."""
    for req_id in session.depth:
        _say_depth(brokerage, session, req_id)


def _say_depth(brokerage: Brokerage, session: Session, req_id: int) -> None:
    index, smart = session.depth[req_id]
    before = session.before("depth", req_id)
    shown = {side: _levels(brokerage, index, side) for side in (BID_SIDE, ASK_SIDE)}
    session.news("depth", req_id, shown.items())
    for side in (BID_SIDE, ASK_SIDE):
        old, new = before.get(side, []), shown[side]
        going = reversed(range(len(new), len(old)))
        for position in (*going, *range(len(new))):
            if old[position : position + 1] == new[position : position + 1]:
                continue
            operation = DELETE if position >= len(new) else UPDATE if position < len(old) else INSERT
            price, size, venue = new[position] if position < len(new) else (0.0, 0.0, old[position][2])
            row: dict[str, Any] = {"reqId": req_id, "position": position, "operation": operation}
            row |= {"side": side, "price": price, "size": shares(size, session.version)}
            if smart:
                session.say("updateMktDepthL2", **row, marketMaker=venue, isSmartDepth=True)
            else:
                session.say("updateMktDepth", **row)


def _levels(brokerage: Brokerage, index: int, side: int) -> list[tuple[float, float, str]]:
    """The rows of one side, best first: each venue's quote, or the one quote there is."""
    board, instrument = brokerage.board, brokerage.catalogue.instruments[index]
    venues = brokerage.catalogue.venues.get(index)
    if venues is None:
        prices, sizes = (board.bid, board.bid_size) if side == BID_SIDE else (board.ask, board.ask_size)
        price, size = float(prices[index]), float(sizes[index])
        return [(price, size, fill_venue(instrument, ""))] if price > 0 and size > 0 else []
    taking = Side.SELL if side == BID_SIDE else Side.BUY
    rows = [(*brokerage.exchange.book.at_venue(index, taking, v.name), v.name) for v in venues]
    known = [(float(price), float(size), name) for price, size, name in rows if price is not None]
    return sorted(known, key=lambda row: row[0] * taking.sign)


def depth_venues(brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """The venues that have a book."""
    told_apart = {v.name for venues in brokerage.catalogue.venues.values() for v in venues}
    rows = [
        {"exchange": name, "secType": "STK", "listing": "NASDAQ", "service": "Deep2", "aggGroup": 1}
        for name in (FILL_VENUE, *sorted(told_apart - {FILL_VENUE}))
    ]
    session.say("mktDepthExchanges", exchanges=rows)


def smart_components(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """What the letters of the best bid and offer's exchange map mean."""
    most = max(brokerage.catalogue.venues.values(), key=len, default=())
    names = [venue.name for venue in most] or [FILL_VENUE]
    rows = [{"bit": n, "exchange": name, "letter": LETTERS[n]} for n, name in enumerate(names)]
    session.say("smartComponents", reqId=asked["reqId"], components=rows)


def historical_ticks(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Quotes or prints of the frames played so far: the first from a start on, or the last up to an end."""
    req_id, instrument = asked["reqId"], brokerage.catalogue.find(asked)
    if instrument is None:
        return session.error(req_id, 200, NO_DEFINITION)
    count = asked["numberOfTicks"] or 0
    if asked["whatToShow"] not in {"TRADES", "BID_ASK", "MIDPOINT"} or not 0 < count <= TICKS_MAX:
        text = f"Error validating request: {asked['whatToShow']}, {count} ticks (at most {TICKS_MAX})"
        return session.error(req_id, 321, text)
    try:
        start = parse_time(asked["startDateTime"]) if asked["startDateTime"] else None
        end = parse_time(asked["endDateTime"]) if asked["endDateTime"] else brokerage.at
    except ValueError as reason:
        return session.error(req_id, 321, f"Error validating request: {reason}")
    times, rows = brokerage.memory.rows(instrument.index, trades=asked["whatToShow"] == "TRADES")
    first, last = np.searchsorted(times, start or 0), np.searchsorted(times, end, side="right")
    chosen = (
        slice(first, min(first + count, last)) if start is not None else slice(max(last - count, 0), last)
    )
    seen = [
        (at // NS_PER_SECOND, row)
        for at, row in zip(times[chosen].tolist(), rows[chosen].tolist(), strict=True)
    ]
    return _say_past(session, req_id, asked["whatToShow"], seen)


def _say_past(session: Session, req_id: int, what: str, seen: list[tuple[int, tuple[float, ...]]]) -> None:
    version = session.version
    match what:
        case "TRADES":
            ticks = [{"time": at, "price": row[1], "size": shares(row[2], version)} for at, row in seen]
            session.say("historicalTicksLast", reqId=req_id, ticks=ticks)
        case "BID_ASK":
            quotes = [
                {
                    "time": at,
                    "priceBid": bid,
                    "priceAsk": ask,
                    "sizeBid": shares(bid_size, version),
                    "sizeAsk": shares(ask_size, version),
                }
                for at, (_, bid, ask, bid_size, ask_size) in seen
            ]
            session.say("historicalTicksBidAsk", reqId=req_id, ticks=quotes)
        case _:
            ticks = [{"time": at, "price": round((row[1] + row[2]) / 2, 6), "size": 0} for at, row in seen]
            session.say("historicalTicks", reqId=req_id, ticks=ticks)


def news_providers(_brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """The one provider."""
    session.say("newsProviders", providers=[{"code": PROVIDER, "provider": PROVIDER_NAME}])


def news_article(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The text of an article."""
    item = next((n for n in brokerage.news if n.article_id == asked["articleId"]), None)
    if item is None:
        text = f"Failed to request news article: no article {asked['articleId']}"
        return session.error(asked["reqId"], 10172, text)
    return session.say("newsArticle", reqId=asked["reqId"], type=0, text=item.text)


def historical_news(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Headlines about one contract, newest first."""
    instrument = brokerage.catalogue.find({"conId": asked["conId"]})
    if instrument is None:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    items = [n for n in reversed(brokerage.news) if n.symbol == instrument.symbol]
    most = asked["totalResults"] or len(items)
    for item in items[:most]:
        session.say(
            "historicalNews",
            reqId=asked["reqId"],
            time=f"{local(item.at):%Y-%m-%d %H:%M:%S}.0",
            providerCode=PROVIDER,
            articleId=item.article_id,
            headline=item.headline,
        )
    return session.say("historicalNewsEnd", reqId=asked["reqId"], hasMore=len(items) > most)


def bulletins(_brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """Hear bulletins from now on."""
    session.bulletins = True


def scanner(_brokerage: Brokerage, session: Session, asked: Values) -> None:
    """No instrument ever passes a scan."""
    session.say("scannerData", reqId=asked["reqId"], rows=[])


def scanner_parameters(_brokerage: Brokerage, session: Session, _asked: Values) -> None:
    """No scan is offered."""
    session.say("scannerParameters", xml=SCANNERS)


def fundamentals(_brokerage: Brokerage, session: Session, asked: Values) -> None:
    """There are none."""
    text = "We are sorry, but fundamentals data for the security specified is not available."
    session.error(asked["reqId"], 430, text)


def advisor(_brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Nobody advises the account."""
    session.error(
        asked.get("reqId") or -1,
        321,
        "Error validating request: FA data operations ignored for non FA customers.",
    )


def say_news(session: Session, instrument: int, at: int, article_id: str, headline: str) -> None:
    """A headline, to the subscriptions that asked for news ticks of its instrument."""
    for request in session.ticks.values():
        if request.news and request.traded.index == instrument:
            session.say(
                "tickNews",
                reqId=request.req_id,
                time=at // NS_PER_MS,
                providerCode=PROVIDER,
                articleId=article_id,
                headline=headline,
            )
