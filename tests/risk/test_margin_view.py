"""The broker's margin figures decide; old, missing or impossible ones are unknown, never guessed."""

import numpy as np
import pytest

from firm.risk.margin import MarginEstimate
from firm.risk.margin_view import BrokerMargin, Headroom, MarginView

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def figures(**changes: float) -> BrokerMargin:
    content = {
        "net_liquidation": 100_000.0,
        "initial": 50_000.0,
        "maintenance": 40_000.0,
        "excess_liquidity": 60_000.0,
        "at": NOW - 5 * SECOND,
    }
    return BrokerMargin(**{**content, **changes})


def estimate(total: float) -> MarginEstimate:
    return MarginEstimate(total, (), ())


def view(broker: BrokerMargin | None, total: float = 32_000.0) -> MarginView:
    return MarginView(broker, estimate(total), NOW, 60 * SECOND)


def test_headroom_is_the_brokers_excess_over_equity():
    assert view(figures()).headroom() == Headroom(0.6, "broker")
    assert view(figures(excess_liquidity=-5_000.0)).headroom() == Headroom(-0.05, "broker")


@pytest.mark.parametrize(
    ("broker", "reason"),
    [
        (None, "has not reported"),
        (figures(at=NOW - 61 * SECOND), r"61.000 s old, allowed are 0 to 60.000 s"),
        (figures(at=NOW + SECOND), r"-1.000 s old"),
        (figures(net_liquidation=0.0), "equity needs to be positive, the broker reports 0.00"),
        (figures(excess_liquidity=np.nan), "need to be numbers"),
        (figures(maintenance=-1.0), "requirements at least 0"),
    ],
)
def test_figures_that_cannot_be_used_are_unknown_and_say_why(broker: BrokerMargin | None, reason: str):
    unknown = view(broker).headroom()

    assert isinstance(unknown, str)
    assert reason in unknown
    assert view(broker).headroom_after(estimate(0.0), None) == unknown
    assert view(broker).ratio() == 1.0


def test_the_what_if_of_the_broker_decides():
    asked = figures(excess_liquidity=30_000.0)

    assert view(figures()).headroom_after(estimate(1e9), asked) == Headroom(0.3, "broker")


def test_without_a_what_if_the_estimate_counts_against_the_order_as_the_broker_is_stricter():
    # the broker asks 40,000 where the scan says 32,000: each estimated 1 is 1.25
    after = view(figures()).headroom_after(estimate(40_000.0), None)

    assert after == Headroom(pytest.approx((60_000 - 1.25 * 8_000) / 100_000), "broker and estimate")


def test_a_broker_milder_than_the_scan_does_not_make_the_estimate_milder():
    after = view(figures(), total=80_000.0).headroom_after(estimate(90_000.0), None)

    assert after == Headroom(0.5, "broker and estimate")


def test_relief_counts_only_once_the_broker_says_so():
    stale = figures(excess_liquidity=99_000.0, at=NOW - 3600 * SECOND)

    for what_if in (None, stale):
        after = view(figures()).headroom_after(estimate(0.0), what_if)
        assert after == Headroom(0.6, "broker and estimate")


def test_the_ratio_of_broker_and_estimate():
    assert view(figures()).ratio() == pytest.approx(1.25)
    assert view(figures(), total=0.0).ratio() == 1.0
