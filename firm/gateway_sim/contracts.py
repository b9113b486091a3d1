"""A file of contracts: what the symbols of a tape are when they are not US stocks in cents.

JSON: an object from symbol to attributes, all optional. `{"ESZ3": {"sec_type": "FUT", "multiplier": "50",
"tick": "0.25", "expiry": "20231215"}}`. `bands` gives a tick that depends on the price:
`[["0", "0.0001"], ["1", "0.01"]]`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from firm.domain.instrument import Instrument
from firm.errors import ConfigError
from firm.exchange.ticks import TickRule, cents

LISTING = "NASDAQ"
CENT = Decimal("0.01")
CENT_RULE = 26
FIRST_RULE = 1000


class Contract(Struct, frozen=True, forbid_unknown_fields=True):
    """One contract of the file. `underlying` is the symbol an option is written on."""

    sec_type: Literal["STK", "FUT", "CASH", "OPT", "IND"] = "STK"
    venue: str = LISTING
    currency: Literal["USD"] = "USD"
    multiplier: Decimal = Decimal(1)
    tick: Decimal = CENT
    bands: tuple[tuple[Decimal, Decimal], ...] = ()
    lot: Decimal = Decimal(1)
    expiry: str = ""
    strike: Decimal = Decimal(0)
    right: Literal["", "C", "P"] = ""
    underlying: str = ""


STOCK = Contract()


class Contracts:
    """Instruments and price grids for the symbols of a tape; `sha256` names the file they came from."""

    def __init__(self, by_symbol: Mapping[str, Contract], symbols: Sequence[str], sha256: str) -> None:
        self.sha256 = sha256
        self.instruments = tuple(
            _instrument(i, symbol, by_symbol.get(symbol, STOCK), symbols) for i, symbol in enumerate(symbols)
        )
        self.rules = tuple(_rule(i, by_symbol.get(s, STOCK)) for i, s in enumerate(symbols))


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


def con_id_of(symbol: str) -> int:
    """A contract id that depends on the symbol alone: the first four bytes of its SHA-256, positive."""
    return int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:4]) & 0x7FFFFFFF


def _instrument(index: int, symbol: str, contract: Contract, symbols: Sequence[str]) -> Instrument:
    return Instrument(
        index=index,
        symbol=symbol,
        con_id=con_id_of(symbol),
        sec_type=contract.sec_type,
        venue=contract.venue,
        currency=contract.currency,
        multiplier=contract.multiplier,
        tick_size=min((step for _, step in contract.bands), default=contract.tick),
        lot_size=contract.lot,
        expiry=contract.expiry,
        underlying=symbols.index(contract.underlying) if contract.underlying else -1,
        strike=contract.strike,
        right=contract.right,
    )


def _rule(index: int, contract: Contract) -> TickRule:
    if contract.bands:
        return TickRule(FIRST_RULE + index, contract.bands)
    number = CENT_RULE if contract.tick == CENT else FIRST_RULE + index
    return cents(contract.tick, number)
