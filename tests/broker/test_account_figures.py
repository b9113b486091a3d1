from decimal import Decimal

from firm.broker.account import TAGS, AccountFigures
from firm.domain.session import NS_PER_SECOND

MINUTE, HOUR = 60 * NS_PER_SECOND, 3600 * NS_PER_SECOND


def reported(cash: str) -> AccountFigures:
    figures = AccountFigures()
    for tag in TAGS:
        figures.hear(tag, cash)
    figures.told(figures.report("DU1"), 0)
    return figures


def test_a_flat_account_is_reported_once_an_hour_and_not_before():
    figures = reported("100.00")

    assert figures.news(HOUR - 1) == []
    (said,) = figures.news(HOUR)
    assert said.cash == Decimal("100.00")
    assert figures.news(2 * HOUR - 1) == []
    assert len(figures.news(2 * HOUR)) == 1


def test_what_changed_is_reported_after_a_minute():
    figures = reported("100.00")
    figures.hear(TAGS[0], "90.00")

    assert figures.news(MINUTE - 1) == []
    (said,) = figures.news(MINUTE)
    assert said.cash == Decimal("90.00")


def test_nothing_is_reported_before_somebody_has_asked():
    figures = AccountFigures()
    for tag in TAGS:
        figures.hear(tag, "1.00")

    assert figures.news(HOUR) == []
