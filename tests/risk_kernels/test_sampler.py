"""The tail sampler: exact laws, the same bits for every split, and figures that a plain run confirms."""

from itertools import pairwise
from math import exp, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from firm.risk_kernels import sampler
from firm.risk_kernels.contracts import CONTRACT, Contracts, FactorLaw, Payoff, linear_contracts
from firm.risk_kernels.montecarlo import BLOCK, factor_scenarios, scenario_pnl
from firm.risk_kernels.sampler_run import (
    Run,
    Sensitivities,
    Strata,
    loss_line,
    plain_tilt,
    sensitivities,
    tilt_towards,
)
from firm.risk_kernels.tail import shard_tail, tail_size, var_es

Array = npt.NDArray[np.float64]
Book = tuple[FactorLaw, Contracts, Array]

SEED = 2_000_11
CONFIDENCES = (0.99, 0.975)


def linear_book(degrees: int = 0) -> Book:
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    law = FactorLaw(
        rng.normal(0.008, 0.005, (6, 2)), rng.uniform(0.0, 0.01, 6), rng.normal(0.0, 0.001, 6), degrees
    )
    return law, linear_contracts(6), rng.normal(0.0, 1e6, 6)


def straddles(law: FactorLaw, volatility: float = 0.25) -> Contracts:
    """A call and a put at the money on each factor, a month to run."""
    m = len(law.drift)
    options = np.zeros(2 * m, CONTRACT)
    options["factor"] = np.tile(np.arange(m), 2)
    options["payoff"], options["unit"] = Payoff.EUROPEAN, 1.0
    options["spot"] = options["strike"] = 100.0
    options["years"], options["volatility"] = 0.08, volatility
    options["sign"] = np.repeat([1.0, -1.0], m)
    deviation = volatility * sqrt(0.08)
    options["price"] = 100.0 * (2.0 * stats.norm.cdf(deviation / 2.0) - 1.0)
    return options


def short_gamma_book(degrees: int = 0) -> Book:
    """Short straddles on six factors of two common ones, hedged to no delta."""
    rng = np.random.default_rng(SEED)
    law = FactorLaw(rng.normal(0.012, 0.006, (6, 2)), np.full(6, 0.003), np.zeros(6), degrees)
    contracts = np.concatenate([straddles(law), linear_contracts(6)])
    quantities = np.concatenate([np.full(12, -1000.0), np.zeros(6)])
    quantities[12:] = -sensitivities(law, contracts, quantities).delta
    return law, contracts, quantities


def plain_figures(book: Book, blocks: int, seed: int = SEED + 1) -> tuple[float, float]:
    pnl = scenario_pnl(0, blocks, *book, seed)
    tail = shard_tail(pnl, 0, tail_size(len(pnl), 0.975))
    return var_es(tail, len(pnl), 0.99)[0], var_es(tail, len(pnl), 0.975)[1]


@pytest.mark.parametrize("degrees", [0, 2, 4, 6, 60])
def test_targets_are_the_quantiles_of_the_driver_s_law_one_a_stratum(degrees: int):
    law = linear_book(degrees)[0]
    run = Run(law, linear_contracts(6), np.ones(6), SEED, None)
    strata = Strata(2 * BLOCK, 3 * BLOCK, 0.05)

    targets, weights = run.targets(0, 5, strata, 0)

    known = stats.norm if degrees == 0 else stats.t(degrees)
    upper = known.sf(targets.ravel())
    plain, steered = upper[: 2 * BLOCK], upper[2 * BLOCK :]
    assert np.array_equal(np.floor(plain * 2 * BLOCK + 1e-6), np.arange(2 * BLOCK))
    assert np.array_equal(np.floor(steered / 0.05 * 3 * BLOCK + 1e-6), np.arange(3 * BLOCK))
    assert np.allclose(known.isf(upper), targets.ravel(), rtol=1e-9, atol=1e-12)
    assert np.array_equal(weights < 1.0, upper < 0.05)
    assert weights.mean() == pytest.approx(1.0, abs=5e-3)  # 19.2 plain strata are inside
    assert weights.max() == 2.5


@pytest.mark.parametrize("degrees", [0, 6])
def test_steered_scenarios_have_the_driver_wanted_and_the_law_of_all_else(degrees: int):
    law, contracts, quantities = linear_book(degrees)
    line = loss_line(law, quantities)
    n = 300 * BLOCK
    run = Run(law, contracts, quantities, SEED, None)
    _, drawn = run.driven(0, 300, line)
    targets, _ = run.targets(0, 300, Strata(n - BLOCK, BLOCK, 0.5), 300)

    # one contract at a time shows the returns of its factor
    returns = np.empty((6, n))
    for i in range(6):
        alone = Run(law, linear_contracts(6), np.eye(6)[i], SEED, None)
        returns[i] = np.log1p(alone.driven(0, 300, line, targets)[0])

    plain = factor_scenarios(0, 300, law, SEED)
    assert np.allclose(line.direction @ (plain - law.drift[:, None]), drawn, atol=1e-12)
    assert np.allclose(line.direction @ (returns - law.drift[:, None]), targets.ravel(), atol=1e-9)
    assert abs(np.corrcoef(drawn, targets.ravel())[0, 1]) < 0.02
    known = stats.norm if degrees == 0 else stats.t(degrees)
    spread = np.sqrt((law.loadings**2).sum(axis=1) + law.idiosyncratic**2)
    for i in range(6):
        standard = (returns[i, : n - BLOCK] - law.drift[i]) / spread[i]
        assert stats.kstest(standard, known.cdf).pvalue > 1e-4
    # two factors at once: the sum and the difference are of the same family
    for sign in (1.0, -1.0):
        both = returns[0] + sign * returns[3] - law.drift[0] - sign * law.drift[3]
        common = law.loadings[0] + sign * law.loadings[3]
        scale = sqrt(common @ common + law.idiosyncratic[0] ** 2 + law.idiosyncratic[3] ** 2)
        assert stats.kstest(both[: n - BLOCK] / scale, known.cdf).pvalue > 1e-4


@pytest.mark.parametrize("degrees", [0, 4])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_position_has_its_known_var_to_a_thousandth(degrees: int, sign: float):
    law = FactorLaw(np.array([[0.01]]), np.array([0.01]), np.zeros(1), degrees)

    found = sampler.tail_estimate(
        law, linear_contracts(1), np.array([sign * 1e6]), 43, *CONFIDENCES, seed=SEED
    )

    quantile = (stats.norm if degrees == 0 else stats.t(degrees)).ppf(0.99) * sqrt(2.0) * 0.01
    expected = sign * 1e6 * (1.0 - exp(-sign * quantile))
    assert found.method == "stratified"
    assert found.var == pytest.approx(expected, rel=1e-3)
    assert found.low <= expected <= found.high


@pytest.mark.parametrize("degrees", [0, 6])
def test_a_linear_book_is_stratified_and_agrees_with_a_long_plain_run(degrees: int):
    book = linear_book(degrees)
    var, es = plain_figures(book, 8000)

    found = [sampler.tail_estimate(*book, 43, *CONFIDENCES, seed) for seed in range(20)]

    assert {one.method for one in found} == {"stratified"}
    assert np.mean([one.var for one in found]) == pytest.approx(var, rel=5e-3)
    assert np.mean([one.es for one in found]) == pytest.approx(es, rel=5e-3)
    plain = [plain_figures(book, 43, seed)[0] for seed in range(20)]
    assert np.std(plain) > 8.0 * np.std([one.var for one in found])
    assert max(one.largest_weight for one in found) <= 10.0
    assert min(one.effective for one in found) > 1000.0


def test_intervals_hold_their_promise_and_are_not_idle():
    book = linear_book()
    var = plain_figures(book, 8000)[0]

    found = [sampler.tail_estimate(*book, 43, *CONFIDENCES, seed) for seed in range(40)]

    slack = 2e-3 * var  # of the reference itself
    assert all(one.low - slack <= var <= one.high + slack for one in found)
    assert np.mean([one.high - one.low for one in found]) < 0.03 * var


def test_a_hedged_short_gamma_book_is_tilted_and_never_outside_the_plain_interval():
    book = short_gamma_book()
    var, es = plain_figures(book, 8000)
    plain = np.array([plain_figures(book, 43, seed) for seed in range(30)])

    found = [sampler.tail_estimate(*book, 43, *CONFIDENCES, seed) for seed in range(30)]

    assert {one.method for one in found} == {"tilted"}
    for one in found:
        assert abs(one.var - var) < sampler.INTERVAL_DEVIATIONS * plain[:, 0].std()
        assert abs(one.es - es) < sampler.INTERVAL_DEVIATIONS * plain[:, 1].std()
    assert np.mean([one.var for one in found]) == pytest.approx(var, rel=0.01)
    assert np.var(plain[:, 1]) > 4.0 * np.var([one.es for one in found])


def test_a_short_gamma_book_under_student_draws_stays_plain_and_says_so():
    book = short_gamma_book(degrees=6)

    found = sampler.tail_estimate(*book, 43, *CONFIDENCES, seed=SEED)

    assert found.method == "plain"
    assert "do not follow the deltas" in found.reason
    assert (found.var, found.es) == pytest.approx(plain_figures(book, 43, SEED), rel=1e-12)


def test_a_linear_book_with_a_cliff_elsewhere_is_not_understated():
    """Most variance is one stock; the tail has as much of short far options on another, unrelated one."""
    law = FactorLaw(np.array([[0.02, 0.0], [0.0, 0.02]]), np.full(2, 1e-4), np.zeros(2), 0)
    options = straddles(law, volatility=0.2)[[1, 3]]
    options["strike"], options["years"], options["price"] = [104.5, 95.5], 0.0, 0.0
    contracts = np.concatenate([linear_contracts(1), options])
    book = law, contracts, np.array([1e6, -25_000.0, -25_000.0])
    var, es = plain_figures(book, 8000)

    found = [sampler.tail_estimate(*book, 86, *CONFIDENCES, seed) for seed in range(20)]

    plain = np.array([plain_figures(book, 86, seed) for seed in range(20)])
    print({one.method for one in found}, var, plain[:, 0].std(), found[0])
    for one in found:
        assert abs(one.var - var) < sampler.INTERVAL_DEVIATIONS * plain[:, 0].std()
    assert np.mean([one.es for one in found]) == pytest.approx(es, rel=0.02)


@pytest.mark.parametrize("book", [linear_book(), linear_book(6), short_gamma_book(), short_gamma_book(6)])
def test_any_split_into_shards_gives_the_same_bits(book: Book):
    plan = sampler.sampling_plan(*book, 12, CONFIDENCES, SEED)
    whole = sampler.sample(0, 12, plan, *book, SEED)

    for edges in ([0, 1, 12], [0, 2, 3, 7, 12], list(range(13))):
        parts = [sampler.sample(a, b - a, plan, *book, SEED) for a, b in pairwise(edges)]
        assert np.concatenate([part.pnl for part in parts]).tobytes() == whole.pnl.tobytes()
        assert np.concatenate([part.weights for part in parts]).tobytes() == whole.weights.tobytes()
        assert sampler.conclude(parts, plan, *CONFIDENCES) == sampler.conclude([whole], plan, *CONFIDENCES)


def test_a_sample_that_the_pilot_contradicts_is_replaced_by_a_plain_run():
    book = linear_book()
    plan = sampler.sampling_plan(*book, 43, CONFIDENCES, SEED)
    low, high = plan.intervals[0]

    wrong = plan._replace(intervals=((high, 2.0 * high), plan.intervals[1]))
    found = sampler.estimate(wrong, *book, *CONFIDENCES, SEED)

    assert low < high
    assert found.method == "plain"
    assert "is outside" in found.reason
    assert (found.var, found.es) == pytest.approx(plain_figures(book, 43, SEED), rel=1e-12)


def test_a_sample_that_never_visits_the_other_tail_is_caught_by_the_pilot():
    """What a mere shift does to a hedged book: its own error bar is small, and wrong."""
    book = short_gamma_book()
    plan = sampler.sampling_plan(*book, 86, CONFIDENCES, SEED)
    steered = plan._replace(
        method="stratified", line=loss_line(book[0], np.ones(6)), region=0.05, plain_blocks=9
    )

    pnl = sampler.sample(9, 77, steered, *book, SEED).pnl
    found = sampler.contradiction([sampler.Sample(pnl, np.full(len(pnl), 0.05))], steered)

    assert found is not None
    assert "is outside" in found


def test_steering_the_wrong_way_costs_precision_and_no_truth():
    book = short_gamma_book()
    var, es = plain_figures(book, 8000)
    figures = []
    for seed in range(20):
        plan = sampler.sampling_plan(*book, 86, CONFIDENCES, seed)
        wrong = plan._replace(
            method="stratified", line=loss_line(book[0], np.ones(6)), region=0.05, plain_blocks=9
        )
        sample = sampler.sample(0, 86, wrong, *book, seed)
        found = sampler.conclude([sample], wrong, *CONFIDENCES)
        figures.append((found.var, found.es))
        assert found.low <= var <= found.high

    mean, deviation = np.mean(figures, axis=0), np.std(figures, axis=0)
    print("truth", var, es, "mean", mean, "deviation", deviation)
    assert np.all(np.abs(mean - (var, es)) < 0.01 * var + 4.0 * deviation / sqrt(20))


def test_the_tilted_law_has_the_mean_loss_wanted_and_the_density_stated():
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    root = rng.normal(0.0, 0.02, (4, 3))
    law = FactorLaw(root, np.zeros(4), np.zeros(4), 0)
    plain = plain_tilt(law, Sensitivities(rng.normal(0.0, 1.0, 4), rng.normal(0.0, 30.0, 4)))
    typical = float(np.trace(plain.square))

    tilt = tilt_towards(plain, typical + 0.5)

    assert tilt is not None
    f = rng.normal(size=(200_000, 3)) @ tilt.matrix.T + tilt.offset
    losses = f @ tilt.linear + np.einsum("si,ij,sj->s", f, tilt.square, f)
    assert losses.mean() == pytest.approx(typical + 0.5, abs=5.0 * losses.std() / sqrt(len(losses)))
    tilted = stats.multivariate_normal(tilt.offset, tilt.matrix @ tilt.matrix.T)
    ratio = tilted.logpdf(f[:9]) - stats.multivariate_normal(np.zeros(3)).logpdf(f[:9])
    back = f[:9] @ tilt.inverse.T + tilt.inverse_offset
    stated = 0.5 * (f[:9] ** 2).sum(axis=1) - 0.5 * (back**2).sum(axis=1) - tilt.log_determinant
    np.testing.assert_allclose(stated, ratio, atol=1e-9)
    assert tilt_towards(plain, typical - 0.1) is None


def test_a_tilt_beyond_what_a_concave_loss_can_reach_is_none():
    law = FactorLaw(np.eye(2), np.zeros(2), np.zeros(2), 0)
    bounded = plain_tilt(law, Sensitivities(np.zeros(2), np.full(2, 2.0)))

    assert tilt_towards(bounded, 1.0) is None


def test_a_book_without_risk_is_plain():
    law = FactorLaw(np.full((1, 1), 0.01), np.zeros(1), np.zeros(1), 0)

    found = sampler.tail_estimate(law, linear_contracts(1), np.zeros(1), 3, *CONFIDENCES, seed=1)

    assert (found.method, found.var, found.es) == ("plain", 0.0, 0.0)


def test_one_block_is_plain():
    book = linear_book()

    assert sampler.sampling_plan(*book, 1, CONFIDENCES, SEED).method == "plain"


def test_a_zero_volatility_factor_has_no_delta():
    law = FactorLaw(np.array([[0.01], [0.0]]), np.zeros(2), np.zeros(2), 0)

    found = sensitivities(law, linear_contracts(2), np.array([2.0, 3.0]))

    assert found.delta == pytest.approx([2.0, 0.0], rel=1e-3)
    assert found.gamma == pytest.approx([2.0, 0.0], rel=1e-2)


@pytest.mark.parametrize(("first", "blocks"), [(-1, 2), (0, 0), (10, 3)])
def test_a_shard_outside_the_plan_is_refused(first: int, blocks: int):
    book = linear_book()
    plan = sampler.sampling_plan(*book, 12, CONFIDENCES, SEED)

    with pytest.raises(ValueError, match=f"of the plan's 12 blocks, found {blocks} from {first}"):
        sampler.sample(first, blocks, plan, *book, SEED)


def test_a_missing_shard_is_noticed():
    book = linear_book()
    plan = sampler.sampling_plan(*book, 12, CONFIDENCES, SEED)

    with pytest.raises(ValueError, match="needs 2304 scenarios, found 1152"):
        sampler.conclude([sampler.sample(0, 6, plan, *book, SEED)], plan, *CONFIDENCES)


def test_nan_in_a_sample_is_refused():
    book = linear_book()
    plan = sampler.sampling_plan(*book, 2, CONFIDENCES, SEED)
    sample = sampler.sample(0, 2, plan, *book, SEED)
    sample.pnl[5] = np.nan

    for judge in (
        lambda: sampler.conclude([sample], plan, *CONFIDENCES),
        lambda: sampler.contradiction([sample], plan),
    ):
        with pytest.raises(ValueError, match="found 1 NaN or infinite of 384"):
            judge()
