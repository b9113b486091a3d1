"""Clocks that run by themselves, and tapes moved into the present."""

import asyncio
from pathlib import Path

import pytest

from firm.errors import ConfigError
from firm.gateway_sim.clock import ClockChoice, TradingTime, parse_clock, run_clock
from firm.gateway_sim.gateway import Gateway
from firm.gateway_sim.journal import first_at_of
from firm.gateway_sim.server import Server
from firm.gateway_sim.shifted import shifted
from tests.gateway_sim.wire_world import CLOSE, DAY, MINUTE, OPEN, gateway, tape


def test_the_clock_is_chosen_by_a_word():
    frames = tape().frames

    assert parse_clock("stepped", frames) == ClockChoice(stepped=True, wall=False, speed=0.0)
    assert parse_clock("wall", frames) == ClockChoice(stepped=False, wall=True, speed=1.0)
    assert parse_clock("x2.5", frames) == ClockChoice(stepped=False, wall=False, speed=2.5)
    assert parse_clock("auto", frames).speed == 240  # a frame a minute, four frames a second


@pytest.mark.parametrize("word", ["fast", "x", "x0", "x-1", "xnan", "10", "x1e9"])
def test_a_clock_nobody_knows_is_refused(word: str):
    with pytest.raises(ConfigError, match="--clock must be stepped, wall, auto or xN"):
        parse_clock(word, tape().frames)


def test_closed_hours_count_nothing():
    trading = TradingTime(tape().sessions)
    day = CLOSE - OPEN

    assert [trading.of(at) for at in (OPEN - 5, OPEN, OPEN + 7, CLOSE, CLOSE + 9, OPEN + DAY + 1)] == [
        0,
        0,
        7,
        day,
        day,
        day + 1,
    ]
    assert [trading.at(n) for n in (0, 7, day, day + 1)] == [OPEN, OPEN + 7, OPEN + DAY, OPEN + DAY + 1]


def test_a_running_clock_plays_the_whole_tape_in_order():
    gw = gateway()
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    async def scenario() -> None:
        await run_clock(Server(gw, stepped=False, pacing=False), parse_clock("x6000", []), monotonic)

    asyncio.run(scenario())

    assert gw.brokerage.cursor == 6
    assert gw.brokerage.at == OPEN + DAY + 2 * MINUTE


def test_a_shifted_tape_keeps_its_shape():
    world = tape()
    moved = shifted(world, OPEN + 1000)

    assert [b.at - a.at for a, b in zip(world.frames, moved.frames, strict=True)] == [1000] * 6
    assert moved.frames[1:3][0].at == OPEN + MINUTE + 1000
    assert moved.sessions.opens[0] == OPEN + 1000
    assert (moved.history_times - world.history_times).tolist() == [1000] * 3
    assert moved.label == "hand-made; replayed 1000 ns later than recorded"


def test_a_journal_knows_where_its_tape_began(tmp_path: Path):
    assert first_at_of(tmp_path / "none") is None
    assert isinstance(gateway(tmp_path / "journal"), Gateway)
    assert first_at_of(tmp_path / "journal") == OPEN
