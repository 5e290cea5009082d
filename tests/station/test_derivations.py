"""Pressures of an old run by another calibration: the former ones stay, and nothing is done by half."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pytest import approx
from typer.testing import CliRunner

from calibration.data import TemperatureCoefficient
from calibration.record import Calibration
from station.cli import app
from station.conversion import Conversion
from station.derivation import carry_out, plan
from station.export import export
from station.readings import CellEvent, CellEventKind, Reading, RunState
from station.store import Archive, Batch, RunSnapshot, StoreError, Writer, upgrade
from tests.calibration_records import made_record, write_record
from tests.station import synthetic

ASSEMBLED = synthetic.STARTED - 3600.0
COEFFICIENT = TemperatureCoefficient(per_K=-0.003, standard_uncertainty_per_K=0.0003, reference_degC=25.0)
FIRST = made_record("mfsr-12", 3, relative_U=0.08)
SECOND = made_record("mfsr-12", 4, a=1.1e7, creep_per_decade=0.03, temperature=COEFFICIENT)
OHM = np.geomspace(8e4, 2e6, 60)  # from above the range of both to below it


def readings(calibration: Calibration | None) -> list[Reading]:
    conversion = Conversion(calibration, ASSEMBLED, synthetic.STARTED)
    made = []
    for k, ohm in enumerate(OHM.tolist(), start=1):
        one = replace(synthetic.reading(k), resistance_ohm=ohm, temperature_degC=30.0)
        said = conversion.pressed(one.time, ohm, 30.0)
        one.pressure_Pa, one.pressure_U_Pa = said.pressure_Pa, said.pressure_U_Pa
        one.calibration, one.pressure_mark = said.calibration, said.mark
        made.append(one)
    return [*made, synthetic.reading(len(made) + 1)]  # the last without a resistance


def snapshot(calibration: Calibration | None, assembled: float | None = ASSEMBLED) -> RunSnapshot:
    document = {
        "channel": {"sensor": {"name": "mfsr-12", "meter": "scanner", "channel": 101}},
        "calibration": calibration.model_dump(mode="json") if calibration else None,
        "assembled": assembled,
    }
    return replace(synthetic.snapshot(), document=json.dumps(document))


def recorded(
    url: str, folder: Path, calibration: Calibration | None = FIRST, *, ended: bool = True, assembled: bool = True
) -> Archive:
    upgrade(url)
    writer = Writer(url, folder / "spool")
    writer.begin_run(snapshot(calibration, ASSEMBLED if assembled else None))
    writer.submit(Batch("run-1", readings=tuple(readings(calibration))))
    if ended:
        writer.submit(Batch("run-1", state=RunState.FINISHED, ended=synthetic.STARTED + 61.0))
    assert writer.flush(10)
    writer.close()
    return Archive(url)


def applied(url: str, archive: Archive, calibration: Calibration) -> int:
    return carry_out(url, plan(archive, "run-1", calibration, "ada", 2e9))


def test_the_readings_get_the_new_pressures_and_the_former_ones_are_kept(database_url: str, tmp_path: Path) -> None:
    archive = recorded(database_url, tmp_path)
    before = archive.frame("run-1")
    archive.series("run-1", ["pressure_Pa"])  # kept in memory, and not shown again
    planned = plan(archive, "run-1", SECOND, "ada", 2e9)
    assert planned.change is not None and planned.change.readings > 40
    carry_out(database_url, planned)
    after = archive.frame("run-1")
    has_one = after["resistance_ohm"].notna().to_numpy()
    expected = Conversion(SECOND, ASSEMBLED, synthetic.STARTED).pressures(
        after["time"].to_numpy()[has_one], OHM, np.full(len(OHM), 30.0)
    )
    np.testing.assert_allclose(after["pressure_Pa"][has_one], expected.value_Pa, rtol=1e-12)
    np.testing.assert_allclose(after["pressure_U_Pa"][has_one], expected.expanded_uncertainty_Pa, rtol=1e-12)
    assert set(after["calibration"].dropna()) == {"mfsr-12 v4"}
    assert after["calibration"].isna().tolist() == after["pressure_Pa"].isna().tolist()
    assert {"at end", "above", "below"} == set(after["pressure_mark"].dropna())
    assert after["pressure_Pa"].iloc[-1] is None or math.isnan(after["pressure_Pa"].iloc[-1])
    untouched = [name for name in before if not name.startswith(("pressure", "calibration"))]
    assert before[untouched].equals(after[untouched])
    former = archive.pressures("run-1", "mfsr-12 v3")
    np.testing.assert_array_equal(former.pressure_Pa, before["pressure_Pa"][has_one])
    assert list(former.pressure_mark) == [
        None if value != value else value for value in before["pressure_mark"][has_one]
    ]
    shown = archive.series("run-1", ["pressure_Pa"]).columns["pressure_Pa"]
    np.testing.assert_array_equal(np.array(shown, dtype=float), after["pressure_Pa"])
    first, second = archive.derivations("run-1")
    assert (first.calibration, first.sha256, first.current, first.who) == ("mfsr-12 v3", FIRST.sha256, False, "station")
    assert (second.calibration, second.sha256, second.current, second.who) == ("mfsr-12 v4", SECOND.sha256, True, "ada")
    (event,) = archive.run_events("run-1")
    assert event.who == "ada" and event.text.startswith("pressures derived with calibration mfsr-12 v4: ")
    archive.close()


def test_the_former_pressures_come_back_as_they_were(database_url: str, tmp_path: Path) -> None:
    archive = recorded(database_url, tmp_path)
    before = archive.frame("run-1")
    applied(database_url, archive, SECOND)
    number = applied(database_url, archive, FIRST)
    assert archive.frame("run-1").equals(before)
    assert [(one.number == number, one.current) for one in archive.derivations("run-1")] == [
        (True, True),
        (False, False),
    ]
    assert archive.pressures("run-1", "mfsr-12 v4").calibration.count("mfsr-12 v4") > 40
    archive.close()


def test_a_second_time_changes_nothing(database_url: str, tmp_path: Path) -> None:
    archive = recorded(database_url, tmp_path)
    assert plan(archive, "run-1", FIRST, "ada", 2e9).change is None, "it was measured with it"
    number = applied(database_url, archive, SECOND)
    assert plan(archive, "run-1", SECOND, "ada", 2e9).change is None
    assert applied(database_url, archive, SECOND) == number
    assert len(archive.derivations("run-1")) == 2
    assert len(archive.run_events("run-1")) == 1
    archive.close()


def test_a_run_that_goes_on_is_refused(database_url: str, tmp_path: Path) -> None:
    archive = recorded(database_url, tmp_path, ended=False)
    with pytest.raises(StoreError, match="goes on"):
        plan(archive, "run-1", SECOND, "ada", 2e9)
    assert archive.derivations("run-1")[0].number == 0
    archive.close()


def test_a_run_without_a_calibration_gets_its_pressures(database_url: str, tmp_path: Path) -> None:
    archive = recorded(database_url, tmp_path, None)
    planned = plan(archive, "run-1", FIRST, "ada", 2e9)
    assert planned.change is not None
    assert (planned.change.readings, planned.change.lost) == (0, 0) and planned.change.gained > 40
    carry_out(database_url, planned)
    assert archive.frame("run-1")["pressure_Pa"].notna().sum() == planned.change.gained
    assert np.isnan(archive.pressures("run-1", "1").pressure_Pa).all()
    with pytest.raises(StoreError, match="has no pressures by 'mfsr-12 v9'; there are those by no calibration"):
        archive.pressures("run-1", "mfsr-12 v9")
    archive.close()


def test_an_assembly_that_was_recorded_later_counts(sqlite_url: str, tmp_path: Path) -> None:
    archive = recorded(sqlite_url, tmp_path, SECOND, assembled=False)
    assert plan(archive, "run-1", SECOND, "ada", 2e9).change is None
    writer = Writer(sqlite_url, tmp_path / "spool")
    writer.submit(Batch(cell_events=(CellEvent("cell-7", ASSEMBLED, CellEventKind.ASSEMBLED),)))
    writer.close()
    applied(sqlite_url, archive, SECOND)
    assert [one.assembled for one in archive.derivations("run-1")] == [None, ASSEMBLED]
    archive.close()


def test_what_fails_on_the_way_leaves_all_as_it_was(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = recorded(database_url, tmp_path)
    before = archive.frame("run-1")
    planned = plan(archive, "run-1", SECOND, "ada", 2e9)
    assert planned.found is not None
    broken = replace(planned.found, sequence=planned.found.sequence * 0 + 1)  # the same reading again and again
    with pytest.raises(StoreError, match="stay what they were"):
        carry_out(database_url, replace(planned, found=broken))
    assert archive.frame("run-1").equals(before)
    assert archive.derivations("run-1")[0].number == 0
    archive.close()


def test_the_change_is_told_in_pascal_and_per_cent(sqlite_url: str, tmp_path: Path) -> None:
    archive = recorded(sqlite_url, tmp_path)
    change = plan(archive, "run-1", made_record("mfsr-12", 5, a=1.1e7), "ada", 2e9).change
    assert change is not None
    assert change.mean_share == approx(0.1, rel=1e-9) and change.largest_share == approx(0.1, rel=1e-9)
    assert change.largest_Pa > change.mean_Pa > 0
    assert "(+10.00%) in the mean" in change.in_words()
    archive.close()


# --- the command line


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibration", "apply", "run-1", *words])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_the_command_shows_asks_and_applies(database_url: str, tmp_path: Path) -> None:
    recorded(database_url, tmp_path).close()
    records = tmp_path / "calibrations"
    for one in (FIRST, SECOND):
        write_record(records, one)
    where = ("--db", database_url, "--calibrations", str(records))
    code, said = run(*where, "--list", "--json")
    assert (code, [one["number"] for one in json.loads(said)]) == (0, [0])
    assert run(*where)[0] == 1, "nobody said yes"
    code, said = run(*where, "--yes")
    assert code == 0 and "run-1, mfsr-12 v4:" in said and " Pa (" in said
    assert "has the pressures by mfsr-12 v4 already" in run(*where, "--yes")[1]
    code, said = run(*where, "--list")
    assert "mfsr-12 v3" in said and "current" in said and "kept" in said
    assert "current" in run(*where, "--version", "3", "--yes", "--json")[1]
    assert "has no version 9" in run(*where, "--version", "9", "--yes")[1]
    assert "no calibration of sensor 'mfsr-1'" in run(*where, "--sensor", "mfsr-1", "--yes")[1]


def test_export_writes_any_of_them(sqlite_url: str, tmp_path: Path) -> None:
    archive = recorded(sqlite_url, tmp_path)
    applied(sqlite_url, archive, SECOND)
    before = archive.frame("run-1")
    for name, asked in (("now", None), ("former", "mfsr-12 v3")):
        export(archive, "run-1", "bdf-csv", tmp_path / f"{name}.bdf.csv", calibration=asked)
    metadata = {name: json.loads((tmp_path / f"{name}.json").read_text("utf-8")) for name in ("now", "former")}
    assert metadata["now"]["pressures"]["calibration"] == "mfsr-12 v4"
    assert metadata["now"]["calibrations"] == ["mfsr-12 v4"]
    assert metadata["former"]["pressures"]["sha256"] == FIRST.sha256
    assert metadata["former"]["calibrations"] == ["mfsr-12 v3"]
    assert [one["current"] for one in metadata["former"]["derivations"]] == [False, True]
    text = (tmp_path / "former.sensor.csv").read_text("utf-8").splitlines()
    assert text[0].endswith("Calibration,Beyond Calibrated Range")
    assert archive.frame("run-1").equals(before), "an export changes nothing"
    with pytest.raises(StoreError, match="has no pressures by"):
        export(archive, "run-1", "bdf-csv", tmp_path / "x.bdf.csv", calibration="mfsr-1 v1")
    archive.close()


def test_a_database_of_another_version_is_left_alone(sqlite_url: str, tmp_path: Path) -> None:
    archive = recorded(sqlite_url, tmp_path)
    planned = plan(archive, "run-1", SECOND, "ada", 2e9)
    engine = sa.create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
    engine.dispose()
    with pytest.raises(StoreError, match="schema version 0002"):
        carry_out(sqlite_url, planned)
    archive.close()
