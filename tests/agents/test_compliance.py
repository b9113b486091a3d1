from desk import BUY, SELL, approved, d, instrument, quote, resolved, settings
from telling import START, tell

from firm.agents.compliance import Compliance
from firm.domain.order import Side
from firm.events.external import ExternalEvent, Topic
from firm.events.orders import Cleared, ComplianceRefused, OrderApproved, OrderCleared
from firm.events.system import CycleAborted, TradingHalted, TradingRearmed

MS = 1_000_000
STOCKS = resolved(instrument(0, "KO"), instrument(1, "XOM"))
QUOTES = quote((0, 99.99, 100.01), (1, 99.99, 100.01))


def officer():
    agent = Compliance(
        settings(
            "compliance.max_quote_age_ms=1000",
            "compliance.cleared_for_ms=5000",
            "compliance.price_collar=0.03",
            "compliance.max_order_quantity=20000",
            'compliance.restricted=[{symbol: XOM, reason: "insider list"}]',
        ).compliance
    )
    tell(agent, STOCKS, QUOTES)
    return agent


def asked(instrument: int = 0, quantity: object = 10, price: object = 100, side: Side = BUY):
    return OrderApproved(7, approved(instrument, side, quantity, price))


def test_what_passes_is_cleared_with_bounds_on_the_tick_grid_and_a_time_limit():
    said = tell(officer(), (START + 500 * MS, asked(price="99.99", side=SELL)), first=3)
    assert said == [
        OrderCleared(
            7,
            Cleared(0, SELL, d(10), d("99.99"), d("97.00"), d("102.98"), START + 5500 * MS),
        )
    ]


def test_the_first_rule_that_objects_is_named_with_its_numbers():
    said = tell(officer(), asked(quantity=20_001), first=3)

    assert said == [ComplianceRefused(7, "max_order_quantity", "order quantity: 20001 units, limit is 20000")]


def test_the_configured_list_is_restricted_until_a_person_lifts_it():
    agent = officer()

    refused = tell(agent, asked(instrument=1), first=3)
    lifted = tell(agent, ExternalEvent(Topic.UNRESTRICT, "XOM", "list closed", "desk"), asked(1), first=4)

    reason = "restricted list: XOM may not be traded: insider list"
    assert refused == [ComplianceRefused(7, "restricted", reason)]
    assert type(lifted[0]) is OrderCleared


def test_a_person_can_restrict_a_symbol_and_news_restricts_nothing():
    agent = officer()

    news = tell(agent, ExternalEvent(Topic.NEWS, "KO", "new bottle", "wire"), asked(), first=3)
    refused = tell(agent, ExternalEvent(Topic.RESTRICT, "KO", "merger", "desk"), asked(), first=5)

    assert type(news[0]) is OrderCleared
    assert refused[0].reason == "restricted list: KO may not be traded: merger (desk)"


def test_a_halt_refuses_everything_until_trading_is_rearmed():
    agent = officer()

    said = tell(
        agent, TradingHalted("drawdown"), asked(), TradingRearmed("ada", "looked into it"), asked(), first=3
    )

    assert said[0] == ComplianceRefused(7, "halted", "trading is halted: drawdown")
    assert type(said[1]) is OrderCleared


def test_an_old_quote_or_none_at_all_is_refused():
    agent = officer()
    tell(agent, resolved(instrument(0, "KO"), instrument(1, "PEP")), quote((0, 99.99, 100.01)), first=3)

    unknown = tell(agent, asked(instrument=1), first=5)
    just = tell(agent, (START + 1000 * MS, asked()), first=6)
    old = tell(agent, (START + 1000 * MS + 1, asked()), first=7)

    assert unknown[0].reason == "price collar: PEP was never quoted, so its price cannot be checked"
    assert type(just[0]) is OrderCleared
    assert old[0].reason == "price collar: the quote of KO is 1000 ms old, limit is 1000 ms"


def test_an_aborted_cycle_is_a_halt_and_what_was_proposed_before_it_stays_refused():
    agent = officer()

    halted = tell(agent, CycleAborted("risk", 5, "bug", 3), OrderApproved(20, approved(0, BUY, 1)), first=10)
    rearmed = TradingRearmed("ada", "ok")
    stale, fresh = tell(agent, rearmed, asked(), OrderApproved(20, approved(0, BUY, 1)), first=12)

    assert halted[0].reason == "trading is halted: the cycle was aborted: risk failed on entry 5"
    assert stale == ComplianceRefused(7, "halted", "trading is halted: the order's own cycle was aborted")
    assert type(fresh) is OrderCleared


def test_an_order_for_nothing_known_is_refused_before_anything_was_heard():
    said = tell(Compliance(settings().compliance), asked())

    reason = "order sanity: instrument 0 is not one of the 0 resolved"
    assert said == [ComplianceRefused(7, "order_sanity", reason)]
