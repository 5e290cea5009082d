"""Chamber, frame, trigger line and operator: what a run asks of what is around its cell."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.registry import BUILT_IN
from drivers.testing.faults import swallow
from station import setting
from station.client import ClientError
from station.readings import ChannelState, Level, MarkerEvent, RunState
from station.store import Archive
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live, Rig
from tests.acceptance.frame import VirtualFrame

CELL = "si-half-cell-1"
WARM = "voltage: [-0.05 V, 2.2 V], temperature: {above: 45 degC}"


def protocol(*steps: str, limits: str = "voltage: [-0.05 V, 2.2 V]", head: str = "") -> str:
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"protocol: Around\nrecord: {{every: 2 s}}\n{head}limits: {{{limits}}}\nsteps:\n{lines}"


def begin(live: Live, text: str, channel: str = "A1", cell: str = CELL) -> str:
    wait_until(lambda: live.channel().temperature_degC is not None, what="for a temperature")
    return live.client.start(channel, text, cell, "tester").run_id


def ended(live: Live, run_id: str, within_s: float = 20.0) -> RunState:
    wait_until(lambda: live.client.run(run_id).ended is not None, within_s, f"for the end; {live.channel()}")
    return live.client.run(run_id).state


# --- the chamber


def test_a_run_sets_the_chamber_waits_for_it_and_records_the_temperature(rig: Rig) -> None:
    rig.chamber.time_constant_s = 15.0
    text = protocol("temperature: {set: 40 degC, within: 2 K, for: 5 s, at_most: 5 min}", "rest: {for: 5 s}")
    with rig.station() as live:
        run_id = begin(live, text)
        assert ended(live, run_id) is RunState.FINISHED
        columns = live.client.series(run_id, ["temperature_degC", "current_A"]).columns
        steps = live.station.archive.steps(run_id)
    temperatures = [value for value in columns["temperature_degC"] if value is not None]
    assert temperatures[0] == pytest.approx(25.0, abs=3.0) and temperatures[-1] == pytest.approx(40.0, abs=2.0)
    assert all(abs(current or 0.0) < 1e-6 for current in columns["current_A"]), "the cell rests meanwhile"
    assert "temperature" in steps[0].end_reason
    assert (rig.chamber.set_point_degC, rig.chamber.manual) == (40.0, True), "it goes on when the run is over"
    assert rig.bench.positions["A1"].cell.temperature_degC() == pytest.approx(40.0, abs=2.0)


def test_a_limit_of_temperature_trips(rig: Rig) -> None:
    text = protocol("discharge: {at: 0.2 C, for: 1 h}", limits=WARM)
    with rig.station() as live:
        run_id = begin(live, text)
        wait_until(lambda: rig.current_A() < 0.0, what="for a current")
        rig.chamber.temperature_degC = 50.0
        assert "temperature" in live.wait_for(ChannelState.TRIPPED).reason
        assert not rig.source.output_is_on
        assert live.client.run(run_id).state is RunState.TRIPPED


def test_a_silent_thermometer_trips_where_a_limit_depends_on_it(rig: Rig) -> None:
    watched = protocol("rest: {for: 1 h}", limits=WARM)
    with rig.station(lost_after="2 s") as live:
        begin(live, watched)
        rig.proxies["chamber"].spoil = swallow
        assert "no temperature from chamber" in live.wait_for(ChannelState.TRIPPED, within_s=15.0).reason


def test_a_silent_thermometer_ends_nothing_else(rig: Rig) -> None:
    with rig.station() as live:
        begin(live, protocol("rest: {for: 1 h}"))
        rig.proxies["chamber"].spoil = swallow
        wait_until(lambda: live.channel().temperature_degC is None, what="for the temperature to be too old")
        assert live.channel().state is ChannelState.RUNNING
        assert live.said("chamber: ")
        live.client.stop("A1", "tester")


def test_a_chamber_that_refuses_trips_after_a_while_with_its_words(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting, "LOST_AFTER_S", 0.5)
    rig.chamber.program = True
    with rig.station() as live:
        begin(live, protocol("temperature: {set: 40 degC}"))
        reason = live.wait_for(ChannelState.TRIPPED).reason
        assert reason.startswith("chamber could not be set") and "runs a program of its own" in reason
        assert live.said("setting chamber failed, trying again")
    assert rig.chamber.set_point_degC == 25.0


def test_a_set_point_that_comes_too_late_is_given_up_with_its_step(rig: Rig) -> None:
    rig.chamber.program = True
    wait = "temperature: {set: 40 degC, for: 5 s, at_most: 20 s, otherwise: next}"
    with rig.station() as live:
        run_id = begin(live, protocol(wait, "rest: {for: 4 s}"))
        assert ended(live, run_id) is RunState.FINISHED
        assert live.said("the step was over before its set point was taken")
        rig.chamber.program = False
        received = len(rig.chamber.received)
        wait_until(lambda: len(rig.chamber.received) > received + 20, what="for more readings")
    assert rig.chamber.set_point_degC == 25.0, "an idle channel sets nothing"


def test_what_cannot_be_set_is_refused_before_anything_is_touched(rig: Rig) -> None:
    with rig.station() as live:
        for text, channel, cell, said in (
            (protocol("temperature: {set: 80 degC}"), "A1", CELL, "protocol:5:5: .*80 °C is outside -20 … 60 °C"),
            (protocol("stack_pressure: {set: 1 MPa, within: 10 kPa}"), "A1", CELL, "protocol:5:5: .*no driven frame"),
            (
                protocol("temperature: {set: 80 degC}"),
                "B1",
                "si-lfp-coin-1",
                "protocol:5:5: .*80 °C is outside -20 … 60 °C",
            ),
            (
                protocol("linear_sweep: {from: 1 V, to: 2 V, rate: 1 mV/s}"),
                "B1",
                "si-lfp-coin-1",
                "protocol:5:5: .*makes no ramps",
            ),
            (
                protocol("impedance: {from: 1 kHz, to: 1 Hz, amplitude: 0.1 mA}"),
                "A1",
                CELL,
                r"protocol:5:5: .*a sweep of current \(GEIS\) is not supported",
            ),
        ):
            with pytest.raises(ClientError, match=said):
                begin(live, text, channel, cell)
    assert not any(request.startswith(b"11001") for request in rig.chamber.received)


def test_a_run_that_sets_a_chamber_with_other_cells_in_it_says_so(rig: Rig) -> None:
    rest = "protocol: r\nlimits: {voltage: [-0.05 V, 4 V]}\nsteps:\n  - rest: {for: 1 h}\n"
    with rig.station() as live:
        live.client.start("B1", rest, "si-lfp-coin-1", "tester")
        begin(live, protocol("temperature: {set: 30 degC}"))
        assert live.said("this run sets chamber, which the cells of B1 are in too")
        live.client.stop("A1", "tester")
        live.client.stop("B1", "tester")


def test_a_cycler_that_runs_alone_has_the_temperature_in_its_records(rig: Rig) -> None:
    rest = "protocol: r\nrecord: {every: 2 s}\nlimits: {voltage: [-0.05 V, 4 V]}\nsteps:\n  - rest: {for: 10 s}\n"
    with rig.station() as live:
        wait_until(lambda: live.channel("B1").temperature_degC is not None, what="for a temperature")
        run_id = live.client.start("B1", rest, "si-lfp-coin-1", "tester").run_id
        assert ended(live, run_id) is RunState.FINISHED
        columns = live.client.series(run_id, ["temperature_degC"]).columns
    assert columns["temperature_degC"] == pytest.approx([25.0] * len(columns["test_time_s"]), abs=0.1)


# --- the operator


def test_a_question_waits_for_its_answer_which_is_kept(rig: Rig) -> None:
    with rig.station() as live:
        run_id = begin(live, protocol("prompt: 'Open the valve, then confirm'", "rest: {for: 4 s}"))
        wait_until(lambda: live.channel().question is not None, what="for the question")
        assert live.channel().question == "Open the valve, then confirm"
        assert rig.current_A() == pytest.approx(0.0, abs=1e-9)
        live.client.pause("A1", "tester")
        assert live.channel().question is None, "nobody is asked in a pause"
        with pytest.raises(ClientError, match="paused"):
            live.client.confirm("A1", "done", "zhang")
        live.client.resume("A1", "tester")
        live.client.confirm("A1", " opened at 10:03 ", "zhang")
        assert live.channel().question is None
        assert ended(live, run_id) is RunState.FINISHED
        said = [event for event in live.station.archive.run_events(run_id) if event.who == "zhang"]
        assert [event.text for event in said] == ["confirmed 'Open the valve, then confirm': opened at 10:03"]
        assert live.station.archive.steps(run_id)[0].end_reason == "confirmed: opened at 10:03"
        with pytest.raises(ClientError, match="is idle"):
            live.client.confirm("A1", "", "zhang")


def test_a_question_is_asked_again_after_a_restart(rig: Rig) -> None:
    with rig.station() as live:
        begin(live, protocol("prompt: 'Ready?'", "rest: {for: 1 h}"))
        wait_until(lambda: live.channel().question == "Ready?", what="for the question")
        live.shut_down()
    with rig.station() as live:
        wait_until(lambda: live.channel().question == "Ready?", what="for the question")
        live.client.confirm("A1", who="zhang")
        live.wait_for_step("2 rest")
        live.client.stop("A1", "tester")


def test_nothing_is_asked_while_a_step_drives_the_cell(rig: Rig) -> None:
    with rig.station() as live:
        begin(live, protocol("rest: {for: 1 h}"))
        with pytest.raises(ClientError, match="asks nothing now"):
            live.client.confirm("A1", "yes", "zhang")
        live.client.stop("A1", "tester")


# --- markers


MARKED = (
    "marker: {name: before, trigger: true}",
    "{rest: {for: 10 s}, markers: [{name: image, every: 4 s, trigger: true}]}",
    "marker: after",
)


def test_markers_are_stored_with_the_run_and_told_in_its_events(rig: Rig) -> None:
    with rig.station() as live:
        run_id = begin(live, protocol(*MARKED, "rest: {for: 4 s}", head="markers: [{name: hour, every: 1 h}]\n"))
        assert ended(live, run_id) is RunState.FINISHED
        markers = live.client.markers(run_id)
        events = [event for event in live.station.archive.run_events(run_id) if event.level is Level.MARKER]
        assert live.said("markers of this protocol pulse a trigger line, and this channel has none")
    assert [marker.name for marker in markers] == ["before", "image", "image", "after"]
    assert [marker.triggered for marker in markers] == [True, True, True, False]
    assert [event.time for event in events] == [marker.time for marker in markers]
    assert events[1].text.startswith("image (step 2 rest, cycle 1")
    images = [marker.test_time_s for marker in markers if marker.name == "image"]
    assert images == pytest.approx([4.0, 8.0], abs=1.5)
    assert Archive(f"sqlite:///{rig.folder.as_posix()}/cellstation.db").markers(run_id) == markers


# --- frame and trigger line


@pytest.fixture
def frame(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualFrame]:
    """A frame at A1 in place of the pressure sensor, with a trigger line."""
    monkeypatch.setitem(BUILT_IN, "frame-1", "tests.acceptance.frame:Frame")
    with VirtualFrame(rig.bench.clock) as server:
        rig.bench.servers["frame"] = server
        _bind(rig.config, server.address)
        yield server


def _bind(config: Path, address: str) -> None:
    lines = config.read_text(encoding="utf-8").splitlines()
    at = lines.index("[channels.A1]") + 1
    lines = [line for line in lines if "mfsr-A1" not in line]
    lines[at:at] = ['frame = "frame"', 'trigger = "frame"']
    lines += ["[instruments.frame]", 'driver = "frame-1"', f'address = "{address}"']
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert tomllib.loads(config.read_text(encoding="utf-8"))["channels"]["A1"]["frame"] == "frame"


def test_each_marker_that_asks_for_it_pulses_the_trigger_line_once(rig: Rig, frame: VirtualFrame) -> None:
    with rig.station() as live:
        run_id = begin(live, protocol(*MARKED, "rest: {for: 4 s}"))
        assert ended(live, run_id) is RunState.FINISHED
        wait_until(lambda: frame.pulses == 3, what="for the pulses")
        assert not live.said("this channel has none")


def test_a_trigger_line_that_fails_is_told_and_ends_nothing(rig: Rig, frame: VirtualFrame) -> None:
    frame.define(":TRIGger:PULSe", lambda _: None)
    with rig.station() as live:
        wait_until(lambda: live.channel().pressure_Pa is not None, what="for the frame")
        rig.proxies["frame"].refuse = True
        rig.proxies["frame"].drop()
        run_id = begin(live, protocol(*MARKED, "rest: {for: 4 s}"))
        assert ended(live, run_id) is RunState.FINISHED
        wait_until(lambda: live.said("the trigger line may not have been pulsed for marker 'image'"))
        assert isinstance(live.client.markers(run_id)[0], MarkerEvent)


def test_a_run_sets_the_frame_and_waits_for_its_pressure(rig: Rig, frame: VirtualFrame) -> None:
    text = protocol("stack_pressure: {set: 2 MPa, within: 50 kPa, for: 4 s, at_most: 5 min}", "rest: {for: 4 s}")
    with rig.station() as live:
        wait_until(lambda: live.channel().pressure_Pa is not None, what="for the frame")
        run_id = begin(live, text)
        assert ended(live, run_id) is RunState.FINISHED
        columns = live.client.series(run_id, ["pressure_Pa"]).columns
        frame_says = live.station.archive.frame(run_id)["calibration"].dropna().unique()
    assert columns["pressure_Pa"][-1] == pytest.approx(2e6, abs=5e4)
    assert frame.goal_Pa == 2e6, "the pressure stays when the run is over"
    assert list(frame_says) == ["frame frame"], "where the pressure comes from is stored with it"


# --- files that a protocol draws on


def test_an_included_protocol_and_a_profile_come_with_the_request_and_survive_a_restart(rig: Rig) -> None:
    files = {
        "parts/pause.yaml": "protocol: pause\nparameters: {long: 4 s}\nsteps:\n  - rest: {for: '${long}'}\n",
        "load.csv": "time / s,current / mA\n0,-1\n4,-2\n3600,-2\n",
    }
    text = protocol("include: {file: parts/pause.yaml, set: {long: 6 s}}", "profile: {file: load.csv, for: 1 h}")
    with rig.station() as live:
        with pytest.raises(ClientError, match=r"protocol:5:5: 'parts/pause.yaml' cannot be read"):
            begin(live, text)
        live.client.start("A1", text, CELL, "tester", files=files)
        live.wait_for_step("2 profile")
        live.shut_down()
    with rig.station() as live:
        wait_until(lambda: rig.current_A() == pytest.approx(-2e-3, rel=0.01), what="for the profile's last current")
        live.client.stop("A1", "tester")
