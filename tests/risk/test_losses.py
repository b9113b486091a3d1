from decimal import Decimal
from pathlib import Path

from firm.config import load_settings
from firm.risk.losses import NS_PER_DAY, LossWatch

D = Decimal
PAPER = Path(__file__).resolve().parents[2] / "config" / "paper.yaml"


def watch(drawdown: float = 0.2, daily: float = 0.05) -> LossWatch:
    limits = (f"risk.max_drawdown={drawdown}", f"risk.max_daily_loss={daily}")
    return LossWatch(load_settings(PAPER, limits).risk)


def test_the_largest_daily_loss_passes_and_one_cent_more_does_not():
    day = watch()

    assert day.breach(1, D(100)) is None
    assert day.breach(2, D(95)) is None
    assert day.breach(3, D("94.99")) == "daily loss: equity 94.99 is 0.0501 below 100, limit is 0.05"


def test_the_daily_loss_counts_from_the_last_decision_of_the_day_before():
    days = watch()
    days.breach(1, D(100))
    days.breach(2, D(96))

    assert days.breach(NS_PER_DAY, D("91.20")) is None
    assert (
        days.breach(NS_PER_DAY + 1, D("91.19"))
        == "daily loss: equity 91.19 is 0.0501 below 96, limit is 0.05"
    )


def test_the_drawdown_counts_from_the_highest_equity_over_all_days():
    days = watch(daily=1.0)
    for day, equity in enumerate((90, 100, 95, 85)):
        assert days.breach(day * NS_PER_DAY, D(equity)) is None

    assert days.breach(4 * NS_PER_DAY, D(80)) is None
    assert (
        days.breach(5 * NS_PER_DAY, D("79.99")) == "drawdown: equity 79.99 is 0.2001 below 100, limit is 0.2"
    )


def test_after_a_person_accepted_the_losses_they_count_from_there():
    days = watch()
    days.breach(1, D(100))
    assert days.breach(2, D(70)) is not None

    days.start_again()

    assert days.breach(3, D("66.50")) is None
    assert days.breach(4, D("66.49")) == "daily loss: equity 66.49 is 0.0501 below 70, limit is 0.05"


def test_an_account_that_never_had_anything_has_nothing_to_lose():
    assert watch().breach(1, D(0)) is None
    assert watch().breach(1, D(-5)) is None


def test_losing_more_than_everything_is_a_breach():
    total = watch(drawdown=1.0, daily=1.0)
    total.breach(1, D(100))

    assert total.breach(2, D(0)) is None
    assert total.breach(3, D(-1)) == "drawdown: equity -1 is 1.0100 below 100, limit is 1.0"
