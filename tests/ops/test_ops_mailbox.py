import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from firm.bus.gateway import OperatorGateway
from firm.bus.halt import HaltLatch
from firm.errors import FirmError
from firm.events import Event, Origin, Record, encode
from firm.events.external import ExternalEvent, Topic
from firm.events.system import (
    EntrySkipped,
    OperatorHaltRequested,
    OperatorRearmRequested,
    ShutdownRequested,
    TradingHalted,
)
from firm.ops import latch as latch_files
from firm.ops.latch import LATCH, Latch, latch_fact, read_latch, write_latch
from firm.ops.mailbox import Mailbox
from firm.ops.wishes import (
    DATABASE,
    next_number,
    request_kill,
    request_rearm,
    request_skip,
    request_stop,
    tell,
)
from firm.store.database import Files

Start = Callable[[], Mailbox]


class Firm:
    """The bus's part: answers wishes with the real halt latch of the log, and commits before `done`."""

    def __init__(self, mailbox: Mailbox, halt: HaltLatch | None = None) -> None:
        self.mailbox, self.halt = mailbox, halt or HaltLatch()

    def hear(self, *events: Event) -> None:
        for event in events:
            if event.KIND in HaltLatch.REQUESTS:
                said = self.halt.answer(
                    Record(1, 1, Origin.INPUT, "operator", 0, 0, event.KIND, encode(event))
                )
                if said is not None:
                    self.halt.note(Record(2, 1, Origin.DERIVED, "bus", 1, 0, said.KIND, encode(said)))

    def turn(self) -> list[Event]:
        events = self.mailbox.take(self.halt.reason)
        self.hear(*events)
        if events:
            self.mailbox.done(self.halt.reason)
        return events


def refused(run_dir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (run_dir / "operator" / "refused").glob("*.reason.txt")}


def halted_by_risk(firm: Firm, reason: str = "risk: drawdown") -> None:
    event = TradingHalted(reason)
    firm.halt.note(Record(3, 1, Origin.DERIVED, "bus", 1, 0, event.KIND, encode(event)))


def test_the_mailbox_is_an_operator_gateway_and_knows_the_name_of_the_log(run_dir: Path, start: Start):
    gateway: OperatorGateway = start()

    assert gateway.take(None) == []
    assert Files(run_dir).database.name == DATABASE


def test_a_kill_is_a_file_first_and_a_halt_in_the_log_after(run_dir: Path, start: Start):
    latch = request_kill(run_dir, "prices look wrong")

    assert read_latch(run_dir) == latch
    assert latch_fact(run_dir) == "prices look wrong"
    firm = Firm(start())
    assert firm.turn() == [OperatorHaltRequested("prices look wrong")]
    assert firm.halt.reason == "operator: prices look wrong"
    assert firm.turn() == []
    assert read_latch(run_dir) == latch


def test_a_kill_needs_no_firm_and_no_reason_but_a_run(run_dir: Path, tmp_path: Path):
    assert request_kill(run_dir, "  ").reason == "no reason given"
    assert request_kill(run_dir, "broken \udcff text").reason == "broken ? text"
    with pytest.raises(FirmError, match=r"directory of a run \(with events.db in it\), found no directory"):
        request_kill(tmp_path / "typo", "stop")
    (tmp_path / "other").mkdir()
    with pytest.raises(FirmError, match="an empty or other directory"):
        request_stop(tmp_path / "other", "stop")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_kill_that_cannot_be_written_says_that_trading_is_not_halted(run_dir: Path):
    (run_dir / LATCH).mkdir()

    with pytest.raises(FirmError, match="trading is NOT halted"):
        request_kill(run_dir, "stop")


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_a_rearm_and_a_skip_need_a_named_person_and_a_reason(run_dir: Path, name: str):
    for asked in (
        lambda: request_rearm(run_dir, name, "checked"),
        lambda: request_rearm(run_dir, "Ann Lee", name),
        lambda: request_skip(run_dir, "cio", 12, name, "poison"),
        lambda: request_skip(run_dir, "cio", 0, "Ann Lee", "poison"),
        lambda: request_stop(run_dir, name),
    ):
        with pytest.raises(FirmError, match="needs a reason"):
            asked()
    assert not (run_dir / "operator").exists()


def test_a_rearm_ends_the_halt_and_takes_the_latch_away(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "drill")
    firm.turn()
    request_rearm(run_dir, "Ann Lee", "drill over")

    assert firm.turn() == [OperatorRearmRequested("Ann Lee", "drill over")]
    assert firm.halt.reason is None
    assert read_latch(run_dir) is None
    assert firm.turn() == []


def test_a_kill_and_a_rearm_that_wait_together_are_both_logged_in_order(run_dir: Path, start: Start):
    request_kill(run_dir, "drill")
    request_rearm(run_dir, "Ann Lee", "drill over")
    firm = Firm(start())

    assert firm.turn() == [OperatorHaltRequested("drill"), OperatorRearmRequested("Ann Lee", "drill over")]
    assert firm.halt.reason is None
    assert read_latch(run_dir) is None


def test_a_rearm_followed_by_a_kill_stays_killed(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "first")
    firm.turn()
    asked = request_rearm(run_dir, "Ann Lee", "all well")
    request_kill(run_dir, "second")

    assert firm.turn() == []
    assert firm.halt.reason == "operator: first"
    assert latch_fact(run_dir) == "second"
    assert refused(run_dir) == {
        f"{asked.name}.reason.txt": "void: trading was halted after it was asked for (second)\n"
    }


def test_a_kill_while_the_rearm_is_being_committed_stays(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "first")
    firm.turn()
    request_rearm(run_dir, "Ann Lee", "all well")
    firm.hear(*firm.mailbox.take(firm.halt.reason))
    assert firm.halt.reason is None
    second = request_kill(run_dir, "second")
    firm.mailbox.done(firm.halt.reason)

    assert read_latch(run_dir) == second
    assert firm.turn() == [OperatorHaltRequested("second")]
    assert firm.halt.reason == "operator: second"


def test_a_halt_by_risk_puts_the_latch_in_place_and_a_rearm_removes_it(run_dir: Path, start: Start):
    firm = Firm(start())
    firm.mailbox.take(None)
    halted_by_risk(firm)
    firm.mailbox.done(firm.halt.reason)

    latch = read_latch(run_dir)
    assert latch is not None
    assert (latch.reason, latch.by) == ("risk: drawdown", "firm")
    request_rearm(run_dir, "Ann Lee", "limit understood")
    firm.turn()
    assert firm.halt.reason is None
    assert read_latch(run_dir) is None


def test_a_rearm_from_before_a_halt_by_risk_is_void(run_dir: Path, start: Start):
    firm = Firm(start())
    firm.mailbox.take(None)
    request_rearm(run_dir, "Ann Lee", "just in case")
    halted_by_risk(firm)
    firm.mailbox.done(firm.halt.reason)

    assert firm.turn() == []
    assert firm.halt.reason == "risk: drawdown"
    assert len(refused(run_dir)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"reason": 1}', b"x" * 70_000, b'{"wish": "rearm"}']
)
def test_a_latch_that_cannot_be_read_halts_and_can_be_released(run_dir: Path, start: Start, content: bytes):
    (run_dir / LATCH).write_bytes(content)
    firm = Firm(start())

    (halt,) = firm.turn()
    assert isinstance(halt, OperatorHaltRequested)
    assert halt.reason.startswith("the latch file cannot be read")
    assert firm.turn() == []
    request_rearm(run_dir, "Ann Lee", "repaired")
    firm.turn()
    assert firm.halt.reason is None
    assert read_latch(run_dir) is None


def test_wishes_become_events_in_the_order_they_were_asked(run_dir: Path, start: Start):
    tell(run_dir, "restrict", "KO", "insider list", "compliance desk")
    request_skip(run_dir, "cio", 812, "Ann Lee", "cannot digest it")
    tell(run_dir, Topic.NEWS, "", "the Fed meets", "wire")
    request_stop(run_dir, "end of day")
    mailbox = start()

    assert mailbox.take(None) == [
        ExternalEvent(Topic.RESTRICT, "KO", "insider list", "compliance desk"),
        EntrySkipped("cio", 812, "Ann Lee", "cannot digest it"),
        ExternalEvent(Topic.NEWS, "", "the Fed meets", "wire"),
        ShutdownRequested("end of day"),
    ]
    mailbox.done(None)
    assert mailbox.take(None) == []


def test_a_fact_needs_a_known_topic_and_a_restriction_a_symbol(run_dir: Path):
    with pytest.raises(FirmError, match=r"news, restrict, unrestrict, found 'gossip'"):
        tell(run_dir, "gossip", "KO", "", "wire")
    with pytest.raises(FirmError, match="topic restrict needs the symbol"):
        tell(run_dir, "restrict", " ", "", "wire")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("00000000000000000001-0123abcd.json", b"not json"),
        ("00000000000000000001-0123abcd.json", b'{"wish":"dance"}'),
        ("00000000000000000001-0123abcd.json", b'{"wish":"rearm","by":"Ann","reason":""}'),
        ("00000000000000000001-0123abcd.json", b'{"wish":"rearm","by":"Ann","reason":"x","more":1}'),
        (
            "00000000000000000001-0123abcd.json",
            b'{"wish":"skip","agent":"cio","seq":-1,"by":"A","reason":"x"}',
        ),
        ("00000000000000000001-0123abcd.json", b"[" * 100_000),
        ("rearm.json", b'{"wish":"rearm","by":"Ann","reason":"x"}'),
    ],
)
def test_a_malformed_wish_is_put_aside_with_a_reason_and_the_others_are_taken(
    run_dir: Path, start: Start, name: str, content: bytes
):
    mailbox = start()
    (run_dir / "operator" / name).write_bytes(content)
    request_stop(run_dir, "enough")

    assert mailbox.take(None) == [ShutdownRequested("enough")]
    assert (run_dir / "operator" / "refused" / name).read_bytes() == content
    assert list(refused(run_dir)) == [f"{name}.reason.txt"]


def test_a_pipe_and_a_directory_in_the_mailbox_do_not_stop_the_firm(run_dir: Path, start: Start):
    mailbox = start()
    os.mkfifo(run_dir / "operator" / "00000000000000000001-0123abcd.json")
    (run_dir / "operator" / "00000000000000000002-0123abcd.json").mkdir()

    assert mailbox.take(None) == []
    assert len(refused(run_dir)) == 2


def test_a_mailbox_that_is_gone_halts_the_firm(run_dir: Path, start: Start):
    mailbox = start()
    (run_dir / "operator" / "refused").rmdir()
    (run_dir / "operator").rmdir()

    (halt,) = mailbox.take(None)
    assert isinstance(halt, OperatorHaltRequested)
    assert halt.reason.startswith("the operator's mailbox cannot be used")
    assert mailbox.take("operator: mailbox") == []


def test_a_mailbox_cannot_be_made_where_there_is_no_directory(tmp_path: Path):
    with pytest.raises(FirmError, match="nobody could stop the firm"):
        Mailbox(tmp_path / "nowhere" / "run")


def test_what_was_taken_but_not_committed_is_taken_again_after_a_crash(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "drill")
    firm.turn()
    request_rearm(run_dir, "Ann Lee", "drill over")
    tell(run_dir, "restrict", "KO", "list", "desk")
    taken = firm.mailbox.take(firm.halt.reason)

    again = Firm(start(), firm.halt)
    again.mailbox.done(again.halt.reason)  # the last cycle is lived again before anything is asked
    assert again.turn() == taken
    assert again.halt.reason is None
    assert read_latch(run_dir) is None


def test_a_rearm_committed_before_a_crash_does_not_release_a_later_halt(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "drill")
    firm.turn()
    request_rearm(run_dir, "Ann Lee", "drill over")
    firm.hear(*firm.mailbox.take(firm.halt.reason))  # committed; the firm dies before `done`

    again = Firm(start(), firm.halt)
    halted_by_risk(again)  # in the first cycle after the restart
    again.mailbox.done(again.halt.reason)
    assert again.turn() == []
    assert again.halt.reason == "risk: drawdown"
    assert latch_fact(run_dir) == "risk: drawdown"
    assert len(refused(run_dir)) == 1


def test_a_rearm_committed_before_a_crash_leaves_a_trading_firm(run_dir: Path, start: Start):
    firm = Firm(start())
    request_kill(run_dir, "drill")
    firm.turn()
    request_rearm(run_dir, "Ann Lee", "drill over")
    firm.hear(*firm.mailbox.take(firm.halt.reason))

    again = Firm(start(), firm.halt)
    again.mailbox.done(None)
    again.turn()
    assert again.halt.reason is None
    assert read_latch(run_dir) is None


def test_a_rearm_asked_while_the_firm_is_down_is_honoured_at_its_start(run_dir: Path, start: Start):
    firm = Firm(start())
    halted_by_risk(firm)
    firm.mailbox.done(firm.halt.reason)
    request_kill(run_dir, "on top")
    request_rearm(run_dir, "Ann Lee", "both understood")

    again = Firm(start(), firm.halt)
    again.mailbox.done(again.halt.reason)
    assert again.turn() == [OperatorRearmRequested("Ann Lee", "both understood")]
    assert read_latch(run_dir) is None


def test_a_crash_while_the_latch_is_being_released_halts_again(run_dir: Path, start: Start):
    kill = request_kill(run_dir, "drill")
    (run_dir / LATCH).rename(run_dir / latch_files._ASIDE)

    firm = Firm(start())
    assert read_latch(run_dir) == kill
    assert firm.turn() == [OperatorHaltRequested("drill")]


def test_a_newer_kill_wins_over_a_latch_left_aside(run_dir: Path, start: Start):
    request_kill(run_dir, "old")
    (run_dir / LATCH).rename(run_dir / latch_files._ASIDE)
    request_kill(run_dir, "new")

    start()
    assert latch_fact(run_dir) == "new"
    assert not (run_dir / latch_files._ASIDE).exists()


def test_numbers_rise_even_when_the_clock_goes_back(run_dir: Path, start: Start):
    start()
    far = 4_000_000_000 * 10**9
    write_latch(run_dir, Latch("drill", "Ann", far, far))
    asked = request_rearm(run_dir, "Ann Lee", "over")

    assert next_number(run_dir) == far + 2
    assert asked.name.startswith(f"{far + 1:020d}-")
    firm = Firm(start())
    assert len(firm.turn()) == 2
    assert firm.halt.reason is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_asked_the_latch_and_the_log_agree_and_the_last_word_counts(
    run_dir: Path, start: Start, seed: int
):
    print("seed", seed)
    chance, firm = random.Random(seed), Firm(start())
    killed = False
    for _ in range(60):
        match chance.choice(("kill", "rearm", "turn", "turn", "crash", "risk")):
            case "kill":
                request_kill(run_dir, f"kill {chance.random()}")
                killed = True
            case "rearm":
                request_rearm(run_dir, "Ann Lee", "checked")
                killed = False
            case "turn":
                firm.turn()
            case "crash":
                firm.hear(*(firm.mailbox.take(firm.halt.reason) if chance.random() < 0.5 else ()))
                firm = Firm(start(), firm.halt)
                firm.mailbox.done(firm.halt.reason)
            case "risk" if firm.halt.reason is None:
                firm.hear(*firm.mailbox.take(None))
                halted_by_risk(firm, f"risk: {chance.random()}")
                firm.mailbox.done(firm.halt.reason)
                killed = True
        if killed:
            assert read_latch(run_dir) is not None
    for _ in range(3):
        firm.turn()
    assert (firm.halt.reason is not None) == (read_latch(run_dir) is not None)
    assert not killed or firm.halt.reason is not None


def test_kills_from_many_hands_while_the_firm_rearms_are_never_lost(run_dir: Path, start: Start):
    firm = Firm(start())

    def rearm() -> None:
        for _ in range(40):
            request_rearm(run_dir, "Ann Lee", "again")

    hands = [threading.Thread(target=rearm) for _ in range(2)]
    for hand in hands:
        hand.start()
    for n in range(40):
        request_kill(run_dir, f"kill {n}")
        firm.turn()
    for hand in hands:
        hand.join()
    last = request_kill(run_dir, "the last word")
    for _ in range(3):
        firm.turn()
    assert firm.halt.reason is not None
    assert read_latch(run_dir) == last
    assert list((run_dir / "operator").glob("*.json")) == []
