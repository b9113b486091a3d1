"""Option values a second beside NumPy with scipy and beside QuantLib, and what a ladder costs and errs.

python benchmarks/options.py [--repeats 11]

One thread. The candidates of a group take turns in each repeat, so that a busy machine slows all of them;
a time is the median of the repeats, in nanoseconds of CPU time an option; a ratio is within the same run.
QuantLib is the `bench` extra; without it its rows are absent. The ladder rows: 20 American options on one
factor in the Monte Carlo kernel, in nanoseconds a scenario and option, beside 20 European ones by formula
there, and beside the American integral itself; `error` is the largest difference from the latter, over the
strike.
Prints one JSON object.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from firm.risk_kernels.american import american_greeks, american_value
from firm.risk_kernels.black_scholes import european_greeks, european_value
from firm.risk_kernels.contracts import CONTRACT, Payoff
from firm.risk_kernels.implied_volatility import implied_volatility
from firm.risk_kernels.ladders import american_ladders
from firm.risk_kernels.montecarlo import pnl_from_returns

SEED = 20260305
EUROPEANS, AMERICANS, ONE_BY_ONE = 20_000, 40, 400
LADDERS, WIDEST, SCENARIOS = 20, 0.5, 19_200
Times = dict[str, list[float]]


def sample(n: int) -> tuple[Any, ...]:
    """Spot, strike, years, volatility, rate, carry, sign of n listed-looking options."""
    g = np.random.default_rng(SEED)
    years, volatility = g.uniform(0.02, 1.5, n), g.uniform(0.12, 0.6, n)
    spot = g.uniform(20, 500, n)
    strike = spot * np.exp(g.normal(0, 0.8, n) * volatility * np.sqrt(years))
    sign = np.where(strike > spot, 1.0, -1.0)
    return spot, strike, years, volatility, g.uniform(0.01, 0.06, n), g.uniform(0.0, 0.04, n), sign


def by_scipy(
    spot: Any, strike: Any, years: Any, volatility: Any, rate: Any, carry: Any, sign: Any
) -> np.ndarray:
    """The textbook in NumPy."""
    s = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate - carry) * years) / s + 0.5 * s
    from_spot = spot * np.exp(-carry * years) * ndtr(sign * d1)
    return sign * (from_spot - strike * np.exp(-rate * years) * ndtr(sign * (d1 - s)))


def taking_turns(candidates: dict[str, tuple[int, Callable[[], object]]], repeats: int) -> dict[str, float]:
    """Median CPU nanoseconds an option of each; every candidate runs once before."""
    times: Times = {name: [] for name in candidates}
    for _, run in candidates.values():
        run()
    for _ in range(repeats):
        for name, (options, run) in candidates.items():
            start = time.thread_time()
            run()
            times[name].append((time.thread_time() - start) / options * 1e9)
    return {name: float(np.median(each)) for name, each in times.items()}


def european_group() -> dict[str, tuple[int, Callable[[], object]]]:
    terms = sample(EUROPEANS)
    price = european_value(*terms)
    rest = (*terms[:3], *terms[4:])
    group: dict[str, tuple[int, Callable[[], object]]] = {
        "value, ours": (EUROPEANS, lambda: european_value(*terms)),
        "value and six Greeks, ours": (EUROPEANS, lambda: european_greeks(*terms)),
        "value, NumPy and scipy ndtr": (EUROPEANS, lambda: by_scipy(*terms)),
        "implied volatility, ours": (EUROPEANS, lambda: implied_volatility(price, *rest)),
    }
    if importlib.util.find_spec("QuantLib"):
        import QuantLib as ql  # noqa: N813

        spot, strike, years, volatility, rate, carry, sign = (each[:ONE_BY_ONE].tolist() for each in terms)
        rows = [
            (
                ql.Option.Call if sign[i] > 0 else ql.Option.Put,
                strike[i],
                spot[i] * float(np.exp((rate[i] - carry[i]) * years[i])),
                volatility[i] * float(np.sqrt(years[i])),
                float(np.exp(-rate[i] * years[i])),
            )
            for i in range(ONE_BY_ONE)
        ]
        prices = [ql.blackFormula(*row) for row in rows]
        quoted = [(*row[:3], each, row[4]) for row, each in zip(rows, prices, strict=True)]
        group["value, QuantLib blackFormula"] = (ONE_BY_ONE, lambda: [ql.blackFormula(*row) for row in rows])
        group["implied volatility, QuantLib, from its own price"] = (
            ONE_BY_ONE,
            lambda: [ql.blackFormulaImpliedStdDevLiRS(*row) for row in quoted],
        )
    return group


def american_group() -> dict[str, tuple[int, Callable[[], object]]]:
    terms = [each[:AMERICANS] for each in sample(EUROPEANS)]
    fresh = iter(range(1_000_000))

    def never_seen() -> list[Any]:
        """The same options a second later: courses are remembered, and we time the first look."""
        later = list(terms)
        later[2] = terms[2] + 1e-9 * next(fresh)
        return later

    group: dict[str, tuple[int, Callable[[], object]]] = {
        "value, ours": (AMERICANS, lambda: american_value(*never_seen())),
        "value and six Greeks, ours": (AMERICANS, lambda: american_greeks(*never_seen())),
    }
    if importlib.util.find_spec("QuantLib"):
        engines = {
            "value, QuantLib QdFpAmericanEngine, high precision": quantlib_americans(terms, "QdFp"),
            "value, QuantLib Leisen-Reimer tree, 501 steps": quantlib_americans(terms, "tree"),
        }
        group |= {name: (AMERICANS, run) for name, run in engines.items()}
    return group


def quantlib_americans(terms: list[Any], engine: str) -> Callable[[], list[float]]:
    import QuantLib as ql  # noqa: N813

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    options, counter = [], ql.Actual365Fixed()
    for spot, strike, years, volatility, rate, carry, sign in zip(*(t.tolist() for t in terms), strict=True):
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, carry, counter)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, rate, counter)),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(today, ql.NullCalendar(), volatility, counter)
            ),
        )
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, strike)
        expiry = today + max(1, round(365 * years))
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, expiry))
        option.setPricingEngine(
            ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
            if engine == "QdFp"
            else ql.BinomialVanillaEngine(process, "lr", 501)
        )
        options.append(option)

    def run() -> list[float]:
        for option in options:
            option.recalculate()
        return [float(option.NPV()) for option in options]

    return run


def ladder_book(payoff: Payoff) -> np.ndarray:
    g = np.random.default_rng(SEED)
    book = np.zeros(LADDERS, CONTRACT)
    book["payoff"], book["unit"], book["spot"] = payoff, 1.0, 100.0
    book["strike"] = 100.0 * np.exp(g.normal(0, 0.1, LADDERS))
    book["years"] = g.choice([5, 10, 21, 63], LADDERS) / 252
    book["volatility"], book["sign"] = g.uniform(0.25, 0.45, LADDERS), g.choice([1.0, -1.0], LADDERS)
    book["rate"], book["carry"] = 0.04, 0.01
    return book


def ladder_group(repeats: int) -> dict[str, Any]:
    american, european = ladder_book(Payoff.AMERICAN), ladder_book(Payoff.EUROPEAN)
    returns = np.random.default_rng(SEED).normal(0, 0.02, (1, SCENARIOS))
    quantities = np.ones(LADDERS)
    ladders = american_ladders(american, WIDEST)
    spots = 100.0 * np.exp(returns[0])
    names = ("strike", "years", "volatility", "rate", "carry", "sign")
    rest = [american[name][:, None] for name in names]
    each = LADDERS * SCENARIOS
    rungs = np.linspace(-WIDEST, WIDEST, 9_973)
    alone = [np.eye(LADDERS)[i] for i in range(LADDERS)]
    tabled = np.array([pnl_from_returns(rungs[None, :], american, only, ladders=ladders) for only in alone])
    direct = american_value(100.0 * np.exp(rungs), *rest) - american["price"][:, None]
    error = np.abs(tabled - direct) / american["strike"][:, None]
    times = taking_turns(
        {
            "ladder": (each, lambda: pnl_from_returns(returns, american, quantities, ladders=ladders)),
            "European by formula": (each, lambda: pnl_from_returns(returns, european, quantities)),
            "American integral": (each, lambda: american_value(spots, *rest)),
        },
        repeats,
    )
    later = iter(range(1_000_000))

    def build() -> None:
        fresh = american.copy()
        fresh["years"] += 1e-9 * next(later)
        american_ladders(fresh, WIDEST)

    times |= taking_turns({"building a ladder": (LADDERS, build)}, 3)
    return {"ns": times, "error": float(error.max()), "cells": ladders.coefficients.shape[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    european = taking_turns(european_group(), repeats)
    american = taking_turns(american_group(), repeats)
    ladder = ladder_group(repeats)
    ours = european["value, ours"]
    report = {
        "European, ns": european,
        "European values, millions a second": 1e3 / ours,
        "European, times faster": {
            name: each / ours
            for name, each in european.items()
            if name.startswith("value, ") and each != ours
        },
        "American, ns": american,
        "ladder": ladder,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
