"""On a cycler that runs alone, the station does what the cycler cannot, between two of its tests."""

from __future__ import annotations

import pytest

from drivers.neware_bts import NewareBts
from station.readings import ChannelState, RunState
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live, Rig

CELL = "si-lfp-coin-1"
CHARGE = "charge: {at: 0.2 C, for: 1 min}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewareBts, "poll_period_s", 0.3)


def begin(live: Live, *steps: str, limits: str = "voltage: [-0.05 V, 4.1 V]") -> str:
    lines = "".join(f"  - {step}\n" for step in steps)
    text = f"protocol: Parts\nrecord: {{every: 5 s}}\nlimits: {{{limits}}}\nsteps:\n{lines}"
    return live.client.start("B1", text, CELL, "tester").run_id


def ended(live: Live, run_id: str) -> RunState:
    wait_until(lambda: live.client.run(run_id).ended is not None, 40.0, f"for the end; {live.channel('B1')}")
    assert live.station.writer.flush(5.0)
    return live.client.run(run_id).state


def test_a_chamber_a_question_and_a_rest_by_its_slope_stand_between_the_cycler_s_tests(rig: Rig) -> None:
    rig.chamber.time_constant_s = 5.0
    with rig.station() as live:
        run_id = begin(
            live,
            CHARGE,
            "temperature: {set: 35 degC, within: 1 K, for: 20 s}",
            "discharge: {at: 0.2 C, for: 30 s}",
            "rest: {for: 1 h, until: {dV/dt: {below: 30 V/h, over: 10 s}}}",
            "prompt: look at the cell",
            CHARGE,
        )
        wait_until(lambda: live.channel("B1").question == "look at the cell", 40.0, f"{live.channel('B1')}")
        assert rig.current_A("B1") == 0.0
        assert live.channel("B1").temperature_degC == pytest.approx(35.0, abs=1.0)
        live.client.confirm("B1", "a bubble", "tester")
        assert ended(live, run_id) is RunState.FINISHED
        archive = live.station.archive
        steps, frame = archive.steps(run_id), archive.frame(run_id)
        tests = list(rig.tester.tests.values())
    assert [step.kind for step in steps] == ["charge", "temperature", "discharge", "rest", "prompt", "charge"]
    assert [step.cycle for step in steps] == [1, 1, 1, 1, 1, 2], "cycles go on over the parts"
    assert steps[4].end_reason == "confirmed: a bubble"
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert len(tests) == 3
    assert list(frame["sequence"]) == list(range(1, len(frame) + 1))
    assert (frame["test_time_s"].diff().dropna() > 0.0).all()
    assert frame["voltage_V"].notna().all() and frame["pressure_Pa"].notna().all()
    in_chamber = frame[frame["step"] == 2]
    assert len(in_chamber) >= 4 and in_chamber["temperature_degC"].iloc[-1] == pytest.approx(35.0, abs=1.0)
    told_Ah = [test.rows[-1].capacity_Ah for test in tests]
    assert frame["net_capacity_Ah"].iloc[-1] == pytest.approx(told_Ah[0] - told_Ah[1] + told_Ah[2])


def test_paused_tripped_and_restarted_in_a_step_of_the_station_s_own_it_goes_on(rig: Rig) -> None:
    with rig.station() as live:
        run_id = begin(live, CHARGE, "rest: {for: 10 h, until: {dV/dt: {below: 1 nV/h, over: 9 h}}}", CHARGE)
        live.wait_for_step("2 rest", "B1")
        live.client.pause("B1", "tester")
        assert live.channel("B1").state is ChannelState.PAUSED
    with rig.station() as live:
        assert live.wait_for(ChannelState.PAUSED, "B1").step_name == "2 rest"
        live.client.resume("B1", "tester")
        live.wait_for(ChannelState.RUNNING, "B1")
    with rig.station() as live:
        live.wait_for(ChannelState.RUNNING, "B1")
        server = rig.bench.servers["neware"]
        files = sorted((rig.folder / "step-files").glob("*.xml"))
        server.start_by_hand(rig.bench.NEWARE_CHANNEL, files[0], "mine")  # type: ignore[attr-defined]
        assert "and not by this station" in live.wait_for(ChannelState.TRIPPED, "B1", 20.0).reason
        wait_until(lambda: "NOT confirmed" not in live.channel("B1").reason, 20.0)
        assert rig.current_A("B1") == 0.0
        live.client.clear_trip("B1", "tester")
        live.client.resume("B1", "tester")
        live.client.skip("B1", "tester")
        assert ended(live, run_id) is RunState.FINISHED
        steps = live.station.archive.steps(run_id)
    assert [(step.kind, step.end_reason) for step in steps][1] == ("rest", "skipped by tester")
    assert [step.kind for step in steps] == ["charge", "rest", "charge"]


def test_a_limit_met_in_a_step_of_the_station_s_own_trips(rig: Rig) -> None:
    rig.chamber.time_constant_s = 5.0
    with rig.station() as live:
        hot = "voltage: [-0.05 V, 4.1 V], temperature: {above: 40 degC}"
        begin(live, CHARGE, "rest: {for: 1 h, until: {dV/dt: {below: 1 nV/h, over: 59 min}}}", CHARGE, limits=hot)
        live.wait_for_step("2 rest", "B1")
        rig.chamber.temperature_degC = 50.0
        assert "temperature" in live.wait_for(ChannelState.TRIPPED, "B1", 30.0).reason
        assert len(rig.tester.tests) == 1
