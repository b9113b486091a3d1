"""The supervisor: creates the firm's actors, keeps the bus running, and ends them in an orderly way."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import ray

from firm.actors.lost import LOST
from firm.actors.plan import RunPlan
from firm.actors.staff import create_actors
from firm.errors import GatewayUnavailable

READER_ANSWERS_WITHIN_S = 2.0
SERVE_EVERY_S = 1.0


class Progress(NamedTuple):
    """Where the firm is: its stage in words, whether it has ended, and the error if it ended badly."""

    stage: str
    ended: bool
    error: str | None
    restarts: int


class Question:
    """Asked of an actor again and again, but one call at a time: its queue stays short however slow it is."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[Any] | None = None

    async def answer(self, ask: Callable[[], Any], within_s: float) -> Any | None:
        """What the actor says; None if it does not within the time, which a later call may still see."""
        try:
            if self._asked is None or self._asked.done():
                self._asked = asyncio.get_running_loop().create_task(_answer(ask()))
            return await asyncio.wait_for(asyncio.shield(self._asked), within_s)
        except (ray.exceptions.RayError, TimeoutError):
            return None


class Supervisor:
    """One a firm. An async actor: it answers while it watches.

    It begins by itself, so one that has died, alone or with the head, goes on whether or not anybody looks.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._actors: dict[str, Any] = {}
        self._progress = Progress("creating actors", ended=False, error=None, restarts=0)
        self._watch: asyncio.Task[None] | None = None
        self._figures = Question()
        ray.get_runtime_context().current_actor.start.remote()

    async def start(self) -> None:
        """Begin, once; progress tells the rest. It calls this itself when it is made."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._live())

    async def watch(self) -> tuple[Progress, dict[str, Any] | None]:
        """Where the firm is now, and the reader's figures if it has any and can tell them."""
        reader = self._actors.get("reader")
        if reader is None:
            return self._progress, None
        figures = await self._figures.answer(reader.progress.remote, READER_ANSWERS_WITHIN_S)
        return self._progress, figures

    async def pids(self) -> dict[str, int]:
        """The process of every actor that answers."""
        asked = {name: actor.pid.remote() for name, actor in self._actors.items() if name != "bus"}
        return {name: await ref for name, ref in asked.items()}

    async def plan(self) -> RunPlan:
        """The run it supervises."""
        return self._plan

    async def _live(self) -> None:
        error: str | None = None
        serving: asyncio.Task[None] | None = None
        try:
            self._actors = create_actors(self._plan)
            await self._actors["reader"].start.remote()
            serving = asyncio.get_running_loop().create_task(self._serve())
            await self._drive()
            self._stage("writing the report")
            await self._actors["reader"].conclude.remote()
        except Exception as reason:  # noqa: BLE001 - the end of the line: whoever asks is told why the firm ended
            error = _reason(reason)
        if serving is not None:
            serving.cancel()
        self._stage("ending the actors")
        await self._end()
        stage = "shut down" if error is None else "failed"
        self._progress = self._progress._replace(stage=stage, ended=True, error=error)

    async def _drive(self) -> None:
        """Run the bus to the end of the run; a bus that dies gets new workers and resumes from the store."""
        while True:
            try:
                self._stage("compiling the risk kernels on the workers")
                await self._actors["bus"].warm.remote(self._plan)
                self._stage("connecting to the broker, loading history")
                await self._actors["bus"].run.remote(self._plan)
            except LOST:
                self._progress = self._progress._replace(restarts=self._progress.restarts + 1)
                await asyncio.sleep(0.2)
            else:
                return

    async def _serve(self) -> None:
        """Keep the endpoints up: a reader that has died comes back without them."""
        while True:
            await asyncio.sleep(SERVE_EVERY_S)
            with suppress(*LOST, GatewayUnavailable):
                await self._actors["reader"].start.remote()

    async def _end(self) -> None:
        """End every actor, the bus without being asked; then the simulated gateway."""
        asked = [actor for name, actor in self._actors.items() if name != "bus"]
        await stop_actors(asked, self._plan.config().cluster.shutdown_timeout_s)
        for actor in self._actors.values():
            ray.kill(actor, no_restart=True)
        self._actors = {}
        self._plan.gateway.end()

    def _stage(self, stage: str) -> None:
        self._progress = self._progress._replace(stage=stage)


async def stop_actors(actors: Sequence[Any], timeout_s: float) -> None:
    """Ask all to stop and wait until they have, or for so long; one that cannot be asked holds up nobody."""
    if actors:
        stops = [asyncio.ensure_future(_stopped(actor)) for actor in actors]
        await asyncio.wait(stops, timeout=timeout_s)


async def _stopped(actor: Any) -> None:
    with suppress(ray.exceptions.RayError):
        await actor.stop.remote()


async def _answer(ref: Any) -> Any:
    return await ref


def _reason(error: BaseException) -> str:
    cause = getattr(error, "cause", None)
    return f"{type(cause or error).__name__}: {cause or error}"
