"""Ray's token: on without being asked for, made once, readable for its owner only; off only when said so."""

import stat
from pathlib import Path

import pytest

from firm.actors.access import turn_on_token
from firm.errors import FirmError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_ray_of_our_own_gets_a_token_that_only_its_owner_can_read(tmp_path: Path):
    environ: dict[str, str] = {}

    turn_on_token(environ, tmp_path, make=True)

    token = tmp_path / ".ray" / "auth_token"
    assert environ == {"RAY_AUTH_MODE": "token"}
    assert mode(token) == 0o600
    assert len(token.read_text()) == 64
    made = token.read_text()
    turn_on_token(environ, tmp_path, make=True)
    assert token.read_text() == made


def test_of_two_who_make_a_token_at_the_same_time_the_first_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    token = tmp_path / ".ray" / "auth_token"
    turn_on_token({}, tmp_path, make=True)
    first = token.read_text()
    monkeypatch.setattr(Path, "exists", lambda _path: False)  # as the other saw it, a moment before

    turn_on_token({}, tmp_path, make=True)

    monkeypatch.undo()
    assert token.read_text() == first
    assert [path.name for path in token.parent.iterdir()] == ["auth_token"]


def test_where_no_token_can_be_written_the_way_out_is_told(tmp_path: Path):
    (tmp_path / ".ray").write_text("not a directory")

    with pytest.raises(FirmError, match="Set RAY_AUTH_TOKEN to a long random text"):
        turn_on_token({}, tmp_path, make=True)


def test_a_token_that_rays_own_command_left_readable_for_all_is_closed(tmp_path: Path):
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a" * 64)
    token.chmod(0o644)

    turn_on_token({}, tmp_path, make=False)

    assert mode(token) == 0o600
    assert token.read_text() == "a" * 64


def test_a_cluster_whose_token_we_do_not_have_is_not_joined(tmp_path: Path):
    with pytest.raises(FirmError, match=r"token was needed in .*auth_token, found no such file; copy it"):
        turn_on_token({}, tmp_path, make=False)

    assert not (tmp_path / ".ray").exists()


@pytest.mark.parametrize("environ", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "a" * 64}])
def test_what_was_chosen_in_the_environment_stays(tmp_path: Path, environ: dict[str, str]):
    turn_on_token(environ, tmp_path, make=True)

    assert environ["RAY_AUTH_MODE"] == environ.get("RAY_AUTH_MODE", "token")
    assert not (tmp_path / ".ray").exists()


def test_a_token_in_a_place_of_its_own_is_looked_for_there(tmp_path: Path):
    environ = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "elsewhere")}

    with pytest.raises(FirmError, match="elsewhere"):
        turn_on_token(environ, tmp_path, make=False)
