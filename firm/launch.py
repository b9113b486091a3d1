"""`python -m firm.launch`: the firm on Ray, embedded or on the running cluster, with a live view."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from firm.errors import ConfigError, FirmError

OLDEST, NEWEST = (3, 11), (3, 13)


def parser() -> argparse.ArgumentParser:
    """The command line, an interface others script against."""
    parser = argparse.ArgumentParser(prog="python -m firm.launch", description=__doc__)
    add = parser.add_argument
    add("--config", type=Path, default=Path("config/paper.yaml"), help="settings (YAML)")
    add("--set", action="append", default=[], metavar="section.key=value", help="change one setting")
    add("--run-dir", type=Path, default=None, help="where the run lives; an existing one is resumed")
    add("--data", type=Path, default=None, help="market data (npz) for the simulated gateway")
    add("--days", type=int, default=None, help="play only the last N days of the data")
    add("--signal-replicas", type=int, default=None, help="actors that the signal units are spread over")
    add("--address", default=None, help="a running Ray cluster (`auto`), else an embedded Ray")
    add("--gateway", default="simulated", help="`simulated`, or HOST:PORT of an IB Gateway")
    add("--quiet", action="store_true", help="no live view, only the summary")
    add("--i-understand-this-is-live", action="store_true", help="needed for system.mode live")
    return parser


def check_python() -> None:
    """Refuse a Python that Ray or Numba have no wheels for."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        raise ConfigError(
            f"the firm needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, as Ray and Numba do, "
            f"found {found}; run it with another one, e.g. make run PYTHON=python3.11"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the firm: 0 ended in good order, 1 failed, 2 could not start, 130 interrupted while starting."""
    arguments = parser().parse_args(argv)
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    try:
        check_python()
        from firm.actors.session import run

        return run(arguments)
    except FirmError as error:
        print(f"firm: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("firm: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
