"""Runs as files in the Battery Data Format, which other battery software reads.

Labels, units and definitions: https://github.com/battery-data-alliance/battery-data-format-ontology, release 1.3.0.
The main file has only columns that this release and the validator `batterydf` 0.1.0 both know; what they have no
common column for goes to files beside it. What each file holds is told in docs/data.md.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from station.readings import CellEvent, DerivationView, MarkerEvent, RunView, Spectrum, StepSummary
from station.store import Archive, RunPressures, StoreError

SUFFIXES = {"bdf-csv": ".bdf.csv", "bdf-parquet": ".bdf.parquet"}
FORMATS = tuple(SUFFIXES)
CHARGE_BALANCE = 1e-3  # how far the integral of the exported current may be from the exported capacity, relative

Columns: TypeAlias = "dict[str, NDArray[Any]]"
Write: TypeAlias = Callable[[Path], None]

PRESSURE_MEANING = (
    "pressure that the sensor bound to this cell reports, as calibrated; in the terms of ontology 1.3.0 a Surface "
    "Pressure where nothing outside controls it. Raw resistance and expanded uncertainty: see the .sensor.csv file"
)
TEMPERATURE_MEANING = "the thermometer bound to this channel; where it is attached is for the cell's description to say"


@dataclass(frozen=True, slots=True)
class Exported:
    """The files written, the main one first, and what their reader should know."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def file_name(run: RunView, format: str, institution: str = "") -> str:
    """A name by the format's convention, `Institution__Cell__YYYYMMDD_Run`; simulated runs say so in it."""
    day = datetime.fromtimestamp(run.started, UTC).strftime("%Y%m%d")
    parts = [institution, run.cell, f"{day}_{run.run_id}", "SIMULATED" if run.simulated else ""]
    return "__".join(re.sub(r"[^\w.+-]+", "-", part) for part in parts if part) + _suffix(format)


def export(
    archive: Archive, run_id: str, format: str, path: Path, *, overwrite: bool = False, calibration: str | None = None
) -> Exported:
    """Write a run to `path`, with what belongs to it beside it; every file appears whole or not at all.

    `calibration` asks for the pressures of another of the run's derivations ('mfsr-1 v3', or its number) than the
    current one.
    Raises StoreError where there is nothing to export, a file is there already (unless `overwrite`), or the disk
    takes no more.
    """
    _suffix(format)
    run, steps, sweeps = archive.run(run_id), archive.steps(run_id), archive.sweeps(run_id)
    known = archive.derivations(run_id)
    shown = next(one for one in known if one.current)
    frame, notes = _in_order(archive.frame(run_id))
    if calibration is not None:
        shown = archive.derivation(run_id, calibration)
        frame = _with_pressures(frame, archive.pressures(run_id, shown))
    if frame.empty:
        raise StoreError(f"run {run_id} has no readings yet: there is nothing to export")
    columns = _columns(frame, steps)
    notes += _balance_notes(frame)
    document = json.loads(archive.snapshot(run_id).document)
    metadata = _metadata(run, frame, columns, sweeps, notes, document)
    metadata |= _calibration_metadata(document, known, shown, archive.cell_events(run.cell))
    root = path.with_name(_root(path.name))
    writes = _companions(root, frame, steps, sweeps, archive.markers(run_id))
    if format == "bdf-csv":
        writes = {path: partial(_write_table_csv, columns), _beside(root, ".json"): _json_writer(metadata), **writes}
    else:
        writes = {path: partial(_write_parquet, columns, metadata), **writes}
    _write_all(writes, overwrite=overwrite)
    return Exported(tuple(writes), tuple(notes))


# --- the table


def _in_order(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows whose test time is later than that of every row before, and a note where others were left out."""
    times = frame["test_time_s"].to_numpy()
    before = np.concatenate(([-np.inf], np.maximum.accumulate(times)[:-1]))
    rising = times > before
    if rising.all():
        return frame, []
    return frame[rising].reset_index(drop=True), [
        f"{int((~rising).sum())} readings are left out: their test time is not later than that of the reading before"
    ]


def _columns(frame: pd.DataFrame, steps: Sequence[StepSummary]) -> Columns:
    """The format's columns, by label; only those in which anything was measured."""
    charging_Ah, discharging_Ah, rises = _split(frame["net_capacity_Ah"].ffill().fillna(0.0).to_numpy())
    net_energy_Wh = _net_energy_Wh(frame, steps)
    charging_Wh, discharging_Wh, _ = _split(net_energy_Wh, rises)
    columns = {
        "Test Time / s": frame["test_time_s"].to_numpy(),
        "Voltage / V": frame["voltage_V"].to_numpy(),
        "Current / A": frame["current_A"].to_numpy(),
        "Unix Time / s": frame["time"].to_numpy(),
        "Cycle Count / 1": frame["cycle"].to_numpy(),
        "Step Count / 1": frame["step"].to_numpy(),
        "Ambient Temperature / degC": frame["temperature_degC"].to_numpy(),
        "Charging Capacity / Ah": charging_Ah,
        "Discharging Capacity / Ah": discharging_Ah,
        "Net Capacity / Ah": charging_Ah - discharging_Ah,
        "Charging Energy / Wh": charging_Wh,
        "Discharging Energy / Wh": discharging_Wh,
        "Net Energy / Wh": charging_Wh - discharging_Wh,
        "Applied Pressure / Pa": frame["pressure_Pa"].to_numpy(),
    }
    required = list(columns)[:3]
    return {label: values for label, values in columns.items() if label in required or not pd.isna(values).all()}


def _split(
    net: NDArray[np.float64], rises: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """What went in and what came out up to each row, from the running net amount, and the rows where it rises.

    Energy follows the direction of the charge, not its own sign: below 0 V the two differ.
    """
    changes = np.diff(net, prepend=0.0)
    charging = changes > 0 if rises is None else rises
    return np.cumsum(np.where(charging, changes, 0.0)), np.cumsum(np.where(charging, 0.0, -changes)), charging


def _net_energy_Wh(frame: pd.DataFrame, steps: Sequence[StepSummary]) -> NDArray[np.float64]:
    """Signed energy since the run began: that of the steps before, and that of the present one so far."""
    so_far = frame["step_energy_Wh"].ffill().fillna(0.0)
    last = so_far.groupby(frame["step"]).last()
    whole: dict[int, float] = dict(zip(last.index.tolist(), last.tolist(), strict=True))
    whole.update({step.step: step.energy_Wh for step in steps})
    numbers = sorted(whole)
    before = np.concatenate(([0.0], np.cumsum([whole[number] for number in numbers])))[:-1]
    return (frame["step"].map(dict(zip(numbers, before, strict=True))) + so_far).to_numpy()


def charge_balance(frame: pd.DataFrame) -> dict[int, float]:
    """By step, the integral of the recorded current over the recorded charge, less 1.

    Both go from the step's first to its last reading, the integral by the trapezoid rule over the readings. Steps
    with less than a hundredth of the largest step's charge are left out: their ratio says nothing.
    """
    step, net_Ah = frame["step"].to_numpy(), frame["net_capacity_Ah"].to_numpy()
    time_s, current_A = frame["test_time_s"].to_numpy(), frame["current_A"].to_numpy()
    starts = np.flatnonzero(np.diff(step, prepend=step[:1] - 1))
    charges: dict[int, tuple[float, float]] = {}
    for first, end in zip(starts, [*starts[1:], len(step)], strict=True):
        rows = slice(first, end)
        integral_Ah = float(np.trapezoid(current_A[rows], time_s[rows])) / 3600
        charges[int(step[first])] = integral_Ah, float(net_Ah[end - 1] - net_Ah[first])
    enough_Ah = max((abs(charge_Ah) for _, charge_Ah in charges.values()), default=0.0) / 100
    return {
        number: integral_Ah / charge_Ah - 1
        for number, (integral_Ah, charge_Ah) in charges.items()
        if abs(charge_Ah) > enough_Ah
    }


def _balance_notes(frame: pd.DataFrame) -> list[str]:
    off = {step: error for step, error in charge_balance(frame).items() if not abs(error) <= CHARGE_BALANCE}
    if not off:
        return []
    worst = max(off, key=lambda step: abs(off[step]))
    return [
        f"in {len(off)} steps the recorded current was too sparse to give the charge back: its integral differs from "
        f"the capacity by {off[worst]:+.2%} in step {worst}, the worst. The capacity columns were integrated over "
        "every sample and hold"
    ]


def _with_pressures(frame: pd.DataFrame, others: RunPressures) -> pd.DataFrame:
    """Readings without a resistance keep what they have."""
    indexed = pd.DataFrame(
        {
            "pressure_Pa": others.pressure_Pa,
            "pressure_U_Pa": others.pressure_U_Pa,
            "calibration": pd.array(others.calibration, dtype="str"),
            "pressure_mark": pd.array(others.pressure_mark, dtype="str"),
        },
        index=others.sequence,
    )
    changed = frame.copy()
    rows = frame["sequence"].isin(indexed.index).to_numpy()
    found = indexed.loc[frame["sequence"].to_numpy()[rows]]
    for name in indexed.columns:
        changed.loc[rows, name] = found[name].to_numpy()
    return changed


# --- what goes with it


def _metadata(
    run: RunView,
    frame: pd.DataFrame,
    columns: Columns,
    sweeps: Sequence[Spectrum],
    notes: Sequence[str],
    document: Mapping[str, Any],
) -> dict[str, Any]:
    meanings = {"Applied Pressure / Pa": PRESSURE_MEANING, "Ambient Temperature / degC": TEMPERATURE_MEANING}
    return {
        "format": "Battery Data Format, ontology 1.3.0",
        "software": f"cellstation {software_version()}",
        "run": run.run_id,
        "cell": run.cell,
        "protocol": run.protocol,
        "channel": run.channel,
        "simulated": run.simulated,
        "state": run.state.value,
        "reason": run.reason,
        "started": _iso(run.started),
        "ended": None if run.ended is None else _iso(run.ended),
        "active_mass_g": run.active_mass_g,
        "electrode_area_cm2": run.electrode_area_cm2,
        "sign": "current, capacity and energy are positive on charge",
        "units": {label: label.rpartition(" / ")[2] for label in columns},
        "meaning": {label: text for label, text in meanings.items() if label in columns},
        "calibrations": sorted(frame["calibration"].dropna().unique()),
        "impedance": [
            {
                "test_time_s": one.test_time_s,
                "bias_V": one.bias_V,
                "amplitude_rms_V": one.amplitude_rms_V,
                "bias_A": one.bias_A,
                "amplitude_rms_A": one.amplitude_rms_A,
            }
            for one in sweeps
        ],
        "notes": list(notes),
        "depends_on": document,
    }


def _calibration_metadata(
    document: Mapping[str, Any],
    known: Sequence[DerivationView],
    shown: DerivationView,
    events: Sequence[CellEvent],
) -> dict[str, Any]:
    record = document.get("calibration") or {}
    return {
        "calibration_at_start": {name: record.get(name) for name in _OF_RECORD} if record else None,
        "pressures": _derivation(shown),
        "derivations": [_derivation(one) for one in known],
        "warnings": list(document.get("warnings", ())),
        "cell_events": [{**asdict(event), "kind": event.kind.value, "time": _iso(event.time)} for event in events],
    }


_OF_RECORD = ("sensor", "version", "sha256", "calibrated", "expires", "simulated")


def _derivation(one: DerivationView) -> dict[str, Any]:
    return {
        "number": one.number,
        "calibration": one.calibration,
        "sha256": one.sha256,
        "assembled": None if one.assembled is None else _iso(one.assembled),
        "derived": _iso(one.time),
        "who": one.who,
        "current": one.current,
    }


def software_version() -> str:
    try:
        return version("cellstation")
    except PackageNotFoundError:
        return "unknown"


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def _companions(
    root: Path,
    frame: pd.DataFrame,
    steps: Sequence[StepSummary],
    sweeps: Sequence[Spectrum],
    markers: Sequence[MarkerEvent],
) -> dict[Path, Write]:
    writes: dict[Path, Write] = {}
    if steps:
        writes[_beside(root, ".steps.csv")] = partial(_write_rows, STEP_LABELS, [_step_row(one) for one in steps])
    if sweeps:
        writes[_beside(root, ".eis.csv")] = partial(_write_rows, SWEEP_LABELS, _sweep_rows(sweeps))
    if markers:
        rows = [_marker_row(one) for one in markers]
        writes[_beside(root, ".markers.csv")] = partial(_write_rows, MARKER_LABELS, rows)
    if frame["resistance_ohm"].notna().any() or frame["pressure_Pa"].notna().any():
        sensor = {label: frame[name].to_numpy() for name, label in SENSOR_LABELS.items()}
        writes[_beside(root, ".sensor.csv")] = partial(_write_table_csv, sensor)
    return writes


STEP_LABELS = (
    "Step Count / 1",
    "Step ID",
    "Step Type",
    "Cycle Count / 1",
    "Start Unix Time / s",
    "End Unix Time / s",
    "Step Net Capacity / Ah",
    "Step Net Energy / Wh",
    "End Reason",
)
SWEEP_LABELS = (
    "Test Time / s",
    "Unix Time / s",
    "Cycle Count / 1",
    "Step Count / 1",
    "Frequency / Hz",
    "Real Impedance / ohm",
    "Imaginary Impedance / ohm",
    "Absolute Impedance / ohm",
    "Phase / deg",
)
MARKER_LABELS = (
    "Test Time / s",
    "Unix Time / s",
    "Marker",
    "Cycle Count / 1",
    "Step Count / 1",
    "Step ID",
    "State of Charge / 1",
    "Triggered",
)
SENSOR_LABELS = {
    "test_time_s": "Test Time / s",
    "resistance_ohm": "Sensor Resistance / ohm",
    "pressure_Pa": "Pressure / Pa",
    "pressure_U_Pa": "Pressure Expanded Uncertainty (k=2) / Pa",
    "calibration": "Calibration",
    "pressure_mark": "Beyond Calibrated Range",
}


def _step_row(step: StepSummary) -> tuple[Any, ...]:
    return (
        step.step,
        step.step_name,
        step.kind,
        step.cycle,
        step.start_time,
        step.end_time,
        step.capacity_Ah,
        step.energy_Wh,
        step.end_reason,
    )


def _marker_row(marker: MarkerEvent) -> tuple[Any, ...]:
    """A state of charge that is not known is left empty."""
    return (
        marker.test_time_s,
        marker.time,
        marker.name,
        marker.cycle,
        marker.step,
        marker.step_name,
        "" if marker.state_of_charge is None else marker.state_of_charge,
        int(marker.triggered),
    )


def _sweep_rows(sweeps: Sequence[Spectrum]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for one in sweeps:
        head = (one.test_time_s, one.time, one.cycle, one.step)
        impedance = np.array(one.real_ohm) + 1j * np.array(one.imaginary_ohm)
        values = (one.frequency_Hz, one.real_ohm, one.imaginary_ohm, np.abs(impedance), np.angle(impedance, deg=True))
        rows.extend((*head, *(float(value) for value in point)) for point in zip(*values, strict=True))
    return rows


# --- files


def _suffix(format: str) -> str:
    if format not in SUFFIXES:
        raise StoreError(f"there is no export format {format!r}: there are {', '.join(FORMATS)}")
    return SUFFIXES[format]


def _root(name: str) -> str:
    for suffix in (*SUFFIXES.values(), ".csv", ".parquet", ".bdf"):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name


def _beside(root: Path, suffix: str) -> Path:
    return root.with_name(root.name + suffix)


def _arrow(columns: Columns) -> Any:
    return pa.table({label: pa.array(values, from_pandas=True) for label, values in columns.items()})


def _write_table_csv(columns: Columns, path: Path) -> None:
    """Without quotes in the header: validators split it at the commas."""
    with path.open("wb") as file:
        file.write((",".join(columns) + "\n").encode())
        pyarrow.csv.write_csv(_arrow(columns), file, pyarrow.csv.WriteOptions(include_header=False))


def _write_parquet(columns: Columns, metadata: Mapping[str, Any], path: Path) -> None:
    table = _arrow(columns).replace_schema_metadata({name: _text(value) for name, value in metadata.items()})
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_writer(metadata: Mapping[str, Any]) -> Write:
    def write(path: Path) -> None:
        path.write_text(json.dumps(metadata, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n")

    return write


def _write_rows(labels: Sequence[str], rows: Iterable[Sequence[Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(labels)
        lines.writerows(rows)


def _write_all(writes: Mapping[Path, Write], *, overwrite: bool) -> None:
    """All files under other names first, then each in its place: a full disk leaves nothing behind."""
    there = [path for path in writes if path.exists()]
    if there and not overwrite:
        raise StoreError(f"{there[0]} exists already: choose another name, or say that it is to be overwritten")
    unfinished = {path: path.with_name(path.name + ".unfinished") for path in writes}
    try:
        for path, write in writes.items():
            write(unfinished[path])
        for path, written in unfinished.items():
            written.replace(path)
    except OSError as error:
        raise StoreError(f"nothing was exported to {next(iter(writes))}: {error}") from error
    finally:
        for written in unfinished.values():
            written.unlink(missing_ok=True)
