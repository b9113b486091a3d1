"""Makes all actors of the firm, and prints as JSON what Ray shows of them; the logs lie in `session`.

python handed_over.py RUN_DIR
"""

import firm  # noqa: F401 - first: it pins the numeric environment before numpy is imported

# isort: split
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import ray
import whole_firm
from ray.util.state import get_actor, list_actors, list_jobs, list_workers

from firm.actors import cluster
from firm.actors.plan import GatewayAddress, RunPlan
from firm.actors.staff import create_actors
from firm.bus.schedule import decision_times
from firm.events.scheduled import SessionsLoaded


def main() -> None:
    settings = whole_firm.settings("cluster.num_cpus=1", "cluster.dashboard=true")
    tape = whole_firm.sample(1)
    sessions = SessionsLoaded(tape.sessions, decision_times(tape.sessions, settings.schedule.decide))
    gateway = GatewayAddress("127.0.0.1", 1, None, None)
    started = whole_firm.started(settings, tape)
    plan = RunPlan(sys.argv[1], settings.model_dump_json(), gateway, tape.symbols, started, sessions)
    cluster.connect(settings.cluster)
    actors = create_actors(plan)
    ray.get([actor.pid.remote() for actor in actors.values()])
    here = ray.get_runtime_context().gcs_address  # there may be other Rays on this machine
    shown = {
        "actors": [repr(get_actor(each.actor_id, here)) for each in list_actors(here, detail=True)],
        "jobs": [repr(each) for each in list_jobs(here, detail=True)],
        "workers": [repr(each) for each in list_workers(here, detail=True)],
        "runtime_env": ray.get_runtime_context().get_runtime_env_string(),
        "processes": subprocess.check_output(["ps", "-eo", "args"], text=True),
        "session": ray._private.worker._global_node.get_session_dir_path(),
    }
    sys.stdout.write(json.dumps(shown) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()  # the other side looks at the session's files first
    cluster.disconnect()


if __name__ == "__main__":
    main()
