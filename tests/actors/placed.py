"""Makes signal seats and runs risk tasks on a cluster with roles; prints as JSON on which nodes they were.

python placed.py ADDRESS
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import ray
import whole_firm
from ray.util.state import list_actors

from firm.actors import cluster
from firm.actors.signal_seat import SignalSeat
from firm.actors.staff import _actor
from firm.risk_kernels.fingerprint import array_fingerprint

SEATS = 4


def main() -> None:
    settings = whole_firm.settings(f"cluster.address={sys.argv[1]}")
    cluster.connect(settings.cluster)
    arguments = (settings.model_dump_json(), array_fingerprint())
    seats = [_actor(SignalSeat, f"signals-{i}", *arguments) for i in range(SEATS)]
    ray.get([seat.pid.remote() for seat in seats])
    where = ray.remote(num_cpus=1, resources=cluster.place("risk"))(
        lambda: ray.get_runtime_context().get_node_id()
    )
    found = {
        "roles": {node["NodeID"]: sorted(node["Resources"]) for node in ray.nodes()},
        "seats": [each.node_id for each in list_actors(sys.argv[1])],
        "risk": ray.get([where.remote() for _ in range(8)]),
        "risk_workers": cluster.risk_workers(settings.cluster),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    cluster.disconnect()


if __name__ == "__main__":
    main()
