"""What the broker's side must not forget when its process dies, and what the log does not hold: a small file.

Order ids: a gateway that restarts may hand out ids again that it gave away before it had stored them. So no
id up to the mark is ever used again, whatever the gateway says is next.

Historical requests: their limits span ten minutes, and a restart takes one.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from firm.broker.history_rules import HistoryRequest
from firm.errors import GatewayError

RESERVE: Final = 1000


class Notebook:
    """One file for one run directory; every change is on the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        """Read what is there; GatewayError if it is not a notebook, since ids cannot be trusted then."""
        self._path = path
        self._marks: dict[str, int] = {}
        self.history: tuple[HistoryRequest, ...] = ()
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._marks = {str(client): int(mark) for client, mark in content["order_ids"].items()}
            self.history = tuple(HistoryRequest(*request) for request in content["history"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GatewayError(
                f"the order ids that were used were needed from {path}, found it unreadable ({error!r}). "
                "If it is damaged, remove it once the gateway has been restarted and shows no open orders."
            ) from error

    def mark(self, client_id: int) -> int:
        """No order id up to this one may be used again by the client."""
        return self._marks.get(str(client_id), 0)

    def reserve(self, client_id: int, order_id: int) -> int:
        """Reserve ids from `order_id` on; the last one reserved, so that not every order writes the file."""
        mark = self._marks[str(client_id)] = order_id + RESERVE - 1
        self._write()
        return mark

    def asked(self, history: Sequence[HistoryRequest]) -> None:
        """The historical requests of the last ten minutes."""
        self.history = tuple(history)
        self._write()

    def _write(self) -> None:
        content = {"order_ids": self._marks, "history": [list(request) for request in self.history]}
        draft = self._path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
