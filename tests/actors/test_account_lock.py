"""The broker actor trades its account alone, however the gateway is addressed."""

from pathlib import Path

import pytest

from firm.actors.broker import Broker
from firm.actors.plan import GatewayAddress, RunPlan
from firm.config import load_settings
from firm.domain.session import Sessions
from firm.errors import StoreLocked
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted
from firm.gateway_sim.process import start_gateway
from firm.standby.wire import Claim
from firm.store.lock import lock_account

CONFIG = Path(__file__).resolve().parents[2] / "config" / "ib.yaml"
ACCOUNT = "DU7654321"


def broker_at(port: int, run_dir: Path, account: str | None) -> Broker:
    """The actor's class for a gateway that is not ours to control."""
    wanted = [] if account is None else [f"broker.account={account}"]
    settings = load_settings(CONFIG, [*wanted, "universe.symbols=[AAPL, KO]"])
    return Broker(
        RunPlan(
            run_dir=str(run_dir),
            settings=settings.model_dump_json(),
            gateway=GatewayAddress("127.0.0.1", port, None, None),
            symbols=("AAPL", "KO"),
            started=RunStarted(1, "test", "{}", "test", "test"),
            sessions=SessionsLoaded(Sessions((), ()), ()),
        )
    )


def opened(broker: Broker) -> None:
    broker.open([], "cafe0001", Claim("0" * 16, 1, "1" * 16))


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRM_KEY_DIR", str(tmp_path / "keys"))


def test_an_account_that_another_firm_trades_is_refused_before_the_gateway_is_asked(tmp_path: Path):
    other = lock_account(ACCOUNT)

    with pytest.raises(StoreLocked, match=f"account {ACCOUNT} is traded by another firm"):
        opened(broker_at(1, tmp_path, ACCOUNT))  # nobody listens there, and nobody finds that out
    other.release()


@pytest.mark.process
def test_who_learns_at_the_gateway_that_the_account_is_taken_leaves_it_at_once(tmp_path: Path):
    with start_gateway(days=3, account=ACCOUNT) as process:
        other = lock_account(ACCOUNT)
        refused, next_one = (broker_at(process.port, tmp_path, None) for _ in range(2))
        with pytest.raises(StoreLocked, match=f"account {ACCOUNT} is traded by another firm"):
            opened(refused)
        other.release()
        try:
            opened(next_one)  # its client id is free again
            with pytest.raises(StoreLocked):
                lock_account(ACCOUNT)
        finally:
            next_one.close()
        lock_account(ACCOUNT).release()
