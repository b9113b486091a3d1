"""Records the log that `tests/replay` keeps for the present schema: a few days of the sample, in one thread.

python tools/record_replay_log.py tests/replay/schema_1.msgpack
"""

import argparse
from pathlib import Path

import msgspec

from firm.backtest import backtest
from firm.config import load_settings
from firm.store.memory import MemoryStore

CONFIG = Path(__file__).parent.parent / "config" / "paper.yaml"
QUICK = ["risk.var.scenarios=1920", "simulation.history_bars=260", "signals.stat_arb.pairs=[KO/PEP, CVX/RRC]"]


def main() -> None:
    """Run, and write the records as one MessagePack array."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    store = MemoryStore()
    backtest(load_settings(CONFIG, QUICK), store, None, 4, lambda _at: None)
    arguments.target.write_bytes(msgspec.msgpack.encode(store.read()))
    print(f"{store.last_seq} entries, head {store.head.hex()}")


if __name__ == "__main__":
    main()
