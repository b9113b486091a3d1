"""What a bus finds that is started anew while no node for signals or risk is there; prints it as JSON.

python left_alone.py ADDRESS
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import whole_firm

from firm.actors import cluster
from firm.actors.risk_tasks import warm_workers


def main() -> None:
    settings = whole_firm.settings(f"cluster.address={sys.argv[1]}")
    cluster.connect(settings.cluster)
    workers = cluster.risk_workers(settings.cluster)
    warm_workers(workers, "not computed: nobody is there to compare it with")
    found = {
        "places": {"signals": cluster.place("signals"), "risk": cluster.place("risk")},
        "risk_workers": workers,
        "configured": settings.cluster.num_cpus,
        "warmed": True,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    cluster.disconnect()


if __name__ == "__main__":
    main()
