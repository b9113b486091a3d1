"""`firm`: prove, replay, and operate a run."""

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from firm.chaos.command import chaos_command
from firm.cluster.arguments import cluster_command
from firm.errors import FirmError, ReplayDiverged
from firm.standby.commands import standby_commands

if TYPE_CHECKING:
    from firm.bus.replay import Replayed
    from firm.config import Settings
    from firm.events.record import LogReader


def _verify(arguments: argparse.Namespace) -> int:
    from firm.store.keys import Keys
    from firm.store.verify import verify

    verified = verify(arguments.directory, Keys.load(create=False))
    print(f"verified: {verified.entries:,} entries, head {verified.head.hex()}, epoch {verified.epoch}")
    print(f"signed heads: {verified.heads_checked:,}, the last at seq {verified.last_signed_seq:,}")
    if verified.unsigned:
        print(f"the last {verified.unsigned:,} entries are not signed yet: the run was cut off or goes on")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from firm.roster import recorded_settings
    from firm.store.keys import Keys
    from firm.store.sqlite import SqliteStore

    _verify(arguments)
    store = SqliteStore.read_only(arguments.directory, Keys.load(create=False))
    try:
        started, settings = recorded_settings(store)
        recompute = _same_numbers(started.fingerprint)
        _same_code(started.code_version)
        run = _replay_local if arguments.runner == "local" else _replay_ray
        replayed = run(store, settings, arguments, recompute)
    except ReplayDiverged as diverged:
        print(f"DIVERGED at seq {diverged.seq}")
        print(f"  recorded    {diverged.recorded}")
        print(f"  recomputed  {diverged.recomputed}")
        return 1
    finally:
        store.close()
    for author in sorted(replayed.recorded):
        print(
            f"  {author:>12}  {replayed.recomputed[author]:,} recomputed"
            f" / {replayed.recorded[author]:,} recorded"
        )
    print(f"identical: {replayed.entries:,} entries, head {replayed.head.hex()}")
    return 0


def _same_numbers(recorded: str) -> bool:
    from firm.risk_kernels.fingerprint import numeric_fingerprint

    here = numeric_fingerprint()
    if here != recorded:
        print(
            f"numeric fingerprint here {here[:16]}, of the run {recorded[:16]}: another kind of machine; "
            "risk runs are taken from the record, and floats may differ in the last bit"
        )
    return here == recorded


def _same_code(recorded: str) -> None:
    from firm import __version__

    if recorded != __version__:
        print(f"code here {__version__}, of the run {recorded}: the first changed decision will be named")


def _replay_local(
    store: "LogReader", settings: "Settings", _arguments: argparse.Namespace, recompute: bool
) -> "Replayed":
    from firm.bus.replay import replay
    from firm.local import LocalCrew
    from firm.roster import rules

    return replay(store, rules(settings, recompute_risk=recompute), LocalCrew(settings), _progress())


def _replay_ray(
    store: "LogReader", settings: "Settings", arguments: argparse.Namespace, recompute: bool
) -> "Replayed":
    from firm.actors.cluster import connect, disconnect
    from firm.actors.replay import replay_on_ray

    print("starting Ray (about 10 s)", file=sys.stderr)
    connect(settings.cluster)
    try:
        return replay_on_ray(
            store, settings, arguments.signal_replicas, recompute_risk=recompute, progress=_progress()
        )
    finally:
        disconnect()


def _progress() -> Callable[[int, int], None]:
    """A progress line on a terminal; nothing where nobody looks."""
    if not sys.stderr.isatty():
        return lambda _done, _all: None
    return lambda done, total: print(f"\r{done:,} of {total:,}", end="", file=sys.stderr, flush=True)


def _graph(_arguments: argparse.Namespace) -> int:
    from firm.graph import draw

    print(draw())
    return 0


def _backtest(arguments: argparse.Namespace) -> int:
    from firm.backtest import backtest
    from firm.config import load_settings
    from firm.report.write import write_report
    from firm.store.keys import Keys
    from firm.store.memory import MemoryStore
    from firm.store.sqlite import SqliteStore

    settings = load_settings(arguments.config, arguments.set)
    days = arguments.days
    if days is None and arguments.data is None:
        days = settings.simulation.days
    arguments.directory.mkdir(parents=True, exist_ok=True)
    store = SqliteStore.open(arguments.directory, Keys.load()) if arguments.keep else MemoryStore()
    try:
        backtest(settings, store, arguments.data, days, _days())
        write_report(store, arguments.directory)
    finally:
        store.close()
    print(arguments.directory / "report.html")
    return 0


def _days() -> Callable[[int], None]:
    """The day the backtest has reached, on a terminal."""
    from datetime import UTC, datetime

    if not sys.stderr.isatty():
        return lambda _at: None
    return lambda at: print(f"\r{datetime.fromtimestamp(at / 1e9, UTC):%Y-%m-%d}", end="", file=sys.stderr)


def _shadow(arguments: argparse.Namespace) -> int:
    from firm.shadow.command import shadow

    told = partial(print, file=sys.stderr)
    where = (arguments.directory, arguments.config, arguments.set)
    print(shadow(*where, follow=not arguments.once, told=told, json_file=arguments.json).text, end="")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from firm.report.write import write_report
    from firm.store.keys import Keys
    from firm.store.sqlite import SqliteStore

    store = SqliteStore.read_only(arguments.directory, Keys.load(create=False))
    try:
        write_report(store, arguments.directory)
    finally:
        store.close()
    print(arguments.directory / "report.html")
    return 0


def _risk(arguments: argparse.Namespace) -> int:
    import json

    from rich.console import Console

    from firm.analysis.analysis import Question, analyse
    from firm.report.terminal import terminal
    from firm.store.keys import Keys
    from firm.store.sqlite import SqliteStore

    question = Question(arguments.horizon_days, arguments.loss, arguments.free_margin)
    store = SqliteStore.read_only(arguments.directory, Keys.load(create=False))
    try:
        analysis = analyse(store, question)
    finally:
        store.close()
    if arguments.json:
        print(json.dumps(analysis.as_dict(), indent=2, allow_nan=False))
    else:
        Console(width=None if sys.stdout.isatty() else 130).print(terminal(analysis))
    return 0


def _kill(arguments: argparse.Namespace) -> int:
    from firm.ops.wishes import request_kill

    request_kill(arguments.directory, arguments.reason)
    print(f"halted: no order leaves the firm in {arguments.directory} any more; `firm rearm` ends it")
    return 0


def _rearm(arguments: argparse.Namespace) -> int:
    from firm.ops.wishes import request_rearm

    request_rearm(arguments.directory, arguments.by, arguments.reason)
    print("asked: the firm re-arms at its next turn")
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from firm.ops.wishes import request_stop

    request_stop(arguments.directory, arguments.reason)
    print("asked: the firm shuts down in good order at its next turn")
    return 0


def _skip(arguments: argparse.Namespace) -> int:
    from firm.ops.wishes import request_skip

    request_skip(arguments.directory, arguments.agent, arguments.seq, arguments.by, arguments.reason)
    print(f"asked: {arguments.agent} passes over entry {arguments.seq}; still halted until `firm rearm`")
    return 0


def _tell(arguments: argparse.Namespace) -> int:
    from firm.ops.wishes import tell

    tell(arguments.directory, arguments.topic, arguments.symbol, arguments.text, arguments.source)
    print("told")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line. DIR is a run directory; operating commands take the newest under runs/ by default."""
    top = argparse.ArgumentParser(prog="firm", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *, directory: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        if directory:
            sub.add_argument("directory", type=Path, metavar="DIR")
        return sub

    command("verify", _verify, "the hash chain and the signed heads, from the store alone")
    replayed = command("replay", _replay, "re-run every agent from the recorded inputs, compare every output")
    replayed.add_argument("--runner", choices=("local", "ray"), default="local")
    replayed.add_argument("--signal-replicas", type=int, default=2)
    backtested = command("backtest", _backtest, "the firm in one thread on a data file; report into DIR")
    backtested.add_argument("--config", type=Path, default=Path("config/paper.yaml"))
    backtested.add_argument("--set", action="append", default=[], metavar="section.key=value")
    backtested.add_argument("--data", type=Path, default=None)
    backtested.add_argument("--days", type=int, default=None)
    backtested.add_argument("--keep", action="store_true", help="keep the log in DIR, to verify and replay")
    command("report", _report, "write summary.json and report.html again")
    risk = command("risk", _risk, "the last measured book by every method, and the record of VaR and ES")
    risk.add_argument("--json", action="store_true", help="numbers for programs instead of tables")
    risk.add_argument(
        "--horizon-days", type=_count, default=10, metavar="N", help="trading days, 10 by default"
    )
    risk.add_argument(
        "--loss", type=_amount, metavar="USD", help="for reverse stress; default: daily loss limit"
    )
    risk.add_argument(
        "--free-margin", type=_amount, metavar="USD", help="propose trades that free so much margin"
    )
    shadowed = command("shadow", _shadow, "what another configuration would decide on this log")
    shadowed.add_argument("--config", type=Path, required=True, metavar="FILE")
    shadowed.add_argument("--set", action="append", default=[], metavar="section.key=value")
    shadowed.add_argument("--json", type=Path, default=None, metavar="FILE")
    shadowed.add_argument("--once", action="store_true", help="do not wait for more of a running firm")
    for add in (cluster_command, standby_commands, chaos_command):
        add(command, partial(print, flush=True))
    command("graph", _graph, "who hears and says what, from the type hints", directory=False)
    _operating(command("kill", _kill, "halt trading at once", directory=False), "reason")
    _operating(command("rearm", _rearm, "trade again, as a named person", directory=False), "by", "reason")
    _operating(command("stop", _stop, "shut down in good order", directory=False), "reason")
    skip = command("skip", _skip, "let an agent pass over an entry it cannot digest", directory=False)
    skip.add_argument("--agent", required=True)
    skip.add_argument("--seq", type=int, required=True)
    _operating(skip, "by", "reason")
    told = command("tell", _tell, "a fact from outside: news, restrict, unrestrict", directory=False)
    told.add_argument("--topic", choices=("news", "restrict", "unrestrict"), required=True)
    told.add_argument("--symbol", default="")
    told.add_argument("--source", default=getpass.getuser())
    _operating(told, "text")
    return top


def _operating(sub: argparse.ArgumentParser, *needed: str) -> None:
    for name in needed:
        sub.add_argument(f"--{name}", required=True)
    sub.add_argument("--run-dir", dest="directory", type=Path, default=None, metavar="DIR")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needed a whole number of at least 1, found {text!r}")
    return int(text)


def _amount(text: str) -> float:
    """A positive amount; NaN and infinity are none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1e15:
        raise argparse.ArgumentTypeError(f"needed an amount above 0, found {text!r}")
    return value


def newest_run(root: Path = Path("runs")) -> Path:
    """The run directory that was started last, also if its log has not begun yet."""
    from firm.ops.wishes import DATABASE, MAILBOX

    found = sorted({path.parent for name in (DATABASE, MAILBOX) for path in root.glob(f"*/{name}")})
    if not found:
        raise FirmError(f"needed a run directory, found none under {root}/; name it with --run-dir DIR")
    return found[-1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 for yes, 1 for a replay that differs, 2 for an error."""
    arguments = parser().parse_args(argv)
    try:
        if getattr(arguments, "directory", Path()) is None:
            arguments.directory = newest_run()
        code: int = arguments.run(arguments)
    except FirmError as error:
        print(f"firm: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("firm: interrupted", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
