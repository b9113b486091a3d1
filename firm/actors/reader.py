"""The reader: follows the log on a read-only connection, and answers operators while the bus is busy."""

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Final

from firm.actors.plan import RunPlan
from firm.errors import StoreError
from firm.ops.figures import CycleLatency, Figures
from firm.ops.files import write_atomically
from firm.ops.health import Facts, Tolerances
from firm.ops.http import OpsServer
from firm.ops.latch import read_latch
from firm.ops.snapshot import Snapshot
from firm.ops.status import Status
from firm.report.summary import Summary
from firm.report.write import write_report
from firm.standby.replicated import read_status
from firm.store.keys import Keys
from firm.store.reading import SqliteReader
from firm.store.sqlite import SqliteStore

DISK_BYTES_MIN: Final = 64 * 1024 * 1024
"""Less free disk than this counts as not writable: the log must never be the one to find out."""


class Reader:
    """One a run. Its folds follow the log a step behind; nothing it does can hold up the bus."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._settings = plan.config()
        self._store: SqliteReader | None = None
        self._summary, self._status = Summary(), Status()
        self._seq = self._operations = 0
        self._latency = CycleLatency()
        self._cycle_at_ns: int | None = None
        self._lock = threading.Lock()
        self._server: OpsServer | None = None
        self._tolerances = Tolerances(
            self._settings.ops.max_cycle_age_s, self._settings.compliance.max_quote_age_ms / 1000
        )

    def start(self) -> int:
        """Serve the endpoints; the port. Raises GatewayUnavailable if it is taken."""
        if self._server is None:
            server = OpsServer(self._settings.ops.host, self._settings.ops.port, self.snapshot)
            self._port = server.start()
            self._server = server
            facts = self._plan.directory / "ops.json"
            where = {"host": self._settings.ops.host, "port": self._port}
            write_atomically(facts, json.dumps(where).encode() + b"\n")
        return self._port

    def snapshot(self) -> Snapshot:
        """Where the firm is, from the log up to now and from a look at the run directory."""
        with self._lock:
            self._follow()
            figures = Figures.of(self._summary, self._latency.view())
            return Snapshot(self._status.view(), figures, self._facts(), self._tolerances)

    def progress(self) -> dict[str, Any]:
        """The few figures that a person watches."""
        with self._lock:
            self._follow()
            summary, view = self._summary, self._status.view()
            return {
                "at": view.at,
                "halted": view.halted,
                "cycles": sum(summary.cycles_by_kind.values()),
                "signals": sum(summary.signals_by_agent.values()),
                "orders_sent": sum(summary.sent_by_algo.values()),
                "fills": sum(summary.fills_by_side.values()),
                "equity": summary.equity,
                "var": summary.var_by_method.get("monte_carlo"),
                "data_label": summary.started.data_label if summary.started else None,
            }

    def conclude(self) -> None:
        """Write summary.json and report.html of the run so far."""
        store = SqliteStore.read_only(self._plan.directory, Keys.load(create=False))
        try:
            write_report(store, self._plan.directory)
        finally:
            store.close()

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def pid(self) -> int:
        """The process, for operators and for tests that kill it."""
        return os.getpid()

    def _follow(self) -> None:
        if self._store is None:
            try:
                self._store = SqliteStore.read_only(self._plan.directory, Keys.load(create=False))
            except StoreError:
                return  # not there yet: everything stays unknown, and unknown is not ready
        for record in self._store.read(since=self._seq):
            self._summary.note(record)
            self._status.note(record)
            self._seq = record.seq
        for operation in self._store.operations(self._operations):
            self._operations += 1
            if operation.name == "cycle_ms" and isinstance(operation.value, int | float):
                self._latency.observe(operation.value / 1000)
                self._cycle_at_ns = operation.at_wall_ns

    def _facts(self) -> Facts:
        directory = self._plan.directory
        latch = read_latch(directory)
        free = shutil.disk_usage(directory).free
        standby = read_status(directory) if self._settings.standby.mode != "local" else None
        return Facts(
            None if self._cycle_at_ns is None else max(0.0, (time.time_ns() - self._cycle_at_ns) / 1e9),
            os.access(directory, os.W_OK) and free > DISK_BYTES_MIN,
            _bus_alive(directory / "lock"),
            latch.reason if latch is not None else "",
            "" if standby is None else standby.trouble,
            None if standby is None else standby.lag(self._seq),
        )


def _bus_alive(lock: Path) -> bool | None:
    """Whether the process that took the writer's lock last is still there; None if nobody ever did."""
    try:
        os.kill(int(lock.read_text()), 0)
    except (FileNotFoundError, ValueError):
        return None
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's process, but a process
    return True
