"""The kill switch as a file: while it is there, nothing new is sent."""

from pathlib import Path

READ_CHARACTERS = 200


class Latch:
    """Looks at the file; remembers only whether it was there the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was_down = False

    def reason(self) -> str | None:
        """Why nothing may be sent: what the file says; None when there is no file.

        A file that is there and cannot be read stops the firm all the same.
        """
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                said = file.read(READ_CHARACTERS).strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            said = f"the latch file cannot be read ({error.strerror})"
        return f"halted: {said or 'the kill switch is down'}"

    def has_come_down(self) -> str | None:
        """The reason, the first time it is looked at after the file has appeared."""
        reason = self.reason()
        news = reason if not self._was_down else None
        self._was_down = reason is not None
        return news
