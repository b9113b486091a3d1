import json
import os
import secrets
from pathlib import Path

import pytest
from store_attack import SYMBOL, records

from firm.errors import StoreError, WrongKey
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify


def test_the_first_start_makes_keys_that_only_the_owner_can_read(tmp_path: Path):
    made = Keys.load(tmp_path / "keys", environ={})

    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()} == {
        "store.key": "0o600",
        "signing.key": "0o600",
        "signing.pub": "0o644",
    }
    again = Keys.load(tmp_path / "keys", environ={})
    assert (again.master, again.fingerprint) == (made.master, made.fingerprint)


def test_the_key_directory_can_be_named_by_the_environment(tmp_path: Path):
    Keys.load(environ={"FIRM_KEY_DIR": str(tmp_path / "elsewhere")})

    assert (tmp_path / "elsewhere" / "store.key").exists()


def test_keys_from_the_environment_win_over_files(tmp_path: Path):
    Keys.load(tmp_path, environ={})
    environ = {"FIRM_STORE_KEY": "ab" * 32, "FIRM_SIGNING_KEY": "cd" * 32}

    keys = Keys.load(tmp_path / "none", environ=environ)

    assert keys.master == bytes.fromhex("ab" * 32)
    assert keys.fingerprint == Keys.from_bytes(b"", bytes.fromhex("cd" * 32)).fingerprint


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
@pytest.mark.parametrize("name", ["store.key", "signing.key"])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, name: str, mode: int):
    Keys.load(tmp_path, environ={})
    (tmp_path / name).chmod(mode)

    with pytest.raises(WrongKey, match=rf"{name} must be readable by its owner only.*chmod 600"):
        Keys.load(tmp_path, environ={})


@pytest.mark.parametrize("text", ["", "ab" * 31, "zz" * 32, "ab" * 33])
def test_a_key_that_is_no_key_is_refused(tmp_path: Path, text: str):
    Keys.load(tmp_path, environ={})
    (tmp_path / "store.key").write_text(text)

    with pytest.raises(WrongKey, match="must be 64 hexadecimal digits"):
        Keys.load(tmp_path, environ={})


def test_without_create_a_missing_key_is_an_error_not_a_new_key(tmp_path: Path):
    with pytest.raises(WrongKey, match="no store key"):
        Keys.load(tmp_path / "keys", create=False, environ={})

    assert not (tmp_path / "keys").exists()


def test_a_verifier_needs_only_the_public_part_of_the_signing_key(tmp_path: Path):
    store = SqliteStore.open(tmp_path / "log", Keys.load(tmp_path / "keys", environ={}))
    store.commit(records(1, 3))
    store.close()
    (tmp_path / "keys" / "signing.key").unlink()

    auditor = Keys.load(tmp_path / "keys", create=False, environ={})

    assert auditor.signing is None
    assert verify(tmp_path / "log", auditor).entries == 3
    with pytest.raises(WrongKey, match="only its public part"):
        SqliteStore.open(tmp_path / "log", auditor)


def test_a_public_key_that_does_not_belong_to_the_signing_key_is_refused(tmp_path: Path):
    Keys.load(tmp_path, environ={})
    (tmp_path / "signing.pub").write_text("ab" * 32)

    with pytest.raises(WrongKey, match="belongs to another signing key"):
        Keys.load(tmp_path, environ={})


def test_keys_do_not_show_themselves(keys: Keys):
    assert keys.master.hex() not in repr(keys)
    assert repr(keys.master) not in repr(keys)


@pytest.fixture
def directory(tmp_path: Path, keys: Keys) -> Path:
    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 500))
    store.close()
    return tmp_path / "log"


def test_another_master_key_does_not_open_the_store(directory: Path, keys: Keys):
    wrong = Keys(secrets.token_bytes(32), keys.public, keys.signing)

    for attempt in (SqliteStore.open, SqliteStore.read_only, verify):
        with pytest.raises(WrongKey, match=f"needs master key {keys.master_fingerprint}, found"):
            attempt(directory, wrong)


def test_another_signing_key_may_not_continue_the_store(directory: Path, keys: Keys):
    with pytest.raises(WrongKey, match="names signing key"):
        SqliteStore.open(directory, Keys.from_bytes(keys.master, secrets.token_bytes(32)))


def test_a_missing_wrapped_key_is_said_to_be_missing(directory: Path, keys: Keys):
    (directory / "events.key").unlink()

    for attempt in (SqliteStore.open, verify):
        with pytest.raises(StoreError, match=r"events.key is missing.*Restore it from backup"):
            attempt(directory, keys)


def test_a_damaged_wrapped_key_is_said_to_be_damaged(directory: Path, keys: Keys):
    path = directory / "events.key"
    kept = json.loads(path.read_text())
    for content in (
        "",
        "{}",
        "[]",
        json.dumps(kept | {"wrapped": "00" * 40}),
        json.dumps(kept | {"wrapped": "00"}),
    ):
        path.write_text(content)
        with pytest.raises(StoreError, match=r"events.key is damaged"):
            SqliteStore.open(directory, keys)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 100, 511, 512, 4095, 4096, 4097, 8192, 20_000, 40_960])
def test_a_database_that_was_cut_short_is_refused(directory: Path, keys: Keys, length: int):
    path = directory / "events.db"
    assert path.stat().st_size > length
    os.truncate(path, length)

    for attempt in (SqliteStore.open, verify):
        with pytest.raises(StoreError, match=r"damaged, cut short|is empty, but a store was made here"):
            attempt(directory, keys)


def test_a_last_page_that_is_gone_is_noticed(directory: Path, keys: Keys):
    path = directory / "events.db"
    os.truncate(path, path.stat().st_size - 4096)

    with pytest.raises(StoreError, match="damaged, cut short"):
        verify(directory, keys)


def test_garbage_instead_of_a_database_is_refused(directory: Path, keys: Keys):
    (directory / "events.db").write_bytes(secrets.token_bytes(40_000))

    for attempt in (SqliteStore.open, SqliteStore.read_only, verify):
        with pytest.raises(StoreError, match="damaged, cut short, or not the database its key belongs to"):
            attempt(directory, keys)


def test_one_flipped_bit_in_a_page_is_noticed(directory: Path, keys: Keys):
    path = directory / "events.db"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(StoreError, match="damaged"):
        verify(directory, keys)


def test_a_missing_database_is_not_replaced_by_an_empty_one(directory: Path, keys: Keys):
    (directory / "events.db").unlink()

    with pytest.raises(StoreError, match="shows that a log was kept here"):
        SqliteStore.open(directory, keys)
    with pytest.raises(StoreError, match="there is no log"):
        verify(directory, keys)


def test_nothing_readable_is_on_the_disk(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 300))
    store.operation("restart", "MES-SEP-SYMBOL")
    store.flush()

    def found() -> set[str]:
        words = (SYMBOL, b"risk_officer", b"restart", b"entries", b"SQLite format", keys.master, b"CREATE")
        return {
            f"{path.name}: {word!r}"
            for path in (tmp_path / "log").iterdir()
            for word in words
            if word in path.read_bytes()
        }

    assert {path.name for path in (tmp_path / "log").iterdir()} >= {
        "events.db",
        "events.db-wal",
        "events.db-shm",
    }
    assert found() == set()
    store.close()
    assert found() == set()
