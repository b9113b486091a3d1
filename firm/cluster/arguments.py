"""The sub-command `firm cluster`: its arguments, and who does the work."""

import argparse
from pathlib import Path

from firm.standby.commands import Command, Told


def cluster_command(command: Command, told: Told) -> None:
    """Add it to the command line; what it has to say goes to `told`. Nothing heavy is imported before."""

    def cluster(arguments: argparse.Namespace) -> int:
        from firm.cluster.command import certificates, check, down, up

        match arguments.deed:
            case "check":
                check(arguments.file, told)
            case "up":
                up(arguments.file, told)
            case "down":
                down(arguments.file, told, trading=arguments.trading)
            case _:
                certificates(arguments.file, arguments.to.expanduser(), arguments.days, told)
        return 0

    text = "check the hosts of a cluster, bring it up, take it down, or make its certificates"
    sub = command("cluster", cluster, text, directory=False)
    add = sub.add_argument
    add("deed", choices=("check", "up", "down", "certificates"))
    add("file", type=Path, nargs="?", default=Path("cluster.yaml"), metavar="FILE")
    add("--trading", action="store_true", help="with down: even if a firm trades there")
    add("--to", type=Path, default=Path("~/.ray/firm-tls"), metavar="DIR", help="for the certificates")
    add("--days", type=int, default=30, help="how long certificates hold (default %(default)s)")
