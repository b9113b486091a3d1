"""The sub-command `firm chaos`: a seed makes a plan, the plan a campaign, the campaign a table."""

import argparse
from pathlib import Path

from firm.standby.commands import Command, Told


def chaos_command(command: Command, told: Told) -> None:
    """Add it to the command line; what it has to say goes to `told`. Nothing heavy is imported before."""

    def run(arguments: argparse.Namespace) -> int:
        from firm.chaos.campaign import chaos
        from firm.chaos.faults import FAULTS
        from firm.chaos.results import markdown

        folder: Path = arguments.into or Path("runs") / f"chaos-{arguments.seed}"
        results: Path = arguments.results or folder / "results.json"
        faults = [name for name in arguments.faults.split(",") if name]
        rows = chaos(arguments.seed, faults, arguments.repeats, folder, results, told)
        told(markdown(rows, {name: fault.does for name, fault in FAULTS.items()}))
        return 0 if all(row.clean for row in rows) else 1

    text = "let faults, drawn from a seed, happen to a firm that trades: nothing may be lost or doubled"
    sub = command("chaos", run, text, directory=False)
    sub.add_argument("--seed", type=int, required=True, metavar="N")
    sub.add_argument("--faults", default="", metavar="A,B,...", help="default: all, see docs/chaos.md")
    sub.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="of each fault (default %(default)s)"
    )
    sub.add_argument("--results", type=Path, metavar="FILE", help="what was measured; resumed from")
    sub.add_argument("--into", type=Path, metavar="DIR", help="where the runs live (default runs/chaos-N)")
