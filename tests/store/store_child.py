"""Another process with the store: it commits until killed, telling each durable seq, or holds the lock."""

import random
import sys
from pathlib import Path

from store_attack import records

from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore


def main() -> None:
    directory, what, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    keys = Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))
    store = SqliteStore.open(directory, keys, heads_every=16)
    print(store.last_seq, flush=True)
    if what == "hold":
        sys.stdin.read()
        return
    batch = random.Random(seed)
    while True:
        first = store.last_seq + 1
        store.commit(records(first, first + batch.randrange(1, 40)))
        print(store.last_seq, flush=True)


if __name__ == "__main__":
    main()
