"""What can be refused before anything is started: a log, port or gateway that would fail the run."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from firm.config import Settings
from firm.errors import ConfigError, GatewayUnavailable, StoreLocked
from firm.events import CODEC
from firm.events.system import RunStarted
from firm.ops.wishes import DATABASE, MAILBOX
from firm.store.keys import Keys
from firm.store.lock import WriterLock
from firm.store.sqlite import SqliteStore

DYING_WRITER_S = 20.0


def open_run_dir(run_dir: Path) -> RunStarted | None:
    """Make the directory, or see that the run in it can be resumed; its first entry if it has one.

    Waits for a writer that is just dying. Raises StoreLocked if it lives, WrongKey or StoreError if the log
    cannot be opened. From here on a wish of the operator waits in the directory until the firm takes it.
    """
    (run_dir / MAILBOX).mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_no_writer(run_dir)
    resumed = (run_dir / DATABASE).exists()
    keys = Keys.load(create=not resumed)
    if not resumed:
        return None
    with contextlib.closing(SqliteStore.read_only(run_dir, keys)) as store:
        first = [CODEC.event(record) for record in store.read(limit=1)]
    return first[0] if first and isinstance(first[0], RunStarted) else None


def _require_no_writer(run_dir: Path) -> None:
    deadline = time.monotonic() + DYING_WRITER_S
    while True:
        try:
            WriterLock(run_dir / "lock").release()
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def require_same_run(recorded: RunStarted, now: RunStarted, run_dir: Path) -> None:
    """Refuse to go on with other settings than the log says: it could not be replayed any more."""
    before, after = (dict(_flat(json.loads(started.config))) for started in (recorded, now))
    changed = [key for key in sorted(before | after) if before.get(key) != after.get(key)]
    if changed:
        found = "; ".join(f"{key}: {before.get(key)!r} in the log, {after.get(key)!r} now" for key in changed)
        raise ConfigError(
            f"to resume {run_dir} the settings must be those the run was started with, found {found}. Set "
            "them back, or begin a new run with another --run-dir"
        )


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def require_free_port(settings: Settings) -> None:
    """See that the endpoints can have their port."""
    host, port = settings.ops.host, settings.ops.port
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise GatewayUnavailable(
                f"the endpoints need {host} port {port} and cannot have it ({error.strerror}). Stop what "
                "listens there, or take any free port with --set ops.port=0"
            ) from error


def require_listener(host: str, port: int, within_s: float) -> None:
    """See that somebody listens where the broker's gateway should be."""
    try:
        socket.create_connection((host, port), timeout=within_s).close()
    except OSError as error:
        raise GatewayUnavailable(
            f"an IB Gateway was needed at {host}:{port}, found nobody ({error}). Start IB Gateway (or "
            f"`python -m firm.gateway_sim --port {port}`) with its API enabled, correct --gateway, or leave "
            "it out to trade at a simulated one"
        ) from error
