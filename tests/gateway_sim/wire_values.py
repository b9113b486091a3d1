"""Values for the fields of any message: random ones of the right kind, or ones that could be meant."""

from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import strategies as st

from firm.gateway_sim.codec.table import Count, Field, Rest, Row, When

Values: TypeAlias = dict[str, st.SearchStrategy[Any]]  # by the name of a field, else by its kind
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
ANY: Values = {
    "int": st.none() | st.integers(-(2**31) + 1, 2**31 - 2),
    "float": st.none() | st.floats(-1e12, 1e12),
    "decimal": st.none() | st.decimals(-(10**9), 10**9, places=4),
    "bool": st.booleans(),
    "text": TEXTS,
    "escaped": TEXTS,
}

# What a client could mean, or what looks like it: requests with such values get past the first checks.
TIMES = ("", "20240103 10:00:00 UTC", "00010101-00:00:00", "99991231 23:59:59 US/Eastern", "09:30:00", "noon")
WORDS: dict[str, tuple[str, ...]] = {
    "text": (
        "",
        "AAA",
        "BBB",
        "OPT",
        "C",
        "20240119",
        "All",
        "DU1",
        "SIM",
        "225,292",
        "0.1",
        "x" * 3000,
        *TIMES,
    ),
    "barSize": ("1 secs", "1 min", "2 hours", "1 day", "1 week", "1 month", "1 year"),
    "duration": ("1 S", "1 D", "0 D", "9 W", "100000 D", "100000 M", "100000 Y", "1 X"),
    "whatToShow": ("TRADES", "MIDPOINT", "BID", "BID_ASK", "ADJUSTED_LAST"),
    "tickType": ("Last", "AllLast", "BidAsk", "MidPoint"),
    "tags": ("NetLiquidation", "$LEDGER:ALL", ""),
    "action": ("BUY", "SELL", "HOLD"),
    "orderType": ("MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MOC", "LOC", "PEG"),
    "tif": ("", "DAY", "GTC", "GTD", "IOC", "FOK", "OPG"),
    "algoStrategy": ("", "", "Twap", "Vwap", "Adaptive"),
    "tag": ("startTime", "endTime", "maxPctVol", "adaptivePriority", "allowPastEndTime"),
    **dict.fromkeys(
        ("endDateTime", "startDateTime", "goodTillDate", "goodAfterTime", "condTime", "time"), TIMES
    ),
}
NUMBERS = (None, 0, 1, 100, -1)
PLAUSIBLE: Values = {
    "int": st.sampled_from([*NUMBERS, 2, 3, 1000, 2**31 - 2]),
    "float": st.sampled_from([*NUMBERS, 0.3, 1e-300, 1e300]),
    "decimal": st.sampled_from([None if n is None else Decimal(n) for n in (*NUMBERS, 10**9)]),
    "bool": st.booleans(),
    **{name: st.sampled_from(words) for name, words in WORDS.items()},
}


def values_for(
    draw: Any, rows: tuple[Row, ...], version: int, values: dict[str, Any], of: Values = ANY
) -> dict[str, Any]:
    """Values for exactly the fields this version of the message has, of their kinds."""
    for row in rows:
        match row:
            case Field(name=name, kind=kind):
                if row.spoken(version):
                    values[name] = draw(of.get(name, of[kind.name]))
                    if name == "condType":
                        values[name] = draw(st.sampled_from([1, 3, 4, 5, 6, 7]))
            case Count(name=name, rows=group):
                size = draw(st.integers(0, 3))
                values[name] = [values_for(draw, group, version, {}, of) for _ in range(size)]
            case When(test=test, rows=group, since=since):
                if version >= since and test(values):
                    values_for(draw, group, version, values, of)
            case Rest(name=name, most=most):
                values[name] = draw(st.lists(of["text"], max_size=min(most, 3)))
    return values
