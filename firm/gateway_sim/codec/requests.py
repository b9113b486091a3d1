"""Every request a client can send, by message number."""

from firm.gateway_sim.codec.groups import CONTRACT_12, SHORT_LEGS, delta_neutral_contract
from firm.gateway_sim.codec.kinds import BOOL, FLOAT, INTEGER, TEXT
from firm.gateway_sim.codec.place_order import PLACE_ORDER
from firm.gateway_sim.codec.table import Field, Message, Rest, Row

REQ_ID = Field("reqId", INTEGER)


def _version(number: int) -> Field:
    return Field("version", INTEGER, number)


def _plain(number: int, name: str, version: int) -> Message:
    return Message(number, name, (_version(version),))


def _cancel(number: int, name: str, version: int) -> Message:
    return Message(number, name, (_version(version), REQ_ID))


_ACCOUNT_AND_MODEL: tuple[Row, ...] = (Field("account", TEXT, ""), Field("modelCode", TEXT, ""))

SERVED = (
    Message(
        1,
        "reqMktData",
        (
            _version(11),
            REQ_ID,
            *CONTRACT_12,
            SHORT_LEGS,
            *delta_neutral_contract(),
            Field("genericTicks", TEXT, ""),
            Field("snapshot", BOOL, default=False),
            Field("regulatorySnapshot", BOOL, default=False),
            Field("options", TEXT, ""),
        ),
    ),
    _cancel(2, "cancelMktData", 2),
    PLACE_ORDER,
    Message(
        4,
        "cancelOrder",
        (_version(1), Field("orderId", INTEGER), Field("manualCancelOrderTime", TEXT, "", since=169)),
    ),
    _plain(5, "reqOpenOrders", 1),
    Message(
        6,
        "reqAccountUpdates",
        (_version(2), Field("subscribe", BOOL, default=True), Field("account", TEXT, "")),
    ),
    Message(
        7,
        "reqExecutions",
        (
            _version(3),
            REQ_ID,
            Field("clientId", INTEGER, 0),
            Field("account", TEXT, ""),
            Field("time", TEXT, ""),
            Field("symbol", TEXT, ""),
            Field("secType", TEXT, ""),
            Field("exchange", TEXT, ""),
            Field("side", TEXT, ""),
        ),
    ),
    Message(8, "reqIds", (_version(1), Field("count", INTEGER, 1))),
    Message(
        9,
        "reqContractDetails",
        (
            _version(8),
            REQ_ID,
            *CONTRACT_12,
            Field("includeExpired", BOOL, default=False),
            Field("secIdType", TEXT, ""),
            Field("secId", TEXT, ""),
            Field("issuerId", TEXT, "", since=176),
        ),
    ),
    Message(15, "reqAutoOpenOrders", (_version(1), Field("bind", BOOL, default=True))),
    _plain(16, "reqAllOpenOrders", 1),
    _plain(17, "reqManagedAccts", 1),
    Message(
        20,
        "reqHistoricalData",
        (
            REQ_ID,
            *CONTRACT_12,
            Field("includeExpired", BOOL, default=False),
            Field("endDateTime", TEXT, ""),
            Field("barSize", TEXT),
            Field("duration", TEXT),
            Field("useRTH", BOOL, default=True),
            Field("whatToShow", TEXT),
            Field("formatDate", INTEGER, 1),
            SHORT_LEGS,
            Field("keepUpToDate", BOOL, default=False),
            Field("options", TEXT, ""),
        ),
    ),
    _cancel(25, "cancelHistoricalData", 1),
    _plain(49, "reqCurrentTime", 1),
    Message(
        50,
        "reqRealTimeBars",
        (
            _version(3),
            REQ_ID,
            *CONTRACT_12,
            Field("barSize", INTEGER, 5),
            Field("whatToShow", TEXT),
            Field("useRTH", BOOL, default=True),
            Field("options", TEXT, ""),
        ),
    ),
    _cancel(51, "cancelRealTimeBars", 1),
    _plain(58, "reqGlobalCancel", 1),
    Message(59, "reqMarketDataType", (_version(1), Field("type", INTEGER))),
    _plain(61, "reqPositions", 1),
    Message(62, "reqAccountSummary", (_version(1), REQ_ID, Field("group", TEXT, "All"), Field("tags", TEXT))),
    _cancel(63, "cancelAccountSummary", 1),
    _plain(64, "cancelPositions", 1),
    Message(
        71, "startApi", (_version(2), Field("clientId", INTEGER), Field("optionalCapabilities", TEXT, ""))
    ),
    Message(74, "reqPositionsMulti", (_version(1), REQ_ID, *_ACCOUNT_AND_MODEL)),
    _cancel(75, "cancelPositionsMulti", 1),
    Message(
        76,
        "reqAccountUpdatesMulti",
        (_version(1), REQ_ID, *_ACCOUNT_AND_MODEL, Field("ledgerAndNLV", BOOL, default=False)),
    ),
    _cancel(77, "cancelAccountUpdatesMulti", 1),
    Message(81, "reqMatchingSymbols", (REQ_ID, Field("pattern", TEXT))),
    Message(
        87,
        "reqHeadTimeStamp",
        (
            REQ_ID,
            *CONTRACT_12,
            Field("includeExpired", BOOL, default=False),
            Field("useRTH", BOOL, default=True),
            Field("whatToShow", TEXT),
            Field("formatDate", INTEGER, 1),
        ),
    ),
    Message(90, "cancelHeadTimeStamp", (REQ_ID,)),
    Message(91, "reqMarketRule", (Field("ruleId", INTEGER),)),
    Message(92, "reqPnL", (REQ_ID, *_ACCOUNT_AND_MODEL)),
    Message(93, "cancelPnL", (REQ_ID,)),
    Message(94, "reqPnLSingle", (REQ_ID, *_ACCOUNT_AND_MODEL, Field("conId", INTEGER))),
    Message(95, "cancelPnLSingle", (REQ_ID,)),
    Message(
        97,
        "reqTickByTickData",
        (
            REQ_ID,
            *CONTRACT_12,
            Field("tickType", TEXT),
            Field("numberOfTicks", INTEGER, 0),
            Field("ignoreSize", BOOL, default=False),
        ),
    ),
    Message(98, "cancelTickByTickData", (REQ_ID,)),
    Message(99, "reqCompletedOrders", (Field("apiOnly", BOOL, default=False),)),
)


def _refused(number: int, name: str, *before: Field) -> Message:
    return Message(number, name, (*before, Rest()))


def _computation(number: int, name: str, given: str) -> Message:
    rows = (
        _version(3),
        REQ_ID,
        *CONTRACT_12,
        Field(given, FLOAT, None),
        Field("underPrice", FLOAT, None),
        Rest("options", most=2),  # some clients count them first, and some do not
    )
    return Message(number, name, rows)


# Recognised, so that the request they name can be answered with an error or an empty end.
NOT_SERVED = (
    _refused(14, "setServerLogLevel"),
    _refused(21, "exerciseOptions", _version(2), REQ_ID),
    _refused(67, "queryDisplayGroups", _version(1), REQ_ID),
    _refused(68, "subscribeToGroupEvents", _version(1), REQ_ID),
    _refused(69, "updateDisplayGroup", _version(1), REQ_ID),
    _refused(70, "unsubscribeFromGroupEvents", _version(1), REQ_ID),
    _refused(79, "reqSoftDollarTiers", REQ_ID),
    _refused(80, "reqFamilyCodes"),
    _refused(88, "reqHistogramData", REQ_ID),
    _refused(89, "cancelHistogramData", REQ_ID),
    _refused(100, "reqWshMetaData", REQ_ID),
    _refused(101, "cancelWshMetaData", REQ_ID),
    _refused(102, "reqWshEventData", REQ_ID),
    _refused(103, "cancelWshEventData", REQ_ID),
    _refused(104, "reqUserInfo", REQ_ID),
)

REFERENCE = (
    Message(
        10,
        "reqMktDepth",
        (
            _version(5),
            REQ_ID,
            *CONTRACT_12,
            Field("rows", INTEGER, 1),
            Field("smartDepth", BOOL, default=False),
            Field("options", TEXT, ""),
        ),
    ),
    Message(11, "cancelMktDepth", (_version(1), REQ_ID, Field("smartDepth", BOOL, default=False))),
    Message(12, "reqNewsBulletins", (_version(1), Field("allMessages", BOOL, default=False))),
    _plain(13, "cancelNewsBulletins", 1),
    Message(18, "requestFA", (_version(1), Field("faDataType", INTEGER, 1))),
    Message(19, "replaceFA", (_version(1), Field("faDataType", INTEGER, 1), Field("xml", TEXT, ""), REQ_ID)),
    _refused(22, "reqScannerSubscription", REQ_ID),
    _cancel(23, "cancelScannerSubscription", 1),
    _plain(24, "reqScannerParameters", 1),
    _refused(52, "reqFundamentalData", _version(2), REQ_ID),
    _cancel(53, "cancelFundamentalData", 1),
    _computation(54, "calculateImpliedVolatility", "optionPrice"),
    _computation(55, "calculateOptionPrice", "volatility"),
    _cancel(56, "cancelCalculateImpliedVolatility", 1),
    _cancel(57, "cancelCalculateOptionPrice", 1),
    Message(
        78,
        "reqSecDefOptParams",
        (
            REQ_ID,
            Field("symbol", TEXT, ""),
            Field("futFopExchange", TEXT, ""),
            Field("secType", TEXT, ""),
            Field("conId", INTEGER, 0),
        ),
    ),
    Message(82, "reqMktDepthExchanges"),
    Message(83, "reqSmartComponents", (REQ_ID, Field("bboExchange", TEXT, ""))),
    Message(
        84,
        "reqNewsArticle",
        (REQ_ID, Field("providerCode", TEXT, ""), Field("articleId", TEXT, ""), Field("options", TEXT, "")),
    ),
    Message(85, "reqNewsProviders"),
    Message(
        86,
        "reqHistoricalNews",
        (
            REQ_ID,
            Field("conId", INTEGER),
            Field("providerCodes", TEXT, ""),
            Field("startDateTime", TEXT, ""),
            Field("endDateTime", TEXT, ""),
            Field("totalResults", INTEGER, 0),
            Field("options", TEXT, ""),
        ),
    ),
    Message(
        96,
        "reqHistoricalTicks",
        (
            REQ_ID,
            *CONTRACT_12,
            Field("includeExpired", BOOL, default=False),
            Field("startDateTime", TEXT, ""),
            Field("endDateTime", TEXT, ""),
            Field("numberOfTicks", INTEGER),
            Field("whatToShow", TEXT),
            Field("useRth", BOOL, default=True),
            Field("ignoreSize", BOOL, default=False),
            Field("options", TEXT, ""),
        ),
    ),
)

REQUESTS: dict[int, Message] = {message.id: message for message in (*SERVED, *REFERENCE, *NOT_SERVED)}
