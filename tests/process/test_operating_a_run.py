"""One long run as its operator has it: asked, halted, re-armed, robbed of its processes, ended and resumed.

The stages are fixtures that follow each other on the same run; the tests look at what each has left.
"""

import contextlib
import json
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from firm_process import Firm, Said, command, events, gateway_afterwards, last_seq, launched, summary

from firm.domain.order import Side
from firm.events.orders import OrderFilled, OrderSubmitted
from firm.events.risk import PositionChanged, RiskRunFailed
from firm.events.signals import BarrierClosed, LateAnswer, Signal
from firm.events.system import InstrumentsResolved, OperatorRearmRequested, TradingHalted, TradingRearmed
from firm.store.keys import Keys
from firm.store.verify import verify

pytestmark = pytest.mark.process

BARRIER_S = 8
OPTIONS = (
    *("--days", "2000", "--set", f"barrier.timeout_ms={BARRIER_S * 1000}"),
    *("--set", "risk.var.scenarios=19200", "--set", "risk.max_portfolio_var=100000"),
)
MOMENTS: dict[str, Callable[[Firm], object]] = {
    "while Ray starts": lambda firm: "starting Ray" in firm.said().err,
    "before the first cycle": lambda firm: (firm.run_dir / "events.db").exists(),
    "while actors are created": lambda firm: firm.actors("Host"),
}
ACTORS = ("Host", "SignalSeat", "Broker", "EventBus", "Reader", "Supervisor")
WHY = "the test pulls the switch"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operated") / "run"


class Early(NamedTuple):
    """What a Ctrl-C during the start has left."""

    said: Said
    left_behind: dict[int, str]
    entries: int


@pytest.fixture(scope="module")
def early(run_dir: Path) -> dict[str, Early]:
    """Ctrl-C at three moments of the start, each on what the one before has left."""
    found = {}
    for moment, reached in MOMENTS.items():
        with launched(run_dir, *OPTIONS) as firm:
            firm.while_alive(lambda reached=reached, firm=firm: reached(firm), moment)
            firm.ctrl_c()
            said = firm.finish()
            with contextlib.suppress(AssertionError):
                firm.leave_nothing()
            found[moment] = Early(said, firm.processes(), last_seq(run_dir))
    return found


@pytest.fixture(scope="module")
def running(run_dir: Path, early: dict[str, Early]) -> Iterator[Firm]:
    """The firm, ready to trade."""
    del early
    with launched(run_dir, *OPTIONS) as firm:
        firm.while_alive(lambda: firm.ask("/ready")[0] == 200, "ready")
        firm.while_alive(lambda: firm.metrics().get("firm_fills_total BUY", 0) > 0, "a first fill")
        yield firm


@pytest.fixture(scope="module")
def twin(running: Firm) -> Iterator[Firm]:
    """A second launcher on the same directory, by mistake."""
    with launched(running.run_dir, *OPTIONS, prints="twin") as firm:
        yield firm


class Halted(NamedTuple):
    """A kill while a straggler holds the barrier."""

    held: bool
    health_s: list[float]
    kill: Said
    orders_before: int
    orders_after: int
    ready: tuple[int, str]
    health: tuple[int, str]


@pytest.fixture(scope="module")
def halted(running: Firm, twin: Firm) -> Halted:
    """A signal actor is stopped, the kill is pulled while the barrier waits, then the actor goes on."""
    del twin  # it waits beside
    seat = running.actors("SignalSeat")[0]
    os.kill(seat, signal.SIGSTOP)
    try:
        entries = running.while_alive(lambda: _standing_still(running), "the barrier waits")
        health_s = [_seconds(running, "/health") for _ in range(11)]
        orders_before = running.orders_at_the_gateway()
        kill = command("kill", "--run-dir", running.run_dir, "--reason", WHY)
        held = last_seq(running.run_dir) == entries
        running.while_alive(lambda: events(running.run_dir, TradingHalted), "the log says halted")
    finally:
        os.kill(seat, signal.SIGCONT)
    running.while_alive(lambda: events(running.run_dir, LateAnswer), "late answers")
    decided = _decisions(running)
    running.while_alive(lambda: _decisions(running) > decided + 3, "decisions while halted")
    looked = (running.orders_at_the_gateway(), running.ask("/ready"), running.ask("/health"))
    return Halted(held, health_s, kill, orders_before, *looked)


def _standing_still(firm: Firm) -> int:
    before = last_seq(firm.run_dir)
    time.sleep(0.4)
    return before if last_seq(firm.run_dir) == before else 0


def _decisions(firm: Firm) -> float:
    return firm.metrics().get("firm_cycles_total decision", 0)


def _seconds(firm: Firm, path: str) -> float:
    began = time.perf_counter()
    assert firm.ask(path)[0] == 200
    return time.perf_counter() - began


class Rearmed(NamedTuple):
    """What became of the re-arming, and of the second launcher."""

    said: Said
    twin: Said


@pytest.fixture(scope="module")
def rearmed(running: Firm, twin: Firm, halted: Halted) -> Rearmed:
    """A named person lets it trade again, and it does; the second launcher has given up by then."""
    said = command("rearm", "--run-dir", running.run_dir, "--by", "Ann", "--reason", "found the straggler")
    running.while_alive(lambda: running.ask("/ready")[0] == 200, "ready again")
    running.while_alive(lambda: running.orders_at_the_gateway() > halted.orders_after, "orders again")
    refused = twin.finish()
    twin.leave_nothing()
    return Rearmed(said, refused)


@pytest.fixture(scope="module")
def bereaved(running: Firm, rearmed: Rearmed) -> dict[str, tuple[int, int]]:
    """Every actor's process is killed once, and the firm goes on each time: (entries before, after)."""
    del rearmed
    went_on: dict[str, tuple[int, int]] = {}
    for name in ACTORS:
        for number, pid in enumerate(before := running.actors(name)):
            seq = last_seq(running.run_dir)
            os.kill(pid, signal.SIGKILL)
            running.while_alive(
                lambda pid=pid, name=name, before=before: (
                    pid not in running.actors(name) and len(running.actors(name)) == len(before)
                ),
                f"a new {name}",
            )
            running.while_alive(lambda seq=seq: last_seq(running.run_dir) > seq + 100, f"on without a {name}")
            went_on[f"{name} {number + 1}"] = (seq, last_seq(running.run_dir))
    running.while_alive(lambda: running.ask("/ready")[0] == 200, "ready after all deaths")
    return went_on


class Ended(NamedTuple):
    """A session that was ended with Ctrl-C."""

    said: Said
    entries: int
    seconds: float


def _end(firm: Firm) -> Ended:
    began = time.monotonic()
    firm.ctrl_c()
    said = firm.finish()
    seconds = time.monotonic() - began
    firm.leave_nothing()
    return Ended(said, last_seq(firm.run_dir), seconds)


@pytest.fixture(scope="module")
def ended(running: Firm, bereaved: dict[str, tuple[int, int]]) -> Ended:
    del bereaved
    return _end(running)


@pytest.fixture(scope="module")
def resumed(run_dir: Path, ended: Ended) -> Ended:
    """Started again on the same directory, until it has traded, and ended again."""

    def traded() -> bool:
        return any(seq > ended.entries for seq, _ in events(run_dir, OrderFilled))

    with launched(run_dir, *OPTIONS) as firm:
        firm.while_alive(traded, "new fills")
        return _end(firm)


class Audited(NamedTuple):
    """What the gateway's journal says of the run."""

    refs: list[str]
    positions: dict[str, str]


@pytest.fixture(scope="module")
def audited(run_dir: Path, resumed: Ended) -> Audited:
    del resumed
    with gateway_afterwards(run_dir) as gateway:
        return Audited([order["order_ref"] for order in gateway.orders()], gateway.status()["positions"])


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_during_the_start_leaves_nothing_behind(early: dict[str, Early], moment: str):
    said, left_behind, _ = early[moment]

    assert left_behind == {}
    assert said.code in {0, 130}, said
    assert "Traceback" not in said.err


def test_ctrl_c_before_ray_has_started_begins_no_log(early: dict[str, Early]):
    assert early["while Ray starts"].said.code == 130
    assert early["while Ray starts"].entries == 0


def test_ctrl_c_before_the_first_cycle_ends_a_run_in_good_order(early: dict[str, Early]):
    said, _, entries = early["before the first cycle"]

    assert said.code == 0
    assert entries > 0
    assert "shutting down in good order" in said.err


def test_it_is_alive_and_well(running: Firm):
    status, health = running.ask("/health")

    assert running.ask("/live")[0] == 200
    assert status == 200
    assert {"bus", "store", "broker", "risk", "trading", "signals"} <= set(health_parts(health))
    assert all(part["state"] and part["reason"] for part in health_parts(health).values())


def health_parts(health: str) -> dict[str, dict[str, str]]:
    parts: dict[str, dict[str, str]] = json.loads(health)["components"]
    return parts


def test_its_metrics_can_be_scraped(running: Firm):
    found = running.metrics()

    assert found["firm_log_entries_total"] > 0
    assert found["firm_signals_total momentum"] > 0
    assert found["firm_orders_sent_total twap"] > 0
    assert "firm_var_usd monte_carlo" in found
    assert found["firm_broker_connected"] == 1
    assert found["firm_cycle_seconds_count"] > 0


def test_it_answers_while_the_barrier_waits(halted: Halted):
    print("health answered in", [f"{seconds * 1000:.0f} ms" for seconds in sorted(halted.health_s)])

    assert halted.held
    assert statistics.median(halted.health_s) < 0.1


def test_a_kill_does_not_wait_for_the_barrier(running: Firm, halted: Halted):
    assert halted.kill.code == 0
    assert halted.kill.out.startswith("halted: no order leaves")
    assert events(running.run_dir, TradingHalted)[0][1].reason == f"operator: {WHY}"


def test_no_order_leaves_after_a_kill(running: Firm, halted: Halted, rearmed: Rearmed):
    del rearmed
    ((halt, _),) = events(running.run_dir, TradingHalted)
    rearm = events(running.run_dir, TradingRearmed)[0][0]

    assert halted.orders_after == halted.orders_before
    assert [seq for seq, _ in events(running.run_dir, OrderSubmitted) if halt < seq < rearm] == []


def test_the_barrier_names_who_was_missing(running: Firm, halted: Halted):
    del halted
    seq, closed = next(each for each in events(running.run_dir, BarrierClosed) if each[1].missing)
    agents = {agent for agent, _ in closed.missing}
    heard = {(s.agent, s.unit) for at, s in events(running.run_dir, Signal) if seq - 500 < at < seq}

    assert closed.answered + len(closed.missing) == closed.expected == 210
    assert 0 < len(closed.missing) <= closed.expected / 2
    assert agents <= {"momentum", "stat_arb"}
    assert heard


def test_late_answers_are_recorded_and_not_used(running: Firm, halted: Halted):
    del halted
    missing = {each for _, closed in events(running.run_dir, BarrierClosed) for each in closed.missing}
    late = [(answer.agent, answer.unit) for _, answer in events(running.run_dir, LateAnswer)]

    assert late
    assert set(late) <= missing
    assert len(late) == len(set(late))


def test_a_halted_firm_is_not_ready_and_says_why(halted: Halted):
    status, reasons = halted.ready

    assert status == 503
    assert WHY in reasons
    assert health_parts(halted.health[1])["trading"]["state"] == "degraded"


def test_a_named_person_re_arms_it(running: Firm, rearmed: Rearmed):
    ((_, asked),) = events(running.run_dir, OperatorRearmRequested)
    ((_, said),) = events(running.run_dir, TradingRearmed)

    assert rearmed.said.code == 0
    assert (asked.by, asked.reason) == (said.by, said.reason) == ("Ann", "found the straggler")


def test_a_second_firm_on_the_same_directory_is_refused(rearmed: Rearmed):
    assert rearmed.twin.code == 2, rearmed.twin
    assert "one writer at a time" in rearmed.twin.err
    assert "Traceback" not in rearmed.twin.err


def test_every_process_may_die(running: Firm, bereaved: dict[str, tuple[int, int]]):
    print(bereaved, "risk runs failed:", len(events(running.run_dir, RiskRunFailed)))

    assert Counter(name.split()[0] for name in bereaved) == {
        **dict.fromkeys(ACTORS, 1),
        "Host": 5,
        "SignalSeat": 2,
    }
    assert all(after > before + 100 for before, after in bereaved.values())


def test_ctrl_c_ends_it_in_good_order(ended: Ended):
    assert ended.said.code == 0, ended.said
    assert "Traceback" not in ended.said.err
    assert "agree with the broker's" in ended.said.out
    assert ended.seconds < 60


def test_it_trades_on_where_it_was(run_dir: Path, ended: Ended, resumed: Ended):
    assert resumed.said.code == 0, resumed.said
    assert resumed.entries > ended.entries
    assert len(events(run_dir, InstrumentsResolved)) == 1
    assert summary(run_dir)["events"] == resumed.entries == verify(run_dir, Keys.load()).entries


def test_the_whole_of_it_replays_word_for_word(run_dir: Path, resumed: Ended):
    said = command("replay", run_dir)

    assert said.code == 0, said
    assert f"identical: {resumed.entries:,} entries" in said.out


def test_nothing_was_sent_twice_nor_without_intent(run_dir: Path, audited: Audited):
    intended = {seq for seq, _ in events(run_dir, OrderSubmitted)}
    sent = [int(ref.rpartition("-")[2]) for ref in audited.refs]

    assert len(set(audited.refs)) == len(audited.refs) > 0
    assert len({ref.rpartition("-")[0] for ref in audited.refs}) == 1
    assert set(sent) <= intended


def test_the_fills_add_up_to_the_positions_of_everybody(run_dir: Path, audited: Audited):
    ((_, resolved),) = events(run_dir, InstrumentsResolved)
    symbols = [instrument.symbol for instrument in resolved.instruments]
    bought: dict[str, Decimal] = {}
    for _, fill in events(run_dir, OrderFilled):
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        bought[symbols[fill.instrument]] = bought.get(symbols[fill.instrument], Decimal(0)) + signed
    booked = {symbols[p.instrument]: p.quantity for _, p in events(run_dir, PositionChanged)}
    held = {symbol: quantity for symbol, quantity in bought.items() if quantity}

    assert held == {symbol: quantity for symbol, quantity in booked.items() if quantity}
    assert held == {symbol: Decimal(quantity) for symbol, quantity in audited.positions.items()}
