"""Records the log that `tests/replay` keeps for the present schema: a few days of the sample, in one thread.

The broker's side gets into every trouble that it can tell of, and out of it again, so that the log holds what
the agents decide then. Run it again after a change of decisions that is on purpose:

python tools/record_replay_log.py tests/replay/schema_1.msgpack
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec

from firm.backtest import backtest
from firm.bus.gateway import CommandBatch, Page
from firm.config import Settings, load_settings
from firm.domain.session import NS_PER_SECOND
from firm.events import Event
from firm.events.broker import (
    BreakClass,
    BreakClosed,
    BreakFound,
    CircuitChanged,
    CircuitState,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
    LoginDue,
    Severity,
)
from firm.events.system import Reconciled
from firm.local_broker import LocalBroker
from firm.store.memory import MemoryStore
from firm.tape.tape import Tape

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"
QUICK = ["risk.var.scenarios=1920", "simulation.history_bars=260", "signals.stat_arb.pairs=[KO/PEP, CVX/RRC]"]
DAYS = 4
MINUTE = 60 * NS_PER_SECOND


class Troubled(LocalBroker):
    """The matching core with a story, told on the first page at or after each of its times (ns UTC)."""

    def __init__(self, tape: Tape, settings: Settings) -> None:
        super().__init__(tape, settings)
        self._ko = list(tape.symbols).index("KO")
        opens, before = tape.sessions.opens, [close - MINUTE for close in tape.sessions.closes]
        self._story = [
            (opens[0], self._gate(GateState.CLOSED, GateState.SYNCING, GateState.OPEN)),
            (opens[0], self._data(DataState.AWAITED, DataState.LIVE)),
            (before[0], self._data(DataState.LIVE, DataState.DELAYED, DataState.STALE)),
            (opens[1], self._data(DataState.STALE, DataState.LIVE)),
            (opens[1], self._circuit(CircuitState.CLOSED, CircuitState.OPEN)),
            (opens[1] + 60 * MINUTE, self._circuit(CircuitState.OPEN, CircuitState.HALF_OPEN)),
            (opens[1] + 90 * MINUTE, self._circuit(CircuitState.HALF_OPEN, CircuitState.CLOSED)),
            (before[2], self._gate(GateState.OPEN, GateState.DEGRADED, GateState.FROZEN)),
            (opens[3], self._gate(GateState.FROZEN, GateState.SYNCING, GateState.OPEN)),
            (opens[3], [LoginDue(opens[3] + 1440 * MINUTE, "log in at the gateway before SUN 01:00")]),
        ]
        self._disagreement = (before[1], opens[2])

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway."""
        page = super().turn(acked, batch, until)
        due = [event for at, events in self._story if at <= page.at for event in events]
        self._story = [(at, events) for at, events in self._story if at > page.at]
        return replace(page, inputs=(*due, *self._reconciled(page.at), *page.inputs))

    def _reconciled(self, at: int) -> Sequence[Event]:
        """One KO too many at the broker, from one time to another."""
        if not self._disagreement or at < self._disagreement[0]:
            return []
        self._disagreement = self._disagreement[1:]
        held = self.positions()
        if not self._disagreement:
            return [BreakClosed(BreakClass.POSITION, "KO"), Reconciled(tuple(held.items()), self.cash, ())]
        ours = held.get(self._ko, Decimal(0))
        text = f"KO: the broker holds {ours + 1}, the log adds up to {ours}"
        found = BreakFound(BreakClass.POSITION, Severity.CRITICAL, "KO", text)
        more = held | {self._ko: ours + 1}
        return [found, Reconciled(tuple(sorted(more.items())), self.cash, (text,))]

    def _gate(self, *states: GateState) -> list[Event]:
        return [GateChanged(*pair, "for the record") for pair in pairwise(states)]

    def _circuit(self, *states: CircuitState) -> list[Event]:
        return [CircuitChanged(*pair, "for the record") for pair in pairwise(states)]

    def _data(self, *states: DataState) -> list[Event]:
        return [DataStateChanged(self._ko, *pair, "for the record") for pair in pairwise(states)]


def main() -> None:
    """Run, and write the records as one MessagePack array."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    store = MemoryStore()
    backtest(load_settings(CONFIG, QUICK), store, None, DAYS, lambda _at: None, Troubled)
    arguments.target.write_bytes(msgspec.msgpack.encode(store.read()))
    print(f"{store.last_seq} entries, head {store.head.hex()}")


if __name__ == "__main__":
    main()
