"""Several hosts on one Linux machine: namespaces, each with an address, an sshd, its own files and processes.

    with Hosts(3) as hosts:
        hosts[0].run("hostname")                    # in node0, as root, through bash
        hosts.operator.run(f"ssh {hosts[1].address} uptime")
        hosts[1].cut(hosts[2])                      # nothing passes between the two; `heal()` ends it
        hosts[1].cut()                              # node1 hears nobody and nobody hears it
        hosts[1].cut_one_way(hosts[0])              # what node1 says does not reach node0; the answers do
        hosts[2].delay(50, loss=0.01)               # 50 ms each way, one frame in a hundred lost
        hosts[0].kill(); hosts[0].boot()            # power failure, no last word; the disk is kept

Needs root, and the Debian packages of `NEEDED`. Everything is in one directory under /var/tmp, which goes,
with all processes, when the block is left. If this process is killed the hosts end too, and the next `Hosts`
tidies up.
"""

import atexit
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
NEEDED = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "ip": "iproute2",
    "iptables": "iptables",
}
"""Program -> Debian package. `unshare`, `nsenter` and `setpriv` (util-linux) are everywhere."""
SYSTEM_FILES = (
    *("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl"),
    *("profile", "profile.d", "bash.bashrc", "localtime", "services", "protocols", "host.conf", "gai.conf"),
)
"""What a host has of this machine's /etc; nothing else of it, no ssh configuration and no password."""
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOTS_WITHIN_S = 30.0


def missing() -> str | None:
    """Why there can be no hosts here, or nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are Linux namespaces and need root"
    lacking = [package for program, package in NEEDED.items() if shutil.which(program, path=SEARCH) is None]
    if lacking:
        return f"hosts need Debian packages that are not installed: apt-get install {' '.join(lacking)}"
    probe = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc", "true"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"this machine refuses namespaces: {tried.stderr.strip()}" if tried.returncode else None


def _do(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


class Host:
    """One host. Commands run as root in its namespaces, with the environment of a fresh login."""

    def __init__(self, hosts: "Hosts", number: int, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.disk = hosts.directory / name
        """Its file system as seen from this machine (not /usr, /proc, /dev, /run and the packages)."""
        self._hosts = hosts
        self._link = f"{hosts.bridge}n{number}"
        self._card = "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        """The network card's own address: after a boot the others still know it."""
        self._shell: subprocess.Popen[str] | None = None
        self._wire: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"{self.name} ({self.address})"

    @property
    def pid(self) -> int:
        """The host's first process, as numbered on this machine."""
        assert self._shell is not None, f"{self} is not running"
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().split()
        return int(children[0])

    def inside(self, command: str) -> list[str]:
        """The command line that runs a bash command in this host."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        environment = ("env", "-i", "HOME=/root", f"PATH={SEARCH}", "TERM=dumb", "LANG=C.UTF-8", "USER=root")
        return ["nsenter", f"--target={self.pid}", *spaces, *environment, "bash", "-lc", f"cd; {command}"]

    def start(self, command: str, **options: Any) -> subprocess.Popen[str]:
        """Begin a bash command; standard error goes where the output goes."""
        options = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "stdin": subprocess.DEVNULL,
        } | options
        return subprocess.Popen(self.inside(command), text=True, start_new_session=True, **options)

    def run(
        self, command: str, timeout_s: float = 120.0, *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a bash command to its end. Fails, with what it said, if it fails or takes longer."""
        process = self.start(command)
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise AssertionError(f"{self}: no end within {timeout_s:g} s: {command}\n{said}") from None
        if check and process.returncode:
            raise AssertionError(f"{self}: ended with {process.returncode}: {command}\n{said}")
        return subprocess.CompletedProcess(command, process.returncode, said, "")

    def processes(self) -> list[str]:
        """The command lines of everything that runs in it but its sshd."""
        lines = self.run("ps -eo args --no-headers").stdout.splitlines()
        ours = ("sshd", "nsenter", "ps -eo args", "bash -lc cd; ps -eo")
        return [line for line in lines if not any(word in line for word in ours)]

    def listening(self) -> list[int]:
        """The TCP ports somebody listens on, ssh aside."""
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    found.add(int(local.rsplit(":", 1)[1], 16))
        return sorted(found - {22})

    def cut(self, other: "Host | None" = None) -> None:
        """Nothing passes between this host and the other (every other): as if the cable were out."""
        if other is None:
            _do("ip", "link", "set", self._link, "nomaster")
        else:
            self.cut_one_way(other)
            other.cut_one_way(self)

    def cut_one_way(self, other: "Host") -> None:
        """What this host says does not reach the other."""
        other._firewall("-A", "INPUT", "-s", self.address, "-j", "DROP")

    def delay(self, ms: float, *, jitter_ms: float = 0.0, loss: float = 0.0) -> None:
        """Every frame to and from this host takes `ms` longer, a round trip twice that; some are lost."""
        self._straighten()
        near, far = f"{self._link}a", f"{self._link}b"
        _do("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        _do("ip", "link", "set", near, "up")
        _do("ip", "link", "set", far, "master", self._hosts.bridge, "up")
        _do("ip", "link", "set", self._link, "nomaster")
        options = ("--delay-ms", str(ms), "--jitter-ms", str(jitter_ms), "--loss", str(loss))
        wire = ("setpriv", "--pdeathsig", "KILL", sys.executable, "-E", HERE / "wire.py", self._link, near)
        self._wire = subprocess.Popen([*map(str, wire), *options], stdin=subprocess.DEVNULL)

    def heal(self) -> None:
        """End every cut and delay of this host; cuts made by others stay."""
        self._straighten()
        _do("ip", "link", "set", self._link, "master", self._hosts.bridge)
        for host in self._hosts.everyone:
            if host._shell is not None:
                host._firewall("-F", "INPUT") if host is self else host._forgive(self)

    def _forgive(self, other: "Host") -> None:
        for rule in self._firewall("-S", "INPUT").splitlines():
            if f"-s {other.address}/32 " in rule:
                self._firewall("-D", *rule.split()[1:])

    def _firewall(self, *rule: str) -> str:
        return _do("nsenter", f"--target={self.pid}", "--net", "iptables", "-w", *rule)

    def _straighten(self) -> None:
        if self._wire is not None:
            self._wire.kill()
            self._wire.wait()
            self._wire = None
            _do("ip", "link", "del", f"{self._link}a")

    def kill(self) -> None:
        """A power failure: no process runs on and no connection is closed. `boot()` brings the host back."""
        assert self._shell is not None, f"{self} is not running"
        with suppress(RuntimeError):
            self._straighten()
            _do("ip", "link", "set", self._link, "nomaster")
        self._shell.kill()  # unshare --kill-child: the host's first process, and with it all others, goes too
        self._shell.wait()
        self._shell = None
        with suppress(RuntimeError):  # the kernel removes it with the namespace, a moment later
            _do("ip", "link", "del", self._link)

    def boot(self) -> None:
        """Start the host on its disk and wait for its sshd."""
        assert self._shell is None, f"{self} is running"
        hosts = self._hosts
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child")
        arguments = (self.disk, self.name, self.address, hosts.gateway, sys.base_prefix, hosts.venv_layers)
        command = ("setpriv", "--pdeathsig", "KILL", "unshare", *spaces, HERE / "host_init.sh", *arguments)
        with (hosts.directory / f"{self.name}.log").open("a") as log:
            self._shell = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._until(
            lambda: Path(f"/proc/{self.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        )
        peer = ("name", "eth0", "address", self._card, "netns", self.pid)
        _do("ip", "link", "add", self._link, "type", "veth", "peer", *peer)
        _do("ip", "link", "set", self._link, "master", hosts.bridge, "up")
        assert self._shell.stdin is not None
        self._shell.stdin.write("the network is there\n")
        self._shell.stdin.close()
        self._until(self._answers)

    def _answers(self) -> bool:
        table = Path(f"/proc/{self.pid}/net/tcp").read_text()
        return any(line.split()[1].endswith(":0016") for line in table.splitlines()[1:])

    def _until(self, condition: Any) -> None:
        deadline = time.monotonic() + BOOTS_WITHIN_S
        while True:
            with suppress(OSError, IndexError):
                if condition():
                    return
            assert self._shell is not None
            if self._shell.poll() is not None or time.monotonic() > deadline:
                log = (self._hosts.directory / f"{self.name}.log").read_text()
                raise RuntimeError(f"{self} did not boot:\n{log}")
            time.sleep(0.01)


class Hosts:
    """`count` hosts, node0 and so on, and the operator's machine, all on one network of their own.

    The operator has a copy of this repository at ~/firm and the key ~/.ssh/firm_cluster, which every host
    accepts. All have the packages of this Python environment in /opt/firm/.venv, as a machine image would.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._nodes: list[Host] = []

    def __enter__(self) -> Self:
        if reason := missing():
            raise RuntimeError(reason)
        _tidy_up()
        self.directory = Path(tempfile.mkdtemp(prefix="firm-hosts-", dir="/var/tmp"))
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def _build(self) -> None:
        self.bridge, network = self._claim_network()
        atexit.register(self.down)
        self.gateway = f"{network}.1"
        self.venv_layers = self._venv_layers()
        names = [(9, "operator"), *((10 + i, f"node{i}") for i in range(self._count))]
        self.everyone = [Host(self, number, name, f"{network}.{number}") for number, name in names]
        self.operator, *self._nodes = self.everyone
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "firm-cluster", "-f", self.directory / "key")
        for host in self.everyone:
            self._format(host)
            host.boot()

    def _claim_network(self) -> tuple[str, str]:
        """A bridge nobody has: making it is the claim. Its alias says whose it is."""
        for number in range(1, 250):
            bridge = f"firm{number}"
            with suppress(RuntimeError):
                _do("ip", "link", "add", bridge, "type", "bridge")
                _do("ip", "link", "set", bridge, "up", "alias", f"firm-hosts {os.getpid()} {self.directory}")
                return bridge, f"10.77.{number}"
        raise RuntimeError(
            "needed a free network 10.77.N.0/24, found 249 taken; see `ip link show type bridge`"
        )

    def _venv_layers(self) -> str:
        """Our own environment, and over it what names its place: the hosts have it in /opt/firm/.venv."""
        fixes = self.directory / "venv"
        (fixes / "bin").mkdir(parents=True)
        here, there = sys.prefix.encode(), b"/opt/firm/.venv"
        for script in (Path(sys.prefix) / "bin").iterdir():
            if script.is_file() and not script.is_symlink() and here in (text := script.read_bytes()):
                (fixes / "bin" / script.name).write_bytes(text.replace(here, there))
                (fixes / "bin" / script.name).chmod(0o755)
        (packages,) = (Path(sys.prefix) / "lib").glob("python3.*/site-packages")
        for link in packages.glob("*firm*.pth"):
            target = fixes / link.relative_to(sys.prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(link.read_text().replace(str(REPOSITORY), "/opt/firm"))
        pinned = hashlib.sha256((REPOSITORY / "constraints.txt").read_bytes()).hexdigest()
        (fixes / ".packages").write_text(pinned)  # as deploy/setup_node.sh would
        return f"{fixes}:{sys.prefix}"

    def _format(self, host: Host) -> None:
        """A disk with the little of /etc that a host needs, and the key it accepts."""
        etc, home = host.disk / "etc", host.disk / "root"
        (etc / "ssh").mkdir(parents=True)
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        home.chmod(0o700)
        for name in SYSTEM_FILES:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True, ignore_dangling_symlinks=True)
            elif source.exists():
                shutil.copy2(source, etc / name)
        names = "".join(f"{other.address} {other.name}\n" for other in self.everyone)
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        (etc / "shadow").write_text("root:*:19000:0:99999:7:::\n")  # no password; without a line, locked out
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", etc / "ssh" / "host_key")
        (home / ".ssh" / "authorized_keys").write_text((self.directory / "key.pub").read_text())
        (home / ".bashrc").touch()
        if host.name == "operator":
            shutil.copy(self.directory / "key", home / ".ssh" / "firm_cluster")
            self._copy_repository(home / "firm")

    @staticmethod
    def _copy_repository(target: Path) -> None:
        leave_out = (".git", ".venv", "runs", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
        shutil.copytree(REPOSITORY, target, ignore=shutil.ignore_patterns(*leave_out), symlinks=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """End every host and remove every trace; once is enough, twice does no harm."""
        for host in getattr(self, "everyone", ()):
            if host._shell is not None:
                host.kill()
        if hasattr(self, "bridge"):
            with suppress(RuntimeError):
                _do("ip", "link", "del", self.bridge)
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.down)

    def __getitem__(self, number: int) -> Host:
        return self._nodes[number]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


def _tidy_up() -> None:
    """Remove what a test that was killed has left: its hosts have ended with it, its bridge has not."""
    for link in json.loads(_do("ip", "-json", "link", "show", "type", "bridge") or "[]"):
        mark, _, rest = str(link.get("ifalias", "")).partition(" ")
        owner, _, directory = rest.partition(" ")
        if mark == "firm-hosts" and not Path(f"/proc/{owner}").exists():
            for other in json.loads(_do("ip", "-json", "link", "show", "master", link["ifname"]) or "[]"):
                with suppress(RuntimeError):
                    _do("ip", "link", "del", other["ifname"])
            with suppress(RuntimeError):
                _do("ip", "link", "del", link["ifname"])
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    with Hosts(int(sys.argv[1]) if len(sys.argv) > 1 else 3) as up:
        sys.stdout.write("".join(f"{host.name} {host.address} pid {host.pid}\n" for host in up.everyone))
        sys.stdout.write("Ctrl-C ends them\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()
