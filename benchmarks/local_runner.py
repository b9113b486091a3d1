"""The whole firm in one thread: entries and decision cycles per second, beside what they are made of.

python benchmarks/local_runner.py [--days 60] [--repeats 3] [--json FILE]
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from firm.bus.chain import GENESIS, extend
from firm.bus.driver import Driver
from firm.bus.replay import replay
from firm.bus.schedule import decision_times
from firm.config import Settings, load_settings
from firm.events import CODEC, encode
from firm.events.scheduled import SessionsLoaded
from firm.events.system import BrokerConnected, CycleKind, CycleOpened, RunStarted
from firm.local import LocalCrew, NoOperator
from firm.local_broker import LocalBroker
from firm.risk_kernels.montecarlo import warm_up
from firm.roster import rules
from firm.store.memory import MemoryStore
from firm.tape.load import load_tape
from firm.tape.tape import Tape

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"


def play(settings: Settings, tape: Tape) -> tuple[MemoryStore, float]:
    """One run to the end of the data: its log, and the seconds it took after the start."""
    store = MemoryStore()
    driver = Driver(rules(settings), LocalCrew(settings), store, LocalBroker(tape, settings), NoOperator())
    sessions = SessionsLoaded(tape.sessions, decision_times(tape.sessions, settings.schedule.decide))
    driver.start(RunStarted(1, "benchmark", settings.logged(), "", tape.label), lambda: sessions)
    began = time.perf_counter()
    while driver.step():
        pass
    return store, time.perf_counter() - began


def measure(days: int, repeats: int) -> dict[str, float]:
    """Medians over the repeats."""
    settings = load_settings(CONFIG)
    bare = load_settings(CONFIG, ["risk.var.scenarios=192"])
    tape = load_tape(None, days)
    warm_up()
    play(settings, load_tape(None, 2))
    runs = [play(settings, tape) for _ in range(repeats)]
    lean = [play(bare, tape)[1] for _ in range(repeats)]
    store = runs[0][0]
    records = store.read()
    decisions = sum(
        CODEC.event(r).kind is CycleKind.DECISION
        for r in records
        if r.kind == CycleOpened.KIND  # type: ignore[attr-defined]
    )
    began = time.perf_counter()
    for record in records:
        encode(CODEC.event(record))
    codec_s = time.perf_counter() - began
    began = time.perf_counter()
    extend(GENESIS, records)
    chain_s = time.perf_counter() - began
    began = time.perf_counter()
    replay(store, rules(settings), LocalCrew(settings))
    replay_s = time.perf_counter() - began
    seconds = statistics.median(s for _, s in runs)
    assert any(r.kind == BrokerConnected.KIND for r in records)
    return {
        "days": days,
        "entries": len(records),
        "decisions": decisions,
        "entries_per_second": len(records) / seconds,
        "decisions_per_second": decisions / seconds,
        "entries_per_second_without_monte_carlo": len(records) / statistics.median(lean),
        "replay_entries_per_second": len(records) / replay_s,
        "share_of_codec": codec_s / seconds,
        "share_of_hash_chain": chain_s / seconds,
        "share_of_monte_carlo": 1 - statistics.median(lean) / seconds,
    }


def main() -> None:
    """Print the table; write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    figures = measure(arguments.days, arguments.repeats)
    for name, value in figures.items():
        print(f"{name:>42}  {value:12,.3f}" if value < 10 else f"{name:>42}  {value:12,.0f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
