"""What the broker actor makes of a run's plan."""

from pathlib import Path

import pytest

from firm.actors.broker import Broker
from firm.actors.plan import GatewayAddress, RunPlan
from firm.config import load_settings
from firm.domain.session import NS_PER_SECOND, Sessions
from firm.events.market import HistoryLoaded
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.gateway_sim.process import start_gateway
from firm.standby.wire import Claim

pytestmark = pytest.mark.process
CONFIG = Path(__file__).resolve().parents[2] / "config"
RUN = "cafe0001"
CLAIM = Claim("0" * 16, 1, "1" * 16)


def first_history(config: str, tmp_path: Path) -> HistoryLoaded:
    """What a new log begins with, at a simulated gateway that has daily data."""
    with start_gateway(days=3) as process:
        plan = RunPlan(
            run_dir=str(tmp_path),
            settings=load_settings(CONFIG / config, ["simulation.history_bars=30"]).model_dump_json(),
            gateway=GatewayAddress(process.host, process.port, process.control_port, None),
            symbols=("AAPL", "KO"),
            started=RunStarted(1, "test", "{}", "test", "test"),
            sessions=SessionsLoaded(Sessions((), ()), ()),
        )
        broker = Broker(plan)
        try:
            (history,) = (e for e in broker.open([], RUN, CLAIM).inputs if isinstance(e, HistoryLoaded))
        finally:
            broker.close()
    return history


def test_a_firm_that_decides_at_the_close_begins_with_daily_bars(tmp_path: Path):
    history = first_history("paper.yaml", tmp_path)

    assert len(history.times) == 30
    assert (
        min(b - a for a, b in zip(history.times, history.times[1:], strict=False)) > 20 * 3600 * NS_PER_SECOND
    )


def test_daily_bars_do_not_pass_as_quarter_hours(tmp_path: Path):
    assert first_history("intraday.yaml", tmp_path).times == ()
