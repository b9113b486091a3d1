"""What a user can get wrong: each is refused with what was needed, what was found and what to do."""

import contextlib
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from firm_process import ROOT, Firm, command, launched

from firm.errors import ConfigError
from firm.launch import check_python
from firm.store.keys import Keys
from firm.store.verify import verify
from firm.tape.load import SAMPLE

pytestmark = pytest.mark.process

LIVE = ("--i-understand-this-is-live", "--set", "system.mode=live")
AT_IB = ("--config", "config/ib.yaml", "--gateway", "127.0.0.1:4002")
LEI = "5493001KJTIIGC8Y1R12"
"""A valid one: two check digits that make the number 1 modulo 97."""


def refused(run_dir: Path, *options: str, code: int = 2, **environ: str) -> str:
    """Launch a firm that cannot run; what it says, once nothing of it is left."""
    with launched(run_dir, *options, environ=environ) as firm:
        said = firm.finish()
        firm.leave_nothing()
    assert said.code == code, said
    assert "Traceback" not in said.err, said
    return said.err


WRONG_SETTINGS: dict[tuple[str, ...], str] = {
    ("--set", "risk.max_levrage=2"): "risk.max_levrage: unknown key (found 2); remove it or correct",
    ("--set", "cluster.num_cpus=two"): "cluster.num_cpus: Input should be a valid integer",
    ("--set", "risk.max_leverage=-1"): "risk.max_leverage: Input should be greater than 0 (found -1)",
    ("--set", "risk"): "--set needs section.key=value, found 'risk'; e.g. --set",
    ("--set", "rsk.max_leverage=1"): "there is no section 'rsk'",
    ("--set", "risk.max_leverage=[1"): "is not a YAML value",
    ("--set", "ops.host=0.0.0.0"): "ops.host: Input should be '127.0.0.1', '::1' or 'localhost'",
    ("--set", "system.mode=live"): "That needs --i-understand-this-is-live",
    ("--config", "nowhere.yaml"): "needs a YAML file, found nothing at nowhere.yaml; copy config/paper",
    ("--gateway", "4002"): "--gateway needs `simulated` or HOST:PORT, found '4002'",
    ("--gateway", "127.0.0.1:4002"): "max_quote_age_ms needs to be at most 60000",
    (*AT_IB, "--set", "universe.symbols=all"): "universe must be named, found universe.symbols: all",
    (*LIVE, "--set", "system.lei=null"): "live trading needs system.lei, a valid LEI",
    (*LIVE, "--set", f"system.lei={LEI[:-1]}3"): f"found '{LEI[:-1]}3'",
    (*LIVE, "--set", f"system.lei={LEI}"): "the gateway is simulated; give --gateway HOST:PORT",
}


@pytest.fixture(scope="module")
def said_to_wrong_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], str]:
    """Each launched once, a few at a time; none has made its run directory."""
    folder = tmp_path_factory.mktemp("wrong")
    run_dirs = {options: folder / str(number) / "run" for number, options in enumerate(WRONG_SETTINGS)}
    with ThreadPoolExecutor(3) as pool:
        said = pool.map(lambda options: refused(run_dirs[options], *options), WRONG_SETTINGS)
        found = dict(zip(WRONG_SETTINGS, said, strict=True))
    assert [run_dir for run_dir in run_dirs.values() if run_dir.exists()] == []
    return found


@pytest.mark.parametrize("options", WRONG_SETTINGS, ids=" ".join)
def test_wrong_settings_are_refused_before_anything_is_started(
    said_to_wrong_settings: dict[tuple[str, ...], str], options: tuple[str, ...]
):
    assert WRONG_SETTINGS[options] in said_to_wrong_settings[options]


def test_a_missing_limit_is_an_error(tmp_path: Path):
    content = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    del content["risk"]["max_drawdown"]
    config = tmp_path / "firm.yaml"
    config.write_text(yaml.safe_dump(content))

    assert "risk.max_drawdown: needed, not found; every key is required" in refused(
        tmp_path / "run", "--config", str(config)
    )


def test_a_configuration_that_is_not_yaml_is_refused(tmp_path: Path):
    config = tmp_path / "firm.yaml"
    config.write_text("risk: [unclosed")

    assert "is not YAML" in refused(tmp_path / "run", "--config", str(config))


@pytest.mark.parametrize("days", [0, -1, 100_000])
def test_days_that_there_are_not_are_refused(tmp_path: Path, days: int):
    found = refused(tmp_path / "run", "--days", str(days))

    assert f"days must be 1 to 8313, the days in the file; asked for {days}. Ask for fewer" in found


def test_a_symbol_that_is_not_in_the_data_is_refused(tmp_path: Path):
    found = refused(tmp_path / "run", "--days", "2", "--set", "universe.symbols=[AAPL, NOPE]")

    assert "universe.symbols needs instruments of the data (AAPL, " in found
    assert "found NOPE; correct the names" in found


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("broker.gateway_port", "cannot listen on 127.0.0.1:{port}"),
        ("ops.port", "the endpoints need 127.0.0.1 port {port} and cannot have it"),
    ],
)
def test_a_port_that_is_taken_is_named(tmp_path: Path, setting: str, found: str):
    with listening() as server:
        port = server.getsockname()[1]

        assert found.format(port=port) in refused(tmp_path / "run", "--set", f"{setting}={port}")


def at_gateway(port: int) -> tuple[str, ...]:
    return ("--config", "config/ib.yaml", "--gateway", f"127.0.0.1:{port}")


def test_a_gateway_that_is_not_there_is_named_with_how_to_start_one(tmp_path: Path):
    with listening() as server:
        port = server.getsockname()[1]
    found = refused(tmp_path / "run", *at_gateway(port))

    assert f"an IB Gateway was needed at 127.0.0.1:{port}, found nobody" in found
    assert f"python -m firm.gateway_sim --port {port}" in found


@pytest.fixture(scope="module", autouse=True)
def at_a_gateway_that_hangs_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Firm]]:
    """Started first, since it must start Ray to find out; the other tests run meanwhile."""

    def hang_up() -> None:
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].close()

    run_dir = tmp_path_factory.mktemp("hangs_up") / "run"
    with listening() as server:
        threading.Thread(target=hang_up, daemon=True).start()
        port = server.getsockname()[1]
        with launched(run_dir, *at_gateway(port), "--set", "broker.connect_timeout_ms=3000") as firm:
            yield port, firm
        server.shutdown(socket.SHUT_RDWR)


DAILY = {"ts": np.arange("2022-03-07", "2022-03-12", dtype="datetime64[D]").astype("datetime64[ns]")}
DAILY["ts"] = DAILY["ts"].astype(np.int64)


def truncated(path: Path) -> None:
    path.write_bytes(SAMPLE.read_bytes()[:50_000])


def absent(path: Path) -> None:
    path.unlink(missing_ok=True)


def closes(*values: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        np.savez(path, AAPL=np.array(values), **DAILY)

    return write


def crossed(path: Path) -> None:
    ts = np.datetime64("2022-03-07T15:00", "ns").astype(np.int64) + 60_000_000_000 * np.arange(3)
    table, one = np.array(["AAPL"]), np.ones(3)
    np.savez(
        path, ts=ts, symbol_table=table, symbol=np.zeros(3, int), bc=one * 101, bs=one, ac=one * 100, as_=one
    )


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (truncated, "is not a whole npz archive"),
        (absent, "cannot be read: No such file or directory"),
        (closes(100, 101, np.nan, 103, 104), "AAPL"),
        (closes(100, 101, -102, 103, 104), "AAPL"),
        (crossed, "bid"),
    ],
    ids=["cut", "absent", "not a number", "negative", "crossed"],
)
def test_data_that_cannot_be_right_are_refused(tmp_path: Path, write: Callable[[Path], None], found: str):
    data = tmp_path / "data.npz"
    write(data)
    before = data.read_bytes() if data.exists() else b""

    said = refused(tmp_path / "run", "--data", str(data))

    assert "the simulated gateway did not start: gateway_sim: " in said
    assert found in said
    assert (data.read_bytes() if data.exists() else b"") == before


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run with a log."""
    directory = tmp_path_factory.mktemp("kept") / "run"
    said = command("backtest", directory, "--days", "2", "--keep")
    assert said.code == 0, said
    return directory


@pytest.mark.parametrize(
    ("environ", "options", "found"),
    [
        ({"FIRM_STORE_KEY": "ab" * 32}, (), "Set FIRM_STORE_KEY or FIRM_KEY_DIR to the key"),
        ({"FIRM_STORE_KEY": "abc"}, (), "FIRM_STORE_KEY must be 64 hexadecimal digits, found 3"),
        ({"FIRM_KEY_DIR": "{tmp}"}, (), "no store key: set FIRM_STORE_KEY or restore"),
        ({}, ("--set", "risk.max_leverage=9"), "risk.max_leverage: 1.5 in the log, 9.0 now"),
    ],
    ids=["another key", "no key", "lost key", "other settings"],
)
def test_a_run_is_not_resumed_with_another_key_or_other_settings(
    kept: Path, tmp_path: Path, environ: dict[str, str], options: tuple[str, ...], found: str
):
    run_dir = Path(shutil.copytree(kept, tmp_path / "run"))
    before = verify(run_dir, Keys.load(create=False))
    environ = {name: value.format(tmp=tmp_path / "nothing") for name, value in environ.items()}

    assert found in refused(run_dir, "--days", "2", *options, **environ)
    assert verify(run_dir, Keys.load(create=False)) == before


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("bogus",), "invalid choice: 'bogus'"),
        (("kill",), "the following arguments are required: --reason"),
        (("kill", "--reason", "x", "--run-dir", "{tmp}"), "needs the directory of a run"),
        (("kill", "--reason", "x", "--run-dir", "{tmp}/no"), "found no directory at"),
        (("rearm", "--by", " ", "--reason", "x", "--run-dir", "{kept}"), "rearm needs a reason and"),
        (("verify", "{tmp}"), "there is no log in {tmp}. Name the directory of a run"),
        (("replay", "{tmp}"), "there is no log in {tmp}. Name the directory of a run"),
        (("report", "{tmp}"), "there is no log in {tmp}. Name the directory of a run"),
        (("backtest", "{tmp}", "--days", "0"), "days must be 1 to 8313"),
        (("backtest", "{tmp}", "--set", "risk.x=1"), "risk.x: unknown key"),
        (("tell", "--topic", "restrict", "--text", "x", "--run-dir", "{kept}"), "needs the symbol"),
    ],
)
def test_a_wrong_command_is_refused(kept: Path, tmp_path: Path, arguments: tuple[str, ...], found: str):
    names = {"tmp": tmp_path, "kept": kept}

    said = command(*(word.format(**names) for word in arguments))

    assert said.code == 2, said
    assert found.format(**names) in said.err
    assert "Traceback" not in said.err


def test_a_kill_without_any_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from firm.cli import main

    monkeypatch.chdir(tmp_path)

    assert main(["kill", "--reason", "x"]) == 2


def test_a_gateway_that_hangs_up_at_once_fails_the_run_and_is_named(
    at_a_gateway_that_hangs_up: tuple[int, Firm],
):
    port, firm = at_a_gateway_that_hangs_up

    said = firm.finish()

    assert said.code == 1, said
    assert f"an IB Gateway was needed at 127.0.0.1:{port}, found none ready within 3 s" in said.err
    assert "What was committed is safe" in said.err
    assert "Traceback" not in said.err
    firm.leave_nothing()


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0)])
def test_a_python_without_wheels_is_refused(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]):
    monkeypatch.setattr(sys, "version_info", version)

    with pytest.raises(
        ConfigError, match=r"needs Python 3\.11 to 3\.13, .* found 3\.1[04]\.\d+; run it with"
    ):
        check_python()
