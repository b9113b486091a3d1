"""Interruptions by the clock: nightly restart, daily reset, weekly logout."""

from decimal import Decimal

import pytest

from firm.errors import ConfigError
from firm.gateway_sim.schedule import Scenario, parse_scenario
from firm.gateway_sim.times import parse_time
from tests.gateway_sim.tcp_world import TcpClient, tcp_gateway
from tests.gateway_sim.wire_world import CLOSE, DAY, MINUTE, OPEN

MIDNIGHT = parse_time("20240103 00:00:00 US/Eastern")


def test_a_scenario_is_read_and_nonsense_is_refused():
    assert parse_scenario("restart@23:45") == Scenario("restart", 23, 45, None, 2)
    assert parse_scenario("reset@00:15+45") == Scenario("reset", 0, 15, None, 45)
    assert parse_scenario("logout@Sun-01:00") == Scenario("logout", 1, 0, 6, 0)
    for text in ("restart", "restart@24:00", "reset@1:00", "logout@Sonntag-01:00", "reboot@01:00"):
        with pytest.raises(ConfigError, match="--schedule must be such as"):
            parse_scenario(text)


def test_a_scenario_happens_at_its_local_time_also_in_summer_and_across_days():
    nightly, weekly = parse_scenario("restart@23:45"), parse_scenario("logout@Sun-01:00")
    winter, summer = parse_time("20240110 23:45:00 US/Eastern"), parse_time("20240710 23:45:00 US/Eastern")

    assert nightly.last(OPEN, CLOSE) is None
    assert nightly.last(winter - 1, winter) == winter
    assert nightly.last(winter, winter + MINUTE) is None
    assert nightly.last(summer - DAY, summer + 5) == summer
    assert (summer - winter) % DAY == DAY - 60 * MINUTE
    assert weekly.last(OPEN, OPEN + 7 * DAY) == parse_time("20240107 01:00:00 US/Eastern")


def test_a_nightly_restart_ends_connections_keeps_orders_and_takes_nobody_for_a_while():
    with tcp_gateway() as world:
        world.do("schedule", scenario="restart@23:45+5")
        world.step()
        client = TcpClient(world)
        client.place(1, "BUY", 10, lmtPrice=Decimal(90), tif="GTC")
        client.place(2, "BUY", 10, lmtPrice=Decimal(90))
        while world.ask("status")["at"] < CLOSE:
            world.ask("step", until=CLOSE)
        assert client.short()[-2:] == ["orderStatus Cancelled 0", "error 202"]

        night = MIDNIGHT - 14 * MINUTE
        while world.ask("status")["at"] < night:
            world.ask("step", until=night)
        with pytest.raises(ConnectionError):
            client.read()
        with pytest.raises(ConnectionError):
            TcpClient(world)
        world.ask("step", until=MIDNIGHT)
        back = TcpClient(world)
        hello = back.hello + back.heard()

        assert [v["orderId"] for name, v in hello if name == "openOrder"] == [1]
        assert [v["orderId"] for name, v in hello if name == "nextValidId"] == [3]
        back.close()


def test_a_daily_reset_loses_the_link_and_restores_it():
    with tcp_gateway() as world:
        world.do("schedule", scenario="reset@00:15+10")
        client = TcpClient(world)
        client.heard()
        for _ in range(3):
            world.step()
        world.ask("step", until=MIDNIGHT + 16 * MINUTE)
        lost = client.read()
        client.send("reqPositions")
        world.ask("step", until=MIDNIGHT + 26 * MINUTE)
        found = client.read()

        assert [message[1]["code"] for message in (lost, found)] == [1100, 1102]
        client.close()


def test_a_weekly_logout_lasts_until_someone_logs_in():
    with tcp_gateway() as world:
        world.do("schedule", scenario="logout@Wed-01:00")
        client = TcpClient(world)
        client.heard()
        while world.ask("status")["frames_left"]:
            world.step()
        with pytest.raises(ConnectionError):
            client.read()
        with pytest.raises(ConnectionError):
            TcpClient(world)

        world.do("login")
        back = TcpClient(world)
        assert back.place(1, "BUY", 10)[0] == "openOrder PreSubmitted"
        back.close()
        assert "must be such as" in world.ask("schedule", scenario="now")["error"]
