"""cluster.yaml is what Ray's own launcher accepts, and says what the deploy scripts rely on."""

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "deploy").glob("*.sh"))


def cluster():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def test_ray_accepts_the_schema():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster()))


def test_ray_refuses_a_key_it_does_not_know():
    from ray.autoscaler._private.util import validate_config

    with pytest.raises(Exception, match="no_such_key"):
        validate_config(cluster() | {"no_such_key": 1})


def test_as_many_workers_are_wanted_as_there_are_addresses():
    config = cluster()

    assert config["min_workers"] == config["max_workers"] == len(config["provider"]["worker_ips"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_parses(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_every_script_named_exists_and_every_script_is_used():
    text = (ROOT / "cluster.yaml").read_text() + "".join(path.read_text() for path in SCRIPTS)

    assert len(SCRIPTS) == 4
    assert all(f"/opt/firm/deploy/{path.name}" in text for path in SCRIPTS)


def test_nothing_secret_is_in_the_file():
    text = (ROOT / "cluster.yaml").read_text().lower()

    assert "password" not in text
    assert "firm_store_key" not in text
