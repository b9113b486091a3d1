import pytest

from firm.store.keys import Keys


@pytest.fixture
def keys() -> Keys:
    return Keys.from_bytes(bytes(range(32)), bytes(range(32, 64)))


@pytest.fixture(autouse=True)
def _no_sink_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRM_HEADS_SINK", raising=False)
