"""Scripts of orders and faults: made from a seed or written by hand, lived in a world of their own, cut down.

A script is a list of plain values, so that a failing one can be cut down to what it takes and kept.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deeds import Action, act
from reconciled import Broken, check
from world import VirtualLoop, World

from firm.errors import FirmError
from firm.events.system import Reconciled

__all__ = ["Action", "Broken", "World", "fails", "play", "script", "smallest"]

MESSAGES = [
    "orderStatus",
    "openOrder",
    "execDetails",
    "commissionReport",
    "error",
    "completedOrder",
    "position",
]
CODES_ON_ORDERS = (161, 10147, 10148, 103, 104, 110, 201, 10318, 10052, 399, 404, 2109, 10349, 99999)
NOTICES = (1100, 1101, 1102, 2103, 2104, 2105, 2106, 2110, 10182, 2157, 2158, 1300)
SCENARIOS = ("reset@00:15+10", "restart@23:45", "reset@15:00+5")


def script(seed: int, length: int) -> list[Action]:
    """What happens in one run, by its seed."""
    dice = random.Random(seed)
    makers: dict[Callable[[random.Random], Action], int] = {
        _submit: 30,
        lambda d: ("cancel", d.randrange(50), d.random() < 0.6): 12,
        lambda _: ("turn",): 15,
        lambda _: ("step",): 16,
        lambda d: ("late", d.randrange(1, 14)): 3,
        lambda _: ("lost_page",): 3,
        lambda _: ("kill_firm",): 3,
        lambda _: ("restart_gateway",): 2,
        lambda d: ("gateway_away", d.choice((0.5, 3.0, 20.0))): 2,
        lambda _: ("cut",): 3,
        lambda _: ("mute",): 3,
        lambda _: ("deaf",): 1,
        lambda d: ("occupy", d.choice((0.5, 3.0))): 1,
        lambda d: ("lag", d.choice((0.0, 0.1, 1.5))): 3,
        lambda d: ("inject", d.choice(NOTICES), d.random() < 0.5): 5,
        lambda d: ("error_on", d.randrange(9), d.choice(CODES_ON_ORDERS)): 8,
        lambda d: ("withhold", [d.choice(MESSAGES)], d.random() < 0.4): 5,
        lambda d: ("amend", d.randrange(50), d.choice((0, 5, 400))): 3,
        lambda d: ("ghost", d.randrange(9)): 1,
        lambda d: ("twin", d.randrange(9)): 2,
        lambda d: ("modify", d.randrange(9), d.choice((1, 30, 500))): 2,
        lambda _: ("stray",): 1,
        lambda d: ("odd", *d.choice((("10", "1.001"), ("1.5", "1.00"), ("10000000", "9000.00")))): 1,
        _fault: 24,
        lambda d: ("wait", d.choice((0.01, 1.0, 6.0, 400.0))): 6,
        lambda d: ("latch", d.random() < 0.3): 2,
    }
    chosen = dice.choices(list(makers), list(makers.values()), k=length)
    return [make(dice) for make in chosen]


def _submit(dice: random.Random) -> Action:
    return (
        "submit",
        dice.randrange(3),
        dice.choice(("BUY", "SELL")),
        dice.randrange(1, 300),
        dice.choice(("market", "market", "near", "far")),
        dice.choice(("DAY", "GTC", "GTC", "IOC")),
        dice.random() < 0.5,
    )


def _fault(dice: random.Random) -> Action:
    """One of the gateway's own faults, for so many messages or until it is cleared."""
    few = dice.randrange(1, 4)
    some = [dice.choice(MESSAGES)]
    kinds: tuple[dict[str, Any], ...] = (
        {"cmd": "withhold", "messages": some, "times": few},
        {"cmd": "double", "messages": some, "times": few},
        {"cmd": "delay", "messages": some, "ms": dice.choice((5, 700, 4000)), "times": few},
        {"cmd": "hold", "messages": some, "times": few},
        {"cmd": "hold", "messages": ["execDetails"], "until": "commissionReport", "times": few},
        {"cmd": "release", "order": dice.choice(("same", "reverse"))},
        {"cmd": "lose", "count": few},
        {"cmd": "link", "up": False},
        {"cmd": "link", "up": True, "lost": dice.random() < 0.5},
        {"cmd": "link", "up": True},
        {"cmd": "cut", "how": dice.choice(("rst", "fin", "silent")), "after_bytes": dice.randrange(600)},
        {"cmd": "farm", "ok": dice.random() < 0.5, "mute": dice.random() < 0.3},
        {"cmd": "compete", "on": dice.random() < 0.3},
        {"cmd": "entitle", "symbol": "AMD", "level": dice.choice(("live", "live", "delayed", "none"))},
        {"cmd": "stale"},
        {"cmd": "ambiguous", "symbol": "KO", "on": dice.random() < 0.5},
        {"cmd": "refuse_cancel", "times": few},
        {"cmd": "ignore", "requests": [dice.choice(("cancelOrder", "reqPositions"))], "times": few},
        {"cmd": "rewrite", "message": "openOrder", "values": {"permId": 0}, "times": few},
        {"cmd": "rewrite", "message": "execDetails", "values": {"time": "20231116-12:15:35"}, "times": few},
        {"cmd": "manual", "symbol": "KO", "side": dice.choice(("BUY", "SELL")), "quantity": few},
        {"cmd": "schedule", "scenario": dice.choice(SCENARIOS)},
        {"cmd": "clear"},
        {"cmd": "clear"},
    )
    return ("ask", dice.choice(kinds))


def play(
    actions: Sequence[Action], clock: str = "free", breaks: str = "", *, thin: bool = False, **broker: Any
) -> World:
    """Live the script in a world of its own and check what must hold; Broken if it does not.

    `breaks`: the words of a break that must be left at the end.
    """
    loop = VirtualLoop()
    try:
        with tempfile.TemporaryDirectory() as directory:
            world = World(Path(directory), clock, thin, broker)
            loop.run_until_complete(_play(world, actions, breaks))
            return world
    finally:
        loop.close()


async def _play(world: World, actions: Sequence[Action], breaks: str) -> None:
    world.start_gateway()
    try:
        await world.start_firm()
        await world.turn()
        for action in actions:
            if world.desk is None:
                await world.start_firm()
            await act(world, action)
        await world.settle()
        left = world.logged(Reconciled)[-1].breaks
        check(world)
        if breaks and not any(breaks in text for text in left):
            raise Broken(f"a break with {breaks!r} was to be left, found {left}")
    finally:
        await world.stop_firm(kill=False)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def smallest(
    actions: Sequence[Action], fails: Callable[[Sequence[Action]], object], *, tries: int = 400
) -> list[Action]:
    """A shorter script that fails as well: pieces are left out while it still does, at most so many times."""
    kept = list(actions)
    size = max(len(kept) // 2, 1)
    while size:
        at = 0
        while at < len(kept) and tries:
            tries -= 1
            tried = kept[:at] + kept[at + size :]
            if fails(tried):
                kept = tried
            else:
                at += size
        size //= 2
    return kept


def fails(actions: Sequence[Action], clock: str = "free", *, thin: bool = True) -> str | None:
    """What went wrong, if anything did."""
    try:
        play(actions, clock, thin=thin)
    except (Broken, FirmError, AssertionError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return None
