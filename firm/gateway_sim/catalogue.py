"""The contracts this gateway knows: one for each symbol of the tape. Pure.

Assumptions, where a file of contracts says nothing else: every symbol is a US stock listed on NASDAQ, moves
in cents, trades in single shares, and is routed by SMART; its long name is its symbol.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND, Sessions
from firm.errors import DataError
from firm.gateway_sim.codec.kinds import plain
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.contracts import Contracts
from firm.gateway_sim.times import ZONE_NAME, local, local_date

FILL_VENUE = "ISLAND"
NO_DEFINITION = "No security definition has been found for the request"
VALID_EXCHANGES = ("SMART", "NASDAQ", "ISLAND", "ARCA", "NYSE", "BATS", "IEX")
ORDER_TYPES = (
    "ADAPTIVE,ALGO,AON,COND,DAY,FOK,GAT,GTC,GTD,ICE,IOC,LMT,LOC,MKT,MOC,OCA,OPG,STP,STPLMT,TRAIL,TRAILLMT,"
    "WHATIF"
)
HOURS_DAYS = 7


class Catalogue:
    """Finds contracts and describes them in the gateway's words."""

    def __init__(self, contracts: Contracts, sessions: Sessions) -> None:
        self.instruments = contracts.instruments
        self.rules, self.venues, self.feeds = contracts.rules, contracts.venues, contracts.feeds
        self.own_fees = contracts.own_fees
        self._by_con_id = {i.con_id: i for i in self.matching("")}
        self._sessions = sessions
        if len({i.con_id for i in self.instruments}) != len(self.instruments):
            raise DataError(
                "two symbols of the data file share a contract id; load them from separate files."
            )

    def find(self, asked: Mapping[str, Any]) -> Instrument | None:
        """The contract with the asked `conId`, else with the asked attributes; None if there is none."""
        if asked.get("conId"):
            return self._by_con_id.get(asked["conId"])
        return next((i for i in self.instruments if i.index not in self.feeds and self._fits(i, asked)), None)

    def shown_at(self, instrument: Instrument, exchange: str) -> Instrument:
        """The instrument whose quotes and prints are those of one venue: its feed, else the instrument."""
        venues = self.venues.get(instrument.index, ())
        feed = next((v.feed for v in venues if v.name == exchange and v.feed >= 0), instrument.index)
        return self.instruments[feed]

    def exchanges(self, instrument: Instrument) -> tuple[str, ...]:
        """Where orders for it can be sent."""
        if instrument.index in self.venues:
            return ("SMART", *(venue.name for venue in self.venues[instrument.index]))
        return VALID_EXCHANGES if instrument.sec_type == "STK" else (instrument.venue,)

    def route(self, instrument: Instrument, exchange: str) -> str | None:
        """The venue an order goes to: empty for SMART or where none are told apart, None if there is none."""
        if exchange in {"", "SMART"} or instrument.index not in self.venues:
            return ""
        return exchange if exchange in self.exchanges(instrument) else None

    def matching(self, pattern: str) -> list[Instrument]:
        """The instruments whose symbol begins with `pattern`, in any case."""
        known = (i for i in self.instruments if i.index not in self.feeds)
        return [i for i in known if i.symbol.upper().startswith(pattern.upper())]

    def details(self, instrument: Instrument, at: int) -> Values:
        """The contractDetails message, with the hours of the week from `at`."""
        hours = self._hours(at)
        rule, exchanges = self.rules[instrument.index].number, self.exchanges(instrument)
        return {
            **contract(instrument, exchanges[0]),
            "marketName": "NMS" if instrument.sec_type == "STK" else instrument.symbol,
            "minTick": float(instrument.tick_size),
            "orderTypes": ORDER_TYPES,
            "validExchanges": ",".join(exchanges),
            "longName": instrument.symbol,
            "primaryExchange": instrument.venue,
            "timeZoneId": ZONE_NAME,
            "tradingHours": hours,
            "liquidHours": hours,
            "marketRuleIds": ",".join(str(rule) for _ in exchanges),
            **self._derivative(instrument),
            "minSize": instrument.lot_size,
            "sizeIncrement": instrument.lot_size,
            "suggestedSizeIncrement": Decimal(100),
        }

    def _derivative(self, instrument: Instrument) -> Values:
        """What details of futures and options have beside those of stocks."""
        if not instrument.expiry:
            return {}
        under = self.instruments[instrument.underlying] if instrument.underlying >= 0 else None
        return {
            "contractMonth": instrument.expiry[:6],
            "realExpirationDate": instrument.expiry,
            "stockType": "",
            "underConId": under.con_id if under else 0,
            "underSymbol": under.symbol if under else "",
            "underSecType": under.sec_type if under else "",
        }

    def _fits(self, instrument: Instrument, asked: Mapping[str, Any]) -> bool:
        where = {"", "SMART", instrument.venue, *self.exchanges(instrument)}
        local_symbol, currency = asked.get("localSymbol", ""), asked.get("currency", "")
        symbol = asked.get("symbol") or local_symbol
        if instrument.sec_type == "CASH" and len(symbol) == 3:
            symbol, currency = local_symbol or f"{symbol}.{currency}", ""
        return (
            symbol.upper() == instrument.symbol.upper()
            and asked.get("secType", "") in {"", instrument.sec_type}
            and currency in {"", instrument.currency}
            and asked.get("exchange", "") in where
            and asked.get("primaryExchange", "") in where
            and instrument.expiry.startswith(asked.get("lastTradeDate") or "")
            and (not asked.get("strike") or Decimal(repr(asked["strike"])) == instrument.strike)
            and (asked.get("right") or "")[:1] in {"", "0", "?", instrument.right}
        )

    def _hours(self, at: int) -> str:
        """`20240102:0930-20240102:1600;20240103:CLOSED;...` for a week; days after the tape are CLOSED."""
        first = local_date(at)
        spans = {
            local_date(opened): f"{local(opened):%Y%m%d:%H%M}-{local(closed):%Y%m%d:%H%M}"
            for opened, closed in zip(self._sessions.opens, self._sessions.closes, strict=True)
            if -1 <= (opened - at) / NS_PER_SECOND / 86_400 <= HOURS_DAYS + 1
        }
        days = [first + timedelta(days=n) for n in range(HOURS_DAYS)]
        return ";".join(spans.get(day, f"{day:%Y%m%d}:CLOSED") for day in days)


def contract(instrument: Instrument, exchange: str) -> Values:
    """The contract as the gateway names it in its messages."""
    return {
        "conId": instrument.con_id,
        "symbol": instrument.symbol[:3] if instrument.sec_type == "CASH" else instrument.symbol,
        "secType": instrument.sec_type,
        "exchange": exchange,
        "primaryExchange": instrument.venue,
        "currency": instrument.currency,
        "localSymbol": instrument.symbol,
        "tradingClass": "NMS" if instrument.sec_type == "STK" else instrument.symbol,
        "lastTradeDate": instrument.expiry,
        "strike": float(instrument.strike),
        "right": instrument.right,
        "multiplier": "" if instrument.sec_type == "STK" else plain(instrument.multiplier),
    }


def fill_venue(instrument: Instrument, venue: str) -> str:
    """Where a fill is said to have been: its venue, else one for all US stocks, else the listing."""
    return venue or (FILL_VENUE if instrument.sec_type == "STK" else instrument.venue)
