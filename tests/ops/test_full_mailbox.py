"""A mailbox that nobody empties: the next wish is refused with the reason, a kill never is."""

from pathlib import Path

import pytest

from firm.errors import FirmError
from firm.ops import wishes
from firm.ops.latch import read_latch
from firm.ops.mailbox import Mailbox
from firm.ops.wishes import MAILBOX, request_kill, request_stop


def test_a_wish_too_many_is_refused_and_a_kill_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wishes, "WAITING_MAX", 3)
    mailbox = Mailbox(tmp_path)
    for number in range(3):
        request_stop(tmp_path, f"reason {number}")

    with pytest.raises(FirmError, match="found 3 wishes waiting: the firm does not take them"):
        request_stop(tmp_path, "one too many")
    request_kill(tmp_path, "enough")

    assert len(list((tmp_path / MAILBOX).glob("*.json"))) == 3
    latch = read_latch(tmp_path)
    assert latch is not None
    assert latch.reason == "enough"
    assert len(mailbox.take(None)) == 4  # the halt, and the three that wait
    mailbox.done("enough")
    request_stop(tmp_path, "there is room again")
