"""Every published figure of `risk_oracles`, reproduced by the functions the firm calls."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from risk_oracles import ELSEWHERE, ORACLES, Oracle

from firm.risk.var_calculator import (
    Liquidation,
    MarketImpact,
    QuadraticPnl,
    VarEs,
    VolatilityFilter,
    age_weighted_var,
    age_weights,
    almgren_chriss,
    basel_multiplier,
    critical_value,
    days_until_weight,
    exceptions_probability,
    historical_var,
    horizon_factor,
    kupiec,
    normal_var,
    parametric_var,
    power_law_impact,
    simulated_z2,
    traffic_light,
)

Inputs = Mapping[str, Any]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "risk.json"
Z2_SEED = 20_140


def covariance(i: Inputs) -> npt.NDArray[np.float64]:
    n = len(i["deviations"])
    return np.outer(i["deviations"], i["deviations"]) * np.where(np.eye(n) == 1.0, 1.0, i["correlation"])


def linear(i: Inputs) -> float:
    return parametric_var(covariance(i), np.array(i["exposures"]), i["confidence"]).scaled(i["days"]).var


def saving(i: Inputs) -> float:
    alone = [linear(i | {"exposures": tuple(row)}) for row in np.diag(i["exposures"])]
    return sum(alone) - linear(i)


def normal(i: Inputs) -> VarEs:
    return normal_var(i["deviation"], i["confidence"], i["mean"]).scaled(i["days"])


def discrete(i: Inputs) -> VarEs:
    one = -np.repeat(i["losses"], i["thousandths"])
    return historical_var(one if i["loans"] == 1 else np.add.outer(one, one).ravel(), 0.99)


def four_index(i: Inputs) -> npt.NDArray[np.float64]:
    pnl = np.linspace(-217.0, 300.0, i["scenarios"])  # the milder ones are ours
    pnl[np.array(i["at"]) - 1] = -np.array(i["losses"])
    return pnl


def mth_worst(i: Inputs) -> VarEs:
    return historical_var(four_index(i), i["confidence"], "mth_worst").scaled(i["days"])


def by_age(i: Inputs) -> VarEs:
    return age_weighted_var(four_index(i), i["confidence"], i["decay"])


def filter_of(i: Inputs) -> VolatilityFilter:
    return VolatilityFilter(*(np.array([i[name]]) for name in ("omega", "alpha", "beta")))


def next_deviation(i: Inputs) -> float:
    return float(
        np.sqrt(filter_of(i).next_variance(np.array([i["deviation"] ** 2]), np.array([i["move"]])))[0]
    )


def kupiec_verdict(i: Inputs) -> float:
    return float(kupiec(i["days"], i["exceptions"], i["confidence"]).rejects() is not i["accepted"])


def exactly(i: Inputs) -> float:
    at_least = [exceptions_probability(i["days"], i["exceptions"] + more, i["confidence"]) for more in (0, 1)]
    return 100.0 * (at_least[0] - at_least[1])


def z2_critical(i: Inputs) -> float:
    print("seed", Z2_SEED)
    draws = simulated_z2(i["days"], i["confidence"], trials=150_000, seed=Z2_SEED, degrees_of_freedom=i["nu"])
    return critical_value(draws, i["significance"])


def quadratic_above(i: Inputs) -> float:
    weights = np.repeat(i["weights"], i["degrees"])
    return 1.0 - QuadraticPnl(0.0, np.zeros(len(weights)), weights).probability_below(i["x"])


def sale(i: Inputs) -> Liquidation:
    impact = MarketImpact(i["volatility"], i["permanent"], i["temporary"], i["fixed"])
    return almgren_chriss(i["shares"], i["days"], i["periods"], impact, i["aversion"])


MEASURES: dict[str, Callable[[Inputs], float]] = {
    "linear var": linear,
    "saving": saving,
    "normal var": lambda i: normal(i).var,
    "normal es": lambda i: normal(i).es,
    "autocorrelated deviation": lambda i: i["deviation"] * horizon_factor(i["days"], i["autocorrelation"]),
    "discrete var": lambda i: discrete(i).var,
    "discrete es": lambda i: discrete(i).es,
    "mth worst var": lambda i: mth_worst(i).var,
    "mth worst es": lambda i: mth_worst(i).es,
    "age weight": lambda i: float(age_weights(i["days"], i["decay"])[i["day"] - 1]),
    "age weighted var": lambda i: by_age(i).var,
    "age weighted es": lambda i: by_age(i).es,
    "next deviation": next_deviation,
    "long run variance": lambda i: float(filter_of(i).long_run_variance()[0]),
    "days of weight": lambda i: days_until_weight(i["decay"], i["left"]),
    "at least": lambda i: exceptions_probability(i["days"], i["exceptions"], i["confidence"]),
    "kupiec verdict": kupiec_verdict,
    "kupiec statistic": lambda i: kupiec(i["days"], i["exceptions"], i["confidence"]).statistic,
    "kupiec p": lambda i: kupiec(i["days"], i["exceptions"], i["confidence"]).p_value,
    "traffic light": lambda i: traffic_light(i["days"], i["exceptions"], i["confidence"]).probability,
    "exactly, percent": exactly,
    "at most, percent": lambda i: 100.0 * traffic_light(i["days"], i["exceptions"]).probability,
    "multiplier": lambda i: basel_multiplier(i["exceptions"]),
    "z2 critical": z2_critical,
    "quadratic above": quadratic_above,
    "urgency": lambda i: sale(i).urgency,
    "expected cost": lambda i: sale(i).expected_cost,
    "expected cost, M": lambda i: sale(i).expected_cost / 1e6,
    "variance, 1e12": lambda i: sale(i).variance / 1e12,
    "permanent": lambda i: power_law_impact(**i).permanent,
    "temporary": lambda i: power_law_impact(**i).temporary,
    "order cost": lambda i: power_law_impact(**i).expected,
}


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.id)
def test_a_published_figure_is_reproduced(oracle: Oracle):
    found = MEASURES[oracle.measure](oracle.inputs)

    assert abs(found - oracle.published) <= oracle.tolerance, f"{found} is not {oracle.published}"


def test_a_figure_from_memory_says_so_in_its_source():
    unmarked = [o.id for o in ORACLES if o.provenance == "M" and "from memory" not in o.source]

    assert unmarked == []


def test_no_row_of_the_collected_figures_is_left_out():
    if not SHARED.exists():
        pytest.skip(f"{SHARED.name}: the collection of figures is not beside the repository")
    ours = {oracle.id: oracle for oracle in ORACLES}
    rows = [row for row in json.loads(SHARED.read_text()) if not row["id"].startswith(ELSEWHERE)]

    assert len(ours) == len(ORACLES)
    assert [row["id"] for row in rows if row["id"] not in ours] == []
    assert [
        row["id"]
        for row in rows
        if (ours[row["id"]].published, ours[row["id"]].tolerance) != (row["published"], row["tolerance"])
    ] == []
