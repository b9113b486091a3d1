"""Keys of their own for the firms that are started here, and a system on which processes can be counted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nobody's real keys are touched."""
    if not sys.platform.startswith("linux"):
        pytest.skip("processes are found in /proc, which is Linux'")
    directory = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRM_KEY_DIR", str(directory))
        for name in ("FIRM_STORE_KEY", "FIRM_SIGNING_KEY", "FIRM_HEADS_SINK", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        yield directory
