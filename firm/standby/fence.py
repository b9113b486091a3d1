"""The fence: who leads a log is written down on the witness' disk, and everyone older is refused for good.

A witness is whoever an old leader cannot do without: the standby, without whom nothing counts as committed,
and the relay before the broker's gateway, without whom nothing is sent. Epochs only rise. A promotion begins
a new term, the next thousand, and no restart of the old leader crosses into it: it can never catch up.
"""

import os
from pathlib import Path

import msgspec

from firm.errors import StaleEpoch, StoreError
from firm.standby.wire import Claim
from firm.store.keys import sync_directory


class Fence:
    """The newest claim on each log, in `path`. Whoever changes or reads it holds a lock of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self, log: str) -> Claim | None:
        """Who leads the log."""
        return self._read().get(log)

    def require_not_outdated(self, claim: Claim) -> None:
        """StaleEpoch where `admit` would raise it; nothing is written."""
        newest = self.newest(claim.log)
        if newest is not None:
            require_not_older(claim, newest)

    def admit(self, claim: Claim) -> None:
        """Write the claim down if it is newer; StaleEpoch if it is older, or another holder has its epoch."""
        held = self._read()
        newest = held.get(claim.log)
        if newest is not None:
            require_not_older(claim, newest)
        if newest != claim:
            self._write(held | {claim.log: claim})

    def require(self, claim: Claim) -> None:
        """StaleEpoch unless this claim is still the newest."""
        newest = self.newest(claim.log)
        if newest is None:
            raise StoreError(f"{self._path} knows no leader of log {claim.log}. Say hello first.")
        require_not_older(claim, newest)

    def _read(self) -> dict[str, Claim]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Claim])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{self._path} says who may write and is damaged ({error}): until somebody who knows which"
                " epoch leads restores it, everyone is refused."
            ) from error

    def _write(self, claims: dict[str, Claim]) -> None:
        replace_durably(self._path, msgspec.json.encode(claims))


def require_not_older(claim: Claim, newest: Claim) -> None:
    """Raise StaleEpoch if a newer leader than `claim` is known, or another one with the same epoch."""
    if claim.epoch > newest.epoch or claim == newest:
        return
    what = "has taken over" if claim.epoch < newest.epoch else "is led by another process"
    raise StaleEpoch(
        f"log {claim.log}: epoch {newest.epoch} {what}; this leader has epoch {claim.epoch} and may not write"
        " or send any more. Stop it; start nothing on its directory again, the newer one trades on."
    )


def replace_durably(path: Path, content: bytes) -> None:
    """Write `path` anew, wholly or not at all."""
    beside = path.with_suffix(".draft")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
