"""Signal seats are spread over the nodes with the role `signals`, risk tasks run where the role is `risk`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nodes import LoopbackNodes, Node

pytestmark = [pytest.mark.ray, pytest.mark.process]

CORE = Node(3, {"gateway": 1})
NODES = (CORE, Node(1, {"signals": 1}), Node(1, {"signals": 1, "risk": 1}), Node(3, {"risk": 1}))


def told(script: str, on: Sequence[Node]) -> dict[str, Any]:
    """What the script beside this file prints last, on a cluster of these nodes."""
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        LoopbackNodes(on, Path(folder)) as nodes,
    ):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name(script)), nodes.address],
            env=os.environ | nodes.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_seats_and_tasks_are_where_their_roles_are():
    found = told("placed.py", NODES)
    roles = found["roles"]
    assert len(roles) == len(NODES)
    assert len(found["seats"]) == 4
    assert len(set(found["seats"])) == 2, "the seats are all on one of the two nodes"
    assert all("signals" in roles[node] for node in found["seats"])
    assert all("risk" in roles[node] for node in found["risk"])
    assert found["risk_workers"] == 4


def test_a_core_that_is_left_alone_keeps_to_the_roles_and_waits_for_nobody():
    found = told("left_alone.py", [CORE])

    assert found["places"] == {"signals": {"signals": 0.001}, "risk": {"risk": 0.001}}
    assert found["risk_workers"] == found["configured"], "its own CPU is not for risk"
    assert found["warmed"]
