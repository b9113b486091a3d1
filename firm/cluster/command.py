"""`firm cluster check | up | down`: what `ray up` and `ray down` do, and what they leave out."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firm.cluster import ssh
from firm.cluster.check import require_sound
from firm.cluster.file import ClusterFile, read_cluster_file
from firm.errors import FirmError
from firm.ops.certificates import make_certificates
from firm.standby.commands import Told

JOINED_WITHIN_S = 600.0
"""The first time every worker installs the packages, 1.2 GB."""
STILL_TRADES = 3
"""stop.sh ends with this where a firm trades."""
NOT_ATTEMPTED = (
    "not attempted, since a firm may trade: {head} has to say that none does. When it does not come back, "
    "`firm cluster down --trading` clears the others"
)
DOWN = "cd /opt/firm/deploy 2>/dev/null || exit 0; bash stop.sh{how} && bash forget.sh"


def check(path: Path, tell: Told) -> None:
    """Ask every host, and say that all is well; FirmError with everything that is not."""
    for host in require_sound(read_cluster_file(path)):
        assert host.node is not None
        packages, fingerprint, clock = host.node.packages, host.node.fingerprint, host.node.clock
        off_ms = max(abs(clock.low), abs(clock.high)) * 1000
        tell(
            f"{host.name}: Python {host.node.python}, Ray {packages.get('ray', 'not installed yet')}, "
            f"fingerprint {fingerprint[:16] if fingerprint else 'not known yet'}, clock within {off_ms:.0f} "
            f"ms of this machine's, {'Ray is running' if host.facts['heads'] else 'no Ray is running'}"
        )


def up(path: Path, tell: Told) -> None:
    """Check the hosts, run `ray up`, wait until every host has joined, and check what they compute with."""
    began = time.monotonic()

    def stage(text: str) -> None:
        tell(f"{time.monotonic() - began:6.1f} s  {text}")

    cluster = read_cluster_file(path)
    _make_token(cluster.token)
    hosts = require_sound(cluster)
    if trading := [host.name for host in hosts if host.facts["trading"]]:
        raise FirmError(
            f"a cluster that nobody trades on was needed, found a firm on {', '.join(trading)}: `ray up` "
            "would end it. End it in good order first (there: firm stop --reason '...')"
        )
    stage(f"{len(hosts)} hosts answer and are alike")
    _ray(["up", "--yes", "--no-config-cache", str(path.resolve())], path)
    stage("the head runs; workers are being set up")
    _wait_for_workers(cluster, stage)
    require_sound(cluster)
    stage(f"all {len(hosts)} hosts compute the same; on {cluster.head}, in /opt/firm:")
    tell("          python -m firm.launch --address auto")


def down(path: Path, tell: Told, *, trading: bool) -> None:
    """End Ray on every host and remove what it has left; the head first, since it restarts workers.

    `ray down` ends the head alone; workers would stay for a minute, their agents for ever. Workers are left
    alone, unless `trading`, while the head says that a firm trades or cannot be asked. FirmError names every
    host that is not cleared.
    """
    cluster = read_cluster_file(path)
    how = " --trading" if trading else ""
    command = DOWN.format(how=how)
    failed = _failed(cluster, [cluster.head], command)
    may_trade = any(answer.code in (STILL_TRADES, ssh.SSH_FAILED) for answer in failed.values())
    if trading or not may_trade:
        failed |= _failed(cluster, cluster.workers, command)
    else:
        skipped = ssh.Answer(STILL_TRADES, NOT_ATTEMPTED.format(head=cluster.head))
        failed |= dict.fromkeys(cluster.workers, skipped)
    for state in Path("/tmp/ray").glob(f"cluster-{cluster.name}.*"):  # noqa: S108 - where Ray's launcher has it
        state.unlink()
    if failed:
        raise FirmError(
            f"{len(failed)} of {len(cluster.hosts)} hosts are not cleared:\n"
            + "\n".join(f"  - {host}: {answer.text.strip()}" for host, answer in failed.items())
        )
    tell(f"Ray has ended on {', '.join(cluster.hosts)}; runs, keys and the installation stay in /opt/firm")


def certificates(path: Path, to: Path, days: int, tell: Told) -> None:
    """Make the files with which Ray speaks TLS among the hosts, and say what to do with them."""
    hosts = read_cluster_file(path).hosts
    ends = make_certificates(to, hosts, days)
    tell(f"certificates for {', '.join(hosts)} in {to}, until {ends:%Y-%m-%d %H:%M} UTC")
    tell(f'add "/opt/firm/.tls": "{to}" to file_mounts of {path}, then bring the cluster up anew')


def _failed(cluster: ClusterFile, hosts: Sequence[str], command: str) -> dict[str, ssh.Answer]:
    """Run the command on all of them at once; the answers of those where it failed."""

    def one(host: str) -> ssh.Answer:
        try:
            return ssh.run(cluster, host, command)
        except ssh.HostUnreachable as error:
            return ssh.Answer(ssh.SSH_FAILED, str(error))

    if not hosts:
        return {}
    with ThreadPoolExecutor(len(hosts)) as threads:
        answers = list(threads.map(one, hosts))
    return {host: answer for host, answer in zip(hosts, answers, strict=True) if answer.code}


def _make_token(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def _ray(arguments: Sequence[str], path: Path) -> None:
    """Run Ray's own launcher, from the directory of the file, since the file's paths are relative to it."""
    ray = Path(sys.executable).parent / "ray"
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    where = path.resolve().parent
    done = subprocess.run([ray, *arguments], cwd=where, env=environment, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise FirmError(f"`ray {' '.join(arguments)}` ended with {done.returncode}; its last lines say why")


def _wait_for_workers(cluster: ClusterFile, stage: Told) -> None:
    """Until the head's Ray counts every host."""
    ask = f"import firm.actors.nodes as n; exit(n.tell_who_joins({list(cluster.hosts)}, {JOINED_WITHIN_S}))"
    waiting = set(cluster.hosts)
    for line in ssh.lines(cluster, cluster.head, f'cd /opt/firm && . deploy/env.sh && python -c "{ask}"'):
        if line in waiting:
            waiting.remove(line)
            stage(f"{line} has joined")
    if waiting:
        raise FirmError(
            f"every host needed to join within {JOINED_WITHIN_S:.0f} s, not {', '.join(sorted(waiting))}. "
            f"What the set-up said is on {cluster.head} in /tmp/ray/session_latest/logs/monitor.out"
        )
