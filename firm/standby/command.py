"""What `firm standby`, `firm fence` and `firm rewrap` do."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from firm.errors import ConfigError
from firm.standby.promote import promote
from firm.standby.relay import Relay
from firm.standby.server import StandbyServer
from firm.store.database import Files
from firm.store.keys import Keys, master_key_of, rewrap_data_key, token_of

Told = Callable[[str], object]


def serve_standby(listen: str, directory: Path, told: Told) -> None:
    """Keep the copy of one log in `directory` until SIGTERM or Ctrl-C."""
    _tell_of_callers()
    server = StandbyServer(_address(listen), directory, token_of("standby", create=True))
    had = f"seq {server.position.seq}" if server.position else "nothing yet"
    told(f"standby listens on port {server.port}, copy in {directory}: {had}")
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.close()


def promote_standby(directory: Path, run_dir: Path, told: Told) -> None:
    """Make `run_dir` from the copy; from now on older leaders are refused."""
    verified = promote(directory, run_dir, Keys.load(create=False))
    told(f"promoted: {verified.entries:,} entries, head {verified.head.hex()}, epoch {verified.epoch}")
    told(f"every older leader is refused from now on; trade on with: firm.launch --run-dir {run_dir}")


def serve_fence(listen: str, gateway: str, directory: Path, told: Told) -> None:
    """Stand before the gateway until SIGTERM or Ctrl-C."""
    _tell_of_callers()
    asyncio.run(_relay(_address(listen), _address(gateway), directory, told))


def rewrap_run(run_dir: Path, key_file: Path, told: Told) -> None:
    """Wrap the data key of a run by the master key in `key_file`; the present one opens it no more."""
    rewrap_data_key(Files(run_dir).key, Keys.load(create=False), master_key_of(key_file))
    told(f"only the master key in {key_file} opens {run_dir} from now on")


async def _relay(listen: tuple[str, int], gateway: tuple[str, int], directory: Path, told: Told) -> None:
    relay, ended = Relay(directory, token_of("fence", create=True), gateway), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        port = await relay.start(*listen)
        told(f"fence listens on port {port}, before the gateway at {gateway[0]}:{gateway[1]}")
        await ended.wait()
    finally:
        await relay.close()


def _tell_of_callers() -> None:
    """Who leads, and who was refused and why, on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"an address HOST:PORT was needed, found {text!r}; e.g. 127.0.0.1:7400")
    return host, int(port)
