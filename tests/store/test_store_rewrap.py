"""Another master key for a run, an account for one firm, and the token that hosts know each other by."""

import secrets
from pathlib import Path

import pytest
from store_attack import records

from firm.errors import StoreLocked, WrongKey
from firm.standby.command import rewrap_run
from firm.store.heads import first_of_next_term, follows
from firm.store.keys import Keys, Witness, rewrap_data_key, token_of
from firm.store.lock import lock_account
from firm.store.sqlite import SqliteStore
from firm.store.verify import verify

SEED = bytes(range(32, 64))


def test_after_a_rewrap_only_the_new_master_key_opens_the_same_log(tmp_path: Path, keys: Keys):
    store = SqliteStore.open(tmp_path / "log", keys)
    store.commit(records(1, 9))
    head = store.head
    store.close()
    new = Keys.from_bytes(secrets.token_bytes(32), SEED)

    rewrap_data_key(tmp_path / "log" / "events.key", keys, new.master)

    assert verify(tmp_path / "log", new).head == head
    with pytest.raises(WrongKey, match="needs master key"):
        verify(tmp_path / "log", keys)
    assert oct((tmp_path / "log" / "events.key").stat().st_mode & 0o777) == "0o600"


def test_the_command_takes_the_new_key_from_a_file_of_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FIRM_KEY_DIR", str(tmp_path / "keys"))
    keys = Keys.load()
    SqliteStore.open(tmp_path / "log", keys).close()
    file = tmp_path / "new.key"
    file.write_text("ab" * 32)
    file.chmod(0o644)
    with pytest.raises(WrongKey, match="readable by its owner only"):
        rewrap_run(tmp_path / "log", file, print)
    file.chmod(0o600)

    rewrap_run(tmp_path / "log", file, print)

    assert verify(tmp_path / "log", Keys(bytes.fromhex("ab" * 32), keys.public)).entries == 0
    with pytest.raises(WrongKey, match="found none at"):
        rewrap_run(tmp_path / "log", tmp_path / "nowhere", print)


def test_a_promoted_store_opens_with_the_next_thousand_and_counts_on(tmp_path: Path, keys: Keys):
    SqliteStore.open(tmp_path, keys).close()
    SqliteStore.open(tmp_path, keys, promoted_as=first_of_next_term(1)).close()
    store = SqliteStore.open(tmp_path, keys)

    assert store.epoch == 1001
    store.close()
    assert verify(tmp_path, keys).epoch == 1001
    assert [follows(epoch, 7) for epoch in (7, 8, 9, 999, 1000, 1001, 2000)] == [
        *(False, True, False, False, True, False, True)
    ]


def test_an_account_is_for_one_firm_on_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FIRM_KEY_DIR", str(tmp_path / "keys"))
    first = lock_account("DU1")

    with pytest.raises(StoreLocked, match=r"account DU1 is traded by another firm on this machine, process"):
        lock_account("DU1")
    lock_account("DU2").release()
    lock_account("DU1/../DU2").release()
    first.release()
    lock_account("DU1").release()


@pytest.mark.parametrize("witness", ["standby", "fence"])
def test_a_token_is_made_once_and_never_guessed(tmp_path: Path, witness: Witness):
    environ, variable = {"FIRM_KEY_DIR": str(tmp_path)}, f"FIRM_{witness.upper()}_TOKEN"
    with pytest.raises(WrongKey, match=rf"the {witness}'s token is needed: set {variable}"):
        token_of(witness, create=False, environ=environ)

    made = token_of(witness, create=True, environ=environ)

    assert len(made) == 32
    assert token_of(witness, create=False, environ=environ) == made
    assert token_of(witness, create=False, environ={variable: "cd" * 32}) == bytes.fromhex("cd" * 32)


def test_the_standbys_token_does_not_open_the_fence(tmp_path: Path):
    environ = {"FIRM_KEY_DIR": str(tmp_path)}
    made = token_of("standby", create=True, environ=environ)

    assert token_of("fence", create=True, environ=environ) != made
