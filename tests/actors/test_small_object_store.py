"""A node whose object store is too small: what does not fit is spilled or computed again, nothing dies."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.nodes import LoopbackNodes, Node

pytestmark = [pytest.mark.ray, pytest.mark.process]

STORE_MB = 80


def test_risk_runs_give_the_same_bits_beside_three_times_what_the_store_holds():
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        script = Path(__file__).with_name("small_store.py")
        with LoopbackNodes([Node(cpus=2, store_mb=STORE_MB)], Path(folder)) as nodes:
            done = subprocess.run(
                [sys.executable, str(script), nodes.address, folder],
                env=os.environ | nodes.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )

        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout.splitlines()[-1])
        assert all(run["same"] and run["cube"] for run in found["runs"])
        kept = [run["kept"] for run in found["runs"]]
        assert all(0 < each <= found["store"] // 2 for each in kept), kept
        assert found["others"] == list(range(len(found["others"])))
        assert len(found["others"]) * 20 * 2**20 > 2 * found["store"]
        assert found["spilled"] > 0, "more than the store holds was put, and nothing was spilled"
