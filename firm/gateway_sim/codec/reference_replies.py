"""The replies about option chains, market depth, past ticks, news and scanners."""

from firm.gateway_sim.codec.kinds import BOOL, DECIMAL, ESCAPED, FLOAT, FLOAT_MAX, INTEGER, TEXT
from firm.gateway_sim.codec.table import Count, Field, Message, Row

REQ_ID = Field("reqId", INTEGER)
_LEVEL: tuple[Row, ...] = (
    Field("operation", INTEGER),
    Field("side", INTEGER),
    Field("price", FLOAT),
    Field("size", DECIMAL),
)
_DONE = Field("done", BOOL, default=True)


def _version(number: int) -> Field:
    return Field("version", INTEGER, number)


REFERENCE_REPLIES = (
    Message(12, "updateMktDepth", (_version(1), REQ_ID, Field("position", INTEGER), *_LEVEL)),
    Message(
        13,
        "updateMktDepthL2",
        (
            _version(1),
            REQ_ID,
            Field("position", INTEGER),
            Field("marketMaker", TEXT),
            *_LEVEL,
            Field("isSmartDepth", BOOL, default=False),
        ),
    ),
    Message(
        14,
        "newsBulletins",
        (
            _version(1),
            Field("msgId", INTEGER),
            Field("msgType", INTEGER, 1),
            Field("text", ESCAPED),
            Field("exchange", TEXT, ""),
        ),
    ),
    Message(19, "scannerParameters", (_version(1), Field("xml", TEXT))),
    Message(20, "scannerData", (_version(3), REQ_ID, Count("rows", (Field("rank", INTEGER),), INTEGER))),
    Message(
        21,
        "tickOptionComputation",
        (
            REQ_ID,
            Field("tickType", INTEGER),
            Field("tickAttrib", INTEGER, 0),
            Field("impliedVol", FLOAT),
            Field("delta", FLOAT),
            Field("optPrice", FLOAT),
            Field("pvDividend", FLOAT, 0.0),
            Field("gamma", FLOAT),
            Field("vega", FLOAT),
            Field("theta", FLOAT),
            Field("undPrice", FLOAT),
        ),
    ),
    Message(
        75,
        "securityDefinitionOptionParameter",
        (
            REQ_ID,
            Field("exchange", TEXT),
            Field("underlyingConId", INTEGER),
            Field("tradingClass", TEXT),
            Field("multiplier", TEXT),
            Count("expirations", (Field("expiration", TEXT),), INTEGER),
            Count("strikes", (Field("strike", FLOAT),), INTEGER),
        ),
    ),
    Message(
        80,
        "mktDepthExchanges",
        (
            Count(
                "exchanges",
                (
                    Field("exchange", TEXT),
                    Field("secType", TEXT),
                    Field("listing", TEXT),
                    Field("service", TEXT),
                    Field("aggGroup", INTEGER),
                ),
                INTEGER,
            ),
        ),
    ),
    Message(
        82,
        "smartComponents",
        (
            REQ_ID,
            Count(
                "components",
                (Field("bit", INTEGER), Field("exchange", TEXT), Field("letter", TEXT)),
                INTEGER,
            ),
        ),
    ),
    Message(83, "newsArticle", (REQ_ID, Field("type", INTEGER), Field("text", TEXT))),
    Message(
        84,
        "tickNews",
        (
            REQ_ID,
            Field("time", INTEGER),
            Field("providerCode", TEXT),
            Field("articleId", TEXT),
            Field("headline", ESCAPED),
            Field("extraData", TEXT, ""),
        ),
    ),
    Message(
        86,
        "historicalNews",
        (
            REQ_ID,
            Field("time", TEXT),
            Field("providerCode", TEXT),
            Field("articleId", TEXT),
            Field("headline", ESCAPED),
        ),
    ),
    Message(87, "historicalNewsEnd", (REQ_ID, Field("hasMore", BOOL, default=False))),
    Message(
        96,
        "historicalTicks",
        (
            REQ_ID,
            Count(
                "ticks",
                (
                    Field("time", INTEGER),
                    Field("unused", INTEGER, 0),
                    Field("price", FLOAT_MAX),
                    Field("size", DECIMAL),
                ),
                INTEGER,
            ),
            _DONE,
        ),
    ),
    Message(
        97,
        "historicalTicksBidAsk",
        (
            REQ_ID,
            Count(
                "ticks",
                (
                    Field("time", INTEGER),
                    Field("mask", INTEGER, 0),
                    Field("priceBid", FLOAT_MAX),
                    Field("priceAsk", FLOAT_MAX),
                    Field("sizeBid", DECIMAL),
                    Field("sizeAsk", DECIMAL),
                ),
                INTEGER,
            ),
            _DONE,
        ),
    ),
    Message(
        98,
        "historicalTicksLast",
        (
            REQ_ID,
            Count(
                "ticks",
                (
                    Field("time", INTEGER),
                    Field("mask", INTEGER, 0),
                    Field("price", FLOAT_MAX),
                    Field("size", DECIMAL),
                    Field("exchange", TEXT, "ISLAND"),
                    Field("conditions", TEXT, ""),
                ),
                INTEGER,
            ),
            _DONE,
        ),
    ),
)
