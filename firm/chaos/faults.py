"""The faults of one machine: what each does to a running firm, how that is noticed, and how it is mended."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from firm.chaos.day import Day
from firm.chaos.pressure import Hog, fill_volume, jump_clock
from firm.chaos.running import until
from firm.errors import FirmError
from firm.events import CODEC
from firm.events.broker import GateChanged
from firm.events.signals import BarrierClosed
from firm.events.system import BrokerDisconnected, TradingHalted
from firm.ops.wishes import request_kill, request_rearm

FREEZE_S: Final = 5.0
STRIKE_WITHIN_S: Final = 120.0
RISK_TASK: Final = "ray::_measure"
WORKER_DIED: Final = "exit_type = SYSTEM_ERROR"


@dataclass(frozen=True)
class Struck:
    """A fault that has been done.

    `noticed`: a sign of this fault beside those all faults share (the firm has noted a loss, a new bus has
    begun, or the launcher has ended). `mend`: undoes it, called once it is noticed or `holds_s` have passed;
    None if the firm must go on in spite of it. `complaints`: what it did that it should not have, asked at
    the end. `afterwards`: makes all as it was before, once the firm has gone on.
    """

    noticed: Callable[[], bool]
    mend: Callable[[], None] | None = None
    holds_s: float = 0.0
    complaints: Callable[[], tuple[str, ...]] = tuple
    afterwards: Callable[[], object] = bool


Strike: TypeAlias = Callable[[Day, float], Struck]


@dataclass(frozen=True)
class Fault:
    """`does` in words; `needs`: what the day is set up with ("" nothing, "volume", "clock", "memory")."""

    does: str
    strike: Strike
    needs: str = ""


def _chosen(day: Day, pick: float, words: tuple[str, ...]) -> int:
    found = day.firm.called(*words)
    if not found:
        raise FirmError(f"needed a process called {' or '.join(words)}, found none in this firm")
    return found[int(pick * len(found))]


def one_more(log: Path, words: str) -> Callable[[], bool]:
    """Whether `words` are in a log of Ray's more often than now."""
    before = log.read_text(errors="replace").count(words)
    return lambda: log.read_text(errors="replace").count(words) > before


def _counted_dead(day: Day) -> Callable[[], bool]:
    """Whether Ray has found another of the firm's workers dead."""
    control = _chosen(day, 0.0, ("gcs_server",))
    options = Path(f"/proc/{control}/cmdline").read_text().split("\0")
    folder = next(option.partition("=")[2] for option in options if option.startswith("--log_dir="))
    return one_more(Path(folder) / "gcs_server.out", WORKER_DIED)


def _kill(*words: str) -> Strike:
    def strike(day: Day, pick: float) -> Struck:
        noticed = _counted_dead(day)
        os.kill(_chosen(day, pick, words), signal.SIGKILL)
        return Struck(noticed)

    return strike


def _kill_agent(name: str) -> Strike:
    def strike(day: Day, pick: float) -> Struck:
        del pick
        noticed = _counted_dead(day)
        os.kill(day.seat(name), signal.SIGKILL)
        return Struck(noticed)

    return strike


def _kill_risk_worker(day: Day, pick: float) -> Struck:
    """In mid-task: waits until one measures."""
    del pick
    workers = day.firm.called(RISK_TASK, "ray::IDLE")
    noticed = _counted_dead(day)
    deadline = time.monotonic() + STRIKE_WITHIN_S
    while True:
        for pid in workers:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(RISK_TASK.encode()):
                    os.kill(pid, signal.SIGKILL)
                    return Struck(noticed)
        if time.monotonic() > deadline:
            raise FirmError(f"needed a risk worker at work within {STRIKE_WITHIN_S:.0f} s, found none")
        time.sleep(0.002)


def _freeze(target: Callable[[Day, float], int]) -> Strike:
    def strike(day: Day, pick: float) -> Struck:
        pid, seq = target(day, pick), day.newest()[0]
        os.kill(pid, signal.SIGSTOP)

        def noticed() -> bool:
            log = day.firm.log
            closed = [] if log is None else log.read(since=seq, kinds={BarrierClosed.KIND})
            missing = any(getattr(CODEC.event(record), "missing", ()) for record in closed)
            return missing or day.firm.ask("/ready") == 503

        def mend() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        return Struck(noticed, mend, FREEZE_S)

    return strike


def _said_since(day: Day, seq: int, *kinds: int) -> Callable[[], bool]:
    def noticed() -> bool:
        log = day.firm.log
        return log is not None and bool(log.read(since=seq, limit=1, kinds=set(kinds)))

    return noticed


def _kill_gateway(day: Day, pick: float) -> Struck:
    """Its service manager starts it again at once, on its journal; that takes as long as it takes."""
    del pick
    noticed = _said_since(day, day.newest()[0], BrokerDisconnected.KIND, GateChanged.KIND)
    manager = threading.Thread(target=day.start_gateway_again, args=(day.kill_gateway(),))
    manager.start()
    return Struck(noticed, afterwards=manager.join)


def _cut(how: str) -> Strike:
    def strike(day: Day, pick: float) -> Struck:
        del pick
        noticed = _said_since(day, day.newest()[0], BrokerDisconnected.KIND, GateChanged.KIND)
        day.ask_gateway(cmd="cut", how=how)
        return Struck(noticed)

    return strike


def _halt(day: Day, pick: float) -> Struck:
    """The kill switch, and the broker actor dies in that moment; a person re-arms it once all is still."""
    del pick
    seq = day.newest()[0]
    halted = _said_since(day, seq, TradingHalted.KIND)
    request_kill(day.run_dir, "chaos pulls the switch")
    os.kill(_chosen(day, 0.0, ("ray::Broker",)), signal.SIGKILL)
    before = _orders(day)
    after: list[int] = []

    def mend() -> None:
        until(halted, "the log says that trading is halted", STRIKE_WITHIN_S)
        here = day.newest()[0]
        until(lambda: day.decided(here), "a decision while halted", STRIKE_WITHIN_S)
        after.append(_orders(day))
        request_rearm(day.run_dir, "chaos", "the broker actor is back")

    def complaints() -> tuple[str, ...]:
        sent = after[0] - before if after else 0
        return (f"{sent} orders reached the broker after the halt",) if sent else ()

    return Struck(halted, mend, STRIKE_WITHIN_S, complaints)


def _orders(day: Day) -> int:
    return len(day.ask_gateway(cmd="orders")["orders"])


def _kill_launcher(day: Day, pick: float) -> Struck:
    del pick
    os.kill(day.firm.process.pid, signal.SIGKILL)
    return Struck(lambda: not day.firm.alive)


def _power(day: Day, pick: float) -> Struck:
    """Everything at once, the gateway too; nobody can finish anything."""
    del pick
    gateway = day.gateway_facts()["pid"]
    for pid in (*day.firm.processes(), gateway):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return Struck(lambda: not day.firm.alive)


def _disk_full(day: Day, pick: float) -> Struck:
    del pick
    ballast = fill_volume(day.folder)
    return Struck(lambda: not day.firm.alive, lambda: ballast.unlink(missing_ok=True), STRIKE_WITHIN_S)


def _clock(seconds: int) -> Strike:
    def strike(day: Day, pick: float) -> Struck:
        del pick
        off = jump_clock(day.folder, seconds)

        def noticed() -> bool:
            """The times in the operations table have jumped as well."""
            log = day.firm.log
            new = [] if log is None else log.operations(day.operations_seen)
            apart = (new[-1].at_wall_ns - time.time_ns()) / 1e9 if new else 0.0
            return bool(new) and abs(apart - off) < abs(seconds) / 2

        return Struck(noticed)

    return strike


def _memory(day: Day, pick: float) -> Struck:
    del pick
    before = set(day.firm.called("ray::"))
    hog = Hog(float(day.environ["RAY_memory_usage_threshold"]))
    return Struck(lambda: bool(before - set(day.firm.called("ray::"))), hog.end, FREEZE_S)


FAULTS: Final[Mapping[str, Fault]] = {
    "kill_bus": Fault("SIGKILL of the event bus", _kill("ray::EventBus")),
    "kill_broker": Fault("SIGKILL of the broker actor", _kill("ray::Broker")),
    "kill_bookkeeper": Fault("SIGKILL of the bookkeeper", _kill_agent("bookkeeper")),
    "kill_risk": Fault("SIGKILL of Risk", _kill_agent("risk")),
    "kill_cio": Fault("SIGKILL of the CIO", _kill_agent("cio")),
    "kill_compliance": Fault("SIGKILL of Compliance", _kill_agent("compliance")),
    "kill_execution": Fault("SIGKILL of Execution", _kill_agent("execution")),
    "kill_signals": Fault("SIGKILL of a signal actor", _kill("ray::SignalSeat")),
    "kill_risk_worker": Fault("SIGKILL of a risk worker in mid-task", _kill_risk_worker),
    "kill_supervisor": Fault("SIGKILL of the supervisor", _kill("ray::Supervisor")),
    "kill_reader": Fault("SIGKILL of the reader", _kill("ray::Reader")),
    "kill_gateway": Fault("SIGKILL of the gateway", _kill_gateway),
    "kill_raylet": Fault("SIGKILL of the raylet: the node is lost", _kill("raylet/raylet")),
    "kill_gcs": Fault("SIGKILL of Ray's control service (GCS)", _kill("gcs_server")),
    "kill_launcher": Fault("SIGKILL of the launcher", _kill_launcher),
    "power": Fault("SIGKILL of all processes at once, the gateway too", _power),
    "freeze_signals": Fault(
        f"SIGSTOP of a signal actor for {FREEZE_S:g} s",
        _freeze(lambda day, pick: _chosen(day, pick, ("ray::SignalSeat",))),
    ),
    "freeze_risk": Fault(f"SIGSTOP of Risk for {FREEZE_S:g} s", _freeze(lambda day, _pick: day.seat("risk"))),
    "freeze_bus": Fault(
        f"SIGSTOP of the event bus for {FREEZE_S:g} s",
        _freeze(lambda day, pick: _chosen(day, pick, ("ray::EventBus",))),
    ),
    "freeze_gateway": Fault(
        f"SIGSTOP of the gateway for {FREEZE_S:g} s",
        _freeze(lambda day, _pick: int(day.gateway_facts()["pid"])),
    ),
    "cut_reset": Fault("the broker's connection is reset", _cut("rst")),
    "cut_silent": Fault("the broker's connection is dead, and nobody says so", _cut("silent")),
    "halt": Fault("the kill switch, and SIGKILL of the broker actor", _halt),
    "disk_full": Fault("no byte is left on the volume of the log", _disk_full, "volume"),
    "clock_forward": Fault("the wall clock jumps an hour ahead", _clock(3600), "clock"),
    "clock_back": Fault("the wall clock jumps an hour back", _clock(-3600), "clock"),
    "memory": Fault("memory runs short until Ray kills a process", _memory, "memory"),
}
"""Every fault there is, by name."""
