"""One month of trading as a user has it: what it comes to, and that it can be proved and replayed."""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from firm_process import ROOT, Said, command, events, launched, records, summary

from firm.events import CODEC, encode
from firm.events.orders import OrderFilled, OrderProposed, OrderSubmitted
from firm.roster import agent_names
from firm.store.database import SCHEMA, Files, connect
from firm.store.keys import Keys, open_data_key
from firm.store.sqlite import SqliteStore

pytestmark = pytest.mark.process

DAYS = ("--days", "20")
KEYS_OF_THE_SUMMARY = {
    *("log_head", "events", "cycles", "signals", "orders_proposed", "orders_refused", "orders_sent", "fills"),
    *("final_equity", "realized_pnl", "max_drawdown", "var_99", "barrier_missing", "tick_to_order_ms"),
}


class Run(NamedTuple):
    """A run that is over."""

    directory: Path
    said: Said
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Run]]:
    """The same data lived twice: with two signal actors, and with one and the state agents in one process."""
    folder = tmp_path_factory.mktemp("whole")
    otherwise = ("--signal-replicas", "1", "--set", "cluster.co_seated=true")
    with launched(folder / "one", *DAYS) as one, launched(folder / "other", *DAYS, *otherwise) as other:
        ended = [(firm, firm.finish()) for firm in (one, other)]
        for firm, said in ended:
            assert said.code == 0, said
            firm.leave_nothing()
        first, second = (Run(firm.run_dir, said, summary(firm.run_dir)) for firm, said in ended)
        yield first, second


@pytest.fixture(scope="module")
def replayed_on_ray(both: tuple[Run, Run]) -> Iterator[Future[Said]]:
    """Begun as soon as there is a log; the other tests run meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(command, "replay", both[1].directory, "--runner", "ray", "--signal-replicas", "2")


@pytest.fixture
def run(both: tuple[Run, Run]) -> Run:
    return both[0]


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Path:
    """A copy of the run's directory, to be spoilt."""
    return Path(shutil.copytree(run.directory, tmp_path / "copy"))


@pytest.mark.usefixtures("replayed_on_ray")
def test_the_firm_has_thought_traded_and_refused(run: Run):
    found = run.summary

    assert found["decisions"] == 20
    assert set(found["signals_by_agent"]) == {"momentum", "stat_arb"}
    assert all(count > 0 for count in found["signals_by_agent"].values())
    assert found["orders_sent"] >= 20
    assert found["orders_sent_by_algo"]["twap"] > 0
    assert found["fills_buy"] > 0
    assert found["fills_sell"] > 0
    assert sum(found["orders_refused"].values()) >= 1


def test_the_risk_is_measured_and_nobody_missed_the_barrier(run: Run):
    assert run.summary["var_99"] > 0
    assert run.summary["risk_runs_failed"] == 0
    assert run.summary["barrier_missing"] == 0
    assert run.summary["tick_to_order_ms"]["p50"] <= run.summary["tick_to_order_ms"]["p99"]


def test_the_books_are_the_brokers(run: Run):
    assert run.summary["books_agree"]
    assert run.summary["breaks"] == []
    assert run.summary["positions"] == run.summary["positions_broker"] != {}


def test_the_summary_has_every_key_others_rely_on(run: Run):
    assert set(run.summary) >= KEYS_OF_THE_SUMMARY
    assert re.fullmatch("[0-9a-f]{64}", run.summary["log_head"])
    assert all(isinstance(count, int) for count in run.summary["orders_refused"].values())


def test_the_person_at_the_terminal_is_told_how_it_ended(run: Run):
    assert run.summary["log_head"][:16] in run.said.out
    assert "agree with the broker's" in run.said.out
    assert f"firm replay {run.directory}" in run.said.out
    assert "Traceback" not in run.said.err


def test_the_report_needs_nothing_but_itself(run: Run):
    report = (run.directory / "report.html").read_text()
    elsewhere = r"""(?:src|href)\s*=\s*["']?(?!#|data:)|@import|url\(|fetch\(|https?://(?!www\.w3)"""

    assert run.summary["log_head"] in report
    assert re.findall(elsewhere, report) == []


def test_the_same_data_give_the_same_log_however_the_firm_is_seated(both: tuple[Run, Run]):
    first, second = both

    assert first.summary["log_head"] == second.summary["log_head"]
    assert records(first.directory) == records(second.directory)


def test_the_log_is_proved(run: Run):
    said = command("verify", run.directory)

    assert said.code == 0, said
    assert f"{run.summary['events']:,} entries, head {run.summary['log_head']}" in said.out


def test_the_log_is_replayed_word_for_word(run: Run):
    assert_identical(command("replay", run.directory), run)


def assert_identical(said: Said, run: Run) -> None:
    assert said.code == 0, said
    assert f"identical: {run.summary['events']:,} entries, head {run.summary['log_head']}" in said.out


def cut_in_half(database: Path) -> None:
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])


def forget_the_tail(database: Path) -> None:
    """As whoever holds the store's key can, but not the signing key."""
    key = open_data_key(Files(database.parent).key, Keys.load().for_verifying())
    with contextlib.closing(connect(database, key, writable=True)) as db:
        triggers = [sql for sql in SCHEMA if sql.startswith("CREATE TRIGGER")]
        for sql in triggers:
            db.execute(f"DROP TRIGGER {sql.split()[2]}")
        db.execute("DELETE FROM entries WHERE seq > (SELECT max(seq) - 30 FROM entries)")
        for sql in triggers:
            db.execute(sql)


def edit_a_head(heads: Path) -> None:
    lines = heads.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"epoch":1', '"epoch":2')
    heads.write_text("".join(lines))


def forget_heads(heads: Path) -> None:
    heads.write_text("".join(heads.read_text().splitlines(keepends=True)[:-3]))


@pytest.mark.parametrize(
    ("file", "spoil", "found"),
    [
        ("events.db", forget_the_tail, "a head was signed at seq"),
        ("events.db", cut_in_half, "events.db"),
        ("heads.log", edit_a_head, "heads.log says of seq"),
        ("heads.log", forget_heads, "heads.log lacks 3 of"),
        ("events.key", lambda path: path.write_text("{}"), "is damaged"),
    ],
    ids=["tail cut off", "file cut in half", "head edited", "heads forgotten", "key damaged"],
)
def test_a_log_that_was_tampered_with_is_not_verified(
    copy: Path, file: str, spoil: Callable[[Path], None], found: str
):
    spoil(copy / file)

    said = command("verify", copy)

    assert said.code == 2, said
    assert found in said.err
    assert "Traceback" not in said.err


def test_a_log_in_which_an_agent_said_something_else_does_not_replay(run: Run, tmp_path: Path):
    forged = records(run.directory)
    number, proposed = next((i, r) for i, r in enumerate(forged) if r.kind == OrderProposed.KIND)
    event = CODEC.event(proposed)
    assert isinstance(event, OrderProposed)
    more = msgspec.structs.replace(event.order, quantity=event.order.quantity + 1)
    forged[number] = proposed._replace(payload=encode(msgspec.structs.replace(event, order=more)))
    with contextlib.closing(SqliteStore.open(tmp_path, Keys.load())) as store:
        store.commit(forged)

    said = command("replay", tmp_path)

    assert said.code == 1, said
    assert f"DIVERGED at seq {proposed.seq}\n" in said.out
    recorded, recomputed = said.out.split("DIVERGED")[1].splitlines()[1:3]
    assert recorded.strip().startswith("recorded")
    assert f"'{event.order.quantity + 1}'" in recorded
    assert recomputed.strip().startswith("recomputed")
    assert f"'{event.order.quantity}'" in recomputed


def test_the_files_of_the_log_cannot_be_read_without_the_key(run: Run):
    secrets = (b"AAPL/", b"stat_arb", b"position_var", b"gross_target")
    plain = b"".join(record.payload for record in records(run.directory))
    stored = b"".join(path.read_bytes() for path in run.directory.glob("events.*"))

    assert [word for word in secrets if word not in plain] == []
    assert [word for word in secrets if word in stored] == []


def test_a_report_can_be_written_again_from_the_log(run: Run, copy: Path):
    for name in ("summary.json", "report.html"):
        (copy / name).unlink()

    said = command("report", copy)

    assert said.code == 0, said
    assert summary(copy) == run.summary


def test_the_wiring_in_the_documentation_is_the_programs():
    said = command("graph")
    everybody = (*agent_names(), "signal agents", "risk run", "bus", "broker", "clock", "operator")

    assert said.code == 0
    assert [name for name in everybody if name not in said.out] == []
    assert (ROOT / "docs" / "wiring.md").read_text() == said.out


def test_an_order_is_in_the_log_before_any_of_its_fills(run: Run):
    intended = {seq for seq, _ in events(run.directory, OrderSubmitted)}
    fills = events(run.directory, OrderFilled)

    assert len(fills) == run.summary["fills"]
    assert all(fill.child_seq in intended and fill.child_seq < seq for seq, fill in fills)


def test_the_log_is_replayed_word_for_word_on_ray(both: tuple[Run, Run], replayed_on_ray: Future[Said]):
    assert_identical(replayed_on_ray.result(), both[1])
