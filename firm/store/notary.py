"""Signs heads for one writer and sees to it that every copy of them is complete."""

from collections.abc import Sequence
from pathlib import Path

from firm.errors import StoreTampered
from firm.store.heads import REMEDY, Head, HeadsFile, State, missing_from
from firm.store.keys import Keys


class Notary:
    """Signs for log `log`; knows when the next head is due and where heads are copied to."""

    def __init__(self, keys: Keys, log: str, beside: Path, sink: Path | None, every: int) -> None:
        self._keys, self._log, self._every = keys, log, every
        self._beside = HeadsFile(beside)
        self._sink = HeadsFile(sink) if sink else None
        self._signed_seq = 0

    def due(self, seq: int) -> bool:
        """Whether a commit that ends at `seq` must carry a signed head."""
        return seq - self._signed_seq >= self._every

    def sign(self, seq: int, head: bytes, epoch: int, state: State) -> Head:
        """Sign that the log has `head` at `seq`."""
        return Head.sign(self._keys, self._log, seq, head, epoch, state)

    def publish(self, signed: Sequence[Head]) -> None:
        """Copy heads that the database holds to `heads.log` and the sink, durably."""
        for copy in self._copies():
            copy.append(signed)
        if signed:
            self._signed_seq = signed[-1].seq

    def complete_copies(self, signed: Sequence[Head]) -> None:
        """Give each copy the heads it lacks; StoreTampered if one disagrees, or `heads.log` lacks several.

        A crash can come between a commit and the copying of its head, so `heads.log` may lack one.
        A sink may be new or have been out of reach: it gets all it lacks.
        """
        for copy in self._copies():
            copy.drop_torn_line()
            lacking = missing_from(copy.path, copy.read(self._log), signed)
            if copy is self._beside and len(lacking) > 1:
                raise StoreTampered(f"{copy.path} has lost {len(lacking)} signed heads. {REMEDY}")
            copy.append(lacking)

    def _copies(self) -> list[HeadsFile]:
        return [self._beside, self._sink] if self._sink else [self._beside]
