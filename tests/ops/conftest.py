import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firm.ops.mailbox import Mailbox

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run's directory as the firm leaves it after its first start."""
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "events.db").touch()
    return directory


@pytest.fixture
def start(run_dir: Path) -> Callable[[], Mailbox]:
    """Starts the firm's side, or starts it again after a crash."""
    return lambda: Mailbox(run_dir)
