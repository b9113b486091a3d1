"""Whether an order can only bring a position nearer to zero. Pure."""

from firm.broker.ib_session import IbSession
from firm.domain.position import ZERO
from firm.events.orders import Child


def reduces(session: IbSession, child: Child) -> bool:
    """Whether the child, with all that already works on its side, stays within what is held the other way."""
    held = session.positions.booked(child.instrument, session.fills.positions)
    if held * child.side.sign >= 0:
        return False
    working = sum(
        (
            other.order.quantity - session.fills.filled(other.seq)
            for other in session.children.live()
            if (other.order.instrument, other.order.side) == (child.instrument, child.side)
        ),
        start=ZERO,
    )
    return working + child.quantity <= abs(held)
