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
        self.rules = contracts.rules
        self._by_con_id = {i.con_id: i for i in self.instruments}
        self._sessions = sessions
        if len(self._by_con_id) != len(self.instruments):
            raise DataError(
                "two symbols of the data file share a contract id; load them from separate files."
            )

    def find(self, asked: Mapping[str, Any]) -> Instrument | None:
        """The contract with the asked `conId`, else with the asked attributes; None if there is none."""
        if asked.get("conId"):
            return self._by_con_id.get(asked["conId"])
        return next((i for i in self.instruments if _fits(i, asked)), None)

    def matching(self, pattern: str) -> list[Instrument]:
        """The instruments whose symbol begins with `pattern`, in any case."""
        return [i for i in self.instruments if i.symbol.upper().startswith(pattern.upper())]

    def details(self, instrument: Instrument, at: int) -> Values:
        """The contractDetails message, with the hours of the week from `at`."""
        hours = self._hours(at)
        rule = self.rules[instrument.index].number
        return {
            **contract(instrument, "SMART"),
            "marketName": "NMS",
            "minTick": float(instrument.tick_size),
            "orderTypes": ORDER_TYPES,
            "validExchanges": ",".join(VALID_EXCHANGES),
            "longName": instrument.symbol,
            "primaryExchange": instrument.venue,
            "timeZoneId": ZONE_NAME,
            "tradingHours": hours,
            "liquidHours": hours,
            "marketRuleIds": ",".join(str(rule) for _ in VALID_EXCHANGES),
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
        "symbol": instrument.symbol,
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


def _fits(instrument: Instrument, asked: Mapping[str, Any]) -> bool:
    symbol = asked.get("symbol") or asked.get("localSymbol") or ""
    return (
        symbol.upper() == instrument.symbol.upper()
        and asked.get("secType", "") in {"", instrument.sec_type}
        and asked.get("currency", "") in {"", instrument.currency}
        and asked.get("exchange", "") in {"", instrument.venue, *VALID_EXCHANGES}
        and asked.get("primaryExchange", "") in {"", instrument.venue, *VALID_EXCHANGES}
        and instrument.expiry.startswith(asked.get("lastTradeDate") or "")
        and (not asked.get("strike") or Decimal(repr(asked["strike"])) == instrument.strike)
        and (asked.get("right") or "")[:1] in {"", "0", "?", instrument.right}
    )
