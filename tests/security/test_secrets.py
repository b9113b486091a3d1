"""Nothing that the firm hands to Ray has a secret in it: not what Ray shows, no command line, no log."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.process]

KEYS = {name: secrets.token_hex(32) for name in ("FIRM_STORE_KEY", "FIRM_SIGNING_KEY", "RAY_AUTH_TOKEN")}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What Ray shows of a firm that got its secrets by the environment."""
    run = tmp_path_factory.mktemp("run")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"} | KEYS
    script = Path(__file__).with_name("handed_over.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(run)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the script ended before it told anything"
        yield json.loads(line)
        process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_ray_shows_all_actors_of_the_firm_and_no_secret(shown: dict[str, Any]):
    text = json.dumps(shown)

    for name in ("bus", "broker", "reader", "risk", "signals-0"):
        assert f"name='{name}'" in text
    assert [name for name, value in KEYS.items() if value in text] == []


def test_the_runtime_environment_has_the_numeric_variables_at_most(shown: dict[str, Any]):
    given = json.loads(shown["runtime_env"]).get("env_vars", {})

    assert {
        name for name in given if any(word in name for word in ("KEY", "TOKEN", "SECRET", "PASS"))
    } == set()


def test_no_secret_is_in_a_file_that_ray_writes(shown: dict[str, Any]):
    session = Path(shown["session"])
    files = [path for path in session.rglob("*") if path.is_file() and path.stat().st_size < 50_000_000]

    assert len(files) > 10
    found = [
        f"{name} in {path.name}"
        for path in files
        for name, value in KEYS.items()
        if value.encode() in path.read_bytes()
    ]
    assert found == []
