"""The shadow decides on the live firm's log: like it with the same configuration, unable to act."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import stage
import whole_firm
from stage import BASE, CLOSE, MINUTE, ChangedCrew, StageBroker, nursed, play

from firm.cli import main
from firm.config import Settings
from firm.errors import ConfigError, FirmError
from firm.events.market import MarketData
from firm.events.orders import OrderFilled, OrderProposed
from firm.events.record import LogReader
from firm.events.signals import BarrierClosed
from firm.events.system import OperatorHaltRequested, OperatorRearmRequested, TradingHalted
from firm.shadow.command import shadow
from firm.shadow.decision import FATE, KINDS, Decision
from firm.shadow.follow import decisions
from firm.shadow.report import as_json, changed_settings, text, totals
from firm.shadow.shadow import Shadow
from firm.store.keys import Keys
from firm.store.memory import MemoryStore
from firm.store.reading import SqliteReader
from firm.store.sqlite import SqliteStore

PAIRS = (
    "{pairs: [KO/PEP, CVX/XOM], lookback_bars: 252, adf_lags: 1, adf_critical: -0.1, entry_z: 0.1, full_z: 2}"
)
STAT_ARB = (f"signals.stat_arb={PAIRS}", "cio.weights={momentum: 1.0, stat_arb: 1.0}")
WITHIN_THE_DAY = ("schedule.decide=7200000", "execution.default_algo=limit")


def settings(*overrides: str) -> Settings:
    return whole_firm.settings(*BASE, *overrides)


def shadowed(log: LogReader, live: Sequence[str], candidate: Sequence[str] = ()) -> list[Decision]:
    first = log.read(limit=1)[0]
    pair = Shadow(first, settings(*live), settings(*live, *candidate))
    return list(decisions(log, pair, lambda: True))


def differences(found: Sequence[Decision]) -> dict[str, int]:
    return {kind: sum(d.kind == kind for each in found for d in each.differences) for kind in KINDS}


@pytest.fixture(scope="module")
def log() -> MemoryStore:
    return play(*STAT_ARB)


@pytest.fixture(scope="module")
def busy() -> MemoryStore:
    """Three decisions a day, whose orders are sent at once and filled while the next one is made."""
    return play(*WITHIN_THE_DAY)


def test_the_same_configuration_says_the_same_words_at_every_decision(log: MemoryStore):
    found = shadowed(log, STAT_ARB)

    assert [(each.seq, each.first) for each in found] == [(seq, None) for seq, _ in stage.decisions(log)]
    assert sum(len(each.live.orders) for each in found) == len(whole_firm.events(log, OrderProposed)) > 20
    assert all(each.live == each.candidate for each in found)
    assert sum(differences(found).values()) == 0


def test_the_same_configuration_sends_the_same_orders_within_the_day(busy: MemoryStore):
    found = shadowed(busy, WITHIN_THE_DAY)

    assert [each.first for each in found] == [None] * 9
    assert sum(len(order.sent) for each in found for order in each.candidate.orders.values()) > 10
    assert len(whole_firm.events(busy, OrderFilled)) > 10


def test_missing_signals_and_a_failed_risk_run_are_facts_of_the_day_for_both():
    config = settings(*STAT_ARB)
    first, second, _ = (each.cycle for each in shadowed(play(*STAT_ARB), STAT_ARB))
    crew = ChangedCrew(
        config,
        missing=lambda cycle: [("momentum", "KO"), ("stat_arb", "KO/PEP")] if cycle == second else [],
        risk_fails=lambda cycle: cycle == first,
    )
    log = play(*STAT_ARB, crew=crew)

    found = shadowed(log, STAT_ARB)

    assert [event.answered for event in whole_firm.events(log, BarrierClosed)] == [22, 20, 22]
    assert [each.first for each in found] == [None] * 3
    assert found[0].candidate.monte_carlo_var is None
    assert found[2].candidate.monte_carlo_var > 0


@pytest.mark.parametrize("name", ["bookkeeper", "risk", "cio", "compliance", "execution"])
def test_the_candidate_keeps_step_with_a_live_agent_that_fell_ill_and_was_nursed(name: str):
    def fails(entry: object) -> bool:
        return isinstance(entry.event, MarketData) and CLOSE[0] - 40 * MINUTE < entry.at <= CLOSE[0]

    log, story = nursed(name, fails)

    found = shadowed(log, ())

    assert story, "the agent never failed: the test shows nothing"
    assert found[-1].first is None
    assert all(each.first is None or each.live.aborted for each in found)


def test_a_halt_of_the_live_firm_holds_for_the_candidate_until_it_is_re_armed():
    said = {
        CLOSE[0] - MINUTE: [OperatorHaltRequested("lunch")],
        CLOSE[1] + 30 * MINUTE: [OperatorRearmRequested("Ada Lovelace", "back")],
    }
    log = play(story=lambda config: StageBroker(config, said))

    found = shadowed(log, (), ["cio.max_weight=0.1"])

    assert [len(each.live.orders) for each in found][:2] == [0, 0]
    assert [len(each.candidate.orders) for each in found][:2] == [0, 0]
    assert found[2].candidate.orders


@pytest.mark.parametrize(
    ("author", "override"),
    [
        ("momentum", "signals.momentum.lookback_bars=127"),
        ("stat_arb", "signals.stat_arb.entry_z=0.3"),
        ("cio", "cio.max_weight=0.11"),
        ("risk", "risk.max_position_weight=0.05"),
        ("risk", "risk.var.seed=20260102"),
        ("compliance", "compliance.price_collar=0.11"),
    ],
)
def test_a_changed_parameter_differs_from_the_agent_on_that_has_it(
    log: MemoryStore, author: str, override: str
):
    other = play(*STAT_ARB, override)
    first_seq = stage.differing(log.read(), other.read())

    found = shadowed(log, STAT_ARB, [override])
    parted = [each for each in found if each.first is not None]

    assert {each.first for each in parted} == {author}
    assert parted[0].seq == max(seq for seq, _ in stage.decisions(log) if seq <= first_seq)


def test_a_changed_order_type_differs_only_in_what_is_sent(busy: MemoryStore):
    found = shadowed(busy, WITHIN_THE_DAY, ["execution.default_algo=market"])
    sent = {kind: count for kind, count in differences(found).items() if count}

    assert {each.first for each in found if each.differences} == {"execution"}
    assert set(sent) == {"sent"}
    assert {child.limit for each in found for o in each.candidate.orders.values() for child in o.sent} == {
        None
    }


def test_the_first_decision_is_what_a_firm_of_the_candidate_would_have_decided(log: MemoryStore):
    override = "risk.max_position_weight=0.05"
    alone = play(*STAT_ARB, override)

    first = shadowed(log, STAT_ARB, [override])[0]

    own = shadowed(alone, (*STAT_ARB, override))[0]
    assert first.candidate == own.live
    assert {each.kind for each in first.differences} == {FATE}
    assert {each.candidate.fate for each in first.differences} == {"risk: position_weight"}


def test_each_decision_starts_from_the_live_firms_book_not_the_candidates_own(log: MemoryStore):
    """A candidate that wants nothing wants to sell, at the second decision, what the live firm had bought."""
    found = shadowed(log, STAT_ARB, ["cio.gross_target=0.000001", "cio.min_trade_usd=1"])
    live = {o.symbol: o.quantity for o in found[0].live.orders.values() if o.fate == "cleared"}

    assert not found[0].candidate.orders
    assert found[1].candidate.orders
    for order in found[1].candidate.orders.values():
        assert order.symbol in live
        assert order.quantity * live[order.symbol] < 0


def test_a_halt_of_the_candidates_own_is_reported_and_ends_with_the_decision(log: MemoryStore):
    found = shadowed(log, STAT_ARB, ["risk.max_daily_loss=0.00001"])
    halted = [each for each in found if each.candidate.halt is not None]

    assert halted, "no loss: the test shows nothing"
    assert all("daily loss" in each.candidate.halt and not each.candidate.orders for each in halted)
    assert not whole_firm.events(log, TradingHalted)
    after = [each for each in found if each.candidate.halt is None]
    assert all(each.candidate.orders for each in after)


def test_orders_the_candidate_had_approved_are_no_exposure_at_its_next_decision():
    """It wants a full book each day, the live firm a small one: two full books would break the leverage."""
    live, candidate = ["cio.gross_target=0.2"], ["cio.gross_target=1.2"]

    found = shadowed(play(*live), live, candidate)

    for each in found:
        cleared = [order.value for order in each.candidate.orders.values() if order.fate == "cleared"]
        assert sum(cleared) > 800_000
        assert len(cleared) == len(each.candidate.orders)


def test_a_growing_log_gives_the_same_as_the_finished_one(tmp_path: Path, log: MemoryStore):
    keys = Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))
    config = settings(*STAT_ARB)
    store = SqliteStore.open(tmp_path, keys)
    live = whole_firm.driver(config, stage.TAPE, store=store)
    reader = SqliteReader.open(tmp_path, keys)
    waits = 0

    def wait() -> bool:
        nonlocal waits
        waits += 1
        live.step()
        return True

    candidate = settings(*STAT_ARB, "cio.max_weight=0.11")
    found = list(decisions(reader, Shadow(reader.read(limit=1)[0], config, candidate), wait))
    reader.close()
    store.close()

    assert waits > 30
    assert found == shadowed(log, STAT_ARB, ["cio.max_weight=0.11"])


def test_who_is_told_to_stop_has_what_was_decided_so_far(log: MemoryStore):
    records = log.read()
    cut = MemoryStore()
    cut.commit(records[: stage.decisions(log)[1][1] - 1])
    first = Shadow(records[0], settings(*STAT_ARB), settings(*STAT_ARB))

    found = list(decisions(cut, first, lambda: False))

    assert [each.seq for each in found] == [seq for seq, _ in stage.decisions(log)[:2]]


@pytest.mark.parametrize("kind", [BarrierClosed.KIND, OrderProposed.KIND])
def test_a_decision_cut_off_before_its_orders_is_not_compared(log: MemoryStore, kind: int):
    start, _ = stage.decisions(log)[1]
    records = log.read()
    edge = next(record.seq for record in records if record.seq > start and record.kind == kind)
    cut = MemoryStore()
    cut.commit(records[: edge - 1])
    pair = Shadow(records[0], settings(*STAT_ARB), settings(*STAT_ARB))

    assert len(list(decisions(cut, pair, lambda: False))) == 1


def _contents(directory: Path) -> Mapping[str, str]:
    """All that is in it, without SQLite's lock table and an empty journal, which any reader may leave."""
    files = [path for path in directory.iterdir() if not path.name.endswith("-shm") and path.stat().st_size]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_live_log_is_not_written_to(tmp_path: Path):
    keys = Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))
    store = SqliteStore.open(tmp_path, keys)
    store.commit(play().read())
    store.close()
    before = _contents(tmp_path)
    reader = SqliteReader.open(tmp_path, keys)
    epoch, head = reader.epoch, reader.head

    found = shadowed(reader, (), ["cio.max_weight=0.11"])

    assert found
    assert (reader.epoch, reader.head) == (epoch, head)
    reader.close()
    assert _contents(tmp_path) == before


def test_nothing_that_can_send_an_order_is_even_loaded():
    script = (
        "import sys, firm.shadow.command\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('ray', 'ib_async', 'aiohttp')"
        " or m.startswith(('firm.broker', 'firm.local_broker', 'firm.bus.driver', 'firm.actors',"
        " 'firm.store.sqlite', 'firm.gateway_sim'))]\n"
        "print(bad)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def run_on_disk(directory: Path, monkeypatch: pytest.MonkeyPatch, log: MemoryStore) -> Path:
    monkeypatch.setenv("FIRM_KEY_DIR", str(directory / "keys"))
    store = SqliteStore.open(directory / "run", Keys.load())
    store.commit(log.read())
    store.close()
    return directory / "run"


def test_the_command_reports_on_a_finished_run_once_and_following_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: MemoryStore
):
    run = run_on_disk(tmp_path, monkeypatch, log)
    config = whole_firm.ROOT / "config" / "paper.yaml"
    overrides = [*BASE, *STAT_ARB, "cio.max_weight=0.11"]
    lines: list[str] = []

    once = shadow(run, config, overrides, follow=False, told=lines.append)
    followed = shadow(run, config, overrides, follow=True)

    assert once == followed
    assert json.loads(once.json)["totals"]["decisions"] == len(lines) == 3
    assert "cio.max_weight: 0.12 -> 0.11" in once.text
    assert "the run test" in once.text


def test_the_command_line_prints_the_report_and_writes_the_json(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    log: MemoryStore,
):
    run = run_on_disk(tmp_path, monkeypatch, log)
    config = str(whole_firm.ROOT / "config" / "paper.yaml")
    sets = [part for override in (*BASE, *STAT_ARB) for part in ("--set", override)]

    code = main(["shadow", str(run), "--config", config, *sets, "--json", str(tmp_path / "diff.json")])

    assert code == 0
    assert "no setting differs" in capsys.readouterr().out
    assert json.loads((tmp_path / "diff.json").read_text())["totals"]["differing"] == 0


def test_a_candidate_that_fails_names_the_agent_and_the_entry(log: MemoryStore):
    weak = settings(*STAT_ARB)
    broken = weak.model_copy(update={"execution": weak.execution.model_copy(update={"twap_slices": 0})})

    with pytest.raises(FirmError, match="the candidate's execution failed on entry"):
        list(decisions(log, Shadow(log.read(limit=1)[0], weak, broken), lambda: True))


@pytest.mark.parametrize("override", ["schedule.decide=7200000", "universe.symbols=[KO, PEP]"])
def test_what_cannot_be_compared_on_one_log_is_refused(log: MemoryStore, override: str):
    with pytest.raises(ConfigError, match=override.partition("=")[0].split(".")[0]):
        Shadow(log.read(limit=1)[0], settings(), settings(override))


def test_the_report_adds_up_and_is_the_same_twice(log: MemoryStore):
    candidate = ["risk.max_position_weight=0.05"]
    found = shadowed(log, STAT_ARB, candidate)
    changes = changed_settings(settings(*STAT_ARB), settings(*STAT_ARB, *candidate))

    report = as_json("ab12cd34", found, changes)
    content = json.loads(report)
    told = text(found, changes)

    assert report == as_json("ab12cd34", shadowed(log, STAT_ARB, candidate), changes)
    assert content["settings"] == {"risk.max_position_weight": {"live": 0.15, "candidate": 0.05}}
    live, other = content["totals"]["live"], content["totals"]["candidate"]
    assert live["proposed"] == len(whole_firm.events(log, OrderProposed))
    refused = other["refusals"]["risk: position_weight"]
    assert (
        other["cleared"] + sum(other["refusals"].values()) - other["refusals"].get("execution: session", 0)
        == other["proposed"]
    )
    assert content["totals"]["differences"]["fate"] == told.count("risk: position_weight") - 1 == refused
    assert f"{len(found)} decisions compared" in told


def test_the_sums_are_those_of_the_orders(log: MemoryStore):
    found = shadowed(log, STAT_ARB)
    orders = [order for each in found for order in each.live.orders.values()]
    one = replace(orders[0], fate="risk: leverage", gates=("halt",))
    side = replace(found[0].live, orders={0: one, 1: orders[1]}, halt="losses")

    sums = totals([side])

    assert (sums.proposed, sums.cleared, sums.halts) == (2, 1, 1)
    assert sums.proposed_value == orders[0].value + orders[1].value
    assert sums.cleared_value == orders[1].value
    assert dict(sums.refusals)["risk: leverage"] == 1
    assert dict(sums.refusals)["execution: halt"] == 1
