"""Ticks of the closing auction for subscriptions with generic tick 225, in its last ten minutes. Pure."""

from decimal import Decimal

from firm.domain.session import NS_PER_SECOND
from firm.exchange.auction import indication
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.session import Session

AUCTION_VOLUME, AUCTION_PRICE, AUCTION_IMBALANCE = 34, 35, 36
INDICATED_NS = 600 * NS_PER_SECOND


def say_auctions(brokerage: Brokerage, session: Session) -> None:
    """What the close would be now, where it has changed."""
    requests = [request for request in session.ticks.values() if request.auction]
    close = brokerage.tape.sessions.close_of(brokerage.at) if requests else None
    if close is None or brokerage.at < close - INDICATED_NS:
        return
    book, orders = brokerage.exchange.book, brokerage.exchange.orders()
    for request in requests:
        found = indication(orders, request.instrument.index, book)
        if found is None:
            continue
        ticks: list[tuple[int, Decimal]] = [
            (AUCTION_PRICE, found.price),
            (AUCTION_VOLUME, found.paired),
            (AUCTION_IMBALANCE, found.imbalance),
        ]
        for tick, figure in session.news("auction", request.req_id, ticks):
            if tick == AUCTION_PRICE:
                session.say("tickPrice", reqId=request.req_id, tickType=tick, price=float(figure), size=0)
            else:
                session.say("tickSize", reqId=request.req_id, tickType=tick, size=figure)
