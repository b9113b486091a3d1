"""Every message the gateway sends, by name."""

from firm.gateway_sim.codec.groups import CONTRACT_11, TAG_VALUES
from firm.gateway_sim.codec.kinds import (
    BOOL,
    DECIMAL,
    ESCAPED,
    FLOAT,
    FLOAT_MAX,
    INTEGER,
    TEXT,
)
from firm.gateway_sim.codec.order_replies import COMPLETED_ORDER, OPEN_ORDER
from firm.gateway_sim.codec.reference_replies import REFERENCE_REPLIES
from firm.gateway_sim.codec.table import Count, Field, Message, Row

REQ_ID = Field("reqId", INTEGER)


def _version(number: int) -> Field:
    return Field("version", INTEGER, number)


def _end(number: int, name: str) -> Message:
    return Message(number, name, (_version(1), REQ_ID))


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, TEXT) for name in names)


def _floats(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, FLOAT_MAX) for name in names)


_BAR: tuple[Row, ...] = (
    Field("date", TEXT),
    *_floats("open", "high", "low", "close"),
    Field("volume", DECIMAL),
    Field("average", FLOAT),
    Field("count", INTEGER),
)

_CONTRACT_DETAILS: tuple[Row, ...] = (
    Field("version", INTEGER, 8, until=164),
    REQ_ID,
    *_texts("symbol", "secType"),
    Field("lastTradeDate", TEXT, ""),
    Field("strike", FLOAT, 0.0),
    Field("right", TEXT, ""),
    *_texts("exchange", "currency", "localSymbol", "marketName", "tradingClass"),
    Field("conId", INTEGER),
    Field("minTick", FLOAT),
    Field("mdSizeMultiplier", INTEGER, 100, until=164),
    Field("multiplier", TEXT, ""),
    *_texts("orderTypes", "validExchanges"),
    Field("priceMagnifier", INTEGER, 1),
    Field("underConId", INTEGER, 0),
    Field("longName", ESCAPED),
    Field("primaryExchange", TEXT),
    Field("contractMonth", TEXT, ""),
    Field("industry", TEXT, ""),
    Field("category", TEXT, ""),
    Field("subcategory", TEXT, ""),
    *_texts("timeZoneId", "tradingHours", "liquidHours"),
    Field("evRule", TEXT, ""),
    Field("evMultiplier", INTEGER, 0),
    Count("secIds", TAG_VALUES, INTEGER),
    Field("aggGroup", INTEGER, 1),
    Field("underSymbol", TEXT, ""),
    Field("underSecType", TEXT, ""),
    Field("marketRuleIds", TEXT),
    Field("realExpirationDate", TEXT, ""),
    Field("stockType", TEXT, "COMMON"),
    Field("suggestedSizeIncrement163", DECIMAL, 100, since=163, until=164),
    Field("minSize", DECIMAL, since=164),
    Field("sizeIncrement", DECIMAL, since=164),
    Field("suggestedSizeIncrement", DECIMAL, since=164),
)

_EXECUTION: tuple[Row, ...] = (
    REQ_ID,
    Field("orderId", INTEGER),
    *CONTRACT_11,
    *_texts("execId", "time", "account", "execExchange", "side"),
    Field("shares", DECIMAL),
    Field("price", DECIMAL),
    Field("permId", INTEGER),
    Field("clientId", INTEGER),
    Field("liquidation", INTEGER, 0),
    Field("cumQty", DECIMAL),
    Field("avgPrice", DECIMAL),
    Field("orderRef", TEXT),
    Field("evRule", TEXT, ""),
    Field("evMultiplier", FLOAT, None),
    Field("modelCode", TEXT, ""),
    Field("lastLiquidity", INTEGER),
    Field("pendingPriceRevision", BOOL, default=False, since=178),
)

_PORTFOLIO_CONTRACT: tuple[Row, ...] = tuple(
    Field("primaryExchange", TEXT) if isinstance(row, Field) and row.name == "exchange" else row
    for row in CONTRACT_11
)

TICK_PRICE = Message(
    1,
    "tickPrice",
    (
        _version(6),
        REQ_ID,
        Field("tickType", INTEGER),
        Field("price", FLOAT),
        Field("size", DECIMAL),
        Field("attributes", INTEGER, 0),
    ),
)

ALL = (
    TICK_PRICE,
    Message(
        2,
        "tickSize",
        (_version(6), REQ_ID, Field("tickType", INTEGER), Field("size", DECIMAL)),
    ),
    Message(
        3,
        "orderStatus",
        (
            Field("orderId", INTEGER),
            Field("status", TEXT),
            Field("filled", DECIMAL),
            Field("remaining", DECIMAL),
            Field("avgFillPrice", DECIMAL),
            Field("permId", INTEGER),
            Field("parentId", INTEGER, 0),
            Field("lastFillPrice", DECIMAL),
            Field("clientId", INTEGER),
            Field("whyHeld", TEXT, ""),
            Field("mktCapPrice", FLOAT, 0.0),
        ),
    ),
    Message(
        4,
        "error",
        (
            _version(2),
            REQ_ID,
            Field("code", INTEGER),
            Field("text", ESCAPED),
            Field("advancedOrderRejectJson", ESCAPED, "", since=166),
        ),
    ),
    OPEN_ORDER,
    Message(6, "updateAccountValue", (_version(2), *_texts("key", "value", "currency", "account"))),
    Message(
        7,
        "updatePortfolio",
        (
            _version(8),
            *_PORTFOLIO_CONTRACT,
            Field("position", DECIMAL),
            *_floats("marketPrice", "marketValue", "averageCost", "unrealizedPNL", "realizedPNL"),
            Field("account", TEXT),
        ),
    ),
    Message(8, "updateAccountTime", (_version(1), Field("time", TEXT))),
    Message(9, "nextValidId", (_version(1), Field("orderId", INTEGER))),
    Message(10, "contractDetails", _CONTRACT_DETAILS),
    Message(11, "execDetails", _EXECUTION),
    Message(15, "managedAccounts", (_version(1), Field("accounts", TEXT))),
    Message(17, "historicalData", (REQ_ID, *_texts("start", "end"), Count("bars", _BAR, INTEGER))),
    Message(45, "tickGeneric", (_version(6), REQ_ID, Field("tickType", INTEGER), Field("value", FLOAT))),
    Message(46, "tickString", (_version(6), REQ_ID, Field("tickType", INTEGER), Field("value", TEXT))),
    Message(49, "currentTime", (_version(1), Field("time", INTEGER))),
    Message(
        50,
        "realtimeBar",
        (
            _version(3),
            REQ_ID,
            Field("time", INTEGER),
            *_floats("open", "high", "low", "close"),
            Field("volume", DECIMAL),
            Field("wap", FLOAT),
            Field("count", INTEGER),
        ),
    ),
    _end(52, "contractDetailsEnd"),
    Message(53, "openOrderEnd", (_version(1),)),
    Message(54, "accountDownloadEnd", (_version(1), Field("account", TEXT))),
    _end(55, "execDetailsEnd"),
    _end(57, "tickSnapshotEnd"),
    Message(58, "marketDataType", (_version(1), REQ_ID, Field("type", INTEGER))),
    Message(
        59,
        "commissionReport",
        (
            _version(1),
            Field("execId", TEXT),
            Field("commission", DECIMAL),
            Field("currency", TEXT),
            *_floats("realizedPNL", "yield"),
            Field("yieldRedemptionDate", TEXT, ""),
        ),
    ),
    Message(
        61,
        "position",
        (
            _version(3),
            Field("account", TEXT),
            *CONTRACT_11,
            Field("position", DECIMAL),
            Field("averageCost", FLOAT),
        ),
    ),
    Message(62, "positionEnd", (_version(1),)),
    Message(63, "accountSummary", (_version(1), REQ_ID, *_texts("account", "tag", "value", "currency"))),
    _end(64, "accountSummaryEnd"),
    Message(
        71,
        "positionMulti",
        (
            _version(1),
            REQ_ID,
            Field("account", TEXT),
            *CONTRACT_11,
            Field("position", DECIMAL),
            Field("averageCost", FLOAT),
            Field("modelCode", TEXT, ""),
        ),
    ),
    _end(72, "positionMultiEnd"),
    Message(
        73,
        "accountUpdateMulti",
        (_version(1), REQ_ID, *_texts("account", "modelCode", "key", "value", "currency")),
    ),
    _end(74, "accountUpdateMultiEnd"),
    Message(76, "securityDefinitionOptionParameterEnd", (REQ_ID,)),
    Message(77, "softDollarTiers", (REQ_ID, Count("tiers", _texts("tier", "value", "shown"), INTEGER))),
    Message(78, "familyCodes", (Count("codes", _texts("account", "code"), INTEGER),)),
    Message(
        79,
        "symbolSamples",
        (
            REQ_ID,
            Count(
                "samples",
                (
                    Field("conId", INTEGER),
                    *_texts("symbol", "secType", "primaryExchange", "currency"),
                    Count("derivativeSecTypes", _texts("derivative"), INTEGER),
                    Field("description", TEXT, "", since=176),
                    Field("issuerId", TEXT, "", since=176),
                ),
                INTEGER,
            ),
        ),
    ),
    Message(
        81,
        "tickReqParams",
        (
            REQ_ID,
            Field("minTick", FLOAT),
            Field("bboExchange", TEXT),
            Field("snapshotPermissions", INTEGER),
        ),
    ),
    Message(85, "newsProviders", (Count("providers", _texts("code", "provider"), INTEGER),)),
    Message(88, "headTimestamp", (REQ_ID, Field("time", TEXT))),
    Message(
        90,
        "historicalDataUpdate",
        (
            REQ_ID,
            Field("count", INTEGER),
            Field("date", TEXT),
            *_floats("open", "close", "high", "low", "average"),
            Field("volume", DECIMAL),
        ),
    ),
    Message(
        93,
        "marketRule",
        (
            Field("ruleId", INTEGER),
            Count("increments", (Field("lowEdge", FLOAT), Field("increment", FLOAT)), INTEGER),
        ),
    ),
    Message(94, "pnl", (REQ_ID, *_floats("daily", "unrealized", "realized"))),
    Message(
        95,
        "pnlSingle",
        (REQ_ID, Field("position", DECIMAL), *_floats("daily", "unrealized", "realized", "value")),
    ),
    Message(
        99,
        "tickByTickBidAsk",
        (
            REQ_ID,
            Field("type", INTEGER, 3),
            Field("time", INTEGER),
            *_floats("bid", "ask"),
            Field("bidSize", DECIMAL),
            Field("askSize", DECIMAL),
            Field("mask", INTEGER, 0),
        ),
    ),
    Message(
        99,
        "tickByTickLast",
        (
            REQ_ID,
            Field("type", INTEGER),
            Field("time", INTEGER),
            Field("price", FLOAT),
            Field("size", DECIMAL),
            Field("mask", INTEGER, 0),
            Field("exchange", TEXT),
            Field("conditions", TEXT, ""),
        ),
    ),
    Message(
        99, "tickByTickMidPoint", (REQ_ID, Field("type", INTEGER, 4), Field("time", INTEGER), *_floats("mid"))
    ),
    COMPLETED_ORDER,
    Message(102, "completedOrdersEnd"),
    *REFERENCE_REPLIES,
    Message(107, "userInfo", (REQ_ID, Field("whiteBrandingId", TEXT, ""))),
)

REPLIES: dict[str, Message] = {message.name: message for message in ALL}
