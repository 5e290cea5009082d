"""Cells on cyclers that run alone, and one impedance analyser that a relay board hands them to between two tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.neware_bts import NewareBts
from station import cycler_channel
from station.readings import ChannelState, RunState
from tests.acceptance.bench import change_checkpoint, wait_until
from tests.acceptance.conftest import Live
from tests.acceptance.full_house import House, full_house, station_in

SPEED = 60.0
CHARGE, DISCHARGE = "charge: {at: 0.2 C, for: 2 min}", "discharge: {at: 0.2 C, for: 1 min}"
SWEEP = "impedance: {from: 10 kHz, to: 100 Hz, amplitude: 10 mV}"
LONG_SWEEP = "impedance: {from: 1 Hz, to: 1 mHz, amplitude: 10 mV}"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(NewareBts, "poll_period_s", 0.3)
    with full_house(tmp_path, SPEED, cell_count=4, sensor_count=6) as house:
        yield house


def protocol(*steps: str) -> str:
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"protocol: Parts\nrecord: {{every: 5 s}}\nlimits: {{voltage: [-0.05 V, 4.1 V]}}\nsteps:\n{lines}"


def begin(live: Live, name: str, *steps: str) -> str:
    wait_until(lambda: live.channel(name).resistance_ohm is not None, what="for the sensor")
    wait_until(lambda: live.channel(name).voltage_V is None, what="for the cycler, whose cell is not switched to it")
    return live.client.start(name, protocol(*steps), f"cell-{name}", "tester").run_id


def ended(live: Live, run_id: str, within_s: float = 40.0) -> RunState:
    wait_until(lambda: live.client.run(run_id).ended is not None, within_s, f"for the end; {live.client.status()}")
    assert live.station.writer.flush(5.0)
    return live.client.run(run_id).state


def test_four_cells_on_two_cyclers_take_turns_at_one_analyser(house: House) -> None:
    with station_in(house) as live:
        runs = [begin(live, name, CHARGE, SWEEP, DISCHARGE, SWEEP) for name in house.names]
        assert [ended(live, run_id) for run_id in runs] == [RunState.FINISHED] * 4
        archive = live.station.archive
        assert live.said("after a wait of"), "one has it, and the others queue"
        for n, run_id in enumerate(runs):
            assert house.visited(n) == ["open", *["cycler", "open", "analyser", "open"] * 2]
            assert len(house.tester(n).tests) == 2, "each part is a test of its own"
            steps, frame, spectra = archive.steps(run_id), archive.frame(run_id), archive.spectra(run_id)
            assert [step.kind for step in steps] == ["charge", "impedance", "discharge", "impedance"]
            assert [(one.number, one.cycle) for one in spectra] == [(1, 1), (2, 1)]
            assert all(0.0 < ohm < 1e4 for one in spectra for ohm in one.real_ohm), "the cell, and not open terminals"
            assert list(frame["sequence"]) == list(range(1, len(frame) + 1))
            assert (frame["test_time_s"].diff().dropna() > 0.0).all()
            assert frame["pressure_Pa"].notna().all(), "while it waits and is measured too"
            blank = frame["voltage_V"].isna()
            assert set(frame[blank]["step"]) <= {2, 4} and (blank == frame["current_A"].isna()).all()
            told_Ah = [test.rows[-1].capacity_Ah for test in house.tester(n).tests.values()]
            assert [step.capacity_Ah for step in steps] == pytest.approx([told_Ah[0], 0.0, -told_Ah[1], 0.0])
            assert frame["net_capacity_Ah"].iloc[-1] == pytest.approx(told_Ah[0] - told_Ah[1])
            for before, after in itertools.pairwise(steps):
                assert before.end_time <= after.start_time + 1e-6
        view = live.channel("A1")
        assert {"neware-1", "eis", "matrix"} <= set(view.instruments)
    assert house.together == 0


def test_stopped_in_a_sweep_the_station_measures_it_anew_when_it_is_back(house: House) -> None:
    with station_in(house) as live:
        run_id = begin(live, "A1", CHARGE, LONG_SWEEP, DISCHARGE)
        wait_until(lambda: "analyser" in house.visited(0), 20.0, "for the sweep")
    assert house.visited(0)[-1] == "open", "nothing is left polarised by a station that is not there"
    with station_in(house) as live:
        wait_until(lambda: house.visited(0)[-1] == "analyser", 20.0, "for the sweep anew")
        live.client.skip("A1", "tester")
        assert ended(live, run_id) is RunState.FINISHED
        steps = live.station.archive.steps(run_id)
    assert [(step.kind, step.end_reason) for step in steps][1] == ("impedance", "skipped by tester")
    assert [step.kind for step in steps] == ["charge", "impedance", "discharge"]
    assert len(house.tester(0).tests) == 2


def test_a_test_that_someone_starts_during_a_sweep_trips_and_the_run_goes_on_once_it_is_cleared(house: House) -> None:
    with station_in(house) as live:
        run_id = begin(live, "A2", CHARGE, LONG_SWEEP, DISCHARGE)
        wait_until(lambda: "analyser" in house.visited(1), 20.0, "for the sweep")
        tester = house.tester(1)
        server = house.servers["neware-1"]
        server.start_by_hand(house.position(1), next((house.folder / "jobs").glob("*.xml")), "mine")  # type: ignore[attr-defined]
        view = live.wait_for(ChannelState.TRIPPED, "A2", within_s=20.0)
        assert "and not by this station" in view.reason
        wait_until(lambda: "NOT confirmed" not in live.channel("A2").reason, 20.0)
        assert tester.state == "stop" and house.visited(1)[-1] == "open"
        live.client.clear_trip("A2", "tester")
        assert live.channel("A2").state is ChannelState.PAUSED
        live.client.resume("A2", "tester")
        wait_until(lambda: house.visited(1)[-1] == "analyser", 20.0, "for the sweep again")
        live.client.skip("A2", "tester")
        assert ended(live, run_id) is RunState.FINISHED
    assert house.together == 0


def test_an_analyser_that_is_not_there_keeps_nobody_from_following_the_cycler(house: House) -> None:
    with station_in(house) as live:
        run_id = begin(live, "A1", "charge: {at: 0.2 C, for: 1 h}", SWEEP)
        wait_until(lambda: live.client.run(run_id).readings > 2, 20.0, "for readings")
    house.servers["eis"].stop()
    with station_in(house) as live:
        known = live.client.run(run_id).readings
        wait_until(lambda: live.client.run(run_id).readings > known + 3, 20.0, "for more")
        assert live.channel("A1").state is ChannelState.RUNNING
        live.client.stop("A1", "tester")
    assert house.visited(0)[-1] == "open"


def test_a_cell_that_cannot_be_taken_off_the_analyser_trips_its_channel_alone(house: House) -> None:
    with station_in(house) as live:
        first = begin(live, "A1", CHARGE, "impedance: {from: 10 Hz, to: 50 mHz, amplitude: 10 mV}", DISCHARGE)
        second = begin(live, "B1", CHARGE, SWEEP)
        wait_until(lambda: house.visited(0)[-1] == "analyser", 20.0, "for the sweep")
        house.board.contacts.welded = {2}
        assert "relay 2 reads back closed" in live.wait_for(ChannelState.TRIPPED, "A1", 20.0).reason
        assert live.channel("B1").state is ChannelState.RUNNING, "it waits"
        house.board.contacts.welded = set()
        house.board.contacts.tell(2, close=False)
        assert ended(live, second) is RunState.FINISHED
        live.client.clear_trip("A1", "tester")
        live.client.stop("A1", "tester")
        assert live.client.run(first).state is RunState.STOPPED
    assert house.together == 0


@pytest.mark.parametrize("has_started", [False, True])
def test_a_station_that_died_at_the_start_of_a_part_finds_what_became_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch, has_started: bool
) -> None:
    monkeypatch.setattr(cycler_channel, "LONGEST_START_S", 1.0)
    with station_in(house) as live:
        run_id = begin(live, "B1", CHARGE, LONG_SWEEP, "charge: {at: 0.2 C, for: 5 min}")
        wait_until(lambda: house.visited(2)[-1] == "analyser", 20.0, "for the sweep")
    tester = house.tester(2)
    change_checkpoint(house.folder, run_id, doing="starting", part=2)
    if has_started:
        house.board._switch(4, True)
        house.board._switch(5, False)
        server = house.servers["neware-2"]
        server.start_by_hand(house.position(2), next((house.folder / "jobs").glob("*.xml")), "cell-B1")  # type: ignore[attr-defined]
    with station_in(house) as live:
        assert ended(live, run_id) is RunState.FINISHED
        assert live.said("taken up from its first record" if has_started else "it is started now")
    assert len(tester.tests) == 2, "not a second time"
