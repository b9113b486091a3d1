"""Signal seats are spread over the nodes with the role `signals`, risk tasks run where the role is `risk`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.nodes import LoopbackNodes, Node

pytestmark = [pytest.mark.ray, pytest.mark.process]

NODES = (Node(cpus=1), Node(1, {"signals": 1}), Node(1, {"signals": 1, "risk": 1}), Node(3, {"risk": 1}))


def test_seats_and_tasks_are_where_their_roles_are():
    script = Path(__file__).with_name("placed.py")
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        LoopbackNodes(NODES, Path(folder)) as nodes,
    ):
        done = subprocess.run(
            [sys.executable, str(script), nodes.address],
            env=os.environ | nodes.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    roles = found["roles"]
    assert len(roles) == len(NODES)
    assert len(found["seats"]) == 4
    assert len(set(found["seats"])) == 2, "the seats are all on one of the two nodes"
    assert all("signals" in roles[node] for node in found["seats"])
    assert all("risk" in roles[node] for node in found["risk"])
    assert found["risk_workers"] == 4
    assert found["gateway"] == {}, "no node has this role, and then there is room everywhere"
