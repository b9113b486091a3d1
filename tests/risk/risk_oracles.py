"""Published figures of risk management, as facts: what goes in, what should come out, who says so.

Provenance: S, read in the source named (often secondary); M, from memory, the book itself was not opened, so
that a closed formula is proven but not the citation; C, computed from the definition. Figures of options,
random numbers, correlation repair and scenarios are in the tests of those modules.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

HULL = "Hull, Options, Futures and Other Derivatives, slides on model building"
RMFI = "Hull, Risk Management and Financial Institutions (4th edition), examples and answers"
MATHWORKS = "MathWorks Risk Management Toolbox documentation, VaR backtesting"
BASEL = "Basel Committee, Supervisory framework for the use of backtesting (1996), table 1 (from memory)"
QRM = "McNeil, Frey and Embrechts, Quantitative Risk Management, section 2.3 (from memory)"
RISKMETRICS = "J.P. Morgan/Reuters, RiskMetrics Technical Document (1996) (from memory)"
JORION = "Jorion, Value at Risk (from memory)"
IMHOF = "Imhof, Computing the distribution of quadratic forms in normal variables (1961) (from memory)"
ACERBI = "Acerbi and Szekely, Back-testing expected shortfall (2014) (from memory)"
CHRISS = "Almgren and Chriss, Optimal execution of portfolio transactions (2000); sample output of DROP"
CHRISS_TEXT = "Almgren and Chriss, Optimal execution of portfolio transactions (2000) (from memory)"
IMPACT = "Almgren, Thum, Hauptmann and Li, Direct estimation of equity market impact (2005), quoted"
NORMAL = "the normal distribution"

Z_233 = NormalDist().cdf(2.33)  # Hull rounds the 99 % quantile to 2.33
Z_165 = NormalDist().cdf(1.65)  # Jorion the 95 % one to 1.65
FOUR_INDEX = (477.841, 345.435, 282.204, 277.041, 253.385)  # worst losses of 500 scenarios, $000
FOUR_INDEX_DAYS = (494, 339, 349, 329, 487)  # their scenario numbers, 500 the newest


@dataclass(frozen=True)
class Oracle:
    """`measure` names the product's figure, computed from `inputs`; it agrees within `tolerance`."""

    id: str
    measure: str
    inputs: Mapping[str, Any]
    published: float
    tolerance: float
    source: str
    provenance: Literal["S", "M", "C"] = "S"


def _parametric() -> Iterator[Oracle]:
    stocks = {"deviations": (0.02, 0.01), "correlation": 0.3, "days": 10, "confidence": Z_233}
    yield Oracle("HULL-PAR-1 MSFT", "linear var", stocks | {"exposures": (1e7, 0.0)}, 1_473_621, 1, HULL)
    yield Oracle("HULL-PAR-2 ATT", "linear var", stocks | {"exposures": (0.0, 5e6)}, 368_405, 1, HULL)
    yield Oracle("HULL-PAR-3 port", "linear var", stocks | {"exposures": (1e7, 5e6)}, 1_622_657, 1.5, HULL)
    yield Oracle("HULL-PAR-4 divers.", "saving", stocks | {"exposures": (1e7, 5e6)}, 219_369, 2, HULL)
    rounded = {"deviations": (0.01473,), "correlation": 0.0, "days": 10, "confidence": Z_233}
    yield Oracle(
        "HULL-PAR-1b (bad note 1,627,983)",
        "linear var",
        rounded | {"exposures": (1.5e7,)},
        1_627_983,
        1,
        HULL,
    )
    normal = {"mean": 0.0, "days": 1}
    at_99 = normal | {"deviation": 20.0, "confidence": 0.99}
    yield Oracle("RMFI-12.9 VaR", "normal var", at_99, 46.5, 0.05, RMFI)
    yield Oracle("RMFI-12.10 ES", "normal es", at_99, 53.3, 0.05, RMFI)
    gain = {"deviation": 10.0, "mean": 2.0, "confidence": 0.99, "days": 1}
    yield Oracle("RMFI-12.1", "normal var", gain, 21.3, 0.05, RMFI)
    for letter, confidence, days, var in (("a", 0.975, 1, 3.92), ("b", 0.975, 5, 8.77), ("c", 0.99, 5, 10.4)):
        inputs = {"deviation": 2.0, "mean": 0.0, "confidence": confidence, "days": days}
        yield Oracle(f"RMFI-12.6{letter}", "normal var", inputs, var, 0.005, RMFI)
    inputs = {"deviation": 3.0, "days": 5, "autocorrelation": 0.1}
    yield Oracle("RMFI-12.11 sd", "autocorrelated deviation", inputs, 7.265, 0.002, RMFI)
    currencies = {"deviations": (0.05, 0.12), "days": 1, "confidence": Z_165, "exposures": (2e6, 1e6)}
    apart, together = currencies | {"correlation": 1.0}, currencies | {"correlation": 0.0}
    yield Oracle("JORION port VaR95", "linear var", together, 257_738, 1, JORION, "M")
    yield Oracle("JORION undiversified", "linear var", apart, 363_000, 1, JORION, "M")
    table = {0.9: (162.1, 222.0), 0.95: (208.1, 260.9), 0.975: (247.9, 295.7), 0.99: (294.2, 337.1)}
    for confidence, (var, es) in (table | {0.995: (325.8, 365.8)}).items():
        position = normal | {"deviation": 10_000 * 0.2 / 250**0.5, "confidence": confidence}
        yield Oracle(f"QRM VaR normal {confidence}", "normal var", position, var, 0.15, QRM, "M")
        yield Oracle(f"QRM ES normal {confidence}", "normal es", position, es, 0.15, QRM, "M")
    one = normal | {"deviation": 1.0}
    yield Oracle("ES97.5 normal", "normal es", one | {"confidence": 0.975}, 2.338, 0.0005, NORMAL, "C")
    yield Oracle("VaR99 normal", "normal var", one | {"confidence": 0.99}, 2.326, 0.0005, NORMAL, "C")


def _historical() -> Iterator[Oracle]:
    loan = {"losses": (10.0, 1.0), "thousandths": (9, 991)}
    yield Oracle("RMFI-12.5 VaR one", "discrete var", loan | {"loans": 1}, 1.0, 0, RMFI)
    yield Oracle("RMFI-12.5 ES one", "discrete es", loan | {"loans": 1}, 9.1, 1e-9, RMFI)
    yield Oracle("RMFI-12.5 VaR two", "discrete var", loan | {"loans": 2}, 11.0, 0, RMFI)
    yield Oracle("RMFI-12.5 ES two", "discrete es", loan | {"loans": 2}, 11.07, 0.005, RMFI)
    worst = {"losses": FOUR_INDEX, "at": FOUR_INDEX_DAYS, "scenarios": 500, "confidence": 0.99}
    yield Oracle("RMFI-HS VaR 5th worst", "mth worst var", worst | {"days": 1}, 253.385, 1e-9, RMFI)
    yield Oracle("RMFI-HS ES mean5", "mth worst es", worst | {"days": 1}, 327.181, 0.001, RMFI)
    yield Oracle("RMFI-HS 10d", "mth worst var", worst | {"days": 10}, 801.274, 0.01, RMFI)
    aged = worst | {"decay": 0.995}
    yield Oracle("BRW w494", "age weight", {"days": 500, "decay": 0.995, "day": 494}, 0.00528, 5e-6, RMFI)
    yield Oracle("BRW VaR .995", "age weighted var", aged, 282.204, 1e-9, RMFI)
    yield Oracle("BRW ES .995", "age weighted es", aged, 400.914, 0.05, RMFI)


def _volatility() -> Iterator[Oracle]:
    day = {"omega": 0.0, "alpha": 0.1, "beta": 0.9, "deviation": 0.01, "move": 0.02}
    yield Oracle("RMFI Ex10.7 EWMA", "next deviation", day, 0.0114, 5e-5, RMFI)
    day = {"omega": 0.0, "alpha": 0.06, "beta": 0.94, "deviation": 0.015, "move": 0.5 / 30.0}
    yield Oracle("RMFI 10.9", "next deviation", day, 0.015103, 1e-5, RMFI)
    day = {"omega": 2e-6, "alpha": 0.13, "beta": 0.86, "deviation": 0.016, "move": 0.01}
    yield Oracle("RMFI Ex10.8 GARCH", "next deviation", day, 0.0153, 5e-5, RMFI)
    yield Oracle("RMFI Ex10.8 long run", "long run variance", day, 2e-4, 1e-12, RMFI)
    for left, days in ((1e-05, 186), (0.0001, 149), (0.001, 112), (0.01, 74)):
        inputs = {"decay": 0.94, "left": left}
        yield Oracle(f"RM K lam=0.94 tol={left}", "days of weight", inputs, days, 1, RISKMETRICS, "M")


def _backtests() -> Iterator[Oracle]:
    days = {"days": 600, "confidence": 0.99}
    yield Oracle("RMFI bt P(>=9|600)", "at least", days | {"exceptions": 9}, 0.152, 0.001, RMFI)
    for name, exceptions, accepted in (
        ("KUPIEC accept m=2|600", 2, True),
        ("KUPIEC reject m=1|600", 1, False),
        ("KUPIEC accept 11", 11, True),
        ("KUPIEC reject 12", 12, False),
    ):
        inputs = days | {"exceptions": exceptions, "accepted": accepted}
        yield Oracle(name, "kupiec verdict", inputs, 1, 0, RMFI)
    failures = {"days": 1043, "exceptions": 57, "confidence": 0.95}
    yield Oracle("MATLAB pof 57/1043", "kupiec statistic", failures, 0.46147, 5e-6, MATHWORKS)
    yield Oracle("MATLAB pof pvalue", "kupiec p", failures, 0.49694, 5e-6, MATHWORKS)
    yield Oracle("MATLAB tl prob", "traffic light", failures, 0.77913, 5e-6, MATHWORKS)
    year = {"days": 250, "confidence": 0.99}
    exact, within = (8.1, 20.5, 25.7, 21.5, 13.4), (8.11, 28.58, 54.32, 75.81, 89.22)
    for k in range(5):
        inputs = year | {"exceptions": k}
        yield Oracle(f"BASEL exact {k}", "exactly, percent", inputs, exact[k], 0.05, BASEL, "M")
        yield Oracle(f"BASEL cum {k}", "at most, percent", inputs, within[k], 0.005, BASEL, "M")
    multipliers = (3.0, 3.0, 3.0, 3.0, 3.0, 3.4, 3.5, 3.65, 3.75, 3.85, 4.0, 4.0)
    for k, multiplier in enumerate(multipliers):
        yield Oracle(f"BASEL-2 {k}", "multiplier", {"exceptions": k}, multiplier, 0, RMFI)
    year = {"days": 250, "confidence": 0.975, "significance": 0.05}
    yield Oracle("AS14 Z2 5% normal", "z2 critical", year | {"nu": None}, -0.70, 0.015, ACERBI, "M")
    yield Oracle("AS14 Z2 5% t3", "z2 critical", year | {"nu": 3.0}, -0.82, 0.015, ACERBI, "M")


def _quadratic_forms() -> Iterator[Oracle]:
    for q, repeat, tolerance, rows in (
        (1, 1, 3e-4, {0.1: 0.9458, 0.7: 0.5064, 2: 0.1240}),
        (2, 2, 6e-5, {0.2: 0.9936, 2: 0.3998, 6: 0.0161}),
    ):
        for x, above in rows.items():
            inputs = {"weights": (0.6, 0.3, 0.1), "degrees": repeat, "x": float(x)}
            yield Oracle(f"IMHOF61 Q{q} P(Q>{x})", "quadratic above", inputs, above, tolerance, IMHOF, "M")


def _liquidation() -> Iterator[Oracle]:
    shares = {"shares": 1e6, "days": 5.0, "periods": 5}
    impact = {"volatility": 0.95, "permanent": 2.5e-7, "temporary": 2.5e-6, "fixed": 0.0625}
    sale = shares | impact
    yield Oracle("AC2000 kappa", "urgency", sale | {"aversion": 1e-6}, 0.61, 0.005, CHRISS_TEXT, "M")
    yield Oracle("AC2000 naive E", "expected cost", sale | {"aversion": 0.0}, 662_500, 1, CHRISS)
    for aversion, variance in ((1e-09, 1.0812), (2e-09, 1.0794)):
        inputs = sale | {"aversion": aversion}
        yield Oracle(f"AC/DROP lam={aversion} E", "expected cost, M", inputs, 0.6625, 1e-4, CHRISS)
        yield Oracle(f"AC/DROP lam={aversion} V", "variance, 1e12", inputs, variance, 2e-4, CHRISS)
    order = {"volatility": 157.0, "volume_share": 0.1, "turnover_days": 263.0}
    yield Oracle("ATHL05 IBM I", "permanent", order | {"days": 0.1}, 20, 1, IMPACT)
    for days, temporary, cost in ((0.1, 22, 32), (0.2, 15, 25), (0.5, 8, 18)):
        yield Oracle(f"ATHL05 IBM T={days} temp", "temporary", order | {"days": days}, temporary, 1, IMPACT)
        yield Oracle(f"ATHL05 IBM T={days} J", "order cost", order | {"days": days}, cost, 1, IMPACT)


ORACLES: tuple[Oracle, ...] = (
    *_parametric(),
    *_historical(),
    *_volatility(),
    *_backtests(),
    *_quadratic_forms(),
    *_liquidation(),
)
ELSEWHERE = ("HAUG", "LS01", "JU99", "BAW87")
"""How the ids of figures begin that the options' own tests reproduce."""
