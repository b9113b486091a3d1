"""What positions lose in scenarios: exact numbers, every kind of instrument, and nothing unmapped passes."""

from decimal import Decimal
from math import erf, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firm.domain.instrument import Instrument
from firm.domain.summing import plain_sum
from firm.errors import ConfigError, DataError
from firm.risk.stress_map import packaged_stress_map, read_stress_map
from firm.risk.stress_scenarios import Scenario, packaged_scenarios, read_scenarios
from firm.risk.stress_tester import PositionNotMapped, StressTester
from firm.risk_kernels.contracts import CONTRACT, Payoff

MAP, PACKAGED = packaged_stress_map(), packaged_scenarios()

SCENARIO = """
sources: {house: {provenance: H, text: our own figure}}
scenarios:
  - name: mine
    kind: hypothetical
    date: 2026-11-22
    shocks:
      - source: house
"""


def scenario(**groups: str) -> Scenario:
    """A scenario of one group; e.g. relative="{equity: -0.1}"."""
    lines = "".join(f"        {unit}: {shocks}\n" for unit, shocks in groups.items())
    return read_scenarios(SCENARIO + lines, "test.yaml")[0]


def instrument(index: int, symbol: str, sec_type: str, currency: str = "USD", **more: object) -> Instrument:
    cent = Decimal("0.01")
    return Instrument(
        index, symbol, index + 1, sec_type, "SMART", currency, Decimal(1), cent, Decimal(1), **more
    )


def option(index: int, underlying: int, strike: float, right: str) -> Instrument:
    more = {"underlying": underlying, "strike": Decimal(str(strike)), "right": right, "expiry": "20270115"}
    return instrument(index, f"option {index}", "OPT", **more)


def linear(*rows: tuple[float, float]) -> np.ndarray:
    """Contracts of (unit, price)."""
    table = np.zeros(len(rows), CONTRACT)
    table["unit"], table["price"] = zip(*rows, strict=True)
    return table


def loss_of(found: Scenario, of: Instrument, unit: float, price: float, quantity: float) -> float:
    """The loss of one position in one scenario."""
    stress = StressTester([found], MAP).shocks([of])
    ((name, loss),) = stress.losses(linear((unit, price)), [quantity])
    assert name == found.name
    return loss


def black_scholes(spot, strike, years, volatility, rate, carry, sign) -> float:
    """Independent of the kernels."""

    def normal(x: float) -> float:
        return 0.5 * (1.0 + erf(x / sqrt(2.0)))

    d1 = (log(spot / strike) + (rate - carry + 0.5 * volatility**2) * years) / (volatility * sqrt(years))
    d2 = d1 - volatility * sqrt(years)
    paid, got = strike * exp(-rate * years), spot * exp(-carry * years)
    return sign * (got * normal(sign * d1) - paid * normal(sign * d2))


def test_a_share_loses_its_value_times_the_shock():
    share = instrument(0, "AAPL", "STK")

    assert loss_of(scenario(relative="{equity: -0.1}"), share, 1.0, 200.0, 30.0) == pytest.approx(
        600.0, rel=1e-12
    )
    assert loss_of(scenario(relative="{equity: -0.1}"), share, 1.0, 200.0, -30.0) == pytest.approx(
        -600.0, rel=1e-12
    )


def test_a_share_follows_its_own_factor_then_its_sector_then_its_region():
    shares = [instrument(0, "AAPL", "STK"), instrument(1, "MSFT", "STK"), instrument(2, "XOM", "STK")]
    sectors = {"AAPL": "Technology", "MSFT": "Technology", "XOM": "Energy"}
    mine = scenario(relative="{name.AAPL: -0.5, equity.us.technology: -0.3, equity: -0.1}")

    stress = StressTester([mine], MAP).shocks(shares, sectors)

    assert stress.unit_losses(linear((1, 100), (1, 100), (1, 100)))[0] == pytest.approx([50.0, 30.0, 10.0])


def test_futures_follow_their_underlying_by_symbol_or_local_symbol():
    mine = scenario(relative="{equity.us: -0.2, commodity.gold: 0.1, fx.eur: -0.05}", bp="{rates.usd: 100}")

    assert loss_of(mine, instrument(0, "ES", "FUT"), 50.0, 5_000.0, 2.0) == pytest.approx(100_000.0)
    assert loss_of(mine, instrument(0, "MESZ6", "FUT"), 5.0, 5_000.0, 1.0) == pytest.approx(5_000.0)
    assert loss_of(mine, instrument(0, "GC", "FUT"), 100.0, 2_000.0, -1.0) == pytest.approx(20_000.0)
    assert loss_of(mine, instrument(0, "6EH27", "FUT"), 125_000.0, 1.1, 1.0) == pytest.approx(6_875.0)
    assert loss_of(mine, instrument(0, "ZN", "FUT"), 1_000.0, 110.0, 1.0) == pytest.approx(0.0625 * 110_000.0)
    assert loss_of(mine, instrument(0, "SR3", "FUT"), 2_500.0, 96.0, 1.0) == pytest.approx(2_500.0)


def test_a_currency_pair_gains_what_its_first_currency_gains_over_its_second():
    mine = scenario(relative="{fx.eur: 0.1, fx.jpy: -0.2}")

    for symbol in ("EUR", "EUR.USD", "EURUSD"):
        assert loss_of(mine, instrument(0, symbol, "CASH"), 1.0, 1.1, 1_000.0) == pytest.approx(-110.0)
    # USD.JPY at 150: the dollar rises to 150 / 0.8 yen; 37.5 yen of profit at 0.8 / 150 dollars each.
    yen = loss_of(mine, instrument(0, "USD", "CASH", "JPY"), 1.0 / 150.0, 150.0, 1_000.0)
    assert yen == pytest.approx(-200.0)


def test_a_foreign_share_loses_with_its_currency_too_but_a_future_only_converts_its_profit():
    mine = scenario(relative="{equity.europe: -0.2, fx.eur: -0.1}")

    share = loss_of(mine, instrument(0, "SAP", "STK", "EUR"), 1.2, 100.0, 10.0)
    future = loss_of(mine, instrument(0, "DAX", "FUT", "EUR"), 25 * 1.2, 16_000.0, 1.0)

    assert share == pytest.approx(1_200.0 - 0.9 * 0.8 * 1_200.0)
    assert future == pytest.approx(25 * 1.2 * 0.9 * 3_200.0)


def test_a_held_share_never_loses_more_than_it_is_worth_but_a_future_may():
    text = """
base_currency: USD
parents: {}
regions: {USD: equity}
sectors: {}
instruments:
  STK: {LEV: {factor: equity, beta: 3}}
  FUT: {LEVF: {factor: equity, beta: 3}}
options: {volatility: {}, rate: {}, reference_days: 30}
"""
    stress = StressTester([scenario(relative="{equity: -0.5}")], read_stress_map(text, "map")).shocks(
        [instrument(0, "LEV", "STK"), instrument(1, "LEVF", "FUT")]
    )

    assert stress.unit_losses(linear((1, 100), (1, 100)))[0] == pytest.approx([100.0, 150.0])


def test_an_instrument_may_follow_several_factors_and_be_convex():
    text = """
base_currency: USD
parents: {}
regions: {USD: equity}
sectors: {}
instruments:
  STK: {LQD: [{factor: rates.usd, duration: 8, convexity: 90}, {factor: credit, duration: 8}]}
  FUT: {VX: {factor: volatility, points: 60}}
options: {volatility: {}, rate: {}, reference_days: 30}
"""
    mine = scenario(bp="{rates.usd: 100, credit: 50}", points="{volatility: 0.2}")
    stress = StressTester([mine], read_stress_map(text, "map")).shocks(
        [instrument(0, "LQD", "STK"), instrument(1, "VX", "FUT")]
    )

    losses = stress.unit_losses(linear((1, 100), (1_000, 20)))[0]

    assert losses == pytest.approx([8.0 - 0.5 * 90 * 0.01 + 4.0, -1_000 * 60 * 0.2])


def option_book(
    payoff: Payoff = Payoff.EUROPEAN, underlying: str = "STK"
) -> tuple[list[Instrument], np.ndarray]:
    """A share or future at 100 and a call and a put on it, struck at the money, quarter of a year."""
    symbol = "AAPL" if underlying == "STK" else "ES"
    book = [instrument(0, symbol, underlying), option(1, 0, 100.0, "C"), option(2, 0, 100.0, "P")]
    table = linear((1, 100), (100, 0), (100, 0))
    for row, sign in ((1, 1.0), (2, -1.0)):
        carry = 0.01 if underlying == "STK" else 0.04
        table[row]["price"] = black_scholes(100.0, 100.0, 0.25, 0.3, 0.04, carry, sign)
        terms = (0, payoff, 100.0, table[row]["price"], 100.0, 100.0, 0.25, 0.3, 0.04, carry, sign)
        table[row] = terms
    return book, table


def test_an_option_is_revalued_with_spot_volatility_and_rate_shocked():
    book, table = option_book()
    mine = scenario(
        relative="{equity: -0.1, volatility: 0.5}", points="{volatility.us: 0.1}", bp="{rates.usd: -100}"
    )
    stress = StressTester([mine], MAP).shocks(book)
    nearness = sqrt(30 / 365 / 0.25)

    losses = stress.unit_losses(table)[0]

    for row, sign in ((1, 1.0), (2, -1.0)):
        shocked = black_scholes(90.0, 100.0, 0.25, 0.3 + 0.1 * nearness, 0.03, 0.01, sign)
        assert losses[row] == pytest.approx(100 * (table[row]["price"] - shocked), rel=1e-10)


def test_an_option_on_a_future_moves_its_carry_with_the_rate():
    book, table = option_book(underlying="FUT")
    mine = scenario(relative="{equity: 0.1, volatility.us: 0.5}", bp="{rates.usd.3m: 200}")
    losses = StressTester([mine], MAP).shocks(book).unit_losses(table)[0]
    volatility = 0.3 * (1 + 0.5 * sqrt(30 / 365 / 0.25))

    shocked = black_scholes(110.0, 100.0, 0.25, volatility, 0.06, 0.06, 1.0)

    assert losses[1] == pytest.approx(100 * (table[1]["price"] - shocked), rel=1e-10)


def test_no_scenario_takes_a_rate_below_zero_that_is_not_there():
    book, table = option_book(underlying="FUT")
    mine = scenario(relative="{equity: 0.1}", unchanged="[volatility]", bp="{rates.usd: -500}")
    losses = StressTester([mine], MAP).shocks(book).unit_losses(table)[0]

    shocked = black_scholes(110.0, 100.0, 0.25, 0.3, 0.0, 0.0, 1.0)

    assert losses[1] == pytest.approx(100 * (table[1]["price"] - shocked), rel=1e-10)


def test_a_hedged_short_straddle_loses_in_both_directions_and_more_when_volatility_rises():
    book, table = option_book()
    both = [
        scenario(relative=f"{{equity: {move}, volatility: {rise}}}", unchanged="[rates.usd]")
        for move, rise in ((-0.1, 0.0), (0.1, 0.0), (-0.1, 0.5), (0.0, -0.3))
    ]
    named = [Scenario(f"s{i}", s.kind, s.start, s.end, s.shocks) for i, s in enumerate(both)]
    quantities = [99.2, -10.0, -10.0]  # the shares hedge a delta of 2 N(d1) - 1 = 0.0992 a straddle

    down, up, panic, calm = (
        loss for _, loss in StressTester(named, MAP).shocks(book).losses(table, quantities)
    )

    assert down > 2_000
    assert up == pytest.approx(down, rel=0.25)
    assert panic > down
    assert calm < 0


def test_an_american_put_loses_no_more_than_its_price_and_is_worth_its_payoff_deep_in_the_money():
    book, table = option_book(Payoff.AMERICAN)
    mine = scenario(relative="{equity: -0.6}", unchanged="[volatility, rates.usd]")

    losses = StressTester([mine], MAP).shocks(book).unit_losses(table)[0]

    assert losses[2] == pytest.approx(100 * (table[2]["price"] - 60.0), rel=1e-9)
    assert losses[1] == pytest.approx(100 * table[1]["price"], rel=1e-6)


def test_a_position_that_a_scenario_does_not_map_is_an_error_with_position_scenario_and_factor():
    gold, share = instrument(0, "GC", "FUT"), instrument(1, "AAPL", "STK")
    stress = StressTester([scenario(relative="{equity: -0.1}")], MAP).shocks([gold, share])
    table = linear((100, 2_000), (1, 200))

    with pytest.raises(PositionNotMapped) as error:
        stress.losses(table, [1.0, 1.0])
    assert str(error.value).startswith(
        "GC (FUT) has no loss in the stress scenario 'mine': it follows commodity.gold, which neither"
    )
    with pytest.raises(PositionNotMapped, match=r"commodity\.gold"):
        stress.unit_losses(table)
    assert dict(stress.losses(table, [0.0, 1.0])) == {"mine": pytest.approx(20.0)}


@pytest.mark.parametrize(
    ("of", "sectors", "said"),
    [
        (
            instrument(0, "BRN", "FUT"),
            None,
            "what moves FUT BRN, found no rule; add it under instruments.FUT",
        ),
        (instrument(0, "GOLD", "CMDTY"), None, "what moves CMDTY GOLD"),
        (instrument(0, "EURO", "CASH"), None, "a currency pair as its first currency"),
        (instrument(0, "SHOP", "STK", "CAD"), None, "the region of SHOP by its currency CAD"),
        (instrument(0, "AAPL", "STK"), {"MSFT": "Technology"}, "the sector of AAPL, found none"),
        (instrument(0, "AAPL", "STK"), {"AAPL": "Fruit"}, "does not know the sector 'Fruit' of AAPL"),
        (option(0, 7, 100.0, "C"), None, "the underlying of the option option 0, found index 7 of 1"),
        (instrument(0, "EUR", "CASH", "GBP"), None, r"EUR \(CASH\) has no loss .* follows fx.eur"),
    ],
)
def test_what_has_no_rule_is_an_error_where_it_is_held_and_none_where_it_is_not(of, sectors, said: str):
    stress = StressTester([scenario(relative="{equity: -0.1}")], MAP).shocks([of], sectors)
    table = linear((1.0, 100.0))

    with pytest.raises(PositionNotMapped, match=said):
        stress.losses(table, [1.0])
    assert stress.losses(table, [0.0]) == (("mine", 0.0),)


def test_an_option_without_a_volatility_factor_or_a_rate_is_an_error():
    text = """
base_currency: USD
parents: {}
regions: {USD: equity}
sectors: {}
instruments: {}
options: {volatility: {VOL}, rate: {}, reference_days: 30}
"""
    book, table = option_book()
    for volatility, said in (
        ("", "the volatility factor of options on equity"),
        ("equity: volatility", "the USD rate"),
    ):
        stress_map = read_stress_map(text.replace("VOL", volatility), "map")
        stress = StressTester([scenario(relative="{equity: -0.1}")], stress_map).shocks(book)
        with pytest.raises(PositionNotMapped, match=said):
            stress.losses(table, [0, 1, 0])


def test_a_future_inside_the_packaged_scenarios_is_never_a_silent_zero():
    futures = [instrument(i, symbol, "FUT") for i, symbol in enumerate(("ES", "NQ", "ZN", "GC", "6E"))]
    stress = StressTester(PACKAGED, MAP).shocks(futures)
    historical = [s for s, found in enumerate(stress.scenarios) if found.kind == "historical"]

    losses = stress.unit_losses(linear(*[(1, 100)] * 5))

    assert np.all(losses[historical] != 0.0)
    assert np.all(losses[historical][:, 0] > 3.0)


def test_black_monday_costs_a_fifth_and_the_book_total_is_the_plain_sum():
    shares = [instrument(i, symbol, "STK") for i, symbol in enumerate(("AAPL", "MSFT", "XOM"))]
    stress = StressTester(PACKAGED, MAP).shocks(shares)
    table, quantities = linear((1, 200.1), (1, 400.2), (1, 100.3)), np.array([7.0, -3.0, 11.0])

    unit_losses = stress.unit_losses(table)
    losses = dict(stress.losses(table, quantities))

    assert losses["black-monday-1987"] == pytest.approx(
        0.2047 * (200.1 * 7 - 400.2 * 3 + 100.3 * 11), rel=1e-12
    )
    for s, found in enumerate(stress.scenarios):
        assert losses[found.name] == plain_sum((quantities * unit_losses[s]).tolist())
    assert stress.book_losses(unit_losses, quantities).tolist() == list(losses.values())


def loss_of_more_order_adds_its_column():
    book, table = option_book()
    stress = StressTester(PACKAGED, MAP).shocks(book)
    unit_losses = stress.unit_losses(table)

    before, after = stress.book_losses(unit_losses, [5, 2, 0]), stress.book_losses(unit_losses, [5, 2, -3])

    assert after == pytest.approx(before - 3 * unit_losses[:, 2], rel=1e-12)


def test_spreads_cost_more_only_where_the_scenario_widens_them():
    stress = StressTester(PACKAGED, MAP).shocks([instrument(0, "AAPL", "STK")])

    costs = dict(
        zip((s.name for s in stress.scenarios), stress.spread_costs(np.array([0.02]), [-500.0]), strict=True)
    )

    assert costs["liquidity-freeze"] == pytest.approx(9 * 0.02 * 500)
    assert costs["covid-2020"] == 0.0
    with pytest.raises(DataError, match="half spreads"):
        stress.spread_costs(np.array([np.nan]), [1.0])


@pytest.mark.parametrize("field", ["price", "unit"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_price_that_is_no_number_is_refused_where_held_and_ignored_where_not(field: str, value: float):
    shares = [instrument(0, "AAPL", "STK"), instrument(1, "MSFT", "STK")]
    stress = StressTester([scenario(relative="{equity: -0.1}")], MAP).shocks(shares)
    table = linear((1, 100), (1, 100))
    table[1][field] = value

    assert stress.losses(table, [1.0, 0.0]) == (("mine", pytest.approx(10.0)),)
    with pytest.raises(DataError, match="the stress of MSFT needs a finite price and unit"):
        stress.losses(table, [1.0, 1.0])


def test_quantities_that_are_no_numbers_and_tables_of_another_size_are_refused():
    stress = StressTester([scenario(relative="{equity: -0.1}")], MAP).shocks([instrument(0, "A", "STK")])

    with pytest.raises(DataError, match="finite quantities"):
        stress.losses(linear((1, 100)), [np.nan])
    with pytest.raises(DataError, match="finite quantities"):
        stress.book_losses(np.array([[np.nan]]), [1.0])
    with pytest.raises(ValueError, match="one contract an instrument, 1, found 2"):
        stress.losses(linear((1, 100), (1, 100)), [1.0])
    with pytest.raises(ValueError, match="a quantity for each of 1"):
        stress.book_losses(np.array([[1.0]]), [1.0, 2.0])


def test_a_share_with_an_option_contract_is_refused():
    book, table = option_book()
    stress = StressTester([scenario(unchanged="[equity, volatility.us, rates.usd]")], MAP).shocks(book)

    table["payoff"] = Payoff.EUROPEAN

    with pytest.raises(ValueError, match="AAPL is STK, found payoff 1"):
        stress.losses(table, [1, 0, 0])


def test_volatility_that_falls_below_zero_is_zero_and_the_option_worth_its_forward_payoff():
    book, table = option_book()
    calm, still = (
        StressTester([scenario(points=f"{{volatility.us: {p}}}", unchanged="[equity, rates.usd]")], MAP)
        for p in (-9.0, -90.0)
    )

    lost = [tester.shocks(book).losses(table, [0, 1, 0])[0][1] for tester in (calm, still)]

    assert lost[0] == lost[1]
    assert lost[0] > 0


def test_an_option_with_a_strike_of_zero_or_an_unknown_payoff_is_refused():
    book, table = option_book()
    mine = scenario(relative="{equity: -0.1}", unchanged="[volatility, rates.usd]")
    stress = StressTester([mine], MAP).shocks(book)
    broken = table.copy()
    broken["strike"][1] = 0.0
    odd = table.copy()
    odd["payoff"][1] = 7

    with pytest.raises(DataError, match="stress cannot value an option: strike"):
        stress.losses(broken, [0, 1, 0])
    with pytest.raises(DataError, match="of no known payoff"):
        stress.losses(odd, [0, 1, 0])


def test_two_scenarios_of_one_name_are_refused():
    mine = scenario(relative="{equity: -0.1}")

    with pytest.raises(ConfigError, match="found twice: mine"):
        StressTester([mine, mine], MAP)


moves = st.floats(-0.9, 0.9).map(lambda x: round(x, 4))
sizes = st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-3)


@given(moves, moves, st.lists(sizes, min_size=3, max_size=3), st.floats(0.001, 1_000.0))
def test_losses_are_linear_in_the_quantities(
    equity: float, gold: float, quantities: list[float], factor: float
):
    universe = [instrument(0, "AAPL", "STK"), instrument(1, "GC", "FUT"), instrument(2, "ES", "FUT")]
    mine = scenario(relative=f"{{equity: {equity}, commodity.gold: {gold}}}")
    stress = StressTester([mine], MAP).shocks(universe)
    table = linear((1, 200), (100, 2_000), (50, 5_000))

    ((_, once),) = stress.losses(table, quantities)
    ((_, scaled),) = stress.losses(table, [factor * quantity for quantity in quantities])
    parts = [stress.losses(table, np.where(np.arange(3) == i, quantities, 0.0))[0][1] for i in range(3)]

    gross = sum(abs(part) for part in parts)
    assert once == pytest.approx(sum(parts), abs=1e-12 * gross)
    assert scaled == pytest.approx(factor * once, abs=1e-12 * factor * gross)


@given(moves, st.integers(-500, 500), st.lists(sizes, min_size=3, max_size=3))
def test_mirrored_shocks_have_mirrored_losses_for_linear_positions(
    equity: float, bp: int, quantities: list[float]
):
    universe = [instrument(0, "AAPL", "STK"), instrument(1, "ZN", "FUT"), instrument(2, "ES", "FUT")]
    mine = scenario(relative=f"{{equity: {equity}}}", bp=f"{{rates.usd: {bp}}}")
    other = {factor: shock.mirrored() for factor, shock in mine.shocks.items()}
    mirrored = Scenario("mirrored", mine.kind, mine.start, mine.end, other)
    table = linear((1, 200), (1_000, 110), (50, 5_000))

    stress = StressTester([mine, mirrored], MAP).shocks(universe)
    (_, there), (_, back) = stress.losses(table, quantities)

    gross = sum(abs(q) * value for q, value in zip(quantities, (200, 110_000, 250_000), strict=True))
    assert there == pytest.approx(-back, abs=1e-12 * gross)
