"""The request placeOrder, complete for every kind of order a client can send."""

import math
from collections.abc import Mapping
from typing import Any

from firm.gateway_sim.codec.groups import (
    CONTRACT_12,
    PEGGED_TO_BENCHMARK,
    algo,
    conditions,
    delta_neutral_contract,
    hedge,
    is_combination,
    legs_and_prices,
    scale_levels,
)
from firm.gateway_sim.codec.kinds import BOOL, DECIMAL, FLOAT, INTEGER, TEXT
from firm.gateway_sim.codec.table import Field, Message, Row, When

_BASIC: tuple[Row, ...] = (
    Field("action", TEXT),
    Field("totalQuantity", DECIMAL),
    Field("orderType", TEXT),
    Field("lmtPrice", DECIMAL, None),
    Field("auxPrice", DECIMAL, None),
    Field("tif", TEXT, ""),
    Field("ocaGroup", TEXT, ""),
    Field("account", TEXT, ""),
    Field("openClose", TEXT, ""),
    Field("origin", INTEGER, 0),
    Field("orderRef", TEXT, ""),
    Field("transmit", BOOL, default=True),
    Field("parentId", INTEGER, 0),
    Field("blockOrder", BOOL, default=False),
    Field("sweepToFill", BOOL, default=False),
    Field("displaySize", INTEGER, 0),
    Field("triggerMethod", INTEGER, 0),
    Field("outsideRth", BOOL, default=False),
    Field("hidden", BOOL, default=False),
)

_ROUTING: tuple[Row, ...] = (
    Field("sharesAllocation", TEXT, ""),
    Field("discretionaryAmt", FLOAT, 0.0),
    Field("goodAfterTime", TEXT, ""),
    Field("goodTillDate", TEXT, ""),
    Field("faGroup", TEXT, ""),
    Field("faMethod", TEXT, ""),
    Field("faPercentage", TEXT, ""),
    Field("faProfile", TEXT, "", until=177),
    Field("modelCode", TEXT, ""),
    Field("shortSaleSlot", INTEGER, 0),
    Field("designatedLocation", TEXT, ""),
    Field("exemptCode", INTEGER, -1),
    Field("ocaType", INTEGER, 0),
    Field("rule80A", TEXT, ""),
    Field("settlingFirm", TEXT, ""),
    Field("allOrNone", BOOL, default=False),
    Field("minQty", INTEGER, None),
    Field("percentOffset", FLOAT, None),
    Field("eTradeOnly", BOOL, default=False),
    Field("firmQuoteOnly", BOOL, default=False),
    Field("nbboPriceCap", FLOAT, None),
    Field("auctionStrategy", INTEGER, 0),
    Field("startingPrice", FLOAT, None),
    Field("stockRefPrice", FLOAT, None),
    Field("delta", FLOAT, None),
    Field("stockRangeLower", FLOAT, None),
    Field("stockRangeUpper", FLOAT, None),
    Field("overridePercentageConstraints", BOOL, default=False),
    Field("volatility", FLOAT, None),
    Field("volatilityType", INTEGER, None),
    Field("deltaNeutralOrderType", TEXT, ""),
    Field("deltaNeutralAuxPrice", FLOAT, None),
    When(
        lambda v: bool(v.get("deltaNeutralOrderType")),
        (
            Field("deltaNeutralConId", INTEGER, 0),
            Field("deltaNeutralSettlingFirm", TEXT, ""),
            Field("deltaNeutralClearingAccount", TEXT, ""),
            Field("deltaNeutralClearingIntent", TEXT, ""),
            Field("deltaNeutralOpenClose", TEXT, ""),
            Field("deltaNeutralShortSale", BOOL, default=False),
            Field("deltaNeutralShortSaleSlot", INTEGER, 0),
            Field("deltaNeutralDesignatedLocation", TEXT, ""),
        ),
    ),
    Field("continuousUpdate", BOOL, default=False),
    Field("referencePriceType", INTEGER, None),
    Field("trailStopPrice", FLOAT, None),
    Field("trailingPercent", FLOAT, None),
    *scale_levels(INTEGER),
    Field("scaleTable", TEXT, ""),
    Field("activeStartTime", TEXT, ""),
    Field("activeStopTime", TEXT, ""),
    *hedge(),
    Field("optOutSmartRouting", BOOL, default=False),
    Field("clearingAccount", TEXT, ""),
    Field("clearingIntent", TEXT, ""),
    Field("notHeld", BOOL, default=False),
    *delta_neutral_contract(),
    *algo(),
    Field("algoId", TEXT, ""),
    Field("whatIf", BOOL, default=False),
    Field("orderMiscOptions", TEXT, ""),
    Field("solicited", BOOL, default=False),
    Field("randomizeSize", BOOL, default=False),
    Field("randomizePrice", BOOL, default=False),
    PEGGED_TO_BENCHMARK,
    *conditions(),
)


def _pegged_to_best(values: Mapping[str, Any]) -> bool:
    return values.get("orderType") in {"PEG BEST", "PEGBEST"}


def _offsets_follow(values: Mapping[str, Any]) -> bool:
    if _pegged_to_best(values):
        return values.get("competeAgainstBestOffset") == math.inf
    return values.get("orderType") in {"PEG MID", "PEGMID"}


_LATER: tuple[Row, ...] = (
    Field("adjustedOrderType", TEXT, ""),
    Field("triggerPrice", FLOAT, None),
    Field("lmtPriceOffset", FLOAT, None),
    Field("adjustedStopPrice", FLOAT, None),
    Field("adjustedStopLimitPrice", FLOAT, None),
    Field("adjustedTrailingAmount", FLOAT, None),
    Field("adjustableTrailingUnit", INTEGER, 0),
    Field("extOperator", TEXT, ""),
    Field("softDollarTierName", TEXT, ""),
    Field("softDollarTierValue", TEXT, ""),
    Field("cashQty", FLOAT, None),
    Field("mifid2DecisionMaker", TEXT, ""),
    Field("mifid2DecisionAlgo", TEXT, ""),
    Field("mifid2ExecutionTrader", TEXT, ""),
    Field("mifid2ExecutionAlgo", TEXT, ""),
    Field("dontUseAutoPriceForHedge", BOOL, default=False),
    Field("isOmsContainer", BOOL, default=False),
    Field("discretionaryUpToLimitPrice", BOOL, default=False),
    Field("usePriceMgmtAlgo", BOOL, default=False),
    Field("duration", INTEGER, None, since=158),
    Field("postToAts", INTEGER, None, since=160),
    Field("autoCancelParent", BOOL, default=False, since=162),
    Field("advancedErrorOverride", TEXT, "", since=166),
    Field("manualOrderTime", TEXT, "", since=169),
    When(
        lambda v: bool(v.get("exchange") == "IBKRATS"),
        (Field("minTradeQty", INTEGER, None),),
        since=170,
    ),
    When(
        _pegged_to_best,
        (Field("minCompeteSize", INTEGER, None), Field("competeAgainstBestOffset", FLOAT, None)),
        since=170,
    ),
    When(
        _offsets_follow,
        (Field("midOffsetAtWhole", FLOAT, None), Field("midOffsetAtHalf", FLOAT, None)),
        since=170,
    ),
)

PLACE_ORDER = Message(
    3,
    "placeOrder",
    (
        Field("orderId", INTEGER),
        *CONTRACT_12,
        Field("secIdType", TEXT, ""),
        Field("secId", TEXT, ""),
        *_BASIC,
        When(is_combination, legs_and_prices()),
        *_ROUTING,
        *_LATER,
    ),
)
