"""One writer for each store, one firm for each account: an OS lock that ends with its process."""

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from firm.errors import StoreLocked
from firm.store.keys import key_directory

STORE = (
    "the store in {place} has one writer at a time, and process {holder} holds it. Stop that process, or open"
    " the store read-only."
)
ACCOUNT = (
    "account {account} is traded by another firm on this machine, process {holder}: one at a time. Stop that"
    " one, or choose another broker.account."
)


class WriterLock:
    """The lock on a file, held from construction until `release` or the end of the process."""

    def __init__(self, path: Path, refusal: str = STORE, **words: str) -> None:
        """StoreLocked with `refusal`, filled in with `words`, if another process has it."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(refusal.format(place=path.parent, holder=holder, **words)) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    @property
    def held(self) -> bool:
        """Whether this object still holds the lock."""
        return self._file >= 0

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_account(account: str) -> WriterLock:
    """Trade `account` alone, as far as this machine's user goes; beyond it `firm fence` sees to that.

    Whichever gateway leads to it: accounts have one name everywhere, the address of a gateway many.
    """
    directory = key_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return WriterLock(directory / f"account-{quote(account, safe='')}.lock", ACCOUNT, account=account)
