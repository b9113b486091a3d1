"""The event store with a standby: what is committed is on two disks (sync), or soon will be (async)."""

import logging
import math
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from firm.errors import FirmError, StoreError
from firm.events.record import Record
from firm.standby.link import Link
from firm.standby.wire import OutOfService
from firm.store.sqlite import SqliteStore

LOG = logging.getLogger("firm.standby")
STATUS = "standby.json"
OPEN_WITHIN_S = 30.0
AGAIN_S, LONGEST_AGAIN_S = 0.05, 1.0
SAY_EVERY_S = 1.0
SIGN_OF_LIFE_EVERY_S, SILENT_S = 5.0, 30.0
"""The async mode's thread rewrites its status at least so often; after such a silence readers doubt it."""

Mode = Literal["async", "sync"]


class StandbyStatus(Struct, frozen=True):
    """How the standby stands, for operators: the last seq it has, and the trouble ("" if there is none)."""

    mode: Mode
    acknowledged: int
    trouble: str

    def lag(self, last_seq: int) -> int:
        """How many entries of a log that goes up to `last_seq` the standby lacks."""
        in_step = self.mode == "sync" and not self.trouble
        return 0 if in_step else max(0, last_seq - self.acknowledged)


class ReplicatedStore:
    """An EventStore on two hosts. Local first: the copy is never ahead of the log it is a copy of."""

    def __init__(self, store: SqliteStore, link: Link, mode: Mode, status: Path) -> None:
        """Take an opened store; in both modes the standby must admit its leader, and catch up, first.

        Raises StaleEpoch if the standby knows a newer leader, StoreError if nobody answers within 30 s or the
        copy there is no beginning of this log. `status` is rewritten as things change, for operators.
        """
        self._store, self._link, self._mode, self._status = store, link, mode, status
        self._said, self._said_at = StandbyStatus(mode, 0, ""), 0.0
        self._refused: FirmError | None = None
        self._news, self._closing = threading.Event(), threading.Event()
        self._bring_up(within_s=OPEN_WITHIN_S)
        self._follower = threading.Thread(target=self._follow, name="standby", daemon=True)
        if mode == "async":
            self._follower.start()

    @property
    def epoch(self) -> int:
        """See EventStore."""
        return self._store.epoch

    @property
    def last_seq(self) -> int:
        """See EventStore."""
        return self._store.last_seq

    @property
    def head(self) -> bytes:
        """See EventStore."""
        return self._store.head

    def commit(self, records: Sequence[Record]) -> bytes:
        """See EventStore. In sync mode it waits for the standby, without limit: until then nothing goes on.

        StaleEpoch once the standby has been promoted, or serves a newer leader.
        """
        if self._refused is not None:
            raise self._refused
        head = self._store.commit(records)
        if self._mode == "sync":
            self._bring_up()
        else:
            self._news.set()
        return head

    def read(
        self, since: int = 0, limit: int | None = None, kinds: Collection[int] | None = None
    ) -> list[Record]:
        """See EventStore."""
        return self._store.read(since, limit, kinds)

    def operation(self, name: str, value: object) -> None:
        """See EventStore."""
        self._store.operation(name, value)

    def close(self) -> None:
        """Close the store, tell the standby so if it is there, and hang up."""
        self._closing.set()
        self._news.set()
        try:
            if self._follower.is_alive():
                self._follower.join()
            self._store.close()
            if self._refused is None:
                with suppress(StoreError):
                    self._bring_up(within_s=0.0)
        finally:
            self._link.close()

    def _bring_up(self, within_s: float = math.inf) -> None:
        """Until the standby has all: call again after every break, and say plainly what is waited for."""
        deadline, again_s = time.monotonic() + within_s, AGAIN_S
        while True:
            try:
                self._link.bring_up()
            except OSError as error:
                trouble = _trouble(error)
                self._say(trouble)
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{trouble}, and without its word this store may not lead. Start `firm standby`"
                        " there, correct standby.address, or set standby.mode to local to go on without one."
                    ) from error
                time.sleep(again_s)
                again_s = min(2 * again_s, LONGEST_AGAIN_S)
            except FirmError as error:
                self._refused = error
                self._say(str(error))
                raise
            else:
                self._say("")
                return

    def _follow(self) -> None:
        """The async mode's thread. Whatever ends it before the store is closed refuses the next commit."""
        try:
            while not self._closing.is_set() and self._refused is None:
                self._news.wait(SAY_EVERY_S)
                self._news.clear()
                self._bring_up_once()
        finally:
            if self._refused is None and not self._closing.is_set():
                self._refused = StoreError(
                    "the thread that feeds the standby has ended (why is on standard error), so nothing would"
                    " be copied any more. Start the firm again on the same directory."
                )
                self._say(str(self._refused))

    def _bring_up_once(self) -> None:
        try:
            self._link.bring_up()
        except OSError as error:
            self._say(_trouble(error))
            self._closing.wait(LONGEST_AGAIN_S)
        except FirmError as error:
            self._refused = error
            self._say(str(error))
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        """For operators; a status that cannot be written is logged, and stops neither firm nor copy."""
        said, now = StandbyStatus(self._mode, self._link.acknowledged, trouble), time.monotonic()
        if trouble != self._said.trouble:
            LOG.warning("%s", trouble or "the standby has all again")
        elif now - self._said_at < (SIGN_OF_LIFE_EVERY_S if said == self._said else SAY_EVERY_S):
            return
        self._said, self._said_at = said, now
        beside = self._status.with_suffix(".draft")
        try:
            beside.write_bytes(msgspec.json.encode(said))
            beside.replace(self._status)
        except OSError as error:
            LOG.warning("%s cannot be written, /health and the lag are out of date: %s", self._status, error)


def _trouble(error: OSError) -> str:
    if isinstance(error, OutOfService):
        return str(error)
    return f"the standby cannot be reached ({error or type(error).__name__})"


def read_status(run_dir: Path) -> StandbyStatus | None:
    """How the standby of a run stands; None if the run has none. The file may be a second old.

    In async mode, where nobody waits for the standby, a file that has not been written for long is trouble.
    """
    path = run_dir / STATUS
    try:
        said = msgspec.json.decode(path.read_bytes(), type=StandbyStatus)
        silent_s = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    if said.mode == "sync" or said.trouble or silent_s <= SILENT_S:
        return said
    return msgspec.structs.replace(
        said,
        trouble=f"nothing has been heard of the standby for {silent_s:.0f} s: much is being copied, or the"
        f" thread that feeds it has ended, or {path} cannot be written; look at the firm's log",
    )
