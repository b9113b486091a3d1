"""What the Monte Carlo kernels are measured against: the same book in NumPy, scipy and QuantLib."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm
from tail_sampler import BenchmarkBook

from firm.risk_kernels.contracts import FactorLaw, Matrix, Payoff, Vector

BASE = "NumPy, low rank"
_CHUNK = 2_000
_SLOW = 40


class Candidate(NamedTuple):
    """What computes, and how many scenarios a call is."""

    run: Callable[[], Any]
    scenarios: int


class Textbook:
    """The book revalued by vectorised NumPy: what `normal_distribution` is decides between scipy's two."""

    def __init__(self, book: BenchmarkBook) -> None:
        linear = book.contracts["payoff"] == Payoff.LINEAR
        self.options, self.held = book.contracts[~linear], book.quantities[~linear]
        worth = book.quantities * book.contracts["unit"] * book.contracts["price"]
        m = len(book.law.drift)
        self.exposure = np.bincount(book.contracts["factor"][linear], worth[linear], m)
        o = self.options
        self.deviation = o["volatility"] * np.sqrt(o["years"])
        self.forward = o["spot"] * np.exp(-o["carry"] * o["years"])
        self.strike = o["strike"] * np.exp(-o["rate"] * o["years"])
        self.money = self.held * o["unit"]

    def pnl(self, x: Matrix, normal_distribution: Callable[[Matrix], Matrix]) -> Vector:
        """P&L of scenarios x[s, m]."""
        growth, sign = np.exp(x), self.options["sign"]
        forward = self.forward * growth[:, self.options["factor"]]
        d1 = np.log(forward / self.strike) / self.deviation + 0.5 * self.deviation
        value = sign * (
            forward * normal_distribution(sign * d1)
            - self.strike * normal_distribution(sign * (d1 - self.deviation))
        )
        return np.asarray((growth - 1.0) @ self.exposure + (value - self.options["price"]) @ self.money)


def covariance(law: FactorLaw) -> Matrix:
    return np.asarray(law.loadings @ law.loadings.T + np.diag(law.idiosyncratic**2))


def numpy_candidates(book: BenchmarkBook) -> dict[str, Candidate]:
    law, textbook = book.law, Textbook(book)
    m, k = law.loadings.shape
    rng = np.random.Generator(np.random.SFC64(1))
    factor = np.linalg.cholesky(covariance(law))
    frozen = multivariate_normal(np.zeros(m), covariance(law), seed=1)
    common, own = np.empty((_CHUNK, k)), np.empty((_CHUNK, m))

    def low_rank() -> Vector:
        rng.standard_normal(out=common)
        rng.standard_normal(out=own)
        return textbook.pnl(common @ law.loadings.T + law.idiosyncratic * own, ndtr)

    def cholesky() -> Vector:
        rng.standard_normal(out=own)
        return textbook.pnl(own @ factor.T, ndtr)

    def by_scipy() -> Vector:
        return textbook.pnl(frozen.rvs(_CHUNK), norm.cdf)

    runs = {BASE: low_rank, "NumPy, Cholesky": cholesky, "scipy multivariate_normal, norm.cdf": by_scipy}
    return {name: Candidate(run, _CHUNK) for name, run in runs.items()}


def quantlib_candidates(book: BenchmarkBook) -> dict[str, Candidate]:
    """Only where the package is installed: pricing of given draws."""
    if find_spec("QuantLib") is None:
        return {}
    import QuantLib as ql  # type: ignore[import-untyped]  # noqa: N813

    textbook, law = Textbook(book), book.law
    x = (
        np.random.default_rng(1).standard_normal((_SLOW, len(law.drift)))
        @ np.linalg.cholesky(covariance(law)).T
    )
    kinds = [ql.Option.Call if sign > 0 else ql.Option.Put for sign in textbook.options["sign"]]
    o, prices = textbook.options, (textbook.options["price"] * textbook.money).sum()
    discount = np.exp(-o["rate"] * o["years"])
    rows = list(zip(kinds, o["strike"], textbook.deviation, discount, textbook.money, strict=True))

    def black_formula() -> list[float]:
        totals = []
        for move in x:
            growth = np.exp(move)
            forwards = textbook.forward * growth[o["factor"]] / discount
            total = float((growth - 1.0) @ textbook.exposure) - prices
            for (kind, strike, deviation, factor, money), forward in zip(rows, forwards, strict=True):
                total += money * ql.blackFormula(kind, strike, forward, deviation, factor)
            totals.append(total)
        return totals

    quotes, priced = quantlib_engines(ql, textbook)

    def engines() -> list[float]:
        totals = []
        for move in x[: _SLOW // 4]:
            growth = np.exp(move)
            for row, quote in quotes.items():
                quote.setValue(float(o["spot"][row] * growth[o["factor"][row]]))
            total = float((growth - 1.0) @ textbook.exposure) - prices
            totals.append(
                total + sum(m * option.NPV() for option, m in zip(priced, textbook.money, strict=True))
            )
        return totals

    return {
        "QuantLib blackFormula, draws given": Candidate(black_formula, _SLOW),
        "QuantLib AnalyticEuropeanEngine, draws given": Candidate(engines, _SLOW // 4),
    }


def quantlib_engines(ql: Any, textbook: Textbook) -> tuple[dict[int, Any], list[Any]]:
    """Quotes by row, and the option of each row with its engine."""
    today, day_count = ql.Date(2, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    quotes, priced = {}, []
    for row, o in enumerate(textbook.options):
        quotes[row] = ql.SimpleQuote(float(o["spot"]))
        curves = [
            ql.YieldTermStructureHandle(ql.FlatForward(today, float(o[rate]), day_count))
            for rate in ("carry", "rate")
        ]
        surface = ql.BlackConstantVol(today, ql.NullCalendar(), float(o["volatility"]), day_count)
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(quotes[row]), *curves, ql.BlackVolTermStructureHandle(surface)
        )
        kind = ql.Option.Call if o["sign"] > 0 else ql.Option.Put
        days = max(1, round(365 * float(o["years"])))
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(kind, float(o["strike"])), ql.EuropeanExercise(today + days)
        )
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        priced.append(option)
    return quotes, priced
