"""A file of contracts: what the symbols of a tape are when they are not US stocks in cents.

JSON: an object from symbol to attributes, all optional. `{"ESZ3": {"sec_type": "FUT", "multiplier": "50",
"tick": "0.25", "expiry": "20231215"}}`. `bands` gives a tick that depends on the price:
`[["0", "0.0001"], ["1", "0.01"]]`. `venues` tells venues apart: `{"ARCA": {"taker": "0.003", "maker":
"-0.002", "share": "0.4"}}`, where `feed` may name a symbol of the tape with the venue's own quotes. A pair of
currencies is of type CASH and has a symbol such as EUR.USD.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from firm.domain.instrument import Instrument
from firm.errors import ConfigError
from firm.exchange import TieredFees, Venue
from firm.exchange.ticks import TickRule, cents

LISTING, PAIRS = "NASDAQ", "IDEALPRO"
CENT = Decimal("0.01")
CENT_RULE = 26
FIRST_RULE = 1000
LETTERS = "QPNZVJKXYBCDMWTHIAELFGORSU"  # of venues in the order in which a contract lists them


class VenueTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """One venue of a contract; see `firm.exchange.Venue`. Without shares, all show equal parts."""

    maker: Decimal = Decimal(0)
    taker: Decimal = Decimal(0)
    share: Decimal | None = None
    feed: str = ""


class FeeTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """What trading the contract costs, in its currency; see `firm.exchange.TieredFees`."""

    per_unit: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    maximum_fraction: Decimal = Decimal(1)
    fraction: Decimal = Decimal(0)


class Contract(Struct, frozen=True, forbid_unknown_fields=True):
    """One contract of the file. `underlying` is the symbol an option is written on."""

    sec_type: Literal["STK", "FUT", "CASH", "OPT", "IND"] = "STK"
    venue: str = LISTING
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"
    multiplier: Decimal = Decimal(1)
    tick: Decimal = CENT
    bands: tuple[tuple[Decimal, Decimal], ...] = ()
    lot: Decimal = Decimal(1)
    expiry: str = ""
    strike: Decimal = Decimal(0)
    right: Literal["", "C", "P"] = ""
    underlying: str = ""
    venues: dict[str, VenueTerms] = {}
    fees: FeeTerms | None = None


STOCK = Contract()


class Contracts:
    """Instruments, price grids, venues and fees for the symbols of a tape.

    `sha256` names the file they came from. `feeds` are columns that are only the quotes of a venue.
    """

    def __init__(self, by_symbol: Mapping[str, Contract], symbols: Sequence[str], sha256: str) -> None:
        self.sha256 = sha256
        self.instruments = tuple(
            _instrument(i, symbol, by_symbol.get(symbol, STOCK), symbols) for i, symbol in enumerate(symbols)
        )
        self.rules = tuple(_rule(i, by_symbol.get(s, STOCK)) for i, s in enumerate(symbols))
        named = {i: by_symbol[s] for i, s in enumerate(symbols) if s in by_symbol}
        self.venues = {i: _venues(c, symbols) for i, c in named.items() if c.venues}
        self.feeds = frozenset(v.feed for venues in self.venues.values() for v in venues if v.feed >= 0)
        self.own_fees = {i: _fees(c.fees) for i, c in named.items() if c.fees is not None}


def load_contracts(path: Path | None, symbols: Sequence[str]) -> Contracts:
    """The contracts in the file; without one, US stocks. ConfigError says what is wrong with it."""
    if path is None:
        return Contracts({}, symbols, "")
    try:
        data = path.read_bytes()
        found = msgspec.json.decode(data, type=dict[str, Contract])
    except OSError as error:
        raise ConfigError(f"--contracts {path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--contracts {path} is no file of contracts: {error}.") from error
    if unknown := sorted(found.keys() - set(symbols)):
        raise ConfigError(
            f"--contracts {path} has {', '.join(unknown)}, the tape has only {', '.join(symbols)}."
        )
    for symbol, contract in found.items():
        _check(path, symbol, contract, symbols)
        _check_venues(path, symbol, contract, found, symbols)
    return Contracts(found, symbols, hashlib.sha256(data).hexdigest())


def _check(path: Path, symbol: str, contract: Contract, symbols: Sequence[str]) -> None:
    steps = [contract.tick, contract.multiplier, contract.lot, *(step for _, step in contract.bands)]
    lows = [low for low, _ in contract.bands]
    option = contract.sec_type == "OPT"
    complete = (contract.right and contract.strike > 0 and contract.underlying in symbols) if option else True
    ends = contract.sec_type in {"FUT", "OPT"}
    dated = len(contract.expiry) == 8 and contract.expiry.isdecimal() if ends else not contract.expiry
    if min(steps) <= 0 or lows != sorted(set(lows)) or lows[:1] not in ([], [Decimal(0)]):
        raise ConfigError(f"--contracts {path}: {symbol} needs steps above 0 and bands rising from 0.")
    if not complete or not dated:
        raise ConfigError(
            f"--contracts {path}: {symbol} is {contract.sec_type}: futures and options have an expiry "
            "(YYYYMMDD), options also a strike, a right and an underlying on the tape; others have none."
        )


def _check_venues(
    path: Path, symbol: str, contract: Contract, found: Mapping[str, Contract], symbols: Sequence[str]
) -> None:
    terms = contract.venues.values()
    feeds = [venue.feed for venue in terms if venue.feed]
    shares = [venue.share for venue in terms if venue.share is not None]
    own = not feeds or (len(feeds) == len(terms) == len(set(feeds)) and not shares)
    everywhere = [venue.feed for each in found.values() for venue in each.venues.values()]
    alike = all(
        feed in symbols
        and feed != symbol
        and everywhere.count(feed) == 1
        and _is_feed_of(found.get(feed, STOCK), contract)
        for feed in feeds
    )
    derived = not shares or (len(shares) == len(terms) and min(shares) > 0 and sum(shares) == 1)
    if not (own and alike and derived) or "SMART" in contract.venues:
        raise ConfigError(
            f"--contracts {path}: the venues of {symbol} need either a feed each (another symbol of the "
            "tape, of this venue alone, with the same tick, bands and lot and without venues), or shares "
            "above 0 that add up to 1, or neither; none is called SMART."
        )
    if len(terms) > len(LETTERS):
        raise ConfigError(
            f"--contracts {path}: {symbol} can have {len(LETTERS)} venues, a letter each, and has "
            f"{len(terms)}."
        )
    pair = symbol.split(".")
    if contract.sec_type == "CASH" and [len(part) for part in pair] != [3, 3]:
        raise ConfigError(f"--contracts {path}: {symbol} is CASH, and must be a pair such as EUR.USD.")


def _is_feed_of(feed: Contract, owner: Contract) -> bool:
    """What a venue shows is rounded by its own column, and must come out as the owner's would."""
    grid = (owner.tick, owner.bands, owner.lot)
    return (feed.tick, feed.bands, feed.lot) == grid and not feed.venues


def con_id_of(symbol: str) -> int:
    """A contract id that depends on the symbol alone: the first four bytes of its SHA-256, positive."""
    return int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:4]) & 0x7FFFFFFF


def _instrument(index: int, symbol: str, contract: Contract, symbols: Sequence[str]) -> Instrument:
    return Instrument(
        index=index,
        symbol=symbol,
        con_id=con_id_of(symbol),
        sec_type=contract.sec_type,
        venue=next(iter(contract.venues), _listing(contract)),
        currency=symbol.partition(".")[2] if contract.sec_type == "CASH" else contract.currency,
        multiplier=contract.multiplier,
        tick_size=min((step for _, step in contract.bands), default=contract.tick),
        lot_size=contract.lot,
        expiry=contract.expiry,
        underlying=symbols.index(contract.underlying) if contract.underlying else -1,
        strike=contract.strike,
        right=contract.right,
    )


def _listing(contract: Contract) -> str:
    return PAIRS if contract.sec_type == "CASH" and contract.venue == LISTING else contract.venue


def _venues(contract: Contract, symbols: Sequence[str]) -> tuple[Venue, ...]:
    equal = Decimal(1) / len(contract.venues)
    return tuple(
        Venue(
            name=name,
            maker=terms.maker,
            taker=terms.taker,
            share=equal if terms.share is None else terms.share,
            feed=symbols.index(terms.feed) if terms.feed else -1,
        )
        for name, terms in contract.venues.items()
    )


def _fees(terms: FeeTerms) -> TieredFees:
    return TieredFees(terms.per_unit, terms.minimum, terms.maximum_fraction, terms.fraction)


def _rule(index: int, contract: Contract) -> TickRule:
    if contract.bands:
        return TickRule(FIRST_RULE + index, contract.bands)
    number = CENT_RULE if contract.tick == CENT else FIRST_RULE + index
    return cents(contract.tick, number)
