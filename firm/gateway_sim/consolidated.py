"""A tape on which instruments with venues of their own show the best of them: bid, offer and prints. Pure.

The best bid is the highest any venue shows, with the sizes of all that show it; the best offer likewise. What
a venue prints, the instrument prints. The instrument's own column of the tape is not used.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from firm.domain.session import Sessions
from firm.exchange import Venue
from firm.tape.tape import PRINT, QUOTE, Frame, Frames, Tape

Row = tuple[float, float, float, float]
NOTHING: Row = (0.0, 0.0, 0.0, 0.0)


def consolidated(tape: Tape, venues: Mapping[int, tuple[Venue, ...]]) -> Tape:
    """`tape` with the consolidated rows of the instruments whose venues have feeds; the same if none has."""
    fed = {i: tuple(v.feed for v in vs) for i, vs in venues.items() if any(v.feed >= 0 for v in vs)}
    if not fed:
        return tape
    last: dict[int, Row] = {}
    session = -1
    quotes: list[tuple[int, NDArray[np.void]]] = []
    prints: list[tuple[int, NDArray[np.void]]] = []
    for frame in tape.frames:
        now = _session(tape.sessions, frame.at)
        if now != session:
            session, last = now, {}
        quotes.append((frame.at, _quotes(frame, fed, last)))
        prints.append((frame.at, _prints(frame, fed)))
    return replace(
        tape,
        label=f"{tape.label}; {len(fed)} consolidated from their venues",
        frames=Frames(*_flat(quotes, QUOTE), *_flat(prints, PRINT)),
    )


def best(rows: list[Row]) -> Row:
    """Best bid and offer of the venues' (bid, ask, bid size, ask size), with all that is shown there."""
    bids = [(bid, size) for bid, _, size, _ in rows if bid > 0 and size > 0]
    asks = [(ask, size) for _, ask, _, size in rows if ask > 0 and size > 0]
    bid = max((price for price, _ in bids), default=0.0)
    ask = min((price for price, _ in asks), default=0.0)
    shown = (
        sum(size for price, size in bids if price == bid),
        sum(size for price, size in asks if price == ask),
    )
    return bid, ask, *shown


def _quotes(frame: Frame, fed: Mapping[int, tuple[int, ...]], last: dict[int, Row]) -> NDArray[np.void]:
    """The rows of the frame with those of the owners of its feeds; `last` is brought up to date."""
    rows = [row for row in frame.quotes.tolist() if row[0] not in fed]
    last.update({row[0]: row[1:] for row in rows})
    quoted = {row[0] for row in rows}
    for owner, feeds in fed.items():
        if not quoted.isdisjoint(feeds):
            rows.append((owner, *best([last.get(feed, NOTHING) for feed in feeds])))
    return np.array(rows, dtype=QUOTE)


def _prints(frame: Frame, fed: Mapping[int, tuple[int, ...]]) -> NDArray[np.void]:
    owner = {feed: i for i, feeds in fed.items() for feed in feeds}
    rows = [row for row in frame.prints.tolist() if row[0] not in fed]
    return np.array(rows + [(owner[i], p, s) for i, p, s in rows if i in owner], dtype=PRINT)


def _flat(
    chunks: list[tuple[int, NDArray[np.void]]], dtype: np.dtype[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    times = np.repeat(np.array([at for at, _ in chunks], dtype=np.int64), [len(rows) for _, rows in chunks])
    return times, np.concatenate([np.empty(0, dtype=dtype), *(rows for _, rows in chunks)])


def _session(sessions: Sessions, at: int) -> int:
    return int(np.searchsorted(np.array(sessions.opens, dtype=np.int64), at, side="right"))
