"""How a turn waits: by stepping a simulated gateway's clock, or by letting time pass.

Both keep the link: after a loss they reconnect with growing waits, and reconcile before anything is sent.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from firm.broker.backoff import Backoff
from firm.broker.control import Control
from firm.broker.pump import Pump
from firm.broker.waiting import within
from firm.domain.session import NS_PER_SECOND
from firm.errors import GatewayClosed, GatewayError
from firm.events import Record

LOG = logging.getLogger("firm.broker")
STEPPED_RETRIES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
LIVE_RETRY_S, LONGEST_WAIT_S = 1.0, 30.0
PAGE_AT_LEAST_EVERY_S = 1.0
CONFLATE_S = 0.02
HEARTBEAT_TIMEOUT_S = 3.0


class Turns(Protocol):
    """One way of waiting."""

    async def begin(self) -> int:
        """Before the connection is made; the gateway's time in ns UTC."""

    async def turn(self, commands: Sequence[Record], until: int | None) -> tuple[int, bool]:
        """Carry out commands and wait; the log time reached, and whether the data have ended."""

    async def end(self) -> None:
        """No more turns will follow."""


class SteppedTurns:
    """The gateway's clock stands still but for our steps, so two runs on the same data are alike."""

    def __init__(self, pump: Pump, control: Control, arrived: asyncio.Event) -> None:
        self._pump, self._control, self._arrived = pump, control, arrived
        self._at, self._done = 0, False

    async def begin(self) -> int:
        """Dial the control port."""
        await self._control.connect()
        self._at = self._pump.post.at = int((await self._control.status())["at"])
        return self._at

    async def turn(self, commands: Sequence[Record], until: int | None) -> tuple[int, bool]:
        """Send, wait for each answer and all that was said before, step, and hear all of the step."""
        pump = self._pump
        try:
            if not pump.connection.up:
                await self._reconnect("the gateway has closed the connection")
            await pump.post.look_at_latch()
            if commands:
                await pump.carry_out(commands)
            await pump.fence()
            await pump.post.answered(self._arrived)
            await pump.answer_wants()
            steps = until is None or until > self._at
            if steps:
                await pump.ask_before_night()
            settle_at = pump.settle_at
            if steps and settle_at != self._at:
                pump.post.stopwatch.restart()
                self._at, self._done = await self._control.step(_earlier(until, settle_at))
                pump.post.at = self._at
                await pump.fence()
                pump.look()
                await pump.answer_wants()
            if settle_at is not None and self._at >= settle_at:
                await pump.reconcile()
        except GatewayClosed as error:
            await self._reconnect(str(error))
        return self._at, self._done

    async def end(self) -> None:
        """Hang up."""
        await self._control.close()

    async def _reconnect(self, reason: str) -> None:
        self._pump.post.lost(reason)
        for wait in STEPPED_RETRIES_S:
            try:
                self._at = max(self._at, await self.begin())
                await self._pump.begin(connect=True)
            except GatewayError as error:
                LOG.warning("the gateway is away, trying again in %s s: %s", wait, error)
                await asyncio.sleep(wait)
            else:
                return
        raise GatewayClosed(
            f"the simulated gateway was needed to go on, it went away ({reason}) and did not come back "
            f"within {sum(STEPPED_RETRIES_S):g} s. Start it again on the same ports with the same --journal, "
            "then start the firm again: it goes on from its log."
        )


def _earlier(one: int | None, other: int | None) -> int | None:
    """The nearer of two moments, either of which may be none."""
    return one if other is None else other if one is None else min(one, other)


class LiveTurns:
    """Time passes by itself: a keeper task hears, heals and watches between turns and during them."""

    def __init__(self, pump: Pump, arrived: asyncio.Event, control: Control | None, seed: str) -> None:
        """`control`: a simulated gateway whose own clock is log time; None: the wall clock is.

        `seed` is of the jitter between attempts to reconnect.
        """
        self._pump, self._arrived, self._control = pump, arrived, control
        self._quiet_s = pump.settings.heartbeat_ms / 1000
        self._reconcile_every_s = pump.settings.reconcile_every_ms / 1000
        self._seed = seed
        self._news = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._reconciled_at = 0.0

    async def begin(self) -> int:
        """Dial the control port if there is one."""
        if self._control is not None:
            await self._control.connect()
        return (await self._now())[0]

    async def turn(self, commands: Sequence[Record], until: int | None) -> tuple[int, bool]:
        """Send, then wait for news, `until` (ns UTC) or a second, whichever is first."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        if self._keeper.done():
            self._keeper.result()
        pump = self._pump
        await pump.carry_out(commands)
        wait = PAGE_AT_LEAST_EVERY_S
        if until is not None and self._control is None:
            wait = min(wait, (until - time.time_ns()) / NS_PER_SECOND)
        if not pump.has_news:
            self._news.clear()
            await within(self._news, wait)
        if pump.has_news:
            await asyncio.sleep(CONFLATE_S)
        return await self._now()

    async def end(self) -> None:
        """Stop keeping the link, and hang up."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._control is not None:
            await self._control.close()

    async def _now(self) -> tuple[int, bool]:
        if self._control is None:
            self._pump.post.at = time.time_ns()
            return self._pump.post.at, False
        status = await self._control.status()
        self._pump.post.at = int(status["at"])
        return self._pump.post.at, status["frames_left"] == 0

    async def _keep(self) -> None:
        """Hear what arrives, watch the latch, ask what must be asked, and notice silence."""
        clock = asyncio.get_running_loop().time
        self._reconciled_at = heard_at = clock()
        while True:
            if await within(self._arrived, PAGE_AT_LEAST_EVERY_S):
                heard_at = clock()
            self._arrived.clear()
            try:
                if not self._pump.connection.up:
                    raise GatewayClosed("the gateway has closed the connection")
                self._pump.post.drain()
                self._pump.post.give_up_waiting()
                self._pump.look()
                await self._pump.post.look_at_latch()
                await self._pump.answer_wants()
                if clock() - heard_at > self._quiet_s:
                    await self._pump.fence(HEARTBEAT_TIMEOUT_S)
                if clock() - self._reconciled_at > self._reconcile_every_s:
                    await self._pump.reconcile()
                    self._reconciled_at = clock()
            except GatewayError as error:
                await self._reconnect(str(error))
            if self._pump.has_news:
                self._news.set()

    async def _reconnect(self, reason: str) -> None:
        self._pump.post.lost(reason)
        self._news.set()
        backoff = Backoff(LIVE_RETRY_S, LONGEST_WAIT_S, self._seed)
        while True:
            try:
                await self._pump.begin(connect=True)
            except GatewayError as error:  # after its nightly restart a gateway knows no account for a while
                wait = backoff.next()
                LOG.warning("the gateway is away, trying again in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)
            else:
                return
