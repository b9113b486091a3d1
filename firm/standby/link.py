"""The leader's line to its standby: whatever the standby lacks is read from the log and sent, in order.

Catching up after an absence and following live are the same thing here: ask how far the copy goes, send the
rest.
"""

import logging
import socket
from pathlib import Path

from msgspec import Struct

from firm.errors import StoreError
from firm.standby.frame import Sealer, growth
from firm.standby.wire import Claim, Hello, Line, Position
from firm.store.database import Files, connect, refusing
from firm.store.keys import Keys, open_data_key

LOG = logging.getLogger("firm.standby")


class Leader(Struct, frozen=True):
    """What a link is made with: the standby's address, the token, and how long silence may last (s)."""

    address: tuple[str, int]
    token: bytes
    timeout_s: float


class Link:
    """One leader's line, made anew after each break. One caller at a time."""

    def __init__(self, directory: Path, keys: Keys, claim: Claim, leader: Leader) -> None:
        self._files, self._claim, self._leader = Files(directory), claim, leader
        data_key = open_data_key(self._files.key, keys)
        self._public = keys.public.public_bytes_raw()
        self._sealer = Sealer(data_key, claim.log)
        self._db = connect(self._files.database, data_key, writable=False)
        self._line: Line | None = None
        self._at: Position | None = None

    @property
    def acknowledged(self) -> int:
        """The last seq that is certainly on the standby's disk; 0 before the first word."""
        return 0 if self._at is None else self._at.seq

    def bring_up(self) -> None:
        """Send what the standby lacks, and wait until it has all of it.

        OSError if it cannot be reached or breaks off: try again later. StaleEpoch if a newer leader is known
        there; StoreError if its copy is not of this log, or further than this log.
        """
        try:
            if self._line is None:
                self._call()
            assert self._line is not None
            assert self._at is not None
            with refusing(self._files.database):
                for frame in growth(self._db, self._sealer, self._claim.log, self._claim.epoch, self._at):
                    self._line.send(frame)
                    self._at = self._line.receive(Position)
        except BaseException:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """Close the line; the next `bring_up` calls again."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def close(self) -> None:
        """Let go of everything."""
        self.hang_up()
        self._db.close()

    def _call(self) -> None:
        timeout_s = self._leader.timeout_s
        connection = socket.create_connection(self._leader.address, timeout=timeout_s)
        try:
            line = Line(connection, self._leader.token, calls=True)
            line.send(Hello(self._claim, self._public, self._files.key.read_text()))
            at = line.receive(Position)
            self._require_ours(at)
            line.send(at)
            line.receive(Position)
        except BaseException:
            connection.close()
            raise
        LOG.info("the standby at %s:%s has the log up to seq %s", *self._leader.address, at.seq)
        self._line, self._at = line, at

    def _require_ours(self, at: Position) -> None:
        """The copy must be a beginning of this log; only who has said so is taken for its leader."""
        with refusing(self._files.database):
            row = self._db.execute("SELECT hash FROM entries WHERE seq = ?", (at.seq,)).fetchone()
        if at.seq and (row is None or row[0] != at.head):
            what = "holds another history than" if row else "goes further than"
            raise StoreError(
                f"the standby's copy ends at seq {at.seq} and {what} the log in {self._files.directory}. If"
                " this directory was restored from an old backup, go on from the copy instead (`firm standby"
                " promote`); else give the standby an empty directory."
            )
