"""`python -m firm.gateway_sim`: a simulated IB Gateway that replays recorded market data."""

import argparse
import asyncio
import contextlib
import logging
import re
import signal
import sys
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from msgspec import json

from firm.errors import ConfigError, FirmError, GatewayError
from firm.exchange import MarginRules, Money
from firm.exchange.money import DOLLARS
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.clock import ClockChoice, parse_clock, run_clock
from firm.gateway_sim.contracts import load_contracts
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.journal import FORMAT, Header, Journal, first_at_of
from firm.gateway_sim.schedule import parse_scenario
from firm.gateway_sim.server import Server
from firm.gateway_sim.shifted import shifted
from firm.tape.load import load_tape
from firm.tape.tape import Tape

SAMPLE_DAYS = 250
CASH_MAX = Decimal(10) ** 12
CURRENCY = re.compile("[A-Z]{3}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m firm.gateway_sim", description=__doc__)
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    p.add_argument("--port", type=int, default=4002, help="API port, 0 for a free one (default %(default)s)")
    p.add_argument("--control-port", type=int, default=0, help="control port (default: a free one)")
    p.add_argument("--data", type=Path, help="market data file (default: the packaged sample)")
    p.add_argument(
        "--contracts", type=Path, help="JSON file that says what the symbols are (default: stocks)"
    )
    p.add_argument(
        "--days",
        type=int,
        help=f"play only the last N days (default: all of a file, {SAMPLE_DAYS} of the sample)",
    )
    p.add_argument(
        "--clock", default="auto", help="stepped, wall, xN (N times real time) or auto, a few frames a second"
    )
    p.add_argument("--journal", type=Path, help="file that survives a crash; continued if it exists")
    p.add_argument("--cash", default="1000000", help="deposit in the base currency (default %(default)s)")
    p.add_argument("--base", default="USD", help="base currency of the account (default %(default)s)")
    p.add_argument(
        "--deposit", action="append", default=[], help="cash in another currency: EUR=5000; may be repeated"
    )
    p.add_argument(
        "--rate",
        action="append",
        default=[],
        help="base currency for one unit of a currency whose pair is not quoted: EUR=1.08; may be repeated",
    )
    p.add_argument("--account", default="DU1234567", help="account name (default %(default)s)")
    p.add_argument("--leverage", default="4", help="gross exposure over equity at most (default %(default)s)")
    p.add_argument("--no-shorts", action="store_true", help="refuse to sell short")
    p.add_argument(
        "--pacing",
        choices=("on", "off"),
        help="error 100 beyond 50 messages a second (default: off if stepped)",
    )
    p.add_argument(
        "--preset-notice", action="store_true", help="send notice 10349 for orders without a time in force"
    )
    p.add_argument(
        "--schedule",
        action="append",
        default=[],
        help="interrupt by the clock: restart@23:45, reset@00:15+10, logout@Sun-01:00; may be repeated",
    )
    p.add_argument("--verbose", action="store_true", help="log to stderr")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM. Returns 0, or 2 after an error message on stderr."""
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.ERROR, stream=sys.stderr)
    try:
        asyncio.run(_serve(options))
    except FirmError as error:
        sys.stderr.write(f"gateway_sim: {error}\n")
        return 2
    return 0


async def _serve(options: argparse.Namespace) -> None:
    days = SAMPLE_DAYS if options.data is None and options.days is None else options.days
    tape = load_tape(options.data, days)
    choice = parse_clock(options.clock, tape.frames)
    if choice.wall:
        recorded = first_at_of(options.journal) if options.journal else None
        tape = shifted(tape, recorded or time.time_ns())
    gateway, journal = _gateway(options, tape)
    gateway.interruptions.scenarios += [parse_scenario(text) for text in options.schedule]
    pacing = options.pacing == "on" if options.pacing else not choice.stepped
    server = Server(gateway, stepped=choice.stepped, pacing=pacing)
    try:
        port, control = await server.listen(options.host, options.port, options.control_port)
        sys.stdout.write(f"ready port={port} control={control} account={options.account}\n")
        sys.stdout.flush()
        await _until_stopped(server, choice)
    finally:
        await server.close()
        if journal is not None:
            journal.close()


def _gateway(options: argparse.Namespace, tape: Tape) -> tuple[Gateway, Journal | None]:
    cash = _amount("--cash", options.cash, CASH_MAX)
    leverage = _amount("--leverage", options.leverage, Decimal(100))
    rules = MarginRules(gross_leverage_max=leverage, shorts_allowed=not options.no_shorts)
    contracts = load_contracts(options.contracts, tape.symbols)
    money = _money(options)
    brokerage = Brokerage(
        tape,
        cash,
        options.account,
        rules,
        preset_notice=options.preset_notice,
        contracts=contracts,
        money=money,
    )
    if options.journal is None:
        return Gateway(brokerage, None), None
    header = Header(
        format=FORMAT,
        account=options.account,
        cash=str(cash),
        leverage=str(leverage),
        shorts=rules.shorts_allowed,
        source_sha256=tape.source_sha256,
        first_at=tape.frames[0].at,
        frames=len(tape.frames),
        preset_notice=options.preset_notice,
        contracts=contracts.sha256,
        money="" if money == DOLLARS else json.encode(money).decode(),
    )
    journal = Journal(options.journal, header)
    return Gateway(brokerage, journal), journal


def _money(options: argparse.Namespace) -> Money:
    deposits, rates = (
        tuple(_named_amount(name, text) for text in texts)
        for name, texts in (("--deposit", options.deposit), ("--rate", options.rate))
    )
    if not CURRENCY.fullmatch(options.base):
        raise ConfigError(f"--base must be three capital letters such as USD, found {options.base[:20]!r}")
    return Money(options.base, deposits, rates)


def _named_amount(option: str, text: str) -> tuple[str, Decimal]:
    currency, _, amount = text.partition("=")
    if not CURRENCY.fullmatch(currency):
        raise ConfigError(f"{option} must be such as EUR=1.08, found {text[:40]!r}")
    return currency, _amount(option, amount, CASH_MAX)


def _amount(option: str, text: str, maximum: Decimal) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and 0 < amount <= maximum):
        raise ConfigError(f"{option} must be a number above 0 and at most {maximum:f}, found {text!r}")
    return amount


async def _until_stopped(server: Server, choice: ClockChoice) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ends = {asyncio.create_task(stop.wait()), asyncio.create_task(server.crashed.wait())}
    clock = asyncio.create_task(_run(server, choice))
    await asyncio.wait({*ends, clock}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*ends, clock):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await clock
    if server.crashed.is_set():
        raise GatewayError("a bug ended a connection, see the traceback; start again on the same --journal")


async def _run(server: Server, choice: ClockChoice) -> None:
    """The clock, and then patience: when the tape is over, the gateway still answers."""
    if not choice.stepped:
        await run_clock(server, choice)
    await asyncio.get_running_loop().create_future()
