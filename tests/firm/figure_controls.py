"""How each limit that is a figure is tripped: more cases of test_every_limit.py."""

from decimal import Decimal
from pathlib import Path

import whole_firm
from case import XOM, Case, bent
from stage import StageBroker, reported_without, universe_with

from firm.events.broker import AccountReported

CVX, GE, HD = 4, 5, 6
NO_ENERGY = Path(__file__).parent / "no_energy.yaml"
REFERENCE = whole_firm.settings().universe.reference
WITHOUT_XOM = ", ".join(
    f"{symbol}: {{sector: {known.sector}, average_daily_volume: {known.average_daily_volume}}}"
    for symbol, known in REFERENCE.items()
    if symbol != "XOM"
)
GREEKS = "risk.greeks={max_delta: %g, max_gamma: %g, max_vega: %g, interest_rate: 0.03}"
ROOM = "risk.max_position_var=50000"
CALL = bent(
    universe_with(
        GE,
        sec_type="OPT",
        underlying=HD,
        strike=Decimal(300),
        expiry="20230616",
        right="C",
    )
)
"""GE's price is that of a call on HD, which is at 314: it implies a volatility of some 60 %."""

FIGURES = [
    Case(
        "risk.position_weight",
        "position weight: would hold # #, # of equity, limit is 0.05",
        tight=("risk.max_position_weight=0.05",),
    ),
    Case(
        "risk.position_var",
        "position VaR: would hold # # with a VaR of #, limit is 2500.00",
        tight=("risk.max_position_var=2500",),
    ),
    Case(
        "risk.leverage",
        "leverage: gross exposure would be #, # times the equity of 1000000.00, limit is 0.9",
        tight=("risk.max_leverage=0.9",),
    ),
    Case(
        "risk.net_leverage",
        "net leverage: net exposure could be #, # times the equity of 1000000.00, limit is 0.5",
        tight=("risk.max_net_leverage=0.5",),
    ),
    Case(
        "risk.sector",
        "sector: Energy could be #, # times the equity of 1000000.00, limit is 0.15",
        tight=("risk.max_sector_weight=0.15",),
        only=XOM,
    ),
    Case(
        "risk.factor",
        "factor: one standard deviation of factor 1 moves the book by #, # of equity, limit is 0.005",
        tight=("risk.max_factor_loss=0.005",),
    ),
    Case(
        "risk.portfolio_var",
        "portfolio VaR: simulated VaR would be #, limit is 9000.00",
        tight=("risk.max_portfolio_var=9000",),
    ),
    Case(
        "risk.portfolio_es",
        "portfolio ES: simulated ES would be #, limit is 9000.00",
        tight=("risk.max_portfolio_es=9000",),
    ),
    Case(
        "risk.greeks",
        "greeks: delta would be #, limit is 500000.00",
        tight=(GREEKS % (500_000, 20_000, 5_000),),
        title="delta",
    ),
    Case(
        "risk.greeks",
        "greeks: gamma would be #, limit is 1000.00",
        tight=(ROOM, GREEKS % (1_600_000, 1_000, 5_000)),
        loose=(ROOM,),
        story=CALL,
        only=GE,
        title="gamma",
    ),
    Case(
        "risk.greeks",
        "greeks: vega would be #, limit is 500.00",
        tight=(ROOM, GREEKS % (1_600_000, 20_000, 500)),
        loose=(ROOM,),
        story=CALL,
        only=GE,
        title="vega",
    ),
    Case(
        "risk.stress",
        "stress: scenario '#' would cost #, # of equity, limit is 0.15",
        tight=("risk.stress={max_loss: 0.15, file: null}",),
    ),
    Case(
        "risk.stress",
        "stress: CVX (STK) has no loss in the stress scenario 'all-but-energy': it follows equity.us.energy, "
        "which neither the scenario nor a declared parent moves; add equity.us.energy to the scenario, give "
        "it a parent in the stress map, or leave the scenario out",
        tight=(f"risk.stress={{max_loss: 0.6, file: {NO_ENERGY}}}",),
        only=CVX,
        blind=True,
        title="unmapped",
    ),
    Case(
        "risk.liquidity",
        "liquidity: would hold # #, # days to sell at # a day, limit is 1.0",
        tight=("risk.liquidity={max_days_to_liquidate: 1, participation: 0.0001}",),
    ),
    Case(
        "risk.liquidity",
        "liquidity: universe.reference has no volume of XOM",
        tight=(f"universe.reference={{{WITHOUT_XOM}}}",),
        only=XOM,
        blind=True,
        title="no volume",
    ),
    Case(
        "risk.margin",
        "margin: headroom would be # of equity by broker and estimate, at least 0.9 is needed",
        tight=("risk.margin={min_headroom: 0.9, max_age_ms: 432000000}",),
    ),
    Case(
        "risk.margin",
        "margin: the broker's figures are 1800.000 s old, allowed are 0 to 60.000 s",
        tight=("risk.margin={min_headroom: 0.25, max_age_ms: 60000}",),
        blind=True,
        title="too old",
    ),
    Case(
        "risk.margin",
        "margin: the broker has not reported its figures yet",
        story=bent(reported_without(AccountReported)),
        loose_story=StageBroker,
        blind=True,
        title="never reported",
    ),
]
