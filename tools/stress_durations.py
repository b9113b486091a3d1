"""Measures the sensitivities in the packaged stress map: what price changes follow a change of yield or VIX.

Run it as `python tools/stress_durations.py DATA`. Least squares through the origin over moves of five trading
days; prints the slope and R squared of each, which firm/risk/scenarios/map.yaml quotes.
"""

import sys
from pathlib import Path

import numpy as np
from build_stress_scenarios import Data, Days, Values, days_of

STEP = 5
BOND_FUTURES = {"ZT": ("US2", "BC_2YEAR"), "ZF": ("US5", "BC_5YEAR"), "ZN": ("US10", "BC_10YEAR")}
BOND_FUTURES |= {"UB": ("US30", "BC_30YEAR")}
BOND_FUNDS = {"TLT": "BC_30YEAR", "AGG": "BC_5YEAR"}


def slope(x: Values, y: Values) -> str:
    beta = float(x @ y / (x @ x))
    unexplained = float(((y - beta * x) ** 2).sum() / (y**2).sum())
    return f"{beta:.3f} (R squared {1 - unexplained:.2f}, {len(x)} moves)"


def common(days: Days, others: Days) -> tuple[np.ndarray, np.ndarray]:
    _, left, right = np.intersect1d(days, others, return_indices=True)
    return left, right


def main(folder: Path) -> None:
    data = Data(folder)
    yield_days = days_of(data.yields["ts"])
    for symbol, (root, column) in BOND_FUTURES.items():
        days, quoted, adjusted = data.future(root)
        left, right = common(days, yield_days)
        level = data.yields[column].astype(float)[right] / 100.0
        good = level > 0.0
        level, price, back = level[good], quoted[left][good], adjusted[left][good]
        moves = (back[STEP:] - back[:-STEP]) / price[:-STEP]
        print(symbol, column, "duration", slope(-(level[STEP:] - level[:-STEP]), moves))
    fund_days = days_of(data.funds["ts"])
    for symbol, column in BOND_FUNDS.items():
        left, right = common(fund_days, yield_days)
        level = data.yields[column].astype(float)[right] / 100.0
        worth = np.cumprod(1.0 + data.funds[symbol].astype(float))[left]
        good = level > 0.0
        level, worth = level[good], worth[good]
        moves = worth[STEP:] / worth[:-STEP] - 1.0
        print(symbol, column, "duration", slope(-(level[STEP:] - level[:-STEP]), moves))
    days, _, back = data.future("VIX")
    left, right = common(days, days_of(data.vix["ts"]))
    level, price = data.vix["CLOSE"].astype(float)[right] / 100.0, back[left]
    print("VX points", slope(level[STEP:] - level[:-STEP], price[STEP:] - price[:-STEP]))


if __name__ == "__main__":
    main(Path(sys.argv[1])) if len(sys.argv) == 2 else sys.exit(__doc__)
