"""A host that is gone with its disk: nothing that was reported committed is lost, whenever it happens."""

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from copying import TOKEN, Start, records
from local_firm import warm
from losses import ENTRIES, freeze, lose, two_launches

from firm.standby.promote import promote
from firm.standby.server import StandbyServer
from firm.store.keys import Keys
from firm.store.sqlite import SqliteStore

HERE = Path(__file__).parent
MOMENTS = 30
SEED = 20261122

pytestmark = pytest.mark.process


def leader(directory: Path, port: int, seed: int) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    return subprocess.Popen(
        [sys.executable, str(HERE / "leader_child.py"), str(directory), str(port), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_thirty_leaders_killed_with_their_disks_have_lost_nothing_they_reported(
    tmp_path: Path, keys: Keys, standby: Start
):
    chance = random.Random(SEED)
    lost, reported = {}, []
    for moment in range(MOMENTS):
        copy = standby(f"copy-{moment}")
        with leader(tmp_path / "run", copy.port, moment) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 80)):
                told = int(process.stdout.readline())
            process.kill()
            told = max([told, *map(int, process.stdout.read().split("\n")[:-1])])
        shutil.rmtree(tmp_path / "run")
        again = tmp_path / f"again-{moment}"
        entries = promote(copy.directory, again, keys).entries
        reported.append(told)
        if entries < told:
            lost[moment] = told - entries
        with closing(SqliteStore.read_only(again, keys)) as store:
            assert store.read() == records(1, entries)
    print(f"seed {SEED}: reported committed {reported}, lost {lost}")
    assert lost == {}


def test_a_standby_that_is_torn_off_while_writing_goes_on_from_its_last_whole_frame(
    tmp_path: Path, standby: Start
):
    chance = random.Random(SEED)
    copy = standby()
    with leader(tmp_path / "run", copy.port, 1) as process:
        assert process.stdout is not None
        for _ in range(40):
            told = int(process.stdout.readline())
        process.kill()
    copy.server.close()
    segment = max(copy.directory.glob("*.segment"))
    whole = segment.read_bytes()
    position = copy.server._replica.position()
    segment.write_bytes(whole + whole[: chance.randrange(1, 90)])

    server = StandbyServer(("127.0.0.1", 0), copy.directory, TOKEN)
    assert server.position == position
    assert position.seq >= told
    assert segment.read_bytes() == whole
    server.close()


@pytest.fixture(scope="module")
def warmed() -> None:
    """Kernels are compiled once, for all lives forked later."""
    warm()


@pytest.mark.usefixtures("warmed")
@pytest.mark.parametrize("seed", range(2))
def test_a_whole_firm_lost_with_its_disk_trades_on_from_the_copy(tmp_path: Path, seed: int):
    """Thirty moments: python tests/standby/losses.py --moments 30."""
    outcome = lose(tmp_path, random.Random(seed).randint(1, ENTRIES))

    print(f"seed {seed}: {outcome}")
    assert outcome.held
    assert outcome.epoch == 1001


@pytest.mark.usefixtures("warmed")
def test_a_frozen_firm_that_wakes_up_after_a_promotion_can_neither_commit_nor_send(tmp_path: Path):
    outcome, code, words, late = freeze(tmp_path, ENTRIES * 2 // 3)

    print(outcome)
    assert outcome.held
    assert outcome.orders_at_loss > 0
    assert late == []
    assert code == 1
    assert "epoch 1001 has taken over; this leader has epoch 1" in words or (
        "epoch 1000 has taken over; this leader has epoch 1" in words
    )


@pytest.mark.usefixtures("warmed")
def test_a_second_firm_on_the_account_of_a_running_one_is_refused_and_sends_nothing(tmp_path: Path):
    codes, words, strange = two_launches(tmp_path)

    assert codes == (0, 1)
    assert "this account is traded by log" in words
    assert "one firm at a time. Stop that one, or give this one another account" in words
    assert strange == []
