"""Rows that several messages share: contracts, combination legs, conditions."""

from collections.abc import Mapping
from typing import Any

from firm.gateway_sim.codec.kinds import BOOL, FLOAT, FLOAT_MAX, INTEGER, TEXT, Kind
from firm.gateway_sim.codec.table import Count, Field, Row, When

# Contracts as clients name them: `C12` of the reference.
CONTRACT_12: tuple[Row, ...] = (
    Field("conId", INTEGER, 0),
    Field("symbol", TEXT, ""),
    Field("secType", TEXT, ""),
    Field("lastTradeDate", TEXT, ""),
    Field("strike", FLOAT, None),
    Field("right", TEXT, ""),
    Field("multiplier", TEXT, ""),
    Field("exchange", TEXT, ""),
    Field("primaryExchange", TEXT, ""),
    Field("currency", TEXT, ""),
    Field("localSymbol", TEXT, ""),
    Field("tradingClass", TEXT, ""),
)

# Contracts as the gateway names them: `X11` of the reference.
CONTRACT_11: tuple[Row, ...] = (
    Field("conId", INTEGER),
    Field("symbol", TEXT),
    Field("secType", TEXT),
    Field("lastTradeDate", TEXT, ""),
    Field("strike", FLOAT, 0.0),
    Field("right", TEXT, ""),
    Field("multiplier", TEXT, ""),
    Field("exchange", TEXT),
    Field("currency", TEXT),
    Field("localSymbol", TEXT),
    Field("tradingClass", TEXT),
)


def is_combination(values: Mapping[str, Any]) -> bool:
    """Whether the contract is a combination, which brings its legs along."""
    return bool(values["secType"] == "BAG")


SHORT_LEGS = When(
    is_combination,
    (
        Count(
            "comboLegs",
            (
                Field("legConId", INTEGER),
                Field("ratio", INTEGER),
                Field("action", TEXT),
                Field("legExchange", TEXT),
            ),
            INTEGER,
        ),
    ),
)

FULL_LEG: tuple[Row, ...] = (
    Field("legConId", INTEGER),
    Field("ratio", INTEGER),
    Field("action", TEXT),
    Field("legExchange", TEXT),
    Field("legOpenClose", INTEGER, 0),
    Field("legShortSaleSlot", INTEGER, 0),
    Field("legDesignatedLocation", TEXT, ""),
    Field("legExemptCode", INTEGER, -1),
)

TAG_VALUES: tuple[Row, ...] = (Field("tag", TEXT), Field("value", TEXT))


def legs_and_prices() -> tuple[Row, ...]:
    """Combination legs, the prices of the legs, and the routing parameters, each counted."""
    return (
        Count("comboLegs", FULL_LEG, INTEGER),
        Count("orderComboLegs", (Field("legPrice", FLOAT, None),), INTEGER),
        Count("smartComboRoutingParams", TAG_VALUES, INTEGER),
    )


def flagged(name: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """A truth value, and `rows` if it is true."""
    return (Field(name, BOOL, default=False), When(lambda values: bool(values.get(name)), rows))


def delta_neutral_contract() -> tuple[Row, ...]:
    """The hedging contract some option orders carry."""
    return flagged(
        "deltaNeutralContract",
        (Field("dncConId", INTEGER), Field("dncDelta", FLOAT), Field("dncPrice", FLOAT)),
    )


def algo() -> tuple[Row, ...]:
    """The algorithm's name and, if there is one, its parameters."""
    return (
        Field("algoStrategy", TEXT, ""),
        When(lambda v: bool(v.get("algoStrategy")), (Count("algoParams", TAG_VALUES, INTEGER),)),
    )


def hedge() -> tuple[Row, ...]:
    """The hedge's type and, if there is one, its parameter."""
    return (
        Field("hedgeType", TEXT, ""),
        When(lambda v: bool(v.get("hedgeType")), (Field("hedgeParam", TEXT, ""),)),
    )


def scale_levels(number: Kind) -> tuple[Row, ...]:
    """Scale order levels; seven more fields if there is an increment."""
    return (
        Field("scaleInitLevelSize", number, None),
        Field("scaleSubsLevelSize", number, None),
        Field("scalePriceIncrement", FLOAT_MAX if number.write(None) else FLOAT, None),
        When(
            lambda v: (v.get("scalePriceIncrement") or 0) > 0,
            (
                Field("scalePriceAdjustValue", FLOAT, None),
                Field("scalePriceAdjustInterval", INTEGER, None),
                Field("scaleProfitOffset", FLOAT, None),
                Field("scaleAutoReset", BOOL, default=False),
                Field("scaleInitPosition", INTEGER, None),
                Field("scaleInitFillQty", INTEGER, None),
                Field("scaleRandomPercent", BOOL, default=False),
            ),
        ),
    )


def is_pegged_to_benchmark(values: Mapping[str, Any]) -> bool:
    """Order types with a reference contract."""
    return values.get("orderType") in {"PEG BENCH", "PEGBENCH"}


PEGGED_TO_BENCHMARK = When(
    is_pegged_to_benchmark,
    (
        Field("referenceContractId", INTEGER, 0),
        Field("isPeggedChangeAmountDecrease", BOOL, default=False),
        Field("peggedChangeAmount", FLOAT, 0.0),
        Field("referenceChangeAmount", FLOAT, 0.0),
        Field("referenceExchangeId", TEXT, ""),
    ),
)


def _of_type(*types: int) -> Any:
    return lambda values: values["condType"] in types


_CONDITION: tuple[Row, ...] = (
    Field("condType", INTEGER),
    Field("conjunction", TEXT, "a"),
    When(_of_type(1, 3, 4, 6, 7), (Field("isMore", BOOL),)),
    When(_of_type(1), (Field("condPrice", FLOAT),)),
    When(_of_type(3), (Field("condTime", TEXT),)),
    When(_of_type(4), (Field("percent", INTEGER),)),
    When(_of_type(5), (Field("condSecType", TEXT), Field("condExchange", TEXT), Field("condSymbol", TEXT))),
    When(_of_type(6), (Field("condVolume", INTEGER),)),
    When(_of_type(7), (Field("changePercent", FLOAT),)),
    When(_of_type(1, 6, 7), (Field("condConId", INTEGER), Field("condExchange", TEXT))),
    When(_of_type(1), (Field("condTriggerMethod", INTEGER),)),
)


def conditions() -> tuple[Row, ...]:
    """Conditions on which an order waits, each of one of six types."""
    return (
        Count("conditions", _CONDITION, INTEGER),
        When(
            lambda v: bool(v.get("conditions")),
            (
                Field("conditionsIgnoreRth", BOOL, default=False),
                Field("conditionsCancelOrder", BOOL, default=False),
            ),
        ),
    )
