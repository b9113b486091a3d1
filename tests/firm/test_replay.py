"""Replay finds every decision that changed, at the very entry where it changed, and nothing else."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import pytest
import stage
import whole_firm
from msgspec.structs import replace as changed
from stage import BASE, TAPE, ChangedCrew, handled, play

from firm.bus.log import describe
from firm.bus.replay import Replayed, replay
from firm.errors import ReplayDiverged
from firm.events import CODEC, Origin, Record, encode
from firm.events.orders import OrderSubmitted
from firm.events.risk import BookMarked, RiskRunCompleted
from firm.local import LocalCrew
from firm.roster import rules
from firm.store.memory import MemoryStore

PAIRS = (
    "{pairs: [KO/PEP, CVX/XOM], lookback_bars: 252, adf_lags: 1, adf_critical: -0.1, entry_z: 0.1, full_z: 2}"
)
STAT_ARB = (f"signals.stat_arb={PAIRS}", "cio.weights={momentum: 1.0, stat_arb: 1.0}")
FIRM = (*BASE, *STAT_ARB)


class Journal(MemoryStore):
    """A store that remembers where its commits ended."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []

    def commit(self, records: Sequence[Record]) -> bytes:
        self.commits.append(len(records))
        return super().commit(records)


@pytest.fixture(scope="module")
def log() -> Journal:
    journal = Journal()
    play(*STAT_ARB, store=journal)
    return journal


def stored(records: Sequence[Record]) -> MemoryStore:
    store = MemoryStore()
    store.commit(records)
    return store


def renumbered(records: Sequence[Record]) -> MemoryStore:
    return stored([record._replace(seq=seq) for seq, record in enumerate(records, 1)])


def replayed(store: MemoryStore, *overrides: str, crew: LocalCrew | None = None) -> Replayed:
    config = whole_firm.settings(*FIRM, *overrides)
    return replay(store, rules(config), crew or LocalCrew(config))


def test_a_replay_is_identical_and_counts_what_each_agent_said(log: Journal):
    outcome = replayed(log)
    counts: dict[str, int] = {}
    for record in log.read():
        if record.origin == Origin.DERIVED:
            counts[record.author] = counts.get(record.author, 0) + 1

    assert (outcome.entries, outcome.head) == (log.last_seq, log.head)
    assert outcome.recorded == outcome.recomputed == counts
    assert {"bookkeeper", "risk", "risk_run", "cio", "compliance", "execution", "momentum"} <= set(counts)
    assert counts["stat_arb"] == 2 * len(whole_firm.events(log, BookMarked))
    assert counts["execution"] > 30


@pytest.mark.parametrize(
    ("author", "override"),
    [
        ("momentum", "signals.momentum.lookback_bars=127"),
        ("stat_arb", "signals.stat_arb.entry_z=0.3"),
        ("cio", "cio.max_weight=0.11"),
        ("cio", "cio.weights={momentum: 1.0, stat_arb: 2.0}"),
        ("risk", "risk.max_position_weight=0.05"),
        ("risk", "risk.var.degrees_of_freedom=8"),
        ("risk", "risk.var.seed=20260102"),
        ("risk", "risk.var.scenarios=3840"),
        ("compliance", "compliance.price_collar=0.11"),
        ("execution", "execution.max_slippage_bps=24"),
    ],
)
def test_a_changed_parameter_is_found_at_the_first_entry_it_changes(log: Journal, author: str, override: str):
    other = play(*STAT_ARB, override)
    seq = stage.differing(log.read(), other.read())
    recorded, recomputed = (store.read(since=seq - 1, limit=1)[0] for store in (log, other))

    with pytest.raises(ReplayDiverged) as diverged:
        replayed(log, override)

    assert recorded.author == author
    assert diverged.value.seq == seq
    assert describe(recorded) in str(diverged.value)
    assert describe(recomputed) in str(diverged.value)


def tamper(log: MemoryStore, choose: Callable[[Record], bool], **fields: object) -> tuple[int, MemoryStore]:
    """The log with the last chosen entry's event changed, as someone who can rewrite the store might."""
    records = log.read()
    seq = max(record.seq for record in records if choose(record))
    record = records[seq - 1]
    records[seq - 1] = record._replace(payload=encode(changed(CODEC.event(record), **fields)))
    return seq, stored(records)


@pytest.mark.parametrize(
    ("author", "cls", "fields"),
    [
        ("bookkeeper", BookMarked, {"commissions": 0}),
        ("risk_run", RiskRunCompleted, {"var": 1.5}),
        ("execution", OrderSubmitted, {"algo": "market"}),
    ],
)
def test_a_tampered_word_of_an_agent_is_found(
    log: Journal, author: str, cls: type, fields: dict[str, object]
):
    seq, tampered = tamper(log, lambda r: r.author == author and r.kind == cls.KIND, **fields)

    with pytest.raises(ReplayDiverged) as diverged:
        replayed(tampered)

    assert diverged.value.seq == seq
    assert describe(tampered.read(since=seq - 1, limit=1)[0]) in str(diverged.value)
    assert describe(log.read(since=seq - 1, limit=1)[0]) in str(diverged.value)


def test_the_recorded_risk_run_is_taken_where_it_is_not_to_be_recomputed(log: Journal):
    config = whole_firm.settings(*FIRM)
    crew = ChangedCrew(config)

    outcome = replay(log, rules(config, recompute_risk=False), crew)

    assert outcome.head == log.head
    assert crew.risk_asked == []


def test_a_log_cut_at_any_commit_replays_as_far_as_it_goes(log: Journal):
    edges = list(accumulate(log.commits))
    assert len(edges) > 50
    cycles = [end for end in edges[:-1] if log.read(since=end, limit=1)[0].author != "bus"]
    assert cycles, "some commits end within a cycle"

    for end in edges:
        cut = stored(log.read(limit=end))

        outcome = replayed(cut)

        assert (outcome.entries, outcome.head) == (end, cut.head)
        assert outcome.recorded == outcome.recomputed


def derived(log: MemoryStore) -> list[int]:
    return [record.seq for record in log.read() if record.origin == Origin.DERIVED]


@pytest.mark.parametrize("place", [0.02, 0.2, 0.5, 0.8, 1.0])
def test_a_missing_an_extra_and_a_reordered_entry_are_found_where_they_are(log: Journal, place: float):
    seqs = derived(log)
    seq = seqs[round(place * (len(seqs) - 1))]
    records = log.read()
    record, before = records[seq - 1], records[seq - 2]
    missing = renumbered(records[: seq - 1] + records[seq:])
    doubled = renumbered([*records[:seq], record, *records[seq:]])
    swapped = renumbered([*records[: seq - 2], record, before, *records[seq:]])

    for broken, at in ((missing, seq), (doubled, seq + 1), (swapped, seq - 1)):
        with pytest.raises((ReplayDiverged, AssertionError)) as diverged:
            replayed(broken)
        assert isinstance(diverged.value, ReplayDiverged)
        assert diverged.value.seq == at


def test_what_stands_after_the_last_cycle_has_ended_is_found(log: Journal):
    records = log.read()
    extra = records[derived(log)[-1] - 1]._replace(seq=log.last_seq + 1)

    with pytest.raises(ReplayDiverged, match=f"seq {log.last_seq + 1}: .*the run had ended"):
        replayed(stored([*records, extra]))


@pytest.mark.parametrize("agent", ["bookkeeper", "risk", "cio", "compliance", "execution"])
def test_an_agent_that_recomputes_nothing_is_found(log: Journal, agent: str):
    crew = ChangedCrew(
        whole_firm.settings(*FIRM), {agent: lambda cls: handled(cls, lambda _self, _entry: [])}
    )
    first = min(record.seq for record in log.read() if record.author == agent)

    with pytest.raises(ReplayDiverged) as diverged:
        replayed(log, crew=crew)

    assert diverged.value.seq == first


def test_the_tape_is_not_needed_to_replay(log: Journal):
    assert replayed(stored(log.read())).head == log.head
    assert TAPE.label in log.read(limit=1)[0].payload.decode("utf-8", "replace")
