"""A limit that is broken already lets orders pass that only reduce, and no others."""

import stage
import whole_firm
from stage import CLOSE, HOUR, StageBroker, gapped, proposals

from firm.domain.order import Side
from firm.events import CODEC
from firm.events.orders import OrderApproved, OrderProposed, RiskRefused
from firm.events.risk import BookMarked, RiskMeasured
from firm.store.memory import MemoryStore

XOM, VAR_MAX = 19, 28_000


def leaped() -> MemoryStore:
    """After the first day's fills XOM, of which the firm has a tenth of its equity, doubles."""
    leap = gapped(XOM, CLOSE[1] - HOUR, 2.0)
    return stage.play(
        f"risk.max_portfolio_var={VAR_MAX}",
        "risk.max_position_weight=0.5",
        story=lambda settings: StageBroker(settings, bend=leap),
    )


def only_reduces(proposal: OrderProposed, held: int) -> bool:
    signed = -held if proposal.order.side is Side.BUY else held
    return proposal.order.quantity <= signed


def test_a_reducing_order_passes_a_limit_that_the_market_has_broken_and_an_adding_one_does_not():
    log = leaped()
    first, second = proposals(log, 0), proposals(log, 1)
    start, end = stage.decisions(log)[1]
    mark, *_ = [CODEC.event(r) for r in log.read(since=start, kinds={BookMarked.KIND})]
    report, *_ = [CODEC.event(r) for r in log.read(since=start, kinds={RiskMeasured.KIND})]
    approved = {event.order_seq for event in whole_firm.events(log, OrderApproved)}
    refused = {event.order_seq: event for event in whole_firm.events(log, RiskRefused)}
    reducing = {
        seq
        for seq, proposal in second.items()
        if only_reduces(proposal, mark.quantities[proposal.order.instrument])
    }

    assert approved >= set(first), "on the first day nothing is broken"
    assert max(report.historical_var, report.parametric_var, report.monte_carlo_var) > VAR_MAX
    assert reducing
    assert reducing <= approved
    assert set(second) - reducing
    assert set(second) - reducing <= set(refused)
    assert {refused[seq].limit for seq in set(second) - reducing} == {"portfolio_var"}
    assert XOM in {second[seq].order.instrument for seq in reducing}
    assert start < min(second) <= max(second) < end
