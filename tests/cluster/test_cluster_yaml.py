"""The files a cluster is made from are what Ray's launcher and the deploy scripts expect of each other."""

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from kuberay_schema import RAY_CLUSTER

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "deploy").glob("*.sh"))
ON_PREMISES, AWS = ROOT / "cluster.yaml", ROOT / "deploy" / "aws.yaml"
KUBERAY, ENV = ROOT / "deploy" / "kuberay.yaml", ROOT / "deploy" / "env.sh"


def content(path=ON_PREMISES):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", [ON_PREMISES, AWS], ids=lambda path: path.name)
def test_ray_accepts_the_schema(path):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(content(path)))


def test_ray_refuses_a_key_it_does_not_know():
    from ray.autoscaler._private.util import validate_config

    with pytest.raises(Exception, match="no_such_key"):
        validate_config(content() | {"no_such_key": 1})


def test_addresses_are_all_there_is_to_edit():
    from ray.autoscaler._private.local.config import prepare_local

    three = content()
    three["provider"]["worker_ips"] = ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    prepared, _ = prepare_local(three)

    (node_type,) = prepared["available_node_types"].values()
    assert (node_type["min_workers"], node_type["max_workers"]) == (3, 3)


def test_on_aws_every_role_has_a_node_and_risk_nodes_scale():
    types = content(AWS)["available_node_types"]

    roles = {name: set(node_type["resources"]) for name, node_type in types.items()}
    assert roles == {"core": {"gateway"}, "signals": {"signals"}, "risk": {"risk"}}
    assert types["risk"]["min_workers"] < types["risk"]["max_workers"]
    assert sum(node_type.get("max_workers", 0) for node_type in types.values()) == content(AWS)["max_workers"]


def test_on_aws_nobody_gets_in_before_the_address_is_edited():
    (rule,) = content(AWS)["provider"]["security_group"]["IpPermissions"]

    assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
    assert rule["IpRanges"] == [{"CidrIp": "203.0.113.1/32"}]  # RFC 5737: an address for documentation


def kubernetes():
    return list(yaml.safe_load_all(KUBERAY.read_text()))


def test_on_kubernetes_the_cluster_is_what_the_operator_accepts():
    cluster, *_ = kubernetes()

    jsonschema.validate(cluster, RAY_CLUSTER)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec.update(autoscaling=True), "'autoscaling' was unexpected"),
        (lambda spec: spec["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}), "0 is not of type"),
        (lambda spec: spec["workerGroupSpecs"][1].pop("groupName"), "'groupName' is a required property"),
        (lambda spec: spec["authOptions"].update(mode="password"), "'password' is not one of"),
        (lambda spec: spec["headGroupSpec"]["template"]["spec"].update(containers=[]), "non-empty"),
    ],
)
def test_on_kubernetes_what_the_operator_would_refuse_is_found(spoil, said):
    cluster, *_ = kubernetes()
    spoil(cluster["spec"])

    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(cluster, RAY_CLUSTER)


def test_on_kubernetes_risk_pods_scale_and_only_the_core_has_the_log():
    cluster, volume, _ = kubernetes()
    spec = cluster["spec"]
    signals, risk = spec["workerGroupSpecs"]

    assert spec["enableInTreeAutoscaling"]
    assert risk["minReplicas"] <= risk["replicas"] < risk["maxReplicas"]
    assert volume["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert all("volumes" not in group["template"]["spec"] for group in (signals, risk))


def test_on_kubernetes_the_pods_have_the_environment_roles_and_version_of_the_hosts():
    cluster, volume, policy = kubernetes()
    spec = cluster["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    pinned = (ROOT / "constraints.txt").read_text().splitlines()

    assert f"ray=={spec['rayVersion']}" in pinned
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"
    roles = [set(json.loads(json.loads(group["rayStartParams"]["resources"]))) for group in groups]
    assert roles == [{"gateway"}, {"signals"}, {"risk"}]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        given = {item["name"]: item["value"] for item in container["env"]}
        assert given == {name: exported()[name] for name in given}
        assert given.keys() == exported().keys() - {"RAY_AUTH_MODE"}
    assert volume["metadata"]["name"] == "firm-state"
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def exported() -> dict[str, str]:
    """What deploy/env.sh sets on an x86 host."""
    names = "compgen -e | grep -E '^(RAY_|OMP|OPENBLAS|NUMBA|NPY)'"
    command = f"uname() {{ echo x86_64; }}; . {ENV}; for name in $({names}); do echo $name=${{!name}}; done"
    clean = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", command], env=clean, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_the_environment_of_a_node_pins_the_numbers_as_the_firm_does(monkeypatch):
    from firm.numeric_env import X86_VARIABLES, numeric_environment

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    pinned = numeric_environment()

    assert X86_VARIABLES.items() <= exported().items()
    common = pinned.keys() & exported().keys()
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"} <= common
    assert {name: pinned[name] for name in common} == {name: exported()[name] for name in common}


@pytest.mark.parametrize(
    ("roles", "resources"),
    [("gateway", {"gateway": 1}), ("signals risk", {"signals": 1, "risk": 1}), ("", {})],
)
def test_roles_become_resources(roles, resources):
    done = subprocess.run(
        ["bash", "-c", f". {ENV}; node_roles {roles}"], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == resources


def test_a_role_nobody_knows_is_refused():
    done = subprocess.run(
        ["bash", "-c", f". {ENV}; node_roles trader"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "a role is gateway, signals or risk, found 'trader'" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_parses(script):
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("path", [ON_PREMISES, AWS], ids=lambda path: path.name)
def test_every_script_named_exists_and_every_script_is_used(path):
    down = (ROOT / "firm" / "cluster" / "command.py").read_text().replace("bash ", "/")
    text = path.read_text() + down + "".join(script.read_text() for script in SCRIPTS)

    assert len(SCRIPTS) == 6
    assert all(f"/{script.name}" in text for script in SCRIPTS)


@pytest.mark.parametrize("path", [ON_PREMISES, AWS], ids=lambda path: path.name)
def test_nothing_secret_is_in_the_file(path):
    text = path.read_text().lower()

    assert "password" not in text
    assert "firm_store_key" not in text
