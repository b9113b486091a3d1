"""What is wrong with the hosts of a cluster is said, all of it and with what to do; what is right is not."""

from hashlib import sha256
from pathlib import Path

import pytest

from firm.actors.nodes import role_problems
from firm.cluster.check import Host, problems
from firm.cluster.file import ClusterFile, read_cluster_file, require_key
from firm.cluster.node import Clock, Node, differences
from firm.errors import ConfigError

ROOT = Path(__file__).parents[2]
PACKAGES = {"ray": "2.60.0", "numba": "0.61.0", "numpy": "2.4.0"}
SECOND = 1_000_000_000
TOKEN = b"5" * 64


def node(name: str, python: str = "3.11.7", fingerprint: str | None = "a" * 64, **packages: str) -> Node:
    return Node(name, python, PACKAGES | packages, fingerprint, Clock(-0.001, 0.001))


def host(name: str, **facts: object) -> Host:
    sound: dict[str, object] = {
        "python": "3.11.7",
        "rsync": True,
        "writable": True,
        "free_mb": 50_000,
        "heads": [],
        "token": sha256(TOKEN).hexdigest(),
        "trading": False,
    }
    return Host(name, node(name), sound | facts, None)


def cluster(tmp_path: Path) -> ClusterFile:
    key, token = tmp_path / "key", tmp_path / "token"
    for file in (key, token):
        file.touch(mode=0o600)
    token.write_bytes(TOKEN + b"\n")
    return ClusterFile(tmp_path / "cluster.yaml", "firm", "h", ("w1", "w2"), "root", key, token)


def test_equal_nodes_have_no_difference():
    assert differences(node("h"), node("w")) == []


def test_another_python_is_named_with_both_versions():
    (found,) = differences(node("h"), node("w", python="3.11.9"))

    assert found.startswith("w needs Python 3.11.7 as on the head h, found 3.11.9: name one interpreter")


@pytest.mark.parametrize(("package", "version"), [("ray", "2.59.0"), ("numba", "0.60.0")])
def test_another_version_of_a_package_is_named(package: str, version: str):
    (found,) = differences(node("h"), node("w", **{package: version}))

    assert f"({package} {PACKAGES[package]}), found {package} {version}: remove /opt/firm/.venv" in found


def test_another_fingerprint_is_named_only_where_the_versions_are_equal():
    (found,) = differences(node("h"), node("w", fingerprint="b" * 64))

    assert "w needs the numeric fingerprint aaaaaaaaaaaaaaaa of the head h, found bbbbbbbbbbbbbbbb" in found
    assert differences(node("h"), node("w", fingerprint=None)) == []
    assert "fingerprint" not in differences(node("h"), node("w", fingerprint="b" * 64, numba="0.60.0"))[0]


@pytest.mark.parametrize(("offset_s", "refused"), [(0.09, False), (0.11, True), (-0.11, True), (5.0, True)])
def test_a_clock_further_off_than_the_bound_is_refused(offset_s: float, refused: bool):
    exact = Node("h", "3.11.7", PACKAGES, None, Clock(0.0, 0.0))
    off = Node("w", "3.11.7", PACKAGES, None, Clock(offset_s, offset_s))

    assert bool(differences(exact, off)) == refused


def test_a_slow_way_there_is_not_taken_for_a_wrong_clock():
    exchanges = [(0, 3 * SECOND, 4 * SECOND), (0, 2 * SECOND, 5 * SECOND)]

    clock = Clock.of(exchanges)

    assert clock == Clock(-1.0, 2.0)
    assert clock.surely_s == 0.0


def test_a_head_that_is_not_installed_yet_makes_no_worker_wrong():
    bare = Node("h", "3.11.7", {}, None, Clock(0.0, 0.0))

    assert differences(bare, node("w")) == []


def test_sound_hosts_have_no_problems(tmp_path: Path):
    assert problems(cluster(tmp_path), [host("h", heads=["h:6379"]), host("w1", heads=["h:6379"])]) == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"python": "3.10.2"}, "w1 needs Python 3.11 to 3.13, found 3.10.2"),
        ({"rsync": False}, "w1 needs rsync, found none"),
        ({"writable": False}, "install -d -o root /opt/firm"),
        ({"free_mb": 300}, "w1 needs 5000 MB free under /tmp, found 300"),
        ({"heads": ["x:6379"]}, "w1 needs to belong to one head, h, found Ray of x:6379"),
        ({"heads": ["h:6379"], "token": "0" * 64}, "found that Ray runs there with another: copy it"),
        ({"heads": ["h:6379"], "token": None}, "found that Ray runs there with none: copy it"),
    ],
)
def test_each_thing_wrong_with_a_host_is_said(tmp_path: Path, facts: dict[str, object], said: str):
    (found,) = problems(cluster(tmp_path), [host("h"), host("w1", **facts)])

    assert said in found


def test_everything_wrong_is_said_at_once(tmp_path: Path):
    hosts = [host("h"), host("w1", rsync=False), Host("w2", None, {}, "w2 does not answer")]

    assert len(problems(cluster(tmp_path), hosts)) == 2


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    ours = cluster(tmp_path)
    ours.key.chmod(0o640)

    with pytest.raises(ConfigError, match=r"found mode 0640: chmod 600"):
        require_key(ours)


def test_the_shipped_file_is_read():
    read = read_cluster_file(ROOT / "cluster.yaml")

    assert read.hosts == ("10.77.0.10", "10.77.0.11", "10.77.0.12")
    assert read.token.name == "auth_token"
    assert read.python == "python3"


def test_the_python_named_for_the_packages_is_the_one_that_is_asked(tmp_path: Path):
    text = (ROOT / "cluster.yaml").read_text()
    file = tmp_path / "cluster.yaml"
    file.write_text(text.replace("setup_node.sh python3", "setup_node.sh /usr/bin/python3.12"))

    assert read_cluster_file(file).python == "/usr/bin/python3.12"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provider: {type: aws}", "found 'aws'"),
        ("provider: {type: local, head_ip: a}", "provider.worker_ips"),
        ("provider: {type: local, head_ip: a, worker_ips: [b, a]}", "found a more than once"),
        ("provider: {type: local, head_ip: a, worker_ips: []}", "needs auth.ssh_user"),
        ("- 1", "needs provider and auth, found list"),
        ("a: [", "needs to be YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=said):
        read_cluster_file(file)


def test_roles_are_sound_with_one_core_here_and_each_role_somewhere():
    assert role_problems({"a": {"CPU": 2}}, "a") == []
    assert role_problems({"a": {"gateway": 1}, "b": {"signals": 1, "risk": 1}}, "a") == []


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (
            {"a": {"gateway": 1, "signals": 1, "risk": 1}, "b": {"gateway": 1}},
            "one node with the role gateway is needed, found 2: a, b",
        ),
        ({"a": {"signals": 1, "risk": 1}, "b": {"gateway": 1}}, "role gateway (b), found this one, a"),
        ({"a": {"signals": 1, "risk": 1}}, "role gateway is needed, found none: write it into"),
        ({"a": {"gateway": 1, "signals": 1}}, "a node with the role risk is needed, found none among a"),
    ],
)
def test_roles_that_are_doubled_or_missing_are_said(offered: dict[str, dict[str, float]], said: str):
    (found,) = role_problems(offered, "a")

    assert said in found
