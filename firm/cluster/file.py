"""The cluster's file, as far as we read it ourselves: who the hosts are and how they are reached."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firm.errors import ConfigError

MADE_KEY = "make one for this cluster with: ssh-keygen -t ed25519 -N '' -f {path}"


@dataclass(frozen=True)
class ClusterFile:
    """An on-premises cluster. `key` and `token` are files of this machine, `python` a command there."""

    path: Path
    name: str
    head: str
    workers: tuple[str, ...]
    user: str
    key: Path
    token: Path
    python: str = "python3"

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, the head first."""
        return (self.head, *self.workers)


def read_cluster_file(path: Path) -> ClusterFile:
    """Read and judge it. ConfigError says what is wrong and how to put it right."""
    content = _content(path)
    provider, auth = content.get("provider", {}), content.get("auth", {})
    if provider.get("type") != "local":
        raise ConfigError(
            f"{path} needs provider.type: local for `firm cluster`, found {provider.get('type')!r}: a "
            f"cloud's nodes are made and removed by `ray up {path}` and `ray down {path}`"
        )
    head, workers = provider.get("head_ip"), provider.get("worker_ips")
    if not isinstance(head, str) or not isinstance(workers, list):
        raise ConfigError(f"{path} needs provider.head_ip and provider.worker_ips, found {provider}")
    twice = sorted({host for host in (head, *workers) if (head, *workers).count(host) > 1})
    if twice:
        raise ConfigError(
            f"{path} needs every host once, found {', '.join(twice)} more than once: a host that is head and "
            "worker would end its own Ray. For a single machine set worker_ips: []"
        )
    for key in ("ssh_user", "ssh_private_key"):
        if key not in auth:
            raise ConfigError(f"{path} needs auth.{key}, found none")
    mounts = content.get("file_mounts", {})
    if "/opt/firm" not in mounts or "/opt/firm/.token" not in mounts:
        raise ConfigError(
            f"{path} needs /opt/firm and /opt/firm/.token under file_mounts, found {sorted(mounts)}"
        )
    return ClusterFile(
        path=path,
        name=str(content.get("cluster_name", "")),
        head=head,
        workers=tuple(workers),
        user=auth["ssh_user"],
        key=Path(auth["ssh_private_key"]).expanduser(),
        token=Path(mounts["/opt/firm/.token"]).expanduser(),
        python=_python(content.get("setup_commands", ())),
    )


def require_key(cluster: ClusterFile) -> None:
    """See that the key is there and ours alone."""
    if not cluster.key.is_file():
        raise ConfigError(
            f"{cluster.path} needs the ssh key {cluster.key}, found no such file: "
            f"{MADE_KEY.format(path=cluster.key)} and put {cluster.key}.pub into ~/.ssh/authorized_keys of "
            f"{cluster.user} on every host"
        )
    if cluster.key.stat().st_mode & 0o077:
        raise ConfigError(
            f"the ssh key {cluster.key} needs to be readable by you alone, found mode "
            f"{cluster.key.stat().st_mode & 0o777:04o}: chmod 600 {cluster.key}"
        )


def _python(setup_commands: Iterable[str]) -> str:
    """The interpreter that deploy/setup_node.sh is told to use."""
    named = [found[1] for line in setup_commands if (found := re.search(r"setup_node\.sh +(\S+)", line))]
    return named[-1] if named else ClusterFile.python


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"the cluster's file was needed at {path}, found none; name it: firm cluster check FILE"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} needs to be YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} needs provider and auth, found {type(content).__name__}")
    return content
