import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from copying import TOKEN, Serving, Start

from firm.standby.server import StandbyServer
from firm.store.keys import Keys


@pytest.fixture
def keys() -> Keys:
    return Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))


@pytest.fixture(autouse=True)
def _no_sink_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRM_HEADS_SINK", raising=False)


@pytest.fixture
def standby(tmp_path: Path) -> Iterator[Start]:
    """Starts a standby; `port`: again on the same."""
    with ExitStack() as undo:

        def start(name: str = "copy", port: int = 0, token: bytes = TOKEN) -> Serving:
            server = StandbyServer(("127.0.0.1", port), tmp_path / name, token)
            thread = threading.Thread(target=server.serve, daemon=True)
            thread.start()
            undo.callback(server.close)
            return Serving(server, tmp_path / name)

        yield start
