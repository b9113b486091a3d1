"""The whole firm in one process, with its store's standby and the gateway's fence: all of it real but Ray."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from firm.actors.broker import Broker
from firm.actors.event_bus import _lead
from firm.actors.plan import GatewayAddress
from firm.actors.preparation import prepare_plan
from firm.backtest import backtest
from firm.bus.driver import Driver
from firm.bus.gateway import CommandBatch, Page
from firm.config import Settings, load_settings
from firm.events import Event, Record
from firm.local import LocalCrew
from firm.ops.mailbox import Mailbox
from firm.risk_kernels.fingerprint import numeric_fingerprint
from firm.roster import rules
from firm.standby.wire import Claim
from firm.store.memory import MemoryStore

CONFIG = Path(__file__).resolve().parents[2] / "config" / "paper.yaml"


class HeldBroker:
    """The broker actor's class, called directly; see `firm.actors.event_bus.RayBroker`."""

    def __init__(self, actor: Broker, claim: Claim) -> None:
        self._actor, self._claim = actor, claim

    def open(self, memory: Sequence[Record], run: str) -> Page:
        return self._actor.open(memory, run, self._claim)

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        return self._actor.turn(acked, batch, until)

    def reconcile(self) -> tuple[Event, ...]:
        return self._actor.reconcile()

    def close(self) -> None:
        self._actor.close()


def settings_of(standby: int) -> Settings:
    """The paper firm with few scenarios."""
    mode = ("standby.mode=sync", f"standby.address=127.0.0.1:{standby}") if standby else ()
    few = ("risk.var.scenarios=1920", "risk.max_portfolio_var=100000", "execution.default_algo=market")
    return load_settings(CONFIG, [*few, *mode, "standby.gateway_is_fenced=true"])


def warm() -> None:
    """Compile every kernel; processes forked afterwards have them."""
    numeric_fingerprint()
    backtest(settings_of(0), MemoryStore(), None, 2, lambda _at: None)


def live(run_dir: Path, ports: tuple[int, int, int], environ: Mapping[str, str], errors: Path) -> None:
    """One life, in a process of its own. `ports`: standby (0: none), fence, the gateway's control."""
    os.environ.update(environ)
    sys.stderr = errors.open("w", buffering=1)
    standby, fence, control = ports
    settings = settings_of(standby)
    (run_dir / "operator").mkdir(parents=True, exist_ok=True)
    plan = prepare_plan(settings, run_dir, GatewayAddress("127.0.0.1", fence, control, None))
    store, claim = _lead(plan)
    broker = HeldBroker(Broker(plan), claim)
    driver = Driver(rules(settings), LocalCrew(settings), store, broker, Mailbox(run_dir))
    driver.start(plan.started, lambda: plan.sessions)
    while driver.step():
        pass
    driver.close()
    store.close()
