"""The sub-commands `firm standby`, `firm fence` and `firm rewrap`: their arguments, and who does the work."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from firm.errors import ConfigError

Told = Callable[[str], object]


class Command(Protocol):
    """Adds a sub-command to the command line; with `directory`, one of a run directory."""

    def __call__(
        self, name: str, run: Callable[[argparse.Namespace], int], text: str, *, directory: bool = True
    ) -> argparse.ArgumentParser:
        """The new sub-command's parser."""


def standby_commands(command: Command, told: Told) -> None:
    """Add them; what they have to say goes to `told`. Nothing heavy is imported before one of them runs."""

    def standby(arguments: argparse.Namespace) -> int:
        from firm.standby.command import promote_standby, serve_standby

        if arguments.deed == "serve":
            serve_standby(arguments.listen, arguments.copy, told)
        elif arguments.run_dir is None:
            raise ConfigError("promoting needs --run-dir DIR, a new run directory to trade on in; found none")
        else:
            promote_standby(arguments.copy, arguments.run_dir, told)
        return 0

    def fence(arguments: argparse.Namespace) -> int:
        from firm.standby.command import serve_fence

        serve_fence(arguments.listen, arguments.gateway, arguments.claims, told)
        return 0

    def rewrap(arguments: argparse.Namespace) -> int:
        from firm.standby.command import rewrap_run

        rewrap_run(arguments.directory, arguments.key_file, told)
        return 0

    copies = command("standby", standby, "keep a copy of a running log, or promote it", directory=False)
    copies.add_argument("deed", choices=("serve", "promote"), help="keep it, or make a run directory of it")
    copies.add_argument("copy", type=Path, metavar="DIR", help="where the copy is")
    copies.add_argument(
        "--listen", default="127.0.0.1:7400", metavar="HOST:PORT", help="for the leader (serve)"
    )
    copies.add_argument(
        "--run-dir", type=Path, default=None, metavar="DIR", help="new, to trade on in (promote)"
    )
    fences = command("fence", fence, "let only the newest leader at the broker's gateway", directory=False)
    fences.add_argument("claims", type=Path, metavar="DIR", help="where it is kept who leads")
    fences.add_argument("--listen", default="127.0.0.1:7401", metavar="HOST:PORT", help="for the firm")
    fences.add_argument("--gateway", default="127.0.0.1:4002", metavar="HOST:PORT", help="IB Gateway's")
    rewraps = command("rewrap", rewrap, "wrap the key of a run by another master key")
    rewraps.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="the new master key")
