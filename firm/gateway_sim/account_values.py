"""The account as clients read it: every tag they are known to ask for, positions, profit and loss. Pure.

Assumption: one margin requirement (gross exposure over the leverage cap) stands for initial, maintenance,
overnight and look-ahead margin alike.
"""

from decimal import Decimal
from typing import NamedTuple

from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.exchange import MarginRules
from firm.gateway_sim.brokerage import Brokerage


class AccountValue(NamedTuple):
    """One tag. `currency` is empty for what is not money."""

    tag: str
    currency: str
    value: str


class Holding(NamedTuple):
    """One position with its marks, as floats for the wire; money in the instrument's currency.

    `rate` turns it into the account's.
    """

    instrument: Instrument
    quantity: Decimal
    average_cost: float
    market_price: float
    market_value: float
    unrealized: float
    realized: float
    rate: float


ZERO_TAGS = (
    "AccruedCash",
    "AccruedDividend",
    "Billable",
    "Guarantee",
    "IndianStockHaircut",
    "NetDividend",
    "NLVAndMarginInReview",
    "PostExpirationExcess",
    "PostExpirationMargin",
    "PhysicalCertificateValue",
    "TotalDebitCardPendingCharges",
)
LEDGER_ZERO_TAGS = (  # in the order in which they are told; futures have a figure
    "CorporateBondValue",
    "FundValue",
    "FutureOptionValue",
    "FuturesPNL",
    "FxCashBalance",
    "IssuerOptionValue",
    "MoneyMarketFundValue",
    "MutualFundValue",
    "NetDividend",
    "OptionMarketValue",
    "TBillValue",
    "TBondValue",
    "WarrantValue",
)
WORDS = (
    ("AccountReady", "true"),
    ("AccountType", "INDIVIDUAL"),
    ("DayTradesRemaining", "-1"),
    ("DayTradesRemainingT+1", "-1"),
    ("DayTradesRemainingT+2", "-1"),
    ("DayTradesRemainingT+3", "-1"),
    ("DayTradesRemainingT+4", "-1"),
    ("HighestSeverity", "0"),
    ("LookAheadNextChange", "0"),
    ("NetLiquidationUncertainty", "0.00"),
)


def account_values(brokerage: Brokerage, rules: MarginRules) -> list[AccountValue]:
    """All tags outside the ledger."""
    account = brokerage.exchange.account
    equity, gross, cash = account.equity, account.gross, account.cash
    needed = rules.requirement(gross)
    free = equity - needed
    words = {"AccountCode": account.name, **dict(WORDS)}
    words["Cushion"] = f"{free / equity:.6f}" if equity > 0 else "0"
    words["Leverage-S"] = words["Leverage"] = f"{gross / equity:.2f}" if equity > 0 else "0"
    money = {
        "NetLiquidation": equity,
        "EquityWithLoanValue": equity,
        "PreviousDayEquityWithLoanValue": brokerage.day_start.equity,
        "RegTEquity": equity,
        "TotalCashValue": cash,
        "SettledCash": cash,
        "GrossPositionValue": gross,
        "BuyingPower": max(free, ZERO) * rules.gross_leverage_max,
        "RegTMargin": needed,
        "SMA": free,
        **dict.fromkeys(ZERO_TAGS, ZERO),
    }
    for prefix in ("", "Full", "LookAhead"):
        money |= {f"{prefix}InitMarginReq": needed, f"{prefix}MaintMarginReq": needed}
        money |= {f"{prefix}AvailableFunds": free, f"{prefix}ExcessLiquidity": free}
    values = [AccountValue(tag, "", word) for tag, word in words.items()]
    for tag, amount in money.items():
        values += [AccountValue(tag, account.base, f"{amount:.2f}")]
    segment = [v._replace(tag=f"{v.tag}-S") for v in values if v.currency and "PreviousDay" not in v.tag]
    return values + segment


def ledger(brokerage: Brokerage) -> list[AccountValue]:
    """The cash ledger: all of it in the base currency, then each currency the account ever held."""
    account = brokerage.exchange.account
    holdings = portfolio(brokerage)
    rates = account.rates
    whole = _entries(
        cash=account.cash,
        worth=account.equity - account.cash,
        futures=rates.total(account.by_currency(lambda i: _future(brokerage, i))),
        realized=brokerage.realized(),
        unrealized=sum(h.unrealized * h.rate for h in holdings),
    )
    values = _ledger("BASE", Decimal(1), whole)
    worth, futures = account.by_currency(account.worth), account.by_currency(lambda i: _future(brokerage, i))
    for currency, purse in account.purses.items():
        mine = [h for h in holdings if h.instrument.currency == currency]
        one = _entries(
            cash=purse.cash,
            worth=worth.get(currency, ZERO),
            futures=futures.get(currency, ZERO),
            realized=_realized(brokerage, currency) - purse.commissions,
            unrealized=sum(h.unrealized for h in mine),
        )
        values += _ledger(currency, rates.of(currency), one)
    return values


def _entries(
    *, cash: Decimal, worth: Decimal, futures: Decimal, realized: Decimal, unrealized: float
) -> dict[str, Decimal]:
    return {
        "CashBalance": cash,
        "TotalCashBalance": cash,
        "NetLiquidationByCurrency": cash + worth,
        "StockMarketValue": worth - futures,
        "RealizedPnL": realized,
        "UnrealizedPnL": Decimal(repr(round(unrealized, 2))),
        **dict.fromkeys(LEDGER_ZERO_TAGS, ZERO),
        "FuturesPNL": futures,
    }


def _ledger(currency: str, rate: Decimal, money: dict[str, Decimal]) -> list[AccountValue]:
    exact = f"{rate:.2f}" if rate == round(rate, 2) else f"{rate:.7f}"
    said = [AccountValue(tag, currency, f"{amount:.2f}") for tag, amount in money.items()]
    return [
        AccountValue("Currency", currency, currency),
        AccountValue("ExchangeRate", currency, exact),
        *said,
    ]


def _future(brokerage: Brokerage, instrument: int) -> Decimal:
    account = brokerage.exchange.account
    return account.open_gain(instrument) if instrument in account.settled else ZERO


def _realized(brokerage: Brokerage, currency: str) -> Decimal:
    positions = brokerage.exchange.account.positions
    mine = (i.index for i in brokerage.catalogue.instruments if i.currency == currency)
    return sum((positions[i].realized_pnl for i in mine), start=ZERO)


def portfolio(brokerage: Brokerage) -> list[Holding]:
    """Every instrument that is or was held, flat ones included, in index order."""
    account = brokerage.exchange.account
    holdings = []
    for instrument, position in zip(brokerage.catalogue.instruments, account.positions, strict=True):
        if not position.quantity and not position.realized_pnl:
            continue
        mark = brokerage.exchange.book.mark(instrument.index) or position.average_price
        value = account.value(instrument.index)
        cost = position.quantity * position.average_price * instrument.multiplier
        holdings.append(
            Holding(
                instrument,
                position.quantity,
                float(round(position.average_price * instrument.multiplier, 8)),
                float(mark),
                float(round(value, 6)),
                float(round(value - cost, 6)),
                float(round(position.realized_pnl, 6)),
                float(account.rates.of(instrument.currency)),
            )
        )
    return holdings


def profit(brokerage: Brokerage) -> tuple[float, float, float]:
    """Daily, unrealised and realised (today) profit and loss of the account."""
    start = brokerage.day_start
    daily = brokerage.exchange.account.equity - start.equity
    unrealized = sum(h.unrealized * h.rate for h in portfolio(brokerage))
    return (
        float(round(daily, 6)),
        round(unrealized, 6),
        float(round(brokerage.realized() - start.realized, 6)),
    )
