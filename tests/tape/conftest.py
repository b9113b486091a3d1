"""Writes small data files, and finds the shared real ones where they exist."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tape_files import Write

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes columns into an npz file and returns its path."""

    def write_columns(**columns: object) -> Path:
        path = tmp_path / "data.npz"
        np.savez_compressed(path, **columns)
        return path

    return write_columns


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """The path of a shared real data file; the test is skipped, saying so, where it is absent."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"needs the shared data file {name}, which is not beside this checkout")
        return path

    return find
