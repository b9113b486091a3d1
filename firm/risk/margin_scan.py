"""The margin estimate of any book of the universe: each underlying a class, no offset between classes."""

import numpy as np
from numpy.typing import NDArray

from firm.risk.margin import EQUITY, MarginEstimate, ScanBook, scan_margin, scan_pnl
from firm.risk.stress_options import option_values
from firm.risk_kernels.contracts import Payoff

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class MarginScan:
    """The scan of one unit of each contract, made once a decision; a book's estimate is then a product.

    Every underlying is moved by 15 % either way, as FINRA Rule 4210(g) does single shares: for indices and
    currencies that is more than their brokers ask, never less. `book` has the classes, `unit_pnl`
    float64[n, s] the P&L of one unit in each scenario of the scan.
    """

    def __init__(self, contracts: NDArray[np.void]) -> None:
        """`contracts`: CONTRACT[n]; rows without a value count nothing."""
        n = len(contracts)
        self.book = ScanBook(
            classes=tuple(str(i) for i in range(n)),
            ranges=(EQUITY,) * n,
            class_of=contracts["factor"].astype(np.int64),
            minimum=np.zeros(n),
        )
        self._known: dict[bytes, MarginEstimate] = {}
        self.unit_pnl: Matrix = scan_pnl(self.book, lambda prices, moves: _revalued(contracts, prices, moves))

    def estimate(self, quantities: Vector) -> MarginEstimate:
        """What these signed units float64[n] tie up; the same ones are scanned once."""
        book = quantities.tobytes()
        if book not in self._known:
            pnl = quantities[:, None] * self.unit_pnl
            self._known[book] = scan_margin(self.book, pnl, np.eye(len(quantities)))
        return self._known[book]


def _revalued(contracts: NDArray[np.void], prices: Matrix, volatility: Vector) -> Matrix:
    pnl = (contracts["unit"] * contracts["price"])[:, None] * prices
    for i in np.flatnonzero(contracts["payoff"] != Payoff.LINEAR).tolist():
        table = np.tile(contracts[i : i + 1], prices.shape[1])
        table["spot"] *= 1.0 + prices[i]
        table["volatility"] *= 1.0 + volatility
        unmoved = option_values(contracts[i : i + 1])[0]
        pnl[i] = contracts["unit"][i] * (option_values(table) - unmoved)
    return np.asarray(pnl)
