"""Whole runs while something goes wrong: the cell is safe, the data are whole, and people are told."""

from __future__ import annotations

import concurrent.futures
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from drivers.simulated.solartron import VirtualSolartron
from drivers.testing.faults import garble, swallow
from station.client import Client, ClientError
from station.readings import ChannelState, RunState
from tests.acceptance.bench import TOKEN, wait_until
from tests.acceptance.conftest import Live, Rig

LONG = """\
protocol: Long
record: {every: 2 s}
limits: {voltage: [-0.05 V, 2.2 V]}
steps:
  - discharge: {at: 0.5 C, for: 1 h}
  - charge: {at: 0.5 C, for: 1 h}
"""
WATCHED = LONG.replace("limits: {", "limits: {pressure: {above: 1.5 MPa}, ")
CYCLER = """\
protocol: On the cycler
record: {every: 2 s}
limits: {voltage: [-0.05 V, 4.0 V]}
steps:
  - charge: {at: 0.5 C, for: 1 h}
  - discharge: {at: 0.5 C, for: 1 h}
"""
WATCHED_CYCLER = CYCLER.replace("limits: {", "limits: {pressure: {above: 1.5 MPa}, ")


def start(live: Live, protocol: str = LONG, channel: str = "A1") -> str:
    """Start a run and wait until it drives the cell; returns its id."""
    cell = {"A1": "si-half-cell-1", "B1": "si-lfp-coin-1"}[channel]
    if "pressure" in protocol:
        wait_until(lambda: live.channel(channel).pressure_Pa is not None, what="for a pressure")
    run_id = live.client.start(channel, protocol, cell, "tester").run_id
    wait_until(lambda: abs(live.channel(channel).current_A or 0.0) > 1e-4, what="for a current")
    return run_id


def states(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / "cellstation.db")) as connection:
        return dict(connection.execute("SELECT run_id, state FROM runs"))


def readings(folder: Path, run_id: str) -> list[tuple[int, float, float]]:
    """Sequence, current and net charge."""
    with closing(sqlite3.connect(folder / "cellstation.db")) as connection:
        query = "SELECT sequence, current_A, net_capacity_Ah FROM readings WHERE run_id = ? ORDER BY sequence"
        return list(connection.execute(query, (run_id,)))


# --- the source


def test_a_link_that_drops_for_a_second_ends_nothing(rig: Rig) -> None:
    with rig.station(lost_after="5 s") as live:
        run_id = start(live)
        proxy = rig.proxies["smu"]
        proxy.refuse = True
        proxy.drop()
        time.sleep(1.0)
        assert rig.current_A() != 0.0, "the source goes on alone, within its own limits"
        proxy.refuse = False
        wait_until(lambda: live.said("the source answers again"))
        assert live.channel().state is ChannelState.RUNNING
        live.client.stop("A1", "tester")
        assert live.said("cannot connect") or live.said("link lost")
    rows = readings(rig.folder, run_id)
    assert [number for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert rows[-1][2] * 3600 == pytest.approx(rig.bench.positions["A1"].cell.state().charge_passed_C, rel=0.05)


def test_a_silent_source_trips_and_is_switched_off_as_soon_as_it_answers(rig: Rig) -> None:
    with rig.station() as live:
        run_id = start(live)
        rig.proxies["smu"].spoil = swallow
        view = live.wait_for(ChannelState.TRIPPED)
        assert "no sample for" in view.reason
        with pytest.raises(ClientError, match="not confirmed"):
            live.client.clear_trip("A1", "tester")
        assert "NOT confirmed" in live.channel().reason
        rig.proxies["smu"].spoil = None
        wait_until(lambda: "NOT confirmed" not in live.channel().reason)
        assert not rig.source.output_is_on
        assert rig.current_A() == 0.0
        assert live.said("the circuit is open now")
        live.client.clear_trip("A1", "tester")
        assert live.channel().state is ChannelState.PAUSED
        live.client.resume("A1", "tester")
        wait_until(lambda: rig.current_A() < -1e-4, what="for the run to go on")
        live.client.stop("A1", "tester")
        assert not rig.source.output_is_on
    assert states(rig.folder)[run_id] == RunState.STOPPED


def test_garbage_for_a_moment_is_said_and_survived(rig: Rig) -> None:
    with rig.station(lost_after="5 s") as live:
        run_id = start(live)
        rig.proxies["smu"].spoil = garble
        time.sleep(0.5)
        rig.proxies["smu"].spoil = None
        wait_until(lambda: live.said("the source answers again"))
        assert live.channel().state is ChannelState.RUNNING
        assert live.said("garbled reply")
    assert all(abs(current) < 0.01 for _, current, _ in readings(rig.folder, run_id))


def test_a_limit_of_voltage_opens_the_circuit(rig: Rig) -> None:
    with rig.station() as live:
        run_id = start(live, LONG.replace("-0.05 V", "1.5 V"))
        view = live.wait_for(ChannelState.TRIPPED, within_s=20.0)
        assert "voltage" in view.reason
        assert "1.5 V of protocol 'Long'" in view.reason
        assert not rig.source.output_is_on
        with pytest.raises(ClientError, match="clear the trip first"):
            live.client.stop("A1", "tester")
        with pytest.raises(ClientError, match="is tripped"):
            live.client.resume("A1", "tester")
    assert states(rig.folder)[run_id] == RunState.TRIPPED


def test_an_orderly_end_opens_the_circuit_and_the_run_goes_on_later(rig: Rig) -> None:
    with rig.station() as live:
        run_id = start(live)
        live.shut_down()
        assert not rig.source.output_is_on
    net_Ah = readings(rig.folder, run_id)[-1][2]
    with rig.station() as live:
        wait_until(lambda: rig.current_A() < -1e-4)
        assert live.channel().run_id == run_id
        assert live.said("the source was off")
        live.client.stop("A1", "tester")
    rows = readings(rig.folder, run_id)
    assert abs(rows[-1][2]) > abs(net_Ah)
    assert [number for number, _, _ in rows] == list(range(1, len(rows) + 1))


def test_an_instrument_that_is_not_there(rig: Rig) -> None:
    settings_address = rig.settings().instruments["smu"].address
    assert settings_address
    rig.proxies["smu"].refuse = True
    with rig.station() as live:
        view = live.wait_for(ChannelState.OFFLINE)
        assert "Keithley 2450 at TCPIP" in view.reason
        with pytest.raises(ClientError, match="is offline"):
            live.client.start("A1", LONG, "si-half-cell-1", "tester")
        assert states(rig.folder) == {}
        rig.proxies["smu"].refuse = False
        live.wait_for(ChannelState.IDLE, within_s=20.0)


# --- the impedance instrument


def sweeping(live: Live, rig: Rig, limits: str = "") -> str:
    """Start a run that measures slowly; returns its id once the cell is polarised."""
    protocol = f"""\
protocol: Slow sweep
record: {{every: 2 s}}
limits: {{voltage: [-0.05 V, 2.2 V]{limits}}}
steps:
  - impedance: {{from: 100 Hz, to: 0.01 Hz, amplitude: 10 mV, points_per_decade: 5}}
  - discharge: {{at: 0.5 C, for: 1 h}}
"""
    if limits:
        wait_until(lambda: live.channel().pressure_Pa is not None, what="for a pressure")
    run_id = live.client.start("A1", protocol, "si-half-cell-1", "tester").run_id
    wait_until(lambda: polarised(rig), what="for the potentiostat")
    time.sleep(0.5)
    return run_id


def polarised(rig: Rig) -> bool:
    instrument = rig.bench.servers["eis"]
    assert isinstance(instrument, VirtualSolartron)
    return instrument.potentiostat.polarised


def test_a_trip_in_a_sweep_opens_the_potentiostat_too(rig: Rig) -> None:
    rig.press("A1", 600e3)
    with rig.station() as live:
        sweeping(live, rig, ", pressure: {above: 1.5 MPa}")
        rig.press("A1", 1.9e6)
        live.wait_for(ChannelState.TRIPPED)
        wait_until(lambda: not polarised(rig), what="for the open circuit")
        wait_until(lambda: "NOT confirmed" not in live.channel().reason)
        assert not polarised(rig)
        rig.press("A1", 600e3)
        wait_until(lambda: (live.channel().pressure_Pa or 1e9) < 1e6, what="for the pressure to fall")
        live.client.clear_trip("A1", "tester")
        live.client.stop("A1", "tester")


def test_a_sweep_can_be_paused_and_is_measured_anew(rig: Rig) -> None:
    with rig.station() as live:
        run_id = sweeping(live, rig)
        live.client.pause("A1", "tester")
        assert not polarised(rig)
        live.client.resume("A1", "tester")
        wait_until(lambda: polarised(rig))
        live.client.skip("A1", "tester")
        assert not polarised(rig)
        live.wait_for_step("2 discharge")
        assert live.client.spectra(run_id) == ()
        live.client.stop("A1", "tester")


def test_a_link_that_breaks_in_a_sweep_trips_and_is_made_safe_later(rig: Rig) -> None:
    with rig.station() as live:
        sweeping(live, rig)
        rig.proxies["eis"].refuse = True
        rig.proxies["eis"].drop()
        assert "impedance sweep failed" in live.wait_for(ChannelState.TRIPPED, within_s=60.0).reason
        assert polarised(rig)
        wait_until(lambda: "NOT confirmed" in live.channel().reason)
        rig.proxies["eis"].refuse = False
        wait_until(lambda: "NOT confirmed" not in live.channel().reason, 40.0, "for the potentiostat")
        assert not polarised(rig)
        live.client.clear_trip("A1", "tester")
        live.client.stop("A1", "tester")


# --- the pressure sensor


def test_a_limit_of_pressure_opens_the_circuit(rig: Rig) -> None:
    rig.press("A1", 600e3)
    with rig.station() as live:
        start(live, WATCHED)
        rig.press("A1", 1.8e6)
        view = live.wait_for(ChannelState.TRIPPED)
        said = re.match(r"pressure ([\d.]+) kPa meets the limit of 1500 kPa of protocol", view.reason)
        assert said is not None and float(said[1]) == pytest.approx(1800, rel=0.1), "within its uncertainty"
        assert rig.current_A() == 0.0


def test_a_lost_scanner_trips_where_pressure_is_watched(rig: Rig) -> None:
    with rig.station() as live:
        start(live, WATCHED)
        rig.proxies["scanner"].refuse = True
        rig.proxies["scanner"].drop()
        assert "no pressure from mfsr-A1" in live.wait_for(ChannelState.TRIPPED).reason
        assert rig.current_A() == 0.0


def test_a_lost_scanner_is_said_where_pressure_is_not_watched(rig: Rig) -> None:
    with rig.station() as live:
        start(live)
        rig.proxies["scanner"].refuse = True
        rig.proxies["scanner"].drop()
        wait_until(lambda: live.said("scanner: "))
        time.sleep(2.0)
        view = live.channel()
        assert view.state is ChannelState.RUNNING
        assert view.pressure_Pa is None, "an old pressure is no pressure"


def test_overload_of_the_sensor_is_no_reading_and_trips(rig: Rig) -> None:
    with rig.station() as live:
        start(live, WATCHED)
        rig.press("A1", 0.0)
        assert "overload" in live.wait_for(ChannelState.TRIPPED).reason


# --- the cycler


def test_a_cycler_goes_on_alone_while_its_link_is_lost(rig: Rig) -> None:
    with rig.station() as live:
        run_id = start(live, CYCLER, "B1")
        rig.proxies["neware"].refuse = True
        rig.proxies["neware"].drop()
        wait_until(lambda: live.said("a running test goes on alone"))
        time.sleep(1.0)
        assert rig.current_A("B1") > 1e-4
        assert live.channel("B1").state is ChannelState.RUNNING
        rig.proxies["neware"].refuse = False
        wait_until(lambda: live.said("the cycler answers again"), 30.0)
        live.client.stop("B1", "tester")
    rows = readings(rig.folder, run_id)
    assert rig.tester.test is not None
    assert [current for _, current, _ in rows] == pytest.approx([row.current_A for row in rig.tester.test.rows])


def test_someone_stops_the_cycler_by_hand(rig: Rig) -> None:
    with rig.station() as live:
        run_id = start(live, CYCLER, "B1")
        rig.tester.stop()
        assert live.wait_for(ChannelState.IDLE, "B1").reason == "stopped at the cycler"
    assert states(rig.folder)[run_id] == RunState.STOPPED


def test_a_limit_of_pressure_stops_the_cycler(rig: Rig) -> None:
    rig.press("B1", 600e3)
    with rig.station() as live:
        run_id = start(live, WATCHED_CYCLER, "B1")
        rig.press("B1", 1.9e6)
        assert "pressure" in live.wait_for(ChannelState.TRIPPED, "B1").reason
        wait_until(lambda: rig.tester.state == "stop")
        assert rig.current_A("B1") == 0.0
        rows = rig.tester.test.rows if rig.tester.test else []
        wait_until(lambda: live.station.writer.flush(2.0) and len(readings(rig.folder, run_id)) == len(rows))
        live.client.clear_trip("B1", "tester")
        assert live.channel("B1").state is ChannelState.IDLE
    assert states(rig.folder)[run_id] == RunState.TRIPPED


# --- people and programs


def test_commands_over_http(rig: Rig) -> None:
    with rig.station() as live:
        client = live.client
        with pytest.raises(ClientError, match=r"no channel 'A7'.*A1"):
            client.pause("A7", "tester")
        with pytest.raises(ClientError, match="is idle, not running"):
            client.pause("A1", "tester")
        run_id = start(live)
        with pytest.raises(ClientError, match="is running, not idle"):
            client.start("A1", LONG, "si-half-cell-1", "tester")
        client.pause("A1", "tester")
        assert rig.current_A() == 0.0
        with pytest.raises(ClientError, match=r"is paused \(paused by tester\), not running"):
            client.skip("A1", "tester")
        client.resume("A1", "tester")
        assert rig.current_A() < -1e-4
        client.skip("A1", "tester")
        live.wait_for_step("2 charge")
        wait_until(lambda: rig.current_A() > 1e-4)
        client.stop("A1", "tester")
        assert rig.current_A() == 0.0
        assert live.station.writer.flush(5.0)
        said = [(event.who, event.text) for event in client.events()]
        assert ("tester", "stopped: the circuit is open") in said
    assert states(rig.folder) == {run_id: RunState.STOPPED}


def test_a_wrong_token_commands_nothing(rig: Rig) -> None:
    with rig.station() as live, Client(live.client.url, "guessed") as stranger:
        assert stranger.status().channels
        for command in (stranger.pause, stranger.resume, stranger.skip, stranger.stop, stranger.clear_trip):
            with pytest.raises(ClientError, match="needs the station's token"):
                command("A1", "stranger")
        with pytest.raises(ClientError, match="needs the station's token"):
            stranger.start("A1", LONG, "si-half-cell-1", "stranger")
        with pytest.raises(ClientError, match="needs the station's token"):
            stranger.shut_down()
    assert states(rig.folder) == {}


def test_two_starts_at_once_begin_one_run(rig: Rig) -> None:
    def order(url: str) -> bool:
        with Client(url, TOKEN) as client:
            try:
                client.start("A1", LONG, "si-half-cell-1", "tester")
            except ClientError as error:
                assert "is running, not idle" in str(error)
                return False
            return True

    with rig.station() as live, concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(order, [live.client.url] * 4)) == 1
        live.client.stop("A1", "tester")
        second = live.client.start("A1", LONG, "si-half-cell-1", "tester")
        live.client.stop("A1", "tester")
    assert len(states(rig.folder)) == 2
    assert states(rig.folder)[second.run_id] == RunState.STOPPED


# --- the disk


@pytest.fixture
def full_disk() -> Iterator[dict[str, bool]]:
    """SQLite's files cannot grow while ['full'] is True."""
    disk = {"full": False}

    def limit(connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if disk['full'] else 1 << 30}")

    sa.event.listen(sa.Engine, "begin", limit)
    yield disk
    sa.event.remove(sa.Engine, "begin", limit)


def test_a_full_disk_is_said_and_loses_nothing(rig: Rig, full_disk: dict[str, bool]) -> None:
    with rig.station() as live:
        run_id = start(live, LONG.replace("2 s", "0.2 s"))
        full_disk["full"] = True
        wait_until(lambda: "full" in live.client.status().store, 30.0, "for the disk to be full")
        assert live.channel().state is ChannelState.RUNNING
        time.sleep(1.0)
        full_disk["full"] = False
        wait_until(lambda: live.client.status().store == "ok", 20.0, "for the database to be back")
        live.client.stop("A1", "tester")
    rows = readings(rig.folder, run_id)
    assert [number for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert rows[-1][2] * 3600 == pytest.approx(rig.bench.positions["A1"].cell.state().charge_passed_C, rel=0.05)
