"""Builds the packaged historical stress scenarios from market data, and the figures of public record.

Run it as `python tools/build_stress_scenarios.py DATA [FILE]`, where DATA holds the npz files named below
(each with `ts`, UTC nanoseconds). What it computes is marked C in the file, what was read elsewhere S.
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stress_windows import FUTURES, SECTOR_FUNDS, SECTOR_STOCKS, SOURCES, TENORS, WINDOWS, Window

TARGET = Path(__file__).resolve().parents[1] / "firm" / "risk" / "scenarios" / "historical.yaml"
LONG_WINDOW_DAYS = 120
STALE_DAYS = 5
Days = NDArray[np.datetime64]
Values = NDArray[np.float64]


class Data:
    """The files, opened once."""

    def __init__(self, folder: Path) -> None:
        self.stocks = np.load(folder / "us20_adjclose_1990_2022.npz", allow_pickle=False)
        self.funds = np.load(folder / "etf18_returns_2006_2022.npz", allow_pickle=False)
        self.vix = np.load(folder / "vix_daily_1990_2026.npz", allow_pickle=False)
        self.yields = np.load(folder / "ust_par_yields_1990_2021.npz", allow_pickle=False)
        self._futures = np.load(folder / "futures23_daily_1972_2023.npz", allow_pickle=False)
        self._hourly = np.load(folder / "us6_hourly_1998_2021.npz", allow_pickle=False)

    def future(self, root: str) -> tuple[Days, Values, Values]:
        """Days, quoted and back-adjusted prices of the days that have both."""
        of_root = self._futures["root"] == list(self._futures["root_table"]).index(root)
        quoted, adjusted = self._futures["PRICE"][of_root], self._futures["ADJ"][of_root]
        both = np.isfinite(quoted) & np.isfinite(adjusted)
        return days_of(self._futures["ts"][of_root])[both], quoted[both], adjusted[both]

    def lowest_against_close(self, symbol: str, start: date, end: date) -> float:
        """The lowest print of `end` over the last of `start`, less one."""
        own = self._hourly["symbol"] == list(self._hourly["symbol_table"]).index(symbol)
        days = days_of(self._hourly["ts"])
        last = self._hourly["close"][own & (days == np.datetime64(start))][-1]
        return float(self._hourly["low"][own & (days == np.datetime64(end))].min() / last - 1.0)


def days_of(nanoseconds: NDArray[np.int64]) -> Days:
    return nanoseconds.astype("datetime64[ns]").astype("datetime64[D]")


def row_at(days: Days, day: date) -> int | None:
    """The last row not after the day, unless it is stale."""
    row = int(np.searchsorted(days, np.datetime64(day), side="right")) - 1
    fresh = row >= 0 and (np.datetime64(day) - days[row]).astype(int) <= STALE_DAYS
    return row if fresh else None


def future_move(data: Data, root: str, window: Window) -> float | None:
    days, quoted, adjusted = data.future(root)
    first, last = row_at(days, window.start), row_at(days, window.end)
    if first is None or last is None or first == last:
        return None
    if (window.end - window.start).days > LONG_WINDOW_DAYS:
        return float(quoted[last] / quoted[first] - 1.0)
    return float((adjusted[last] - adjusted[first]) / quoted[first])


def close_move(days: Days, closes: Values, window: Window) -> float | None:
    first, last = row_at(days, window.start), row_at(days, window.end)
    if first is None or last is None or closes[first] <= 0 or closes[last] <= 0:
        return None
    return float(closes[last].astype(float) / closes[first].astype(float) - 1.0)


def stocks(data: Data, window: Window) -> Iterator[tuple[str, str, str, float]]:
    days = days_of(data.stocks["ts"])
    moves = {s: close_move(days, data.stocks[s], window) for s in data.stocks.files if s != "ts"}
    known = {symbol: move for symbol, move in moves.items() if move is not None}
    for symbol, move in known.items():
        yield "stocks", "relative", f"name.{symbol}", move
    if known and row_at(days_of(data.funds["ts"]), window.start) is None:
        for sector, members in SECTOR_STOCKS.items():
            mean = sum(known[symbol] for symbol in members) / len(members)
            yield "stock-groups", "relative", f"equity.us.{sector}", mean


def market(data: Data, window: Window) -> Iterator[tuple[str, str, str, float]]:
    days = days_of(data.funds["ts"])
    inside = (days > np.datetime64(window.start)) & (days <= np.datetime64(window.end))
    if row_at(days, window.start) is not None:
        for factor, symbol in [("equity.us", "VTI")] + [
            (f"equity.us.{s}", f) for s, f in SECTOR_FUNDS.items()
        ]:
            yield (
                "funds",
                "relative",
                factor,
                float(np.prod(1.0 + data.funds[symbol][inside].astype(float)) - 1.0),
            )
    elif not any(factor == "equity.us" for _, _, factor, _ in window.record):
        move = future_move(data, "SP500", window)
        assert move is not None, f"no S&P 500 in {window.name}"
        yield "index-futures", "relative", "equity.us", move


def volatility(data: Data, window: Window) -> Iterator[tuple[str, str, str, float]]:
    days = days_of(data.vix["ts"])
    first = row_at(days, window.start)
    if first is None:
        return
    inside = (days > np.datetime64(window.start)) & (days <= np.datetime64(window.end))
    before = float(data.vix["CLOSE"][first])
    column, source = ("HIGH", "vix-high") if window.intraday else ("CLOSE", "vix")
    yield source, "points", "volatility.us", (float(data.vix[column][inside].max()) - before) / 100.0


def rates(data: Data, window: Window) -> Iterator[tuple[str, str, str, float]]:
    days = days_of(data.yields["ts"])
    first, last = row_at(days, window.start), row_at(days, window.end)
    if first is None or last is None:
        return
    for tenor, column in TENORS.items():
        before, after = float(data.yields[column][first]), float(data.yields[column][last])
        if before > 0.0 and after > 0.0:
            if tenor == "10y":
                yield "par-yields", "bp", "rates.usd", (after - before) * 100.0
            yield "par-yields", "bp", f"rates.usd.{tenor}", (after - before) * 100.0


def moves_of(data: Data, window: Window) -> list[tuple[str, str, str, float]]:
    """All (source, unit, factor, move) of the window."""
    found = list(window.record)
    if window.intraday:
        low = data.lowest_against_close("SPY", window.start, window.end)
        found.append(("spy-low", "relative", "equity.us", low))
    else:
        found += [*market(data, window), *stocks(data, window)]
    found += [*volatility(data, window), *rates(data, window)]
    for factor, root in FUTURES.items():
        if window.intraday and factor.startswith("equity"):
            continue
        move = future_move(data, root, window)
        if move is not None:
            found.append(("futures", "relative", factor, move))
    if not any(factor == "fx.eur" for _, _, factor, _ in found):
        sterling = future_move(data, "GBP", window)
        assert sterling is not None, f"no sterling in {window.name}"
        found.append(("sterling-for-euro", "relative", "fx.eur", sterling))
    if window.baa_bp is not None:
        found.append(("baa", "bp", "credit", window.baa_bp))
    return found


def yaml_of(data: Data) -> str:
    """The file, the same bytes every time."""
    lines = [
        "# Historical stress scenarios. Built by tools/build_stress_scenarios.py: do not edit by hand.",
        "# Provenance: C computed by that tool from the file named; S seen in the source named.",
        "sources:",
    ]
    for name, (provenance, text) in SOURCES.items():
        lines.append(f'  {name}: {{provenance: {provenance}, text: "{text}"}}')
    lines.append("scenarios:")
    for window in WINDOWS:
        lines += ["", f"  - name: {window.name}", "    kind: historical", f'    note: "{window.note}"']
        lines += [f"    from: {window.start}", f"    to: {window.end}", "    shocks:"]
        moves = moves_of(data, window)
        for source, unit in dict.fromkeys((source, unit) for source, unit, _, _ in moves):
            lines += [f"      - source: {source}", f"        {unit}:"]
            for _, _, factor, move in (m for m in moves if m[:2] == (source, unit)):
                lines.append(
                    f"          {factor}: {move:.0f}" if unit == "bp" else f"          {factor}: {move:.4f}"
                )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    target.write_text(yaml_of(Data(Path(sys.argv[1]))), encoding="utf-8")
    print(f"wrote {target}")
