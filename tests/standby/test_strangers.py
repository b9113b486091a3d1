"""Who has not proved that he knows the token gets neither time nor room at the standby."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest
from copying import Start, lead, records, until

from firm.standby import server
from firm.standby.wire import NONCE_BYTES, notice_silence, notice_undelivered
from firm.store.keys import Keys


def is_hung_up_on(stranger: socket.socket) -> bool:
    """Read to the end; False if it is still open after the socket's timeout."""
    try:
        while stranger.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def test_a_stranger_that_says_a_byte_at_a_time_is_given_no_longer_than_one_that_is_silent(
    standby: Start, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "HELLO_WITHIN_S", 0.5)
    copy, pause = standby(), threading.Event()
    began, dripped = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", copy.port), timeout=0.05) as stranger:
        stranger.sendall(os.urandom(NONCE_BYTES) + (60_000).to_bytes(4, "big"))
        while not is_hung_up_on(stranger) and time.monotonic() - began < 20:
            try:
                stranger.sendall(b"x")
            except ConnectionError:
                break
            dripped += 1
            pause.wait(0.05)

    assert dripped > 1
    assert time.monotonic() - began < 20
    until(lambda: not copy.server._connections)


def test_more_strangers_than_allowed_are_hung_up_on_at_once_and_a_leader_is_not_disturbed(
    tmp_path: Path, keys: Keys, standby: Start, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "STRANGERS_MAX", 3)
    copy = standby()
    store = lead(tmp_path / "run", keys, copy.port)
    strangers = [socket.create_connection(("127.0.0.1", copy.port), timeout=5) for _ in range(3)]
    until(lambda: len(copy.server._connections) == 4)
    with socket.create_connection(("127.0.0.1", copy.port), timeout=5) as one_more:
        assert one_more.recv(1) == b""

    store.commit(records(1, 5))
    assert store._link.acknowledged == 5
    for stranger in strangers:
        stranger.close()
    until(lambda: len(copy.server._connections) == 1)
    store.close()
    lead(tmp_path / "run", keys, copy.port).close()


def test_a_host_that_is_gone_is_noticed_after_25_s_whether_or_not_something_is_on_its_way_to_it():
    with socket.socket() as connection:
        notice_silence(connection)
        notice_undelivered(connection)
        idle, every, probes, undelivered = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )

    assert idle + every * probes == 25
    assert undelivered == 25_000
