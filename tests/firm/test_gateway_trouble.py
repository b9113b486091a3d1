"""The whole firm on a real simulated gateway that withholds data, loses its link, and sees trades by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stage
import whole_firm
from stage import BASE, CLOSE, MINUTE, TAPE

from firm.broker.ib import IbGateway
from firm.broker.universe import DAY_BAR
from firm.bus.driver import Driver
from firm.bus.replay import replay
from firm.domain.order import Side
from firm.events import CODEC, Record
from firm.events.broker import (
    BreakFound,
    DataState,
    DataStateChanged,
    GateChanged,
    GateState,
    Severity,
)
from firm.events.orders import BrokerRejected, OrderProposed, OrderSubmitted
from firm.events.risk import BookMarked
from firm.gateway_sim.process import GatewayProcess, start_gateway
from firm.local import LocalCrew
from firm.report.summary import Summary
from firm.roster import rules
from firm.store.memory import MemoryStore

pytestmark = pytest.mark.process
KO = 9


class Floor:
    """A firm in one thread, its broker's side, and the gateway process that it trades through."""

    def __init__(self, gateway: GatewayProcess, directory: Path) -> None:
        self.gateway, self.log = gateway, MemoryStore()
        self.config = whole_firm.settings(*BASE)
        address = {"gateway_host": gateway.host, "gateway_port": gateway.port}
        self._broker = IbGateway(
            self.config.broker.model_copy(update=address),
            "all",
            directory / "latch",
            "stepped",
            (gateway.host, gateway.control_port),
            self.config.simulation.history_bars,
            DAY_BAR,
        )
        self._driver: Driver = whole_firm.driver(self.config, TAPE, store=self.log, broker=self._broker)

    def until(self, at: int) -> None:
        """Live until the log has come to a time (ns UTC), or to the end of the data."""
        while self.log.read(since=self.log.last_seq - 1)[0].at < at and self._driver.step():
            pass

    def close(self) -> None:
        self._driver.close()
        self._broker.close()

    def asked(self, decision: int) -> dict[int, OrderProposed]:
        return stage.proposals(self.log, decision)

    def only_reduces(self, proposal: OrderProposed, decision: int) -> bool:
        start = stage.decisions(self.log)[decision][0]
        (mark, *_) = self.log.read(since=start, kinds={BookMarked.KIND})
        held = CODEC.event(mark).quantities[proposal.order.instrument]
        signed = -held if proposal.order.side is Side.BUY else held
        return bool(proposal.order.quantity <= signed)

    def said(self, *classes: type) -> list[tuple[Record, object]]:
        return [(r, CODEC.event(r)) for r in self.log.read(kinds={cls.KIND for cls in classes})]


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    with start_gateway(days=3, account="DU0000001") as gateway:
        made = Floor(gateway, tmp_path)
        yield made
        made.close()


def test_a_quiet_run_says_once_that_all_data_are_live_and_replays(floor: Floor):
    floor.until(CLOSE[2] + 60 * MINUTE)
    changes = [event for _, event in floor.said(DataStateChanged)]

    assert {event.after for event in changes} == {DataState.LIVE}
    assert len(changes) == 20
    assert [event.after for _, event in floor.said(GateChanged)] == [GateState.SYNCING, GateState.OPEN]
    assert all(floor.asked(decision) for decision in range(3))
    assert replay(floor.log, rules(floor.config), LocalCrew(floor.config)).head == floor.log.head


def test_data_we_have_no_right_to_are_missing_and_stop_new_risk_until_we_have(floor: Floor):
    floor.until(CLOSE[0] + MINUTE)
    for index, symbol in enumerate(TAPE.symbols):
        floor.gateway.ask(cmd="entitle", symbol=symbol, level="delayed" if index % 2 else "none")
    floor.until(CLOSE[1] + MINUTE)
    states = {event.instrument: event.after for _, event in floor.said(DataStateChanged)}
    assert states == dict.fromkeys(range(20), DataState.MISSING)
    assert all(floor.only_reduces(proposal, 1) for proposal in floor.asked(1).values())
    assert floor.said(GateChanged)[-1][1].after is GateState.DEGRADED

    for symbol in TAPE.symbols:
        floor.gateway.ask(cmd="entitle", symbol=symbol, level="live")
    floor.until(CLOSE[2] + 60 * MINUTE)

    assert replay(floor.log, rules(floor.config), LocalCrew(floor.config)).head == floor.log.head
    summary = Summary()
    for record in floor.log.read():
        summary.note(record)
    assert {row.outage.times for row in summary.broker.data.values()} == {1}


def test_a_trade_by_hand_is_a_critical_break_and_stops_new_risk_until_it_is_undone(floor: Floor):
    floor.until(CLOSE[1] - 60 * MINUTE)
    floor.gateway.ask(cmd="manual", symbol="KO", side="BUY", quantity="7")
    floor.until(CLOSE[1] + MINUTE)
    found = {event.subject: event.severity for _, event in floor.said(BreakFound)}

    assert found == {"KO": Severity.CRITICAL, "cash": Severity.WARNING}
    assert floor.asked(1)
    assert all(floor.only_reduces(proposal, 1) for proposal in floor.asked(1).values())

    floor.gateway.ask(cmd="manual", symbol="KO", side="SELL", quantity="7")
    floor.until(CLOSE[2] + 60 * MINUTE)
    assert not all(floor.only_reduces(proposal, 2) for proposal in floor.asked(2).values())
    assert replay(floor.log, rules(floor.config), LocalCrew(floor.config)).head == floor.log.head


def test_while_the_link_is_lost_nothing_is_sent_and_the_broker_has_nothing_to_refuse(floor: Floor):
    floor.until(CLOSE[0] + MINUTE)
    floor.gateway.ask(cmd="link", up=False)
    floor.until(CLOSE[1] - 300 * MINUTE)  # two slices were due; with nothing due the log stands still
    lost = [record.at for record, event in floor.said(GateChanged) if event.after is GateState.FROZEN]
    assert len(lost) == 1
    assert not [record for record, _ in floor.said(OrderSubmitted, BrokerRejected) if record.at > lost[0]]

    floor.gateway.ask(cmd="link", up=True)
    floor.until(CLOSE[2] + 60 * MINUTE)

    assert floor.said(GateChanged)[-1][1].after is GateState.OPEN
    assert floor.said(OrderSubmitted)
    assert replay(floor.log, rules(floor.config), LocalCrew(floor.config)).head == floor.log.head
