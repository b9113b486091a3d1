"""`firm cluster down` with hosts that answer as they like: the words of `ssh` come from a file for each."""

import os
from pathlib import Path

import pytest

from firm.cluster.command import down
from firm.errors import FirmError

SSH = """#!/usr/bin/env bash
for word in "$@"; do case $word in firm@*) host=${word#firm@} ;; esac; done
echo "$host ${*: -1}" >>"$HOSTS/asked"
[ ! -e "$HOSTS/$host" ] || . "$HOSTS/$host"
"""
CLUSTER = """
cluster_name: firm-that-is-not-there
provider: {type: local, head_ip: head, worker_ips: [w1, w2]}
auth: {ssh_user: firm, ssh_private_key: key}
file_mounts: {/opt/firm: ., /opt/firm/.token: token}
"""
TRADES = "echo 'firm: a firm is trading on head'; exit 3"
DEAD = "echo 'ssh: connect to host head port 22: No route to host'; exit 255"
ILL = "echo 'rm: cannot remove /tmp/ray'; exit 1"


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what each host does when it is asked; one that has no file there does as it is told."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOSTS", str(tmp_path))
    return tmp_path


def asked(hosts: Path) -> list[str]:
    """Who was asked, the workers in any order."""
    head, *workers = [line.split()[0] for line in (hosts / "asked").read_text().splitlines()]
    return [head, *sorted(workers)]


def refusal(hosts: Path, *, trading: bool = False) -> str:
    with pytest.raises(FirmError) as caught:
        down(hosts / "cluster.yaml", print, trading=trading)
    return str(caught.value)


def test_every_host_is_cleared_the_head_first(hosts: Path):
    told: list[str] = []

    down(hosts / "cluster.yaml", told.append, trading=False)

    assert asked(hosts) == ["head", "w1", "w2"]
    assert told[0].startswith("Ray has ended on head, w1, w2;")


@pytest.mark.parametrize(
    ("head", "said"), [(TRADES, "a firm is trading on head"), (DEAD, "No route to host")]
)
def test_while_a_firm_may_trade_no_worker_is_touched_and_each_is_named(hosts: Path, head: str, said: str):
    (hosts / "head").write_text(head)

    found = refusal(hosts)

    assert asked(hosts) == ["head"]
    assert found.startswith("3 of 3 hosts are not cleared:\n  - head: ")
    assert said in found
    assert [f"  - {worker}: not attempted, since a firm may trade" in found for worker in ("w1", "w2")] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("head", "trading"), [(DEAD, True), (ILL, False)])
def test_where_none_trades_or_it_does_not_matter_the_workers_are_cleared_without_the_head(
    hosts: Path, head: str, trading: bool
):
    (hosts / "head").write_text(head)
    (hosts / "w2").write_text(ILL)

    found = refusal(hosts, trading=trading)

    assert asked(hosts) == ["head", "w1", "w2"]
    assert found.startswith("2 of 3 hosts are not cleared:\n  - head: ")
    assert found.endswith("  - w2: rm: cannot remove /tmp/ray")
