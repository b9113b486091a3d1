"""A leader in a process of its own: it commits until killed, telling each seq once `commit` has returned."""

import random
import sys
from pathlib import Path

from copying import lead, records

from firm.store.keys import Keys


def main() -> None:
    directory, port, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    keys = Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))
    store = lead(directory, keys, port)
    chance = random.Random(seed)
    while True:
        first = store.last_seq + 1
        store.commit(records(first, first + chance.randrange(40)))
        print(store.last_seq, flush=True)


if __name__ == "__main__":
    main()
