"""The scenario cube is a pure function of the request: whoever computes which part, the bits are the same."""

import numpy as np
import pytest
from contracts_of import NOW, option, share
from msgspec.structs import replace
from numpy.typing import NDArray

from firm.events.risk import RiskRunRequested
from firm.risk.cube import KeptCubes, Scenarios, Shard, plan
from firm.risk.run import kept_blocks, measure
from firm.risk.valuation import contracts_at
from firm.risk_kernels.american import american_value
from firm.risk_kernels.contracts import Payoff
from firm.risk_kernels.montecarlo import BLOCK, factor_scenarios

BLOCKS = 5


def request(*, american: bool = False) -> RiskRunRequested:
    """Two shares and two options on the second."""
    instruments = share(0, "KO"), share(1, "XOM"), option(2, 1, "100"), option(3, 1, "110", "P")
    contracts, valued = contracts_at(instruments, np.array([60.0, 100.0, 9.5, 14.0]), NOW, 1.0, 0.03)
    assert valued.all()
    if american:
        contracts["payoff"][3] = Payoff.AMERICAN
    loadings = np.array([[0.01, 0.0], [0.008, 0.006], [0.0, 0.0], [0.0, 0.0]])
    return RiskRunRequested(
        quantities=np.array([100.0, -50.0, 3.0, 2.0]).tobytes(),
        contracts=contracts.tobytes(),
        loadings=loadings.tobytes(),
        idiosyncratic=np.array([0.012, 0.009, 0.0, 0.0]).tobytes(),
        factors=2,
        degrees_of_freedom=6,
        scenarios=BLOCKS * BLOCK,
        seed=11,
        confidence=0.99,
        es_confidence=0.975,
    )


def whole(asked: RiskRunRequested) -> NDArray[np.float64]:
    return Scenarios(asked).columns(Shard(0, BLOCKS))


@pytest.mark.parametrize("american", [False, True], ids=["european", "american"])
@pytest.mark.parametrize("cuts", [(1, 4), (2, 2, 1), (1, 1, 1, 1, 1), (4, 1)], ids=str)
def test_the_columns_are_the_same_bits_however_they_are_sharded(cuts: tuple[int, ...], american: bool):
    asked = request(american=american)
    ends = np.cumsum((0, *cuts)).tolist()

    parts = [Scenarios(asked).columns(Shard(a, n)) for a, n in zip(ends, cuts, strict=False)]

    assert np.concatenate(parts, axis=1).tobytes() == whole(asked).tobytes()


@pytest.mark.parametrize("kept", range(BLOCKS + 1))
def test_a_kept_beginning_and_the_computed_rest_are_the_whole_cube(kept: int):
    asked, cubes = request(), KeptCubes()
    bytes_of_a_block = 4 * BLOCK * 8
    shards = plan(asked, 2)
    keep = kept_blocks(asked, shards, kept * bytes_of_a_block)
    found = [measure(asked, shard, n).columns for shard, n in zip(shards, keep, strict=True)]
    cubes.keep(asked, lambda: [columns for columns in found if columns.shape[1]])

    columns = cubes.columns(asked)

    assert sum(keep) == kept
    assert np.concatenate(columns, axis=1).tobytes() == whole(asked).tobytes()


def test_what_was_kept_for_another_run_is_not_used():
    asked, cubes = request(), KeptCubes()
    cubes.keep(replace(asked, seed=12), lambda: [np.full((4, BLOCK), np.nan)])

    (columns,) = cubes.columns(asked)

    assert columns.tobytes() == whole(asked).tobytes()


def test_an_american_option_is_revalued_by_its_ladder_within_a_millionth():
    asked = request(american=True)
    scenarios = Scenarios(asked)
    row = scenarios.contracts[3]
    returns = factor_scenarios(0, BLOCKS, scenarios.law, asked.seed)[1]
    terms = [row[name] for name in ("strike", "years", "volatility", "rate", "carry", "sign")]
    some = np.linspace(0, BLOCKS * BLOCK - 1, 25).astype(int)

    expected = [100.0 * (float(american_value(100.0 * np.exp(returns[s]), *terms)) - 14.0) for s in some]

    assert Scenarios(request()).ladders is None
    np.testing.assert_allclose(whole(asked)[3][some], expected, atol=1e-4)
    assert whole(asked)[3].mean() > whole(request())[3].mean(), "early exercise is worth something"


@pytest.mark.parametrize("scenarios", [0, 100, BLOCK + 1])
def test_a_run_of_part_of_a_block_is_refused(scenarios: int):
    with pytest.raises(ValueError, match=f"multiple of {BLOCK} and positive, found {scenarios}"):
        plan(replace(request(), scenarios=scenarios), 2)


def test_shards_cover_every_block_once_even_if_there_are_more_of_them():
    for shards in (1, 2, 3, 5, 9):
        cut = plan(request(), shards)
        assert [b for first, n in cut for b in range(first, first + n)] == list(range(BLOCKS))
        assert len(cut) == min(shards, BLOCKS)
