"""Runs risk runs on a cluster whose object store is too small for all of it; prints what came of it as JSON.

python small_store.py ADDRESS FOLDER      (FOLDER: where the nodes keep their files)
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import json
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import ray
import whole_firm
from msgspec.structs import replace

from firm.actors import cluster
from firm.actors.host import _fetch
from firm.actors.risk_tasks import RiskRun
from firm.bus.crew import RiskAsk
from firm.events import CODEC, encode
from firm.events.risk import RiskRunRequested
from firm.events.system import InstrumentsResolved
from firm.local import LocalCrew
from firm.risk.cube import KeptCubes
from firm.risk_kernels.fingerprint import numeric_fingerprint

SCENARIOS = 19_200 * 50
"""The cube of 20 shares: 154 MB."""


def asked() -> tuple[RiskAsk, RiskRunRequested]:
    """The last risk request of a few days, with more scenarios."""
    config = whole_firm.settings("risk.var.scenarios=19200")
    log = whole_firm.run(config, whole_firm.sample(3))
    (universe,) = log.read(kinds={InstrumentsResolved.KIND})
    record = log.read(kinds={RiskRunRequested.KIND})[-1]
    resolved, request = CODEC.event(universe), CODEC.event(record)
    assert isinstance(resolved, InstrumentsResolved)
    assert isinstance(request, RiskRunRequested)
    larger = replace(request, scenarios=SCENARIOS)
    return RiskAsk(record._replace(payload=encode(larger)), resolved.instruments, 120_000), larger


def bits(parts: Any) -> str:
    """Of a cube, whoever holds its parts."""
    digest = sha256()
    for row in range(parts[0].shape[0]):
        for part in parts:
            digest.update(np.ascontiguousarray(part[row]))
    return digest.hexdigest()


def main() -> None:
    settings = whole_firm.settings(
        f"risk.var.scenarios={SCENARIOS}", f"cluster.address={sys.argv[1]}", "risk.cube_bytes_max=1000000000"
    )
    cluster.connect(settings.cluster)
    store = int(ray.cluster_resources()["object_store_memory"])
    ask, request = asked()
    alone = LocalCrew(settings).risk_run(ask)
    plain = bits(KeptCubes().columns(request))
    others = [ray.put(np.full(20 * 2**20, number, np.uint8)) for number in range(3 * store // (20 * 2**20))]
    spilled = [path for path in Path(sys.argv[2]).rglob("ray_spilled_objects*/*") if path.is_file()]
    runs = []
    for _ in range(3):
        started = RiskRun(ask, settings, 4, numeric_fingerprint())
        outcome = started.collect()
        more = [ray.put(np.full(20 * 2**20, 7, np.uint8)) for _ in range(store // (20 * 2**20))]
        cubes = KeptCubes()
        cubes.keep(started.request, partial(_fetch, started.cube))
        kept = sum(part.nbytes for part in _fetch(started.cube))
        runs.append({"same": outcome == alone, "cube": bits(cubes.columns(request)) == plain, "kept": kept})
        del more
    found = {
        "store": store,
        "runs": runs,
        "spilled": len(spilled),
        "others": [int(ray.get(each)[-1]) for each in others],
    }
    sys.stdout.write(json.dumps(found) + "\n")
    cluster.disconnect()


if __name__ == "__main__":
    main()
