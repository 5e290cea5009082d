"""A sensor is calibrated at the virtual bench, over the service and real sockets, and what may go wrong meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.registry import BUILT_IN
from drivers.simulated.bench import VirtualBench
from drivers.simulated.clock import ScaledClock
from drivers.simulated.press import VirtualPressDrive
from station.bench_station import write_station
from station.calibration_views import CalibrationView, Deed, DeedOrder, PlanOrder, Stage
from station.client import Client, ClientError
from tests.acceptance.bench import TOKEN, free_port, wait_until
from tests.acceptance.calibrating import SHORT, SPEED, by_hand, measured, order, signed, watched
from tests.acceptance.conftest import Live, Rig, rig_at
from tests.acceptance.frame import VirtualFrame
from tests.acceptance.service_process import Service

LITTLE = SHORT.model_copy(update={"levels": 5, "series_before": 1, "reinsertions": 1, "creep_s": 60.0})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_at(SPEED, tmp_path) as rig:
        yield rig


@pytest.fixture
def live(rig: Rig) -> Iterator[Live]:
    with rig.station(poll="1 s") as live:
        yield live


def begun(live: Live, plan: PlanOrder = LITTLE, **changes: object) -> str:
    return live.client.begin_calibration(order(plan=plan, **changes)).session


def points(view: CalibrationView) -> int:
    return len(view.points)


def test_a_sensor_is_calibrated_from_its_beginning_to_a_signed_record(rig: Rig, live: Live) -> None:
    view = measured(live.client, order())
    assert view.simulated and view.driven and view.remaining_s is None
    assert {point.insertion for point in view.points} == {1, 2, 3} and rig.bench.press.insertions > 3
    wait_until(lambda: rig.bench.press.force_N() < 1.0, what="for the press to let go")
    draft = live.client.calibration_draft(view.session)
    assert draft.id == "mfsr-A1 v2" and draft.sha256 == ""
    record = signed(live.client, view)
    assert record.id == "mfsr-A1 v2" and record.sha256 == record.content_hash()
    assert record.authorised_by == "Dr Q. Manager" and record.conditions.operator == "a technician"
    assert "3 loadings to 132 N" in record.conditions.conditioning and record.simulated
    assert record.reference.name == "virtual load cell" and record.meter.name == "34465A"
    assert len(record.data.points) == len(view.points) and len(record.data.zeros) == 9
    truth = rig.bench.press.truths["mfsr-A1"]
    for pressure_Pa in (60e3, 200e3, 546e3):
        found = record.pressure(truth.resistance_ohm(pressure_Pa))
        assert found is not None
        assert abs(found.value_Pa - pressure_Pa) < 2 * found.expanded_uncertainty_Pa, "four standard uncertainties"
        assert found.expanded_uncertainty_Pa < 0.2 * found.value_Pa
    options = live.client.calibration_options()
    assert [(sensor.name, sensor.version) for sensor in options.sensors] == [("mfsr-A1", 2), ("mfsr-B1", 1)]
    assert options.sessions == () and options.references == ("press-force",)
    sensor = live.station.channels["A1"].sensor
    assert sensor is not None and live.said("calibration mfsr-A1 v2 is signed by Dr Q. Manager")
    with pytest.raises(ClientError, match="signed"):
        live.client.do_calibration(view.session, Deed.EXCLUDE, DeedOrder(point=0, reason="too late"))
    the_published_point_comes_out_in_a_coin_cell(rig, live)


def the_published_point_comes_out_in_a_coin_cell(rig: Rig, live: Live) -> None:
    """0.288 MΩ is 546 kPa on a disc of 14 mm: with the new record, scanner, a new cell, its run and its readings."""
    cell = rig.bench.positions["A1"].cell
    rest = "protocol: Rest\nrecord: {every: 10 s}\nlimits: {voltage: [-0.05 V, 2.2 V]}\nsteps:\n  - rest: {for: 10 h}\n"
    wait_until(lambda: live.channel().calibration == "mfsr-A1 v2", what="for the new calibration")
    run_id = live.client.start("A1", rest, "si-half-cell-1", "tester").run_id
    wait_until(lambda: live.client.run(run_id).readings >= 20, what="for readings")
    true_Pa = cell.pressure_Pa()
    live.client.stop("A1", "tester")
    live.station.writer.flush(5.0)
    frame = live.station.archive.frame(run_id).dropna(subset=["pressure_Pa"])
    assert set(frame["calibration"]) == {"mfsr-A1 v2"}
    record = live.client.calibrations("mfsr-A1")[0]
    assert record.area.value_m2 == pytest.approx(1.5394e-4, rel=1e-4)
    assert record.area.standard_uncertainty_m2 > 0 and record.area.source
    assert true_Pa == pytest.approx(546e3, rel=0.01), "the cell is as it was assembled"
    resistance, pressure = frame["resistance_ohm"].mean(), frame["pressure_Pa"].mean()
    assert resistance == pytest.approx(0.288e6, rel=0.06), "the paper's, within creep and one assembly's contact"
    assert abs(pressure - true_Pa) < 2 * frame["pressure_U_Pa"].mean(), "four standard uncertainties"
    assert frame["pressure_U_Pa"].mean() < 0.2 * true_Pa


def test_a_person_turns_the_screw(rig: Rig, live: Live) -> None:
    session = begun(live, driven=False)
    view = watched(live.client, session, lambda view: view.stage is Stage.REVIEW, press=rig.bench.press)
    assert not view.driven and points(view) == 18 and {point.insertion for point in view.points} == {1, 2}
    by_hand(live.client, rig.bench.press, view)
    assert "look at the points" in view.instruction


def test_the_meter_is_lost_in_the_middle_of_a_burst(rig: Rig, live: Live) -> None:
    session = begun(live)
    before = watched(live.client, session, lambda view: points(view) >= 2 and view.taking is not None)
    proxy = rig.proxies["press-meter"]
    proxy.refuse = True
    proxy.drop()
    lost = watched(live.client, session, lambda view: "press-meter" in view.trouble)
    assert lost.resistance_ohm is None and lost.stage is Stage.SERIES
    held = points(lost)
    time.sleep(0.3)
    still = live.client.calibration(session)
    assert points(still) == held and held <= points(before) + 1, "nothing is made of nothing"
    proxy.refuse = False
    after = watched(live.client, session, lambda view: points(view) > held)
    assert after.trouble == "" and live.said("all instruments answer again")


def test_a_station_that_ends_lets_go_of_the_sensor_and_the_series_is_repeated_when_it_is_back(rig: Rig) -> None:
    with rig.station(poll="1 s") as live:
        session = begun(live)
        before = watched(live.client, session, lambda view: points(view) >= 3)
    wait_until(lambda: rig.bench.press.force_N() < 0.1, what="for the press to let go")
    with rig.station(poll="1 s") as live:
        assert [kept.session for kept in live.client.calibration_options().sessions] == [session]
        resting = live.client.calibration(session)
        assert "Take it up" in resting.instruction and points(resting) >= points(before)
        with pytest.raises(ClientError, match="take it up first"):
            live.client.do_calibration(session, Deed.SKIP, DeedOrder(reason="x"))
        live.client.take_up_calibration(session, "a technician")
        view = watched(live.client, session, lambda view: points(view) >= points(resting) + 9)
    former = [point for point in view.points if point.series == 1]
    assert points(resting) == len(former)
    assert all(point.excluded == "series interrupted: the station was away" for point in former)
    assert {(point.series, point.insertion) for point in view.points if not point.excluded} == {(2, 1)}


def test_a_station_that_is_killed_loses_no_point(tmp_path: Path) -> None:
    epoch, port = time.time(), free_port()
    with VirtualBench(ScaledClock(SPEED, epoch), tmp_path) as bench:
        service = Service(write_station(bench, tmp_path, epoch=epoch, port=port), port)
        try:
            service.start()
            service.wait_until_up()
            with Client(service.url, TOKEN) as client:
                session = client.begin_calibration(order(plan=LITTLE)).session
                before = watched(client, session, lambda view: points(view) >= 3)
            service.kill()
            path = tmp_path / "calibrations" / "sessions" / f"{session}.json"
            assert len(json.loads(path.read_text(encoding="utf-8"))["state"]["points"]) >= points(before)
            held_N = bench.press.force_N()
            assert held_N > 1.0, "a dead station cannot unload; the press holds its load, within the limit"
            service.start()
            service.wait_until_up()
            with Client(service.url, TOKEN) as client:
                kept = client.take_up_calibration(session, "a technician")
                assert kept.points[: points(before)] == before.points
                view = watched(client, session, lambda view: points(view) > points(kept))
            first = [point for point in view.points if point.series == 1]
            assert [(p.force_N, p.resistance_ohm) for p in first][:3] == [
                (p.force_N, p.resistance_ohm) for p in before.points[:3]
            ]
        finally:
            service.kill()


def test_a_bad_point_is_repeated_and_an_outlier_marked(live: Live) -> None:
    session = begun(live)
    watched(live.client, session, lambda view: points(view) >= 2)
    who = {"who": "a technician"}
    view = live.client.do_calibration(session, Deed.REPEAT, DeedOrder(point=1, reason="a draught", **who))
    assert view.points[1].excluded == "a draught"
    view = live.client.do_calibration(session, Deed.EXCLUDE, DeedOrder(point=0, reason="not conditioned yet", **who))
    assert view.points[0].excluded == "not conditioned yet"
    with pytest.raises(ClientError, match="with a reason"):
        live.client.do_calibration(session, Deed.EXCLUDE, DeedOrder(point=0, **who))
    view = live.client.do_calibration(session, Deed.INCLUDE, DeedOrder(point=0, **who))
    assert view.points[0].excluded == ""
    with pytest.raises(ClientError, match=r"too few|at least|no response|only"):
        live.client.calibration_draft(session)
    view = live.client.do_calibration(session, Deed.ABANDON, DeedOrder(reason="enough", **who))
    assert view.stage is Stage.ABANDONED
    assert live.said("exclude point 0: not conditioned yet")


def test_what_cannot_be_is_refused_in_words_before_anything_moves(rig: Rig, live: Live) -> None:
    drive = rig.bench.servers["press-drive"]
    assert isinstance(drive, VirtualPressDrive)
    for changes, said in (
        ({"gauge": "press-meter"}, "cannot be used as the load cell"),
        ({"meter": "none"}, "there is no instrument 'none'"),
        ({"meter_channel": 2}, "channel"),
        ({"reference": "lost"}, "no certificate 'lost'"),
        ({"plan": LITTLE.model_copy(update={"full_load_N": 480.0})}, "may reach 552 N"),
        ({"plan": LITTLE.model_copy(update={"conditioning_share": 1.4})}, "passes 115%"),
        ({"sensor": "mfsr-Z9"}, "Illegal parameter value"),
    ):
        with pytest.raises(ClientError, match=said):
            live.client.begin_calibration(order(**({"plan": LITTLE} | changes)))  # type: ignore[arg-type]
    assert not any(line.startswith(":FORC ") for line in drive.received), "nothing was loaded"
    session = begun(live)
    with pytest.raises(ClientError, match=f"load cell press-force .* is used by calibration {session}"):
        live.client.begin_calibration(order("mfsr-B1", plan=LITTLE))
    with pytest.raises(ClientError, match="no calibration session 'x'"):
        live.client.calibration("x")
    with Client(live.client.url, "wrong") as stranger, pytest.raises(ClientError, match="needs the station's token"):
        stranger.begin_calibration(order(plan=LITTLE))


REST = "protocol: Rest\nrecord: {every: 10 s}\nlimits: {voltage: [-0.05 V, 2.2 V]}\nsteps:\n  - rest: {for: 1000 h}\n"


def test_a_sensor_in_a_cell_that_runs_is_in_no_press(rig: Rig, live: Live) -> None:
    """Nor is one whose channel of the meter reads the cell; paused is on too. When the run is over it is free."""
    left = begun(live)
    live.client.do_calibration(left, Deed.ABANDON, DeedOrder(reason="to begin with a cell"))
    wait_until(lambda: rig.bench.press.force_N() == 0.0, 5.0, "for the press to let go")
    drive, insertions = rig.bench.servers["press-drive"], rig.bench.press.insertions
    assert isinstance(drive, VirtualPressDrive)
    told = len(drive.received)
    run_id = live.client.start("A1", REST, "si-half-cell-1", "tester").run_id
    lies = f"sensor mfsr-A1 lies in cell si-half-cell-1 in channel A1, where run {run_id} is on"
    with pytest.raises(ClientError, match=f"{lies}: it cannot be in the press; .* when that run is over"):
        live.client.begin_calibration(order(plan=LITTLE))
    live.client.pause("A1", "tester")
    with pytest.raises(ClientError, match=lies):
        live.client.begin_calibration(order(plan=LITTLE, driven=False))
    with pytest.raises(ClientError, match=f"channel 101 of scanner reads sensor mfsr-A1 of .* run {run_id} is on"):
        live.client.begin_calibration(order("mfsr-B1", plan=LITTLE, meter="scanner", meter_channel=101))
    assert len(drive.received) == told and rig.bench.press.insertions == insertions, "nothing was moved"
    (known,) = live.client.calibration_options().in_cells
    assert (known.sensor, known.channel, known.run_id) == ("mfsr-A1", "A1", run_id)
    live.client.stop("A1", "tester")
    assert live.client.calibration_options().in_cells == ()
    assert begun(live)


def test_a_sensor_that_is_being_calibrated_is_in_no_cell(live: Live) -> None:
    """Not even where the calibration waits for somebody; one that was left behind is not taken up against a run."""
    session = begun(live)
    live.client.do_calibration(session, Deed.PAUSE, DeedOrder(who="a technician"))
    with pytest.raises(ClientError, match=f"sensor mfsr-A1 of channel A1 is used by calibration {session}"):
        live.client.start("A1", REST, "si-half-cell-1", "tester")
    assert live.client.runs() == ()
    live.client.do_calibration(session, Deed.ABANDON, DeedOrder(reason="the cell is urgent"))
    live.client.start("A1", REST, "si-half-cell-1", "tester")


def test_a_calibration_is_not_taken_up_while_its_sensor_is_in_a_cell(rig: Rig) -> None:
    with rig.station(poll="1 s") as live:
        session = begun(live)
    with rig.station(poll="1 s") as live:
        run_id = live.client.start("A1", REST, "si-half-cell-1", "tester").run_id
        with pytest.raises(ClientError, match=f"run {run_id} is on"):
            live.client.take_up_calibration(session, "a technician")
        live.client.stop("A1", "tester")
        live.client.take_up_calibration(session, "a technician")
        assert live.said(f"calibration {session} is taken up again")


class PressingFrame(VirtualFrame):
    """A frame that goes to a pressure; what it presses is the bench's sensor, through a piston of 2 cm²."""

    AREA_M2 = 2e-4

    def __init__(self, rig: Rig) -> None:
        self.press = rig.bench.press
        super().__init__(rig.bench.clock)

    def _aim(self) -> None:
        super()._aim()
        self.press.drive_to(self.goal_Pa * self.AREA_M2)


def test_a_frame_presses_by_pressure_and_a_person_reinserts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN, "frame-1", "tests.acceptance.frame:Frame")
    with PressingFrame(rig) as frame:
        rig.bench.servers["frame"] = frame
        section = f'[instruments.frame]\ndriver = "frame-1"\naddress = "{frame.address}"\n'
        rig.config.write_text(rig.config.read_text(encoding="utf-8") + section, encoding="utf-8")
        with rig.station(poll="1 s") as live:
            asked = order(plan=LITTLE, frame="frame", frame_area_m2=PressingFrame.AREA_M2)
            assert "frame" in [choice.name for choice in live.client.calibration_options().frames]
            session = live.client.begin_calibration(asked).session
            view = watched(live.client, session, lambda view: points(view) >= 2)
            for point in view.points:
                assert point.force_N == pytest.approx(point.nominal_N, rel=0.03)
            reason = DeedOrder(reason="two loads are enough", whole_stage=True)
            live.client.do_calibration(session, Deed.SKIP, reason)
            asked_for = watched(live.client, session, lambda view: view.hands)
            assert asked_for.stage is Stage.REINSERTION and "turned a little" in asked_for.instruction
            live.client.do_calibration(session, Deed.CONFIRM, DeedOrder(who="a technician"))
            watched(live.client, session, lambda view: view.stage is Stage.CONDITIONING)
            live.client.do_calibration(session, Deed.ABANDON, DeedOrder(reason="seen enough"))
            wait_until(lambda: frame.goal_Pa == 0.0, what="for the frame to let go")
