"""What must be well at the broker before new risk is opened. What only reduces passes."""

from typing import ClassVar

from firm.events.orders import Proposed
from firm.risk.book import Book


class OpenGate:
    """Orders can be sent: whoever opens now must be able to get out."""

    name: ClassVar[str] = "gate"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        if book.shut is None or book.reduces(order):
            return None
        return f"gate: nothing new may be sent to the broker: {book.shut}"


class LiveData:
    """The quotes of the instrument, and of what it is written on, are live."""

    name: ClassVar[str] = "data"

    def objection(self, order: Proposed, book: Book) -> str | None:
        """See Rule."""
        priced_by = (order.instrument, book.instruments[order.instrument].underlying)
        dull = next((index for index in priced_by if index in book.not_live), None)
        if dull is None or book.reduces(order):
            return None
        return f"data: {book.instruments[dull].symbol}: {book.not_live[dull]}"
