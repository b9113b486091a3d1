"""What must be true before Ray starts: settings, a gateway that answers, and the plan of the run."""

import argparse
import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import firm
from firm.actors.plan import GatewayAddress, RunPlan
from firm.actors.preflight import require_listener
from firm.actors.view import View
from firm.backtest import SCHEMA
from firm.broker.control import SimulatorControl
from firm.bus.schedule import decision_times
from firm.config import Settings, load_settings, parse_settings
from firm.domain.session import Sessions
from firm.errors import ConfigError, GatewayError, UnknownInstrument
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.gateway_sim.process import launch_gateway
from firm.ops.files import write_atomically
from firm.risk.stress import stress_of
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.tape.calendar import nyse_schedule

LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
YEARS_AHEAD = 2
QUOTE_AGE_MS_MAX = 60_000


def prepare_settings(arguments: argparse.Namespace) -> Settings:
    """The settings with the command line applied; live trading only on purpose."""
    overrides = list(arguments.set)
    if arguments.signal_replicas is not None:
        overrides.append(f"cluster.signal_replicas={arguments.signal_replicas}")
    if arguments.address is not None:
        overrides.append(f"cluster.address={arguments.address}")
    if arguments.gateway != "simulated":
        host, _, port = arguments.gateway.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"--gateway needs `simulated` or HOST:PORT, found {arguments.gateway!r}")
        overrides += [f"broker.gateway_host={host}", f"broker.gateway_port={port}"]
    settings = load_settings(arguments.config, overrides)
    stress_of(settings, ())  # a scenario file that cannot be read is found before anything starts
    if settings.system.mode == "live":
        _check_live(settings, understood=arguments.i_understand_this_is_live, gateway=arguments.gateway)
    age_ms = settings.compliance.max_quote_age_ms
    if arguments.gateway != "simulated" and age_ms > QUOTE_AGE_MS_MAX:
        raise ConfigError(
            f"at a real gateway compliance.max_quote_age_ms needs to be at most {QUOTE_AGE_MS_MAX}, found "
            f"{age_ms}: an older quote is no price. Use --config config/ib.yaml"
        )
    if arguments.gateway != "simulated" and settings.universe.symbols == "all":
        raise ConfigError(
            "at a real gateway the universe must be named, found universe.symbols: all; e.g. "
            '--set "universe.symbols=[SPY, QQQ]"'
        )
    return settings


def _check_live(settings: Settings, *, understood: bool, gateway: str) -> None:
    if not understood:
        raise ConfigError(
            "system.mode is live: real orders with real money. That needs --i-understand-this-is-live; "
            "for paper trading set system.mode: paper"
        )
    lei = settings.system.lei or ""
    if not LEI.fullmatch(lei) or int("".join(str(int(c, 36)) for c in lei)) % 97 != 1:
        raise ConfigError(
            "live trading needs system.lei, a valid LEI (ISO 17442: 18 letters or digits and two check "
            f"digits), found {settings.system.lei!r}"
        )
    if gateway == "simulated":
        raise ConfigError("system.mode is live but the gateway is simulated; give --gateway HOST:PORT")


def prepare_gateway(
    arguments: argparse.Namespace, settings: Settings, run_dir: Path, view: View
) -> GatewayAddress:
    """The gateway to trade at: a simulated one is adopted if it lives, else started on its journal."""
    broker = settings.broker
    if arguments.gateway != "simulated":
        require_listener(broker.gateway_host, broker.gateway_port, broker.connect_timeout_ms / 1000)
        return GatewayAddress(broker.gateway_host, broker.gateway_port, None, None)
    known = run_dir / "gateway.json"
    before: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
    asked = _sources(arguments, settings)
    if before and (arguments.data or arguments.days is not None) and before["source"] != asked:
        raise ConfigError(
            f"to resume {run_dir} the data must be those it was started with ({before['source']}), found "
            f"{asked}; leave out --data and --days, or start a new run"
        )
    if before and _answers(before):
        view.stage(f"adopting the simulated gateway on port {before['port']} (pid {before['pid']})")
        return GatewayAddress(broker.gateway_host, before["port"], before["control_port"], before["pid"])
    view.stage("starting the simulated IB Gateway")
    sources = before.get("source") or asked
    options = [
        *("--clock", settings.simulation.clock, "--cash", str(settings.simulation.cash_usd)),
        *("--account", settings.simulation.account, "--journal", str(run_dir / "gateway.db")),
        *("--port", str(broker.gateway_port), "--control-port", "0", "--host", broker.gateway_host),
        *(("--data", sources["data"]) if sources["data"] else ()),
        *(("--days", str(sources["days"])) if sources["days"] is not None else ()),
    ]
    started = launch_gateway(options, broker.gateway_host)
    address = GatewayAddress(started.host, started.port, started.control_port, started.pid)
    facts = {
        "port": address.port,
        "control_port": address.control_port,
        "pid": address.pid,
        "source": sources,
    }
    write_atomically(known, json.dumps(facts).encode())
    view.stage(f"simulated IB Gateway listens on {address.host}:{address.port} (pid {address.pid})")
    return address


def _sources(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What the simulated gateway plays: the packaged sample (data None), or a file, and how many days."""
    data = str(arguments.data.resolve()) if arguments.data else None
    if data is None and settings.schedule.decide != "session_close":
        raise ConfigError(
            "the packaged sample has daily closes only: it needs schedule.decide: session_close, found "
            f"{settings.schedule.decide} ms, for which there would never be a history to measure risk with. "
            "Give --data FILE with quotes within the day"
        )
    days = arguments.days if arguments.days is not None or data else settings.simulation.days
    return {"data": data, "days": days}


def _answers(before: dict[str, Any]) -> bool:
    try:
        with closing(SimulatorControl("127.0.0.1", before["control_port"])) as control:
            control.status()
    except GatewayError:
        return False
    return True


def prepare_plan(settings: Settings, run_dir: Path, gateway: GatewayAddress) -> RunPlan:
    """Everything the actors need; what a decision can depend on goes into the log's first entry."""
    label, symbols, sessions = _market(settings, gateway)
    chosen = symbols if settings.universe.symbols == "all" else settings.universe.symbols
    if unknown := [symbol for symbol in chosen if symbol not in symbols]:
        raise UnknownInstrument(
            f"universe.symbols needs instruments of the data ({', '.join(symbols)}), found "
            f"{', '.join(unknown)}; correct the names or give another --data"
        )
    if without := [symbol for symbol in chosen if symbol not in settings.universe.reference]:
        raise ConfigError(
            f"universe.reference needs the sector and volume of every instrument, found none of "
            f"{', '.join(without)}: without them no limit can be measured and nothing new would be bought. "
            f"Add e.g. {without[0]}: {{sector: Energy, average_daily_volume: 1000000}}"
        )
    content = settings.model_dump(mode="json")
    content["universe"]["symbols"] = list(chosen)
    resolved = parse_settings(content, "after resolving the universe")
    started = RunStarted(SCHEMA, firm.__version__, resolved.logged(), numeric_fingerprint(), label)
    decisions = decision_times(sessions, settings.schedule.decide)
    return RunPlan(
        str(run_dir),
        resolved.model_dump_json(),
        gateway,
        tuple(chosen),
        started,
        SessionsLoaded(sessions, decisions),
    )


def _market(settings: Settings, gateway: GatewayAddress) -> tuple[str, tuple[str, ...], Sessions]:
    """What the data are called, the symbols there are, and the sessions."""
    if gateway.control_port is not None:
        with closing(SimulatorControl(gateway.host, gateway.control_port)) as control:
            status = control.status()
        sessions = Sessions(tuple(status["sessions_opens"]), tuple(status["sessions_closes"]))
        return status["label"], tuple(status["symbols"]), sessions
    now = time.time_ns()
    ahead = now + YEARS_AHEAD * 366 * 86_400_000_000_000
    symbols = settings.universe.symbols
    assert symbols != "all"
    return "Interactive Brokers", tuple(symbols), nyse_schedule(now, ahead).sessions()
