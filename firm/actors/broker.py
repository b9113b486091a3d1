"""The broker's gateway as an actor: the only one that can send an order."""

import os
from collections.abc import Sequence

from firm.actors.plan import RunPlan
from firm.broker.fenced import fenced
from firm.broker.ib import IbGateway
from firm.broker.recorder import RecordingIB
from firm.broker.universe import bar_size_of
from firm.bus.gateway import CommandBatch, Page
from firm.errors import AgentStale
from firm.events import Event, Record
from firm.ops.latch import LATCH
from firm.standby.fence import require_not_older
from firm.standby.wire import Claim
from firm.store.keys import token_of
from firm.store.lock import WriterLock, lock_account


class Broker:
    """Hosts one `IbGateway`; opening again starts a new session from the log."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._gateway: IbGateway | None = None
        self._account: WriterLock | None = None
        self._claim: Claim | None = None

    def open(self, memory: Sequence[Record], run: str, claim: Claim) -> Page:
        """See BrokerGateway. `claim`: as whom the firm trades; an older one than before is StaleEpoch."""
        if self._claim is not None:
            require_not_older(claim, self._claim)
        self._claim = claim
        self.close()
        plan, settings = self._plan, self._plan.config()
        address, simulation = plan.gateway, settings.simulation
        control = None if address.control_port is None else (address.host, address.control_port)
        live = settings.broker.model_copy(update={"gateway_host": address.host, "gateway_port": address.port})
        self._gateway = IbGateway(
            live,
            plan.symbols,
            plan.directory / LATCH,
            "wall" if control is None else "stepped" if simulation.clock == "stepped" else "free",
            control,
            simulation.history_bars,
            bar_size_of(settings.schedule.decide),
            fenced(claim, token_of("fence", create=False))
            if settings.standby.gateway_is_fenced
            else RecordingIB,
        )
        try:
            return self._open_alone(self._gateway, memory, run, live.account)
        except BaseException:
            self.close()
            raise

    def _open_alone(
        self, gateway: IbGateway, memory: Sequence[Record], run: str, account: str | None
    ) -> Page:
        """Open it with its account locked: before it is connected, where the account is known by then.

        A simulated gateway of ours is this firm's alone.
        """
        ours = self._plan.gateway.control_port is not None
        if not ours and account is not None:
            self._account = lock_account(account)
        page = gateway.open(memory, run)
        if not ours and account is None:
            self._account = lock_account(gateway.account)
        return page

    def turn(self, acked: int, batch: CommandBatch, until: int | None) -> Page:
        """See BrokerGateway."""
        return self._opened().turn(acked, batch, until)

    def reconcile(self) -> tuple[Event, ...]:
        """See BrokerGateway."""
        return self._opened().reconcile()

    def close(self) -> None:
        """See BrokerGateway."""
        if self._account is not None:
            self._account.release()
            self._account = None
        if self._gateway is not None:
            gateway, self._gateway = self._gateway, None
            gateway.close()

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
