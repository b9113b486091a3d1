"""Whoever may write every file of a copy, but has no key, cannot make a promotion accept a changed log."""

import json
from pathlib import Path

import msgspec
import pytest
from copying import TOKEN, Start, lead, records

from firm.errors import FirmError, StoreError, StoreTampered
from firm.standby.frame import Sealer
from firm.standby.promote import promote
from firm.standby.replica import Replica, _frames, _prefix
from firm.standby.server import StandbyServer
from firm.standby.wire import Claim, Frame, Hello
from firm.store.heads import Head
from firm.store.keys import Keys


@pytest.fixture
def copy(tmp_path: Path, keys: Keys, standby: Start) -> Path:
    """The copy of a log of 60 entries in 20 commits, of which every sixth or so carries a signed head."""
    serving = standby()
    store = lead(tmp_path / "run", keys, serving.port)
    for first in range(1, 60, 3):
        store.commit(records(first, first + 2))
    store.close()
    serving.server.close()
    return serving.directory


def segment(copy: Path) -> Path:
    return next(copy.glob("*.segment"))


def frames(copy: Path) -> list[Frame]:
    return list(_frames(segment(copy)))


def rewrite(copy: Path, kept: list[Frame]) -> None:
    """Write the segment anew, with lengths and digests that fit."""
    from hashlib import sha256

    bodies = [msgspec.msgpack.encode(frame) for frame in kept]
    segment(copy).write_bytes(b"".join(_prefix(len(b)) + b + sha256(b).digest() for b in bodies))


def refused(copy: Path, tmp_path: Path, keys: Keys) -> str:
    """Why a promotion refuses the copy; it must leave no database behind."""
    with pytest.raises(StoreTampered) as caught:
        promote(copy, tmp_path / "again", keys)
    assert not (tmp_path / "again" / "events.db").exists()
    return str(caught.value)


def test_a_changed_byte_anywhere_in_a_segment_is_found(copy: Path, tmp_path: Path, keys: Keys):
    whole = segment(copy).read_bytes()
    for place in range(0, len(whole), 499):
        changed = bytearray(whole)
        changed[place] ^= 1
        segment(copy).write_bytes(changed)
        with pytest.raises(StoreTampered):
            promote(copy, tmp_path / f"again-{place}", keys)
        with pytest.raises(StoreTampered):
            StandbyServer(("127.0.0.1", 0), copy, TOKEN)


@pytest.mark.parametrize("kept_bytes", [0, 9, 16, 300, -16])
def test_a_last_frame_of_which_a_power_cut_left_only_zeros_is_cut_away(
    copy: Path, tmp_path: Path, keys: Keys, kept_bytes: int
):
    """The file has its new length, the content after `kept_bytes` never reached the disk."""
    whole, last = segment(copy).read_bytes(), len(msgspec.msgpack.encode(frames(copy)[-1])) + 48
    begin = len(whole) - last
    torn = whole[: begin + kept_bytes % last].ljust(len(whole), b"\0")
    segment(copy).write_bytes(torn)

    before = Replica(copy).position()
    assert segment(copy).stat().st_size == begin
    assert before.seq <= 60
    assert promote(copy, tmp_path / "again", keys).entries == before.seq


def test_zeros_before_an_acknowledged_frame_are_found(copy: Path, tmp_path: Path, keys: Keys):
    whole = segment(copy).read_bytes()
    middle = len(whole) // 2
    segment(copy).write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])

    with pytest.raises(StoreTampered):
        promote(copy, tmp_path / "again", keys)


def test_a_frame_taken_out_put_in_again_or_swapped_is_found(copy: Path, tmp_path: Path, keys: Keys):
    kept = frames(copy)
    for change in (kept[:5] + kept[6:], kept[:5] + kept[4:], [*kept[:5], kept[6], kept[5], *kept[7:]]):
        rewrite(copy, change)
        assert "does not continue what was kept" in refused(copy, tmp_path, keys)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"operations": 50},
        {"heads": []},
        {"sealed": bytes(80)},
    ],
)
def test_what_stands_in_the_clear_is_sealed_along(
    copy: Path, tmp_path: Path, keys: Keys, change: dict[str, object]
):
    kept = frames(copy)
    place = next(i for i, frame in enumerate(kept) if frame.heads and frame.last > 3)
    kept[place] = msgspec.structs.replace(kept[place], **change)
    rewrite(copy, kept)

    assert "not as the leader sealed it" in refused(copy, tmp_path, keys)


def test_a_frame_forged_with_another_key_is_found_by_its_seal(copy: Path, tmp_path: Path, keys: Keys):
    kept = frames(copy)
    content = Sealer(bytes(32), kept[3].log)
    from firm.standby.frame import Content

    bare = msgspec.structs.replace(kept[3], sealed=b"")
    kept[3] = content.seal(Content(records(kept[3].first, kept[3].last), []), bare)
    rewrite(copy, kept)

    assert "not as the leader sealed it" in refused(copy, tmp_path, keys)


def test_a_head_signed_by_somebody_else_is_not_taken(copy: Path, keys: Keys):
    kept = frames(copy)
    other = Keys.from_bytes(bytes(32), bytes(32))
    at = kept[-1]
    claim = Claim(at.log, 5, "f" * 16)
    replica = Replica(copy)
    hello = Hello(claim, keys.public.public_bytes_raw(), replica.identity.key)
    replica.welcome(hello, replica.greet(hello))
    forged = Head.sign(other, at.log, at.last, at.head, 5, "opened")
    frame = Frame(at.log, 5, at.last + 1, at.last, at.head, at.head, [forged], at.operations, b"")

    with pytest.raises(StoreTampered, match="was not signed by key"):
        replica.append(hello, frame)
    assert Replica(copy).position().seq == 60


def test_another_signing_key_is_not_taken_for_the_same_log(copy: Path):
    replica = Replica(copy)
    other = Keys.from_bytes(bytes(32), bytes(32)).public.public_bytes_raw()
    claim = Claim(replica.identity.log, 5, "f" * 16)

    with pytest.raises(StoreError, match="Give each log a directory"):
        replica.greet(Hello(claim, other, replica.identity.key))


def test_a_damaged_fence_admits_nobody(copy: Path, tmp_path: Path, keys: Keys):
    (copy / "fence.json").write_text("{")

    with pytest.raises(FirmError, match="says who may write and is damaged"):
        promote(copy, tmp_path / "again", keys)


def test_a_copy_cut_back_is_an_older_log_which_only_heads_elsewhere_can_show(
    copy: Path, tmp_path: Path, keys: Keys
):
    """What the standby cannot know: as with the log itself, a sink out of reach shows it."""
    kept = frames(copy)
    rewrite(copy, kept[:-4])

    assert promote(copy, tmp_path / "again", keys).entries < 60
    assert json.loads((copy / "fence.json").read_bytes())[kept[0].log]["epoch"] == 1000
