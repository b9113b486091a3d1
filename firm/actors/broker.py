"""The broker's gateway as an actor: the only one that can send an order."""

import os
from collections.abc import Sequence

from firm.actors.plan import RunPlan
from firm.broker.ib import IbGateway
from firm.bus.gateway import CommandBatch, Page
from firm.errors import AgentStale
from firm.events import Event, Record


class Broker:
    """Hosts one `IbGateway`; opening again starts a new session from the log."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._gateway: IbGateway | None = None

    def open(self, memory: Sequence[Record], run: str) -> Page:
        """See BrokerGateway."""
        if self._gateway is not None:
            self._gateway.close()
        plan, settings = self._plan, self._plan.config()
        self._gateway = IbGateway(
            settings=settings,
            host=plan.gateway.host,
            port=plan.gateway.port,
            control_port=plan.gateway.control_port,
            symbols=plan.symbols,
            latch=plan.directory / "halt.json",
        )
        return self._gateway.open(memory, run)

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway."""
        return self._opened().turn(acked, batch, until)

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway."""
        return self._opened().reconcile()

    def close(self) -> None:
        """See BrokerGateway."""
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None

    def stop(self) -> None:
        """End the session; working orders stay where they are."""
        self.close()

    def pid(self) -> int:
        """The process, for operators and for tests that kill it."""
        return os.getpid()

    def _opened(self) -> IbGateway:
        if self._gateway is None:
            raise AgentStale("broker: the actor was restarted and has no session; open one from the log")
        return self._gateway
