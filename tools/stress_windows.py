"""Which windows the historical stress scenarios are, which factor comes from where, and figures of record.

Figures of record are those that the data at hand do not reach: marked S, seen in the source named.
"""

from dataclasses import dataclass, field
from datetime import date

SECTOR_FUNDS = {
    "technology": "XLK",
    "financials": "XLF",
    "energy": "XLE",
    "health-care": "XLV",
    "consumer-staples": "XLP",
    "consumer-discretionary": "XLY",
    "utilities": "XLU",
    "industrials": "XLI",
    "materials": "XLB",
    "real-estate": "VNQ",
    "biotechnology": "IBB",
    "aerospace-defense": "ITA",
}
SECTOR_STOCKS = {
    "technology": ("AAPL", "AMD", "MSFT"),
    "financials": ("BAC", "JPM"),
    "energy": ("CVX", "RRC", "XOM"),
    "health-care": ("JNJ", "LLY", "MRK", "PFE", "UNH"),
    "consumer-staples": ("KO", "PEP", "PG", "WMT"),
    "consumer-discretionary": ("BBY", "HD"),
}
FUTURES = {
    "equity.us.nasdaq": "NASDAQ",
    "equity.europe": "DAX",
    "fx.eur": "EUR",
    "fx.gbp": "GBP",
    "fx.jpy": "JPY",
    "fx.aud": "AUD",
    "commodity.gold": "GOLD",
    "commodity.oil": "CRUDE_W",
    "commodity.gas": "GAS_US",
    "commodity.copper": "COPPER",
    "commodity.corn": "CORN",
    "commodity.wheat": "WHEAT",
    "commodity.soybean": "SOYBEAN",
}
TENORS = {"3m": "BC_3MONTH", "2y": "BC_2YEAR", "5y": "BC_5YEAR", "10y": "BC_10YEAR", "30y": "BC_30YEAR"}

SOURCES = {
    "stocks": ("C", "us20_adjclose_1990_2022.npz: adjusted closes of 20 US stocks (skfolio, Yahoo Finance)"),
    "stock-groups": (
        "C",
        "mean of the same stocks by sector; survivors chosen in hindsight, so milder than the sector was",
    ),
    "funds": (
        "C",
        "etf18_returns_2006_2022.npz: total returns of VTI (market), sector SPDRs, VNQ, IBB, ITA",
    ),
    "index-futures": (
        "C",
        (
            "futures23_daily_1972_2023.npz, S&P 500: change of the back-adjusted over the quoted price; "
            "in windows over 120 days the change of the quoted price"
        ),
    ),
    "futures": (
        "C",
        (
            "futures23_daily_1972_2023.npz, treated as the S&P 500; oil is the December contract; EUR, GBP, "
            "JPY and AUD are CME futures; Europe is the DAX in euro"
        ),
    ),
    "sterling-for-euro": ("C", "the GBP future in place of the euro, which did not exist: a proxy"),
    "vix": ("C", "vix_daily_1990_2026.npz: change of the Cboe VIX close to its highest close in the window"),
    "vix-high": ("C", "vix_daily_1990_2026.npz: the day's high of the Cboe VIX against the close before"),
    "par-yields": ("C", "ust_par_yields_1990_2021.npz: US Treasury par yields; `rates.usd` is the 10-year"),
    "spy-low": ("C", "us6_hourly_1998_2021.npz: lowest print of SPY that day against the close before"),
    "spx-1987": ("S", "S&P 500 close of 19 October 1987 against 16 October: -20.47 %"),
    "vxo": (
        "S",
        "Cboe VXO (S&P 100, the former VIX): 36.37 on 16, 150.19 on 19 October 1987; cboeoptionshub.com",
    ),
    "fred-1987": (
        "S",
        "FRED DGS2, DGS10, DGS30: 9.22 to 8.93, 10.23 to 10.15, 10.24 to 10.25; `rates.usd` is the 10-year",
    ),
    "fred-2022": (
        "S",
        (
            "FRED DGS3MO 0.06 to 4.09, DGS2 0.73 to 4.62, DGS5 1.26 to 4.45, DGS10 1.52 to 4.24, "
            "DGS30 1.90 to 4.24; `rates.usd` is the 10-year"
        ),
    ),
    "baa": (
        "S",
        "FRED BAA10Y, Moody's Baa yield over the 10-year Treasury, as far as known around the window",
    ),
}


@dataclass(frozen=True)
class Window:
    """One scenario, from close of `start` to close of `end`; `record` as (source, unit, factor, value)."""

    name: str
    note: str
    start: date
    end: date
    baa_bp: int | None
    record: list[tuple[str, str, str, float]] = field(default_factory=list)
    intraday: bool = False


WINDOWS = [
    Window(
        "black-monday-1987",
        "The crash of 19 October 1987",
        date(1987, 10, 16),
        date(1987, 10, 19),
        None,
        [
            ("spx-1987", "relative", "equity.us", -0.2047),
            ("vxo", "points", "volatility.us", 1.1382),
            ("fred-1987", "bp", "rates.usd", -8),
            ("fred-1987", "bp", "rates.usd.2y", -29),
            ("fred-1987", "bp", "rates.usd.10y", -8),
            ("fred-1987", "bp", "rates.usd.30y", 1),
        ],
    ),
    Window(
        "russia-ltcm-1998",
        "Russia's default and the fall of Long-Term Capital Management",
        date(1998, 7, 17),
        date(1998, 10, 8),
        97,
    ),
    Window(
        "dot-com-2000-2002",
        "The end of the technology boom; two and a half years, here in one move",
        date(2000, 3, 24),
        date(2002, 10, 9),
        177,
    ),
    Window(
        "lehman-2008", "From Lehman Brothers to the November low", date(2008, 9, 12), date(2008, 11, 20), 249
    ),
    Window("flash-crash-2010", "6 May 2010, close to close", date(2010, 5, 5), date(2010, 5, 6), 1),
    Window(
        "flash-crash-2010-low",
        "6 May 2010 at the worst moment: what a forced seller met; other factors at their close",
        date(2010, 5, 5),
        date(2010, 5, 6),
        1,
        intraday=True,
    ),
    Window(
        "us-downgrade-2011",
        "The euro crisis and the downgrade of the United States",
        date(2011, 7, 22),
        date(2011, 8, 8),
        13,
    ),
    Window("china-2015", "To Monday 24 August 2015", date(2015, 8, 17), date(2015, 8, 24), 17),
    Window(
        "volatility-2018", "5 February 2018: the VIX more than doubled", date(2018, 2, 2), date(2018, 2, 5), 5
    ),
    Window("covid-2020", "The first month of the pandemic", date(2020, 2, 19), date(2020, 3, 23), 226),
    Window(
        "rates-2022",
        "Stocks and bonds fall together as rates rise; ten months, here in one move",
        date(2021, 12, 31),
        date(2022, 10, 20),
        39,
        [
            ("fred-2022", "bp", "rates.usd", 272),
            ("fred-2022", "bp", "rates.usd.3m", 403),
            ("fred-2022", "bp", "rates.usd.2y", 389),
            ("fred-2022", "bp", "rates.usd.5y", 319),
            ("fred-2022", "bp", "rates.usd.10y", 272),
            ("fred-2022", "bp", "rates.usd.30y", 234),
        ],
    ),
]
