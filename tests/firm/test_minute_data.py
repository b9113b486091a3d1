"""Real minute quotes through the whole firm."""

from pathlib import Path

import pytest
import whole_firm

from firm.bus.replay import replay
from firm.config import load_settings
from firm.events.orders import OrderFilled, OrderSubmitted, RiskRefused
from firm.events.signals import BarrierClosed
from firm.local import LocalCrew
from firm.roster import rules
from firm.tape.load import load_tape

MINUTES = whole_firm.ROOT.parent / "shared" / "data" / "week201310_eq_min_quote.npz"


@pytest.mark.skipif(
    not Path(MINUTES).exists(), reason=f"needs {MINUTES.name}, which is not part of the project"
)
def test_a_week_of_minute_quotes_is_traded_and_replays():
    config = load_settings(whole_firm.ROOT / "config" / "intraday.yaml", ["risk.var.scenarios=1920"])
    tape = load_tape(MINUTES)

    log = whole_firm.run(config, tape)

    fills = whole_firm.events(log, OrderFilled)
    refusals = whole_firm.events(log, RiskRefused)
    assert {fill.side for fill in fills} == {"BUY", "SELL"}
    assert len(whole_firm.events(log, OrderSubmitted)) >= 20
    assert all(closed.missing == () for closed in whole_firm.events(log, BarrierClosed))
    assert any(refusal.limit == "history" for refusal in refusals), "no VaR before there is enough history"
    assert replay(log, rules(config), LocalCrew(config)).head == log.head
