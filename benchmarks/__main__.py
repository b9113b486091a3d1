"""Runs every benchmark and prints one table. See docs/benchmarks.md.

python -m benchmarks [--only NAME ...] [--quick] [--address auto] [--json FILE] [--plots DIR]
                     [--baseline FILE] [--save-baseline FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import HERE, KNOWN
from benchmarks.suite import How, content, loaded_rows, run_all, scripts
from benchmarks.table import NOISE, against, drawing, markdown, table


def parser(place: Path = HERE) -> argparse.ArgumentParser:
    """The command line for the scripts in `place`."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks", description="run the benchmarks, one table"
    )
    options.add_argument(
        "--only", nargs="+", metavar="NAME", choices=scripts(place), help="only these scripts"
    )
    options.add_argument("--quick", action="store_true", help="fewer repeats: a look, not a measurement")
    options.add_argument("--address", help="Ray on this cluster (`auto`: this machine's), where a script can")
    options.add_argument("--json", type=Path, metavar="FILE", help="write machine, code, date and rows")
    options.add_argument(
        "--plots", type=Path, metavar="DIR", help="draw into DIR: ratios.svg, and what scripts have"
    )
    options.add_argument("--markdown", type=Path, metavar="FILE", help="the table for the README")
    options.add_argument("--baseline", type=Path, metavar="FILE", help="tell which ratios became worse")
    options.add_argument("--save-baseline", type=Path, metavar="FILE", help="the same as --json, to keep")
    options.add_argument("--noise", type=float, default=NOISE, help="changes below this are not told")
    options.add_argument("--timeout", type=float, default=1800, metavar="S", help="for one script")
    return options


def main(argv: Sequence[str] | None = None, place: Path = HERE) -> int:
    """0, or 1 if a benchmark failed. A target that is not met is told, and is no failure."""
    options = parser(place)
    chosen = options.parse_args(argv)
    if chosen.baseline is not None and not chosen.baseline.is_file():
        options.error(
            f"--baseline needs a file of an earlier --save-baseline, found none at {chosen.baseline}"
        )
    names = chosen.only or [
        name for name in scripts(place) if name not in KNOWN or KNOWN[name].part_of is None
    ]
    before = None if chosen.baseline is None else json.loads(chosen.baseline.read_text(encoding="utf-8"))
    how = How(quick=chosen.quick, timeout_s=chosen.timeout, address=chosen.address, plots=chosen.plots)
    result = run_all(names, how, progress=_progress, place=place)
    found = content(result, how)
    machine, code = found["machine"], found["code"]
    commit = (code["commit"] or "none")[:10] + (" and changes" if code["changed"] else "")
    told = f"{machine['cpu']}, {machine['cores']} cores; commit {commit}; {found['date']}"
    print(table(result.rows))
    print(told + (", quick: a look, not a measurement" if chosen.quick else ""))
    for file in filter(None, (chosen.json, chosen.save_baseline)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if chosen.markdown is not None:
        chosen.markdown.write_text(markdown(result.rows, told), encoding="utf-8")
    if chosen.plots is not None:
        chosen.plots.mkdir(parents=True, exist_ok=True)
        (chosen.plots / "ratios.svg").write_text(drawing(result.rows, told), encoding="utf-8")
    if before is not None:
        same_run = before["quick"] == chosen.quick and before.get("address") == chosen.address
        if before["machine"]["cpu"] != machine["cpu"] or not same_run:
            print("the baseline is of another kind of machine or run: its ratios are only a hint")
        print("\n".join(against(result.rows, list(loaded_rows(before)), chosen.noise)))
    for name, reason in result.failed.items():
        print(f"FAILED {name}: {reason}")
    return 1 if result.failed else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
