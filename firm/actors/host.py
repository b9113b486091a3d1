"""One generic host for any agents: a plain class, made an actor in `cluster`."""

import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import ray

from firm.bus.relay import Listener, Relay, Stage
from firm.config import Settings
from firm.events import Record
from firm.events.risk import RiskRunRequested
from firm.risk.cube import KeptCubes, Matrix
from firm.risk.measures import warm_up
from firm.roster import hire

LOG = logging.getLogger(__name__)
FETCH_WITHIN_S = 10.0

encode = msgspec.msgpack.Encoder().encode
_stages = msgspec.msgpack.Decoder(tuple[Stage, ...])
_relay = msgspec.msgpack.Decoder(Relay)


def decode_relay(packed: bytes) -> Relay:
    """What a host has sent back."""
    return _relay.decode(packed)


def _fetch(cube: Sequence[Any]) -> Sequence[Matrix]:
    try:
        shards: Sequence[Matrix] = ray.get(list(cube), timeout=FETCH_WITHIN_S)
    except ray.exceptions.RayError as error:
        LOG.warning("scenario cube: computed again, its shards cannot be read: %s", error)
        return ()
    return shards


class Host:
    """Hosts one agent, or several in a row (co-seated). Its one caller is the bus, so calls keep order."""

    def __init__(self, names: Sequence[str], settings: str) -> None:
        """`settings`: the configuration as JSON. Agents are stale until the bus tells them their past."""
        config = Settings.model_validate_json(settings)
        self._cubes = KeptCubes()
        self._listeners = {name: Listener(partial(hire, name, config, self._cubes)) for name in names}

    def hear(self, stages: bytes, packed: bytes) -> bytes:
        """Let the agents hear in sequence, see Listener.hear. Stages and relays travel as MessagePack.

        Left to itself Ray would pickle the records one by one: 1.8 ms for those of a decision, not 0.1 ms.
        """
        relay = decode_relay(packed)
        for stage in _stages.decode(stages):
            relay = self._listeners[stage.name].hear(stage.inbox, relay)
        return encode(relay)

    def warm(self) -> None:
        """Compile what the agents measure with, before the first decision waits for it."""
        warm_up()

    def keep(self, request: RiskRunRequested, cube: Sequence[Any]) -> None:
        """Where the scenarios of a run are: refs into the object store, read from there without copying.

        Called before the agents hear that the run has come back. Shards that are lost with their node are
        computed again by whoever needs them, to the same bits.
        """
        self._cubes.keep(request, partial(_fetch, cube))

    def recover(self, name: str, records: Sequence[Record]) -> int:
        """Rebuild one agent from what it had heard; the process it is in."""
        self._listeners[name].recover(records)
        return os.getpid()

    def pid(self) -> int:
        """The process, for operators and for tests that kill it."""
        return os.getpid()

    def stop(self) -> None:
        """Nothing to save: an agent's state is the log."""
        self._listeners.clear()
