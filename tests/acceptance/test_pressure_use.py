"""The pressure in a cell: the calibration of a run, what is known against it, what is done to the cell by hand."""

from __future__ import annotations

import datetime
import json

import pytest
from typer.testing import CliRunner

from calibration.record import Calibration
from station.cli import app
from station.client import ClientError
from station.readings import CellEventKind, ChannelState, RunState
from tests.acceptance.bench import TOKEN, wait_until
from tests.acceptance.conftest import Live, Rig
from tests.calibration_records import made_record, write_record

CELL = "si-half-cell-1"
REST = "protocol: Rest\nrecord: {every: 1 s}\nlimits: {voltage: [-0.05 V, 2.2 V]}\nsteps:\n  - rest: {for: 10 h}\n"
HOUR = 3600.0


def begin(live: Live) -> str:
    wait_until(lambda: live.channel().resistance_ohm is not None, what="for the sensor")
    return live.client.start("A1", REST, CELL, "tester").run_id


def pressures(live: Live, run_id: str) -> list[float]:
    columns = live.client.series(run_id, ["pressure_Pa"]).columns
    return [value for value in columns["pressure_Pa"] if value is not None]


def wait_for_readings(live: Live, run_id: str, more: int = 5) -> None:
    until = live.client.run(run_id).readings + more
    wait_until(lambda: live.client.run(run_id).readings >= until, what="for readings")


def calibrations_of(live: Live, run_id: str) -> set[str]:
    return set(live.station.archive.frame(run_id)["calibration"].dropna())


def newer(rig: Rig, version: int = 2, **more: object) -> Calibration:
    """Twice the pressure of the simulated sensor's true response."""
    sensor = rig.bench.positions["A1"].parameters.sensor
    force_N = 2 * sensor.anchor_Pa * sensor.area_m2
    made = made_record(
        "mfsr-A1",
        version,
        a=sensor.anchor_ohm * force_N**sensor.exponent,
        b=sensor.exponent,
        area_m2=sensor.area_m2,
        force_N=(1.0, 800.0),
        **more,  # type: ignore[arg-type]
    )
    write_record(rig.folder / "calibrations", made)
    return made


def command(live: Live, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, "--connect", live.client.url], env={"CELLSTATION_TOKEN": TOKEN})
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_a_run_keeps_its_calibration_through_a_restart_and_the_next_has_the_newer(rig: Rig) -> None:
    with rig.station() as live:
        run_id = begin(live)
        wait_for_readings(live, run_id)
        newer(rig)
        live.station.calibrated("mfsr-A1")
        wait_for_readings(live, run_id)
        assert live.channel().calibration == "mfsr-A1 v1"
    with rig.station() as live:
        live.wait_for(ChannelState.RUNNING)
        wait_for_readings(live, run_id)
        assert live.channel().calibration == "mfsr-A1 v1"
        live.client.stop("A1", "tester")
        live.station.writer.flush(5.0)
        assert calibrations_of(live, run_id) == {"mfsr-A1 v1"}
        wait_until(lambda: live.channel().calibration == "mfsr-A1 v2", what="for the newest, while nothing runs")
        second = begin(live)
        wait_for_readings(live, second)
        assert calibrations_of(live, second) == {"mfsr-A1 v2"}
        live.client.stop("A1", "tester")
        document = json.loads(live.station.archive.snapshot(run_id).document)
    first = Calibration.model_validate(document["calibration"])
    assert first.id == "mfsr-A1 v1" and first.simulated and first.sha256 == first.content_hash()
    assert len(first.data.points) > 50, "with the readings that it was made from"


def test_what_is_known_against_a_run_is_said_and_kept(rig: Rig) -> None:
    newer(rig, expires=datetime.date(2026, 1, 2), at_degC=60.0)
    with rig.station() as live:
        wait_until(lambda: live.channel().temperature_degC is not None, what="for a temperature")
        assert live.channel().calibration_warning == "the calibration mfsr-A1 v2 expired on 2026-01-02"
        assert live.channel().calibration_expires == datetime.date(2026, 1, 2)
        code, said = command(live, "run", "first-charge-rest", "--channel", "A1", "--cell", CELL)
        assert code == 1 and "first-charge-rest" in said
        run_id = begin(live)
        warnings = live.client.run(run_id).warnings
        document = json.loads(live.station.archive.snapshot(run_id).document)
        assert live.said("the calibration mfsr-A1 v2 expired on 2026-01-02")
        live.client.stop("A1", "tester")
    assert [said.split()[0] for said in warnings] == ["the", "when", "25.0"]
    assert "expired on 2026-01-02" in warnings[0] and "not recorded" in warnings[1] and "60 °C ± 3 K" in warnings[2]
    assert tuple(document["warnings"]) == warnings and document["assembled"] is None


def test_without_a_calibration_the_resistance_alone_is_kept_until_there_is_one(rig: Rig) -> None:
    for path in (rig.folder / "calibrations").glob("mfsr-A1-*.json"):
        path.unlink()
    with rig.station() as live:
        run_id = begin(live)
        assert "sensor mfsr-A1 has no calibration" in live.client.run(run_id).warnings[0]
        wait_for_readings(live, run_id)
        live.client.stop("A1", "tester")
        assert pressures(live, run_id) == []
        newer(rig)
        folder = str(rig.folder / "calibrations")
        where = ("--db", live.station.config.station.database, "--calibrations", folder, "--yes")
        result = CliRunner().invoke(app, ["calibration", "apply", run_id, *where])
        assert result.exit_code == 0 and "get a pressure that had none" in result.output
        assert len(pressures(live, run_id)) >= 5, "the running station shows them at once"
        assert live.client.derivations(run_id)[-1].calibration == "mfsr-A1 v2"


def test_a_broken_record_starts_nothing(rig: Rig) -> None:
    with rig.station() as live:
        (rig.folder / "calibrations" / "mfsr-A1-v2.json").write_text("{", encoding="utf-8")
        with pytest.raises(ClientError, match=r"mfsr-A1-v2\.json"):
            begin(live)
        assert live.channel().state is ChannelState.IDLE


def test_zero_and_built_in_pressure_are_events_of_the_cell(rig: Rig) -> None:
    """The simulated cell stands at its built-in pressure, and its sensor has settled for an hour."""
    position = rig.bench.positions["A1"]
    with rig.station() as live:
        wait_until(lambda: live.channel().pressure_Pa is not None, what="for the sensor")
        closed = live.client.status().time - HOUR
        at = datetime.datetime.fromtimestamp(closed).isoformat(sep=" ")
        code, said = command(live, "cell", "assembled", CELL, "--channel", "A1", "--at", at)
        assert code == 0 and "assembled" in said and "k = 2, mfsr-A1 v1" in said
        (event,) = live.client.cell_events(CELL)
        assert event.pressure_Pa is not None and event.pressure_U_Pa is not None
        assert abs(event.pressure_Pa - position.cell.pressure_Pa()) < event.pressure_U_Pa
        assert event.time == pytest.approx(closed, abs=1.0) and event.calibration == "mfsr-A1 v1"

        started = live.client.start("A1", REST, CELL, "tester")
        assert started.warnings == ()
        with pytest.raises(ClientError, match="under load, that is no zero"):
            live.client.record_cell_event(CELL, CellEventKind.ZERO, "A1", "tester")
        with pytest.raises(ClientError, match="runs cell si-half-cell-1, not other"):
            live.client.record_cell_event("other", CellEventKind.ASSEMBLED, "A1", "tester")
        wait_for_readings(live, started.run_id)
        live.client.stop("A1", "tester")
        document = json.loads(live.station.archive.snapshot(started.run_id).document)
        assert document["assembled"] == pytest.approx(closed, abs=1.0)
        frame = live.station.archive.frame(started.run_id)
        share = frame["pressure_U_Pa"] / frame["pressure_Pa"]
        assert (share < 0.08).all(), "nothing is added for a time under load that is not known"

        with pytest.raises(ClientError, match="has not come yet"):
            live.client.record_cell_event(CELL, CellEventKind.ASSEMBLED, "A1", at=closed + 100 * HOUR)
        rig.press("A1", 0.0)  # the cell is taken apart: the sensor conducts no more
        wait_until(lambda: live.channel().resistance_ohm is None, what="for the sensor to open")
        code, said = command(live, "cell", "zero", CELL, "--channel", "A1", "--note", "cleaned")
        assert code == 0 and "in-cell zero" in said and "cleaned; the sensor was open" in said
        code, said = command(live, "cell", "events", CELL)
        assert code == 0 and said.index("assembled") < said.index("in-cell zero")
        again = live.client.start("A1", REST, CELL, "tester")
        assert "was assembled is not recorded" in again.warnings[0], "it was taken apart since"
        live.client.stop("A1", "tester")


def test_beyond_the_range_is_marked_and_said_once(rig: Rig) -> None:
    with rig.station() as live:
        run_id = begin(live)
        wait_for_readings(live, run_id)
        rig.press("A1", 20e6)
        wait_until(lambda: live.channel().pressure_mark == "above", what="for the mark")
        assert live.channel().pressure_Pa is None and live.channel().state is ChannelState.RUNNING
        # What the channel shows comes before what is stored: readings without the mark are still on their way.
        wait_until(lambda: sum(live.station.archive.frame(run_id)["pressure_mark"] == "above") >= 10, what="for ten")
        rig.press("A1", 500e3)
        wait_until(lambda: live.channel().pressure_mark is None, what="for the way back")
        live.client.stop("A1", "tester")
        live.station.writer.flush(5.0)
        frame = live.station.archive.frame(run_id)
        said = [event.text for event in live.station.archive.run_events(run_id) if "range of mfsr-A1" in event.text]
        assert live.client.run(run_id).state is RunState.STOPPED
    above = frame["pressure_mark"] == "above"
    assert above.sum() >= 10 and frame["resistance_ohm"][above].notna().all()
    assert frame["pressure_Pa"][above].isna().all() and frame["calibration"][above].isna().all()
    assert [("is above" in text, "again" in text) for text in said] == [(True, False), (False, True)]
