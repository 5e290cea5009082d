"""Exported files: what the format's own validator says, and whether the charge adds up."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from station import export as module
from station.export import Exported, charge_balance, export, file_name
from station.store import Archive, Batch, StoreError, Writer
from tests.bdf_validator import validate
from tests.station import synthetic

KNOWN = (
    "Test Time / s",
    "Voltage / V",
    "Current / A",
    "Unix Time / s",
    "Cycle Count / 1",
    "Step Count / 1",
    "Charging Capacity / Ah",
    "Discharging Capacity / Ah",
    "Net Capacity / Ah",
    "Charging Energy / Wh",
    "Discharging Energy / Wh",
    "Net Energy / Wh",
    "Applied Pressure / Pa",
)


def recorded(tmp_path: Path, *channels: synthetic.Channel, simulated: bool = False) -> Archive:
    url = f"sqlite:///{(tmp_path / 'station.db').as_posix()}"
    writer = Writer(url, tmp_path / "spool")
    for channel in channels:
        writer.begin_run(synthetic.snapshot(channel.run_id, simulated=simulated))
        for batch in synthetic.batches(channel):
            writer.submit(batch)
    writer.close()
    assert writer.trouble is None
    return Archive(url)


def test_markers_stand_in_a_file_beside_it(tmp_path: Path, channel: synthetic.Channel) -> None:
    made = (synthetic.marker(1), synthetic.marker(2, state_of_charge=None, triggered=False, name='tilt, "left"'))
    archive = recorded(tmp_path, channel)
    assert not any("markers" in file.name for file in export(archive, "run-1", "bdf-csv", tmp_path / "a.bdf.csv").files)
    writer = Writer(f"sqlite:///{(tmp_path / 'station.db').as_posix()}", tmp_path / "spool")
    writer.submit(Batch("run-1", markers=made))
    writer.close()
    done = export(archive, "run-1", "bdf-csv", tmp_path / "b.bdf.csv")
    assert tmp_path / "b.markers.csv" in done.files
    table = pd.read_csv(tmp_path / "b.markers.csv")
    assert list(table["Marker"]) == ["image 1", 'tilt, "left"']
    assert list(table["Test Time / s"]) == [60.0, 120.0]
    assert list(table["Unix Time / s"]) == [one.time for one in made]
    assert table["State of Charge / 1"][0] == 0.51 and math.isnan(table["State of Charge / 1"][1])
    assert list(table["Triggered"]) == [1, 0]
    archive.close()


@pytest.fixture(scope="module")
def channel() -> synthetic.Channel:
    return synthetic.half_cell(cycles=3)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, channel: synthetic.Channel) -> Iterator[Archive]:
    archive = recorded(tmp_path_factory.mktemp("bench"), channel, simulated=True)
    yield archive
    archive.close()


@pytest.fixture(params=["bdf-csv", "bdf-parquet"])
def exported(request: pytest.FixtureRequest, archive: Archive, tmp_path: Path) -> Exported:
    return export(archive, "run-1", request.param, tmp_path / f"out{module.SUFFIXES[request.param]}")


def read(exported: Exported) -> pd.DataFrame:
    file = exported.files[0]
    return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)


def half_cycles(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Stretches in which the current has one direction, whatever the steps in them."""
    direction = np.sign(table["Current / A"])
    for _, rows in table.groupby((direction != direction.shift()).cumsum()):
        if rows["Current / A"].iloc[0] != 0:
            yield rows


def test_the_formats_validator_accepts_the_file(exported: Exported) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # legacy labels, time that falls
        report = validate(exported.files[0])
    assert report["ok"]
    assert (report["missing"], report["extras"], report["legacy_labels"]) == ([], [], [])
    assert report["time_stats"]["monotonic"]
    assert exported.notes == ()


def test_the_columns_are_what_was_recorded(exported: Exported, channel: synthetic.Channel) -> None:
    table = read(exported)
    assert tuple(table.columns) == KNOWN  # temperature was not measured: no column
    for label, name in (("Test Time / s", "test_time_s"), ("Voltage / V", "voltage_V"), ("Unix Time / s", "time")):
        assert table[label].tolist() == [getattr(one, name) for one in channel.readings]
    assert table["Applied Pressure / Pa"].tolist() == [one.pressure_Pa for one in channel.readings]
    assert table["Cycle Count / 1"].dtype == np.int64
    assert (np.diff(table["Test Time / s"]) > 0).all()


def test_the_charge_of_each_half_cycle_is_the_integral_of_its_current(exported: Exported) -> None:
    table = read(exported)
    seen = 0
    for rows in half_cycles(table):
        integral_Ah = np.trapezoid(rows["Current / A"], rows["Test Time / s"]) / 3600
        for label, sign in (("Charging Capacity / Ah", 1), ("Discharging Capacity / Ah", -1)):
            moved_Ah = rows[label].iloc[-1] - rows[label].iloc[0]
            assert moved_Ah == pytest.approx(max(0.0, sign * integral_Ah), rel=1e-3, abs=1e-15)
        assert np.ptp(rows["Net Capacity / Ah"].iloc[[0, -1]]) == pytest.approx(abs(integral_Ah), rel=1e-3)
        seen += 1
    assert seen == 6


def test_derived_columns_agree_with_each_other(exported: Exported, channel: synthetic.Channel) -> None:
    table = read(exported)
    for amount in ("Capacity / Ah", "Energy / Wh"):
        charging, discharging, net = (table[f"{which} {amount}"] for which in ("Charging", "Discharging", "Net"))
        assert (np.diff(charging) >= 0).all()
        assert (np.diff(discharging) >= 0).all()
        np.testing.assert_allclose(charging - discharging, net, rtol=0, atol=1e-15)
    assert table["Net Capacity / Ah"].iloc[-1] == pytest.approx(channel.charge_Ah, abs=1e-15)
    assert table["Net Energy / Wh"].iloc[-1] == pytest.approx(sum(step.energy_Wh for step in channel.steps), rel=1e-12)


def test_a_step_too_short_to_be_recorded_keeps_its_energy(tmp_path: Path) -> None:
    channel = synthetic.half_cell(cycles=1)
    hidden = channel.steps[2].step
    kept = [one for one in channel.readings if one.step != hidden]
    channel.readings = [replace(one, sequence=k) for k, one in enumerate(kept, start=1)]
    table = read(export(recorded(tmp_path, channel), "run-1", "bdf-csv", tmp_path / "out.bdf.csv"))
    assert table["Net Energy / Wh"].iloc[-1] == pytest.approx(sum(step.energy_Wh for step in channel.steps), rel=1e-12)
    assert table["Net Capacity / Ah"].iloc[-1] == pytest.approx(channel.charge_Ah, abs=1e-15)


READ_AS_JSON = (
    *("depends_on", "calibrations", "units"),
    *("calibration_at_start", "pressures", "warnings", "cell_events"),
)


def test_what_the_file_is_stands_in_it(exported: Exported) -> None:
    main = exported.files[0]
    if main.suffix == ".parquet":
        raw = pyarrow.parquet.read_schema(main).metadata
        metadata = {key.decode(): value.decode() for key, value in raw.items()}
        assert metadata["simulated"] == "true"
        metadata.update({key: json.loads(metadata[key]) for key in READ_AS_JSON})
    else:
        metadata = json.loads((main.parent / "out.json").read_text(encoding="utf-8"))
        assert metadata["simulated"] is True
    assert (metadata["run"], metadata["cell"], metadata["protocol"]) == ("run-1", "cell-7", "si-half-cell")
    assert metadata["calibrations"] == ["mfsr-12 v3"]
    assert metadata["units"]["Charging Capacity / Ah"] == "Ah"
    assert metadata["software"].startswith("cellstation ")
    assert metadata["depends_on"]["calibration"]["sensor"] == "mfsr-12"
    seal = synthetic.CALIBRATION.sha256
    assert (metadata["calibration_at_start"]["version"], metadata["calibration_at_start"]["sha256"]) == (3, seal)
    assert metadata["calibration_at_start"]["expires"] == "2026-06-30"
    assert metadata["pressures"]["calibration"] == "mfsr-12 v3" and metadata["pressures"]["current"]
    assert metadata["warnings"] == ["the calibration mfsr-12 v3 expired on 2026-06-30"]
    assert metadata["cell_events"] == []
    assert "positive on charge" in metadata["sign"]


def test_impedance_steps_and_sensor_go_beside_it(exported: Exported, channel: synthetic.Channel) -> None:
    folder = exported.files[0].parent
    assert {file.name for file in exported.files[1:]} - {"out.json"} == {
        "out.steps.csv",
        "out.eis.csv",
        "out.sensor.csv",
    }
    assert {file.name for file in folder.iterdir()} == {file.name for file in exported.files}
    eis = pd.read_csv(folder / "out.eis.csv")
    first = channel.spectra[0]
    assert eis["Frequency / Hz"][:7].tolist() == list(first.frequency_Hz)
    assert eis["Imaginary Impedance / ohm"][:7].tolist() == list(first.imaginary_ohm)
    assert (eis["Imaginary Impedance / ohm"] < 0).all()  # a capacitive cell
    assert eis["Phase / deg"][3] == pytest.approx(math.degrees(math.atan2(first.imaginary_ohm[3], first.real_ohm[3])))
    assert sorted(set(eis["Test Time / s"])) == [one.test_time_s for one in channel.spectra]
    steps = pd.read_csv(folder / "out.steps.csv")
    assert steps["Step Type"].tolist() == [one.kind for one in channel.steps]
    assert steps["Step Net Capacity / Ah"].tolist() == [one.capacity_Ah for one in channel.steps]
    sensor = pd.read_csv(folder / "out.sensor.csv")
    assert sensor["Sensor Resistance / ohm"].tolist() == [one.resistance_ohm for one in channel.readings]
    assert set(sensor["Pressure Expanded Uncertainty (k=2) / Pa"]) == {4e3}
    assert set(sensor["Calibration"]) == {"mfsr-12 v3"}


def test_recording_that_is_too_sparse_is_said(tmp_path: Path, channel: synthetic.Channel) -> None:
    """The capacity still holds; the current of a hold alone, recorded every 300 s, does not give it back."""
    sparse = synthetic.Channel("run-1", steps=channel.steps)
    by_step = [list(rows) for _, rows in itertools.groupby(channel.readings, key=lambda one: one.step)]
    kept = [one for rows in by_step for one in rows if one in (rows[0], rows[-1]) or one.step_time_s % 300 == 0]
    sparse.readings = [replace(one, sequence=k) for k, one in enumerate(kept, start=1)]
    result = export(recorded(tmp_path, sparse), "run-1", "bdf-csv", tmp_path / "out.bdf.csv")
    (note,) = result.notes
    assert note.startswith("in 3 steps the recorded current was too sparse")
    assert "+8." in note
    assert note in (tmp_path / "out.json").read_text(encoding="utf-8")
    table = read(result)
    assert table["Net Capacity / Ah"].iloc[-1] == pytest.approx(channel.charge_Ah, abs=1e-15)


def test_charge_balance_of_the_recording_rules(archive: Archive) -> None:
    errors = charge_balance(archive.frame("run-1"))
    assert len(errors) == 9
    assert max(map(abs, errors.values())) < 1e-3


def test_time_that_does_not_rise_is_left_out_and_said(tmp_path: Path) -> None:
    channel = synthetic.half_cell(cycles=1)
    channel.readings[20] = replace(channel.readings[20], test_time_s=channel.readings[19].test_time_s)
    channel.readings[21] = replace(channel.readings[21], test_time_s=channel.readings[18].test_time_s)
    result = export(recorded(tmp_path, channel), "run-1", "bdf-parquet", tmp_path / "out.bdf.parquet")
    assert result.notes[0].startswith("2 readings are left out")
    table = read(result)
    assert len(table) == len(channel.readings) - 2
    assert (np.diff(table["Test Time / s"]) > 0).all()


def test_missing_values_are_empty_not_zero(tmp_path: Path) -> None:
    channel = synthetic.half_cell(cycles=1)
    channel.readings[5] = replace(channel.readings[5], pressure_Pa=None, resistance_ohm=None)
    archive = recorded(tmp_path, channel)
    lines = (export(archive, "run-1", "bdf-csv", tmp_path / "a.bdf.csv").files[0]).read_text().splitlines()
    assert lines[6].endswith(",")
    table = read(export(archive, "run-1", "bdf-parquet", tmp_path / "a.bdf.parquet", overwrite=True))
    assert table["Applied Pressure / Pa"].isna().tolist() == [k == 5 for k in range(len(table))]


def test_a_file_that_exists_is_not_overwritten_unasked(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        export(archive, "run-1", "bdf-csv", path)
    assert path.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]
    export(archive, "run-1", "bdf-csv", path, overwrite=True)
    assert validate(path)["ok"]  # by its header, without .bdf in the name


def test_a_full_disk_leaves_no_half_file(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = module._write_rows

    def full(labels: tuple[str, ...], rows: list[tuple[object, ...]], path: Path) -> None:
        write(labels, rows[:1], path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write_rows", full)
    with pytest.raises(StoreError, match="No space left"):
        export(archive, "run-1", "bdf-parquet", tmp_path / "out.bdf.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_said(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(StoreError, match="there are bdf-csv, bdf-parquet"):
        export(archive, "run-1", "xlsx", tmp_path / "x")
    with pytest.raises(StoreError, match="there is no run 'run-x'"):
        export(archive, "run-x", "bdf-csv", tmp_path / "x")
    empty = recorded(tmp_path, synthetic.Channel("empty"))
    with pytest.raises(StoreError, match="no readings yet"):
        export(empty, "empty", "bdf-csv", tmp_path / "x")


def test_names_follow_the_convention(archive: Archive) -> None:
    run = archive.run("run-1")
    assert file_name(run, "bdf-csv", "FZ") == "FZ__cell-7__20260921_run-1__SIMULATED.bdf.csv"
    plain = run.model_copy(update={"simulated": False, "cell": "Si / 7 ü"})
    assert file_name(plain, "bdf-parquet") == "Si-7-ü__20260921_run-1.bdf.parquet"
