"""What a named person may want of a running firm, and how it is asked for: one file a wish.

These functions are the operator's side. They need no network and no running firm: a wish waits in the run's
directory until the firm takes it, in the order of the wishes' numbers.
"""

import getpass
import os
import re
import secrets
import time
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec

from firm.errors import FirmError
from firm.events import Event
from firm.events.external import ExternalEvent, Topic
from firm.events.system import EntrySkipped, OperatorRearmRequested, ShutdownRequested
from firm.ops.files import write_atomically
from firm.ops.latch import Latch, read_latch, write_latch

MAILBOX: Final = "operator"
DATABASE: Final = "events.db"
NAME: Final = re.compile(r"(\d{20})-[0-9a-f]{8}\.(json|taken)")

WAITING_MAX: Final = 1_000
"""Wishes that wait at most: a firm that leaves so many lying takes none, and a kill needs no place."""

Words: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000, pattern=r"\S")]
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Rearm(msgspec.Struct, frozen=True, tag="rearm", tag_field="wish", forbid_unknown_fields=True):
    """Trade again, says a named person, for a reason."""

    by: Words
    reason: Words

    def event(self) -> Event:
        """As the log has it."""
        return OperatorRearmRequested(self.by, self.reason)


class Stop(msgspec.Struct, frozen=True, tag="stop", tag_field="wish", forbid_unknown_fields=True):
    """End the firm in an orderly way."""

    reason: Words

    def event(self) -> Event:
        """As the log has it."""
        return ShutdownRequested(self.reason)


class Skip(msgspec.Struct, frozen=True, tag="skip", tag_field="wish", forbid_unknown_fields=True):
    """Let an agent pass over the entry it failed on."""

    agent: Words
    seq: Seq
    by: Words
    reason: Words

    def event(self) -> Event:
        """As the log has it."""
        return EntrySkipped(self.agent, self.seq, self.by, self.reason)


class Tell(msgspec.Struct, frozen=True, tag="tell", tag_field="wish", forbid_unknown_fields=True):
    """A fact from outside, with who says so."""

    topic: Topic
    symbol: str
    text: str
    source: Words

    def event(self) -> Event:
        """As the log has it."""
        return ExternalEvent(self.topic, self.symbol, self.text, self.source)


Wish: TypeAlias = Rearm | Stop | Skip | Tell


def request_kill(run_dir: Path, reason: str) -> Latch:
    """Halt trading now: when this returns no further order leaves the firm, whatever state the firm is in.

    An empty reason is no obstacle to a kill, nor one that is not text.
    """
    _require_run(run_dir)
    words = reason.encode(errors="replace").decode().strip()
    latch = Latch(words or "no reason given", _user(), time.time_ns(), next_number(run_dir))
    try:
        write_latch(run_dir, latch)
    except OSError as error:
        raise FirmError(
            f"the kill could not be written ({error}) and trading is NOT halted; stop the firm's process, or"
            " cancel the orders at the broker"
        ) from error
    return latch


def request_rearm(run_dir: Path, by: str, reason: str) -> Path:
    """Ask to trade again; `by` answers for it. A kill or a halt after this makes it void."""
    return _post(run_dir, Rearm(by.strip(), reason.strip()))


def request_stop(run_dir: Path, reason: str) -> Path:
    """Ask the firm to end in an orderly way; orders at the broker stay where they are."""
    return _post(run_dir, Stop(reason.strip()))


def request_skip(run_dir: Path, agent: str, seq: int, by: str, reason: str) -> Path:
    """Ask that `agent` passes over entry `seq`, on which it failed twice; `by` answers for it."""
    return _post(run_dir, Skip(agent.strip(), seq, by.strip(), reason.strip()))


def tell(run_dir: Path, topic: Topic | str, symbol: str, text: str, source: str) -> Path:
    """Tell the firm a fact from outside; restrict and unrestrict change Compliance's list."""
    try:
        known = Topic(topic)
    except ValueError as error:
        topics = ", ".join(each.value for each in Topic)
        raise FirmError(f"a fact needs one of the topics {topics}, found {topic!r}") from error
    if known is not Topic.NEWS and not symbol.strip():
        raise FirmError(f"topic {known.value} needs the symbol it is about, found none")
    return _post(run_dir, Tell(known, symbol.strip(), text, source.strip()))


def next_number(run_dir: Path) -> int:
    """A number above every wish waiting and above the latch: the clock's nanoseconds, or one more."""
    waiting = [int(m[1]) for name in _names(run_dir / MAILBOX) if (m := NAME.fullmatch(name))]
    latch = read_latch(run_dir)
    return max([time.time_ns(), *(number + 1 for number in waiting), latch.number + 1 if latch else 0])


def _post(run_dir: Path, wish: Wish) -> Path:
    _require_run(run_dir)
    try:
        content = msgspec.json.encode(wish)
        msgspec.json.decode(content, type=Wish)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise FirmError(
            f"{type(wish).__name__.lower()} needs a reason and, where somebody answers for it, a name, both"
            f" not empty; found: {error}"
        ) from error
    mailbox = run_dir / MAILBOX
    try:
        mailbox.mkdir(mode=0o700, exist_ok=True)
        if (waiting := sum(NAME.fullmatch(name) is not None for name in _names(mailbox))) >= WAITING_MAX:
            raise FirmError(
                f"a place in {mailbox} was needed, found {waiting} wishes waiting: the firm does not take "
                "them. See whether it runs; `firm kill` needs no place"
            )
        path = mailbox / f"{next_number(run_dir):020d}-{secrets.token_hex(4)}.json"
        write_atomically(path, content)
    except OSError as error:
        raise FirmError(f"the wish could not be left in {mailbox}: {error}; nothing was asked") from error
    return path


def _require_run(run_dir: Path) -> None:
    if not ((run_dir / DATABASE).exists() or (run_dir / MAILBOX).is_dir()):
        found = "an empty or other directory" if run_dir.is_dir() else "no directory"
        raise FirmError(
            f"this needs the directory of a run (with {DATABASE} in it), found {found} at {run_dir}; the firm"
            " prints its run directory when it starts"
        )


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return []


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user id {os.getuid()}"
