"""A run as one HTML page that needs nothing else: for the lab book, the group meeting, the supporting information."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from station import figures
from station.cell_events import in_words
from station.export import software_version
from station.figures import Curve, Floats
from station.readings import CycleView, DerivationView, EventView, Level, MarkerEvent, RunView, SpectrumView
from station.store import Archive, StoreError

POINTS = 4000  # of a curve over the whole run
CURVES = 7  # cycles or spectra drawn into one figure, at the most
EVENTS = 500
MARKERS = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary: what, and its value in words."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """A figure with its title and caption, or without a figure the word why there is none."""

    title: str
    caption: str
    figure: Markup | None = None


def write_report(archive: Archive, run_id: str, path: Path) -> None:
    """Write the report of a run to `path`, in place of a former one. Raises StoreError."""
    run = archive.run(run_id)
    cycles, markers = archive.cycles(run_id), archive.markers(run_id)
    events = [event for event in archive.run_events(run_id) if event.level is not Level.MARKER]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            started=_moment(run.started),
            ended=None if run.ended is None else _moment(run.ended),
            summary=_summary(archive, run, cycles),
            sections=_sections(archive, run, cycles, markers),
            markers=[_marker(marker) for marker in markers[-MARKERS:]],
            markers_left_out=max(0, len(markers) - MARKERS),
            events=[_event(event) for event in events[-EVENTS:]],
            events_left_out=max(0, len(events) - EVENTS),
            document=_shortened(_document(archive.snapshot(run_id).document)),
            software=f"cellstation {software_version()}",
            written=_moment(datetime.now().timestamp()),
        )
    )
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(page, encoding="utf-8", newline="\n")
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"no report was written to {path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("station"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


# --- summary


def _summary(archive: Archive, run: RunView, cycles: Sequence[CycleView]) -> list[Row]:
    end = run.ended if run.ended is not None else None
    rows = [
        Row("State", run.state.value + (f": {run.reason}" if run.reason else "")),
        Row("Started", _moment(run.started)),
        Row("Ended", "not yet" if end is None else f"{_moment(end)}, after {_duration(end - run.started)}"),
        Row("Readings", f"{run.readings:,}".replace(",", " ")),
        Row("Active mass", "not stated" if run.active_mass_g is None else f"{run.active_mass_g * 1e3:.4g} mg"),
    ]
    if run.electrode_area_cm2 is not None:
        rows.append(Row("Electrode area", f"{run.electrode_area_cm2:.4g} cm²"))
    complete = [cycle for cycle in cycles if cycle.coulombic_efficiency is not None]
    rows.append(Row("Cycles", f"{len(complete)} complete" + (f" of {len(cycles)} begun" if cycles else "")))
    for name, cycle in (("First cycle", complete[:1]), ("Last complete cycle", complete[1:][-1:])):
        rows.extend(Row(f"{name} ({one.cycle})", _cycle_text(one, run.active_mass_g)) for one in cycle)
    rows.extend(_pressure_rows(archive, run.run_id))
    return [*rows, *_calibration_rows(archive, run)]


def _cycle_text(cycle: CycleView, mass_g: float | None) -> str:
    efficiency = cycle.coulombic_efficiency
    return (
        f"charge {capacity_text(cycle.charge_capacity_Ah, mass_g)}, "
        f"discharge {capacity_text(cycle.discharge_capacity_Ah, mass_g)}, "
        f"Coulombic efficiency {'—' if efficiency is None else f'{100 * efficiency:.2f} %'}"
    )


def capacity_text(capacity_Ah: float, mass_g: float | None) -> str:
    """In mAh, and in mAh/g where the active mass is known."""
    text = f"{_four_digits(capacity_Ah * 1e3)} mAh"
    return text if not mass_g else f"{text} ({_four_digits(capacity_Ah * 1e3 / mass_g)} mAh/g)"


def _four_digits(value: float) -> str:
    exponent = int(f"{value:.3e}".partition("e")[2])
    return f"{value:.{max(0, 3 - exponent)}f}" if value else "0"


def _pressure_rows(archive: Archive, run_id: str) -> list[Row]:
    values = _columns(archive, run_id, ["pressure_Pa", "pressure_U_Pa"])
    pressure_Pa, U_Pa = values["pressure_Pa"], values["pressure_U_Pa"]
    if not np.isfinite(pressure_Pa).any():
        return []
    low, high = int(np.nanargmin(pressure_Pa)), int(np.nanargmax(pressure_Pa))
    return [
        Row("Lowest pressure", pressure_text(float(pressure_Pa[low]), float(U_Pa[low]))),
        Row("Highest pressure", pressure_text(float(pressure_Pa[high]), float(U_Pa[high]))),
    ]


def _calibration_rows(archive: Archive, run: RunView) -> list[Row]:
    """What the pressures rest on, what was known against it, and what was done to the cell."""
    document = _document(archive.snapshot(run.run_id).document)
    record = document.get("calibration") if isinstance(document, dict) else None
    known = archive.derivations(run.run_id)
    rows = []
    if record:
        sealed = f", SHA-256 {record['sha256'][:16]}…" if record.get("sha256") else ""
        expiry = f"expires {record['expires']}" if record.get("expires") else "without a date of expiry"
        began = f"{record['sensor']} v{record['version']}, made {record['calibrated']}, {expiry}{sealed}"
        rows.append(Row("Calibration at the start", began))
    if len(known) > 1:
        rows.extend(Row("Pressures", _derivation_text(one)) for one in known)
    rows.extend(Row("Warning at the start", said) for said in run.warnings)
    rows.extend(Row("Cell", in_words(event)) for event in archive.cell_events(run.cell))
    return rows


def _derivation_text(one: DerivationView) -> str:
    by = one.calibration or "no calibration"
    return f"{by}, {'shown here' if one.current else 'kept'}, derived {_moment(one.time)} by {one.who}"


def pressure_text(pressure_Pa: float, U_Pa: float) -> str:
    """In kPa, rounded to the place of the second digit of its expanded uncertainty."""
    if not (math.isfinite(U_Pa) and U_Pa > 0):
        return f"{pressure_Pa / 1e3:.4g} kPa (uncertainty not known)"
    decimals = 1 - math.floor(math.log10(U_Pa / 1e3))
    value, U = (round(amount / 1e3, decimals) for amount in (pressure_Pa, U_Pa))
    shown = max(0, decimals)
    return f"{value:.{shown}f} kPa ± {U:.{shown}f} kPa (k = 2)"


# --- figures


def _sections(
    archive: Archive, run: RunView, cycles: Sequence[CycleView], markers: Sequence[MarkerEvent]
) -> list[Section]:
    spectra = archive.spectra(run.run_id)
    markers_s = np.array([marker.test_time_s for marker in markers], dtype=np.float64)
    return [
        _over_time(archive, run.run_id, markers_s),
        _pressure(archive, run.run_id, markers_s),
        _profiles(archive, run, cycles),
        _capacities(run, cycles),
        _impedance(spectra),
    ]


def _over_time(archive: Archive, run_id: str, markers_s: Floats) -> Section:
    title = "Voltage and current"
    values = _columns(archive, run_id, ["voltage_V", "current_A"])
    if not len(values["test_time_s"]):
        return Section(title, "Nothing has been recorded yet.")
    figure = figures.voltage_and_current(values["test_time_s"], values["voltage_V"], values["current_A"], markers_s)
    marked = " Broken vertical lines are the protocol's markers." if len(markers_s) else ""
    return Section(title, f"Positive current charges the cell. All extremes are drawn.{marked}", Markup(figure))


def _pressure(archive: Archive, run_id: str, markers_s: Floats) -> Section:
    title = "Pressure"
    values = _columns(archive, run_id, ["pressure_Pa", "pressure_U_Pa"])
    if not np.isfinite(values["pressure_Pa"]).any():
        return Section(title, "No pressure was measured in this run.")
    figure = figures.pressure(values["test_time_s"], values["pressure_Pa"], values["pressure_U_Pa"], markers_s)
    known = np.isfinite(values["pressure_U_Pa"]).any()
    band = "The band is the expanded uncertainty (k = 2)." if known else "Its uncertainty is not known."
    return Section(title, band, Markup(figure))


def _profiles(archive: Archive, run: RunView, cycles: Sequence[CycleView]) -> Section:
    title = "Voltage profiles"
    unit, factor = _capacity_unit(run)
    curves = [
        curve
        for number in spread([cycle.cycle for cycle in cycles])
        for curve in _half_cycles(archive, run.run_id, number, factor)
    ]
    if not curves:
        return Section(title, "No current has flowed yet.")
    return Section(
        title,
        "Capacity from the beginning of each half-cycle." + _per_mass_note(run),
        Markup(figures.voltage_profiles(curves, unit)),
    )


def _half_cycles(archive: Archive, run_id: str, cycle: int, factor: float) -> list[Curve]:
    """Voltage over the magnitude of the charge moved, from each reversal of the current to the next.

    A current below a 500th of the cycle's largest is a rest's noise, and a rest reverses nothing.
    """
    values = _columns(archive, run_id, ["voltage_V", "current_A", "net_capacity_Ah"], cycle=cycle)
    if not len(values["test_time_s"]):
        return []
    current_A, net_Ah, voltage_V = values["current_A"], values["net_capacity_Ah"], values["voltage_V"]
    driven = np.flatnonzero(np.abs(current_A) > np.nanmax(np.abs(current_A), initial=0.0) / 500)
    reversals = driven[1:][np.diff(np.sign(current_A[driven])) != 0]
    stretches = np.split(np.arange(driven[0], len(net_Ah)), reversals - driven[0]) if len(driven) else []
    return [Curve(cycle, np.abs(net_Ah[rows] - net_Ah[rows[0]]) * factor, voltage_V[rows]) for rows in stretches]


def _capacities(run: RunView, cycles: Sequence[CycleView]) -> Section:
    title = "Capacity and Coulombic efficiency"
    driven = [cycle for cycle in cycles if cycle.charge_capacity_Ah or cycle.discharge_capacity_Ah]
    if not driven:
        return Section(title, "No current has flowed yet.")
    unit, factor = _capacity_unit(run)
    figure = figures.capacities(
        np.array([float(cycle.cycle) for cycle in driven]),
        np.array([cycle.charge_capacity_Ah for cycle in driven]) * factor,
        np.array([cycle.discharge_capacity_Ah for cycle in driven]) * factor,
        np.array([math.nan if cycle.coulombic_efficiency is None else cycle.coulombic_efficiency for cycle in driven]),
        unit,
    )
    efficiency = "The efficiency is the second half-cycle's capacity over the first's; a cycle that goes on has none."
    return Section(title, efficiency + _per_mass_note(run), Markup(figure))


def _impedance(spectra: Sequence[SpectrumView]) -> Section:
    title = "Impedance"
    measured = [one for one in spectra if one.frequency_Hz]
    if not measured:
        return Section(title, "No impedance was measured in this run.")
    chosen = [measured[k] for k in spread(range(len(measured)))]
    curves = [Curve(one.cycle, np.array(one.real_ohm), -np.array(one.imaginary_ohm)) for one in chosen]
    low, high = min(min(one.frequency_Hz) for one in chosen), max(max(one.frequency_Hz) for one in chosen)
    count = f"{len(chosen)} of {len(measured)} spectra" if len(chosen) < len(measured) else "All spectra"
    return Section(title, f"{count}, {_hertz(low)} to {_hertz(high)}.", Markup(figures.nyquist(curves)))


def spread(items: Sequence[int]) -> list[int]:
    """At most `CURVES` of the items, the first and the last among them, evenly apart."""
    places = np.linspace(0, len(items) - 1, min(CURVES, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def _capacity_unit(run: RunView) -> tuple[str, float]:
    """The unit to draw capacities in, and how much of it 1 Ah is."""
    return ("mAh/g", 1e3 / run.active_mass_g) if run.active_mass_g else ("mAh", 1e3)


def _per_mass_note(run: RunView) -> str:
    return f" Per gram of the active mass of {run.active_mass_g * 1e3:.4g} mg." if run.active_mass_g else ""


def _columns(archive: Archive, run_id: str, names: Sequence[str], cycle: int | None = None) -> dict[str, Floats]:
    columns = archive.series(run_id, names, cycle=cycle, points=POINTS).columns
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


# --- words


def _event(event: EventView) -> dict[str, str]:
    time = f"{datetime.fromtimestamp(event.time):%Y-%m-%d %H:%M:%S}"
    return {"time": time, "level": event.level.value, "who": event.who, "text": event.text}


def _marker(marker: MarkerEvent) -> dict[str, str]:
    charge = marker.state_of_charge
    return {
        "time": f"{datetime.fromtimestamp(marker.time):%Y-%m-%d %H:%M:%S.%f}"[:-3],
        "test_time": _duration(marker.test_time_s),
        "name": marker.name,
        "step": f"{marker.step_name}, cycle {marker.cycle}",
        "charge": "" if charge is None else f"{100 * charge:.1f} %",
        "triggered": "triggered" if marker.triggered else "",
    }


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _shortened(document: Any) -> Any:
    """Without what a calibration was made from, which is long and stands on its certificate."""
    if not isinstance(document, dict) or not isinstance(document.get("calibration"), dict):
        return document
    kept = {name: value for name, value in document["calibration"].items() if name not in ("data", "evaluation")}
    return {**document, "calibration": kept}


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S UTC%z")


def _duration(seconds: float) -> str:
    days, rest = divmod(round(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s"))
    first = next((k for k, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def _hertz(frequency: float) -> str:
    scale = figures.prefix_scale(frequency, "Hz")
    return f"{frequency * scale.factor:.4g} {scale.unit}"
