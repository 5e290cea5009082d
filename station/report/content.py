"""What a report says, in which order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from calibration.document import Block, Column, Document, Facts, Notice, Section, Source, Table, Text
from station.analysis.cycles import Accuracy
from station.cell_events import in_words
from station.export import software_version
from station.readings import DerivationView
from station.report import drawings
from station.report.reported import Reported
from station.report.summary import comparison, fitted_spectra, summary
from station.report.values import duration, moment

EVENTS = 500
MARKERS = 500
STATEMENT = (
    "Every number was computed from the stored readings that are named beside it, by the functions named there; the "
    "same readings and version give the same numbers. Current is positive on charge."
)
BANNER = "SIMULATED: these data come from a simulated cell, not from an experiment"


def document(runs: Sequence[Reported], accuracy: Accuracy | None) -> Document:
    """Of one run, or of several compared."""
    one, *others = runs
    simulated = any(each.run.simulated for each in runs)
    if others:
        title, subtitle = f"Comparison of {len(runs)} runs", ", ".join(each.run.cell for each in runs)
        sections = _compared(runs, accuracy)
    else:
        title, subtitle = "Report of a run", f"{one.run.cell}: {one.run.protocol}"
        sections = _of_run(one, accuracy)
    notices = [] if accuracy is not None else [Notice(NO_ACCURACY)]
    return Document(
        title=title + (" (SIMULATED)" if simulated else ""),
        subtitle=subtitle,
        number=", ".join(each.run.run_id for each in runs) if len(runs) < 3 else f"{one.run.run_id} and others",
        banner=BANNER if simulated else "",
        statement=STATEMENT,
        notices=tuple(notices) if any(each.sample is not None for each in runs) else (),
        sections=tuple(sections),
        software=f"cellstation {software_version()}",
        issued=datetime.now(UTC).replace(microsecond=0),
    )


NO_ACCURACY = (
    "The accuracy of the instrument's current is not stated: capacities and efficiencies of single cycles have no "
    "uncertainty here. Give it by --current-gain-error and --current-offset-error."
)


def _of_run(one: Reported, accuracy: Accuracy | None) -> list[Section]:
    fitted = fitted_spectra(one)
    return [
        Section("The run", (Facts(tuple(_identity(one))),)),
        Section("Results", summary(one, fitted, accuracy)),
        *drawings.of_run(one, fitted),
        *_markers(one),
        _events(one),
        *_depended_on(one, ""),
    ]


def _compared(runs: Sequence[Reported], accuracy: Accuracy | None) -> list[Section]:
    sections = [
        Section("Runs", tuple(Facts(tuple(_identity(one))) for one in runs)),
        Section("Results, compared", (comparison(runs),)),
        *drawings.of_comparison(runs),
    ]
    sections += [Section(f"Results of {one.run.cell}", summary(one, fitted_spectra(one), accuracy)) for one in runs]
    for one in runs:
        sections += _depended_on(one, f", {one.run.cell}")
    return sections


# --- the run


def _identity(one: Reported) -> Iterator[tuple[str, str]]:
    run = one.run
    yield "Run", f"{run.run_id} on channel {run.channel}"
    yield "Cell", run.cell
    yield "Protocol", run.protocol
    yield "State", run.state.value + (f": {run.reason}" if run.reason else "")
    yield "Started", moment(run.started)
    yield "Ended", "not yet" if run.ended is None else f"{moment(run.ended)}, after {duration(run.ended - run.started)}"
    left_out = "" if one.record is None or not one.record.left_out else f"; {one.record.left_out} left out"
    yield "Readings", f"{run.readings:,}".replace(",", " ") + f", sequence {one.all_readings}{left_out}"
    mass_g, area_cm2 = run.active_mass_g, run.electrode_area_cm2
    yield "Active mass", "not stated" if mass_g is None else f"{mass_g * 1e3:.4g} mg (its uncertainty is not stated)"
    if area_cm2 is not None:
        yield "Electrode area", f"{area_cm2:.4g} cm²"
    yield from _instruments(one.depended_on)
    yield from _calibrations(one)


def _instruments(depended_on: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    instruments = depended_on.get("instruments")
    for each in instruments if isinstance(instruments, list) else []:
        if isinstance(each, dict):
            said = ", ".join(f"{name} {value}" for name, value in each.items() if value not in (None, "", [], {}))
            yield "Instrument", said
    if isinstance(depended_on.get("forecast"), str):
        yield "Instrument", f"none: {depended_on['forecast']}"


def _calibrations(one: Reported) -> Iterator[tuple[str, str]]:
    """What the pressures rest on, what was known against it, and what was done to the cell."""
    record = one.depended_on.get("calibration")
    if isinstance(record, dict):
        sealed = f", SHA-256 {record['sha256'][:16]}…" if record.get("sha256") else ""
        expiry = f"expires {record['expires']}" if record.get("expires") else "without a date of expiry"
        made = f"made {record.get('calibrated', 'at an unknown date')}"
        yield "Calibration at the start", f"{record.get('sensor')} v{record.get('version')}, {made}, {expiry}{sealed}"
    if len(one.derivations) > 1:
        for each in one.derivations:
            yield "Pressures", _derivation(each)
    for said in one.run.warnings:
        yield "Warning at the start", said
    for event in one.cell_events:
        yield "Cell", in_words(event)


def _derivation(one: DerivationView) -> str:
    by = one.calibration or "no calibration"
    return f"{by}, {'shown here' if one.current else 'kept'}, derived {moment(one.time)} by {one.who}"


# --- events


def _markers(one: Reported) -> list[Section]:
    if not one.markers:
        return []
    columns = (
        Column("Time", 1.6, number=False),
        Column("Test time", 1.0, number=False),
        Column("Marker", 1.5, number=False),
        Column("Step", 1.5, number=False),
        Column("State of charge", 0.8),
        Column("Line", 0.8, number=False),
    )
    rows = tuple(
        (
            f"{datetime.fromtimestamp(marker.time):%Y-%m-%d %H:%M:%S.%f}"[:-3],
            duration(marker.test_time_s),
            marker.name,
            f"{marker.step_name}, cycle {marker.cycle}",
            "" if marker.state_of_charge is None else f"{100 * marker.state_of_charge:.1f} %",
            "triggered" if marker.triggered else "",
        )
        for marker in one.markers[-MARKERS:]
    )
    return [Section("Markers", (Table(_left_out(len(one.markers) - MARKERS, "markers"), columns, rows),))]


def _events(one: Reported) -> Section:
    if not one.events:
        return Section("Events", (Text("Nothing was noted during this run."),))
    columns = (
        Column("Time", 1.3, number=False),
        Column("Level", 0.6, number=False),
        Column("Who", 0.8, number=False),
        Column("Event", 4.0, number=False),
    )
    rows = tuple(
        (f"{datetime.fromtimestamp(event.time):%Y-%m-%d %H:%M:%S}", event.level.value, event.who, event.text)
        for event in one.events[-EVENTS:]
    )
    return Section("Events", (Table(_left_out(len(one.events) - EVENTS, "events"), columns, rows),))


def _left_out(count: int, what: str) -> str:
    return f"{count} older {what} are in the database alone." if count > 0 else f"All {what}."


# --- what it depended on


def _depended_on(one: Reported, of: str) -> list[Section]:
    """Cell and protocol as their files were, and everything else as names with values."""
    blocks: list[Block] = []
    rest = dict(one.depended_on)
    for name in ("cell", "protocol"):
        given = rest.get(name)
        text = given.get("text") if isinstance(given, dict) else given
        if isinstance(text, str) and text.strip():
            file = given.get("file", "") if isinstance(given, dict) else ""
            blocks += [Text(f"The {name}, as its file {file or ''} said:".replace("  ", " ")), Source(text.rstrip())]
            del rest[name]
    rows = tuple(_flat(_shortened(rest)))
    if rows:
        blocks.append(Facts(rows))
    if not blocks:
        blocks.append(Text("Nothing was noted when the run began."))
    return [Section(f"What the run depended on{of}", tuple(blocks))]


def _shortened(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without what a calibration was made from, which is long and stands on its certificate."""
    record = found.get("calibration")
    if not isinstance(record, dict):
        return found
    return {**found, "calibration": {key: value for key, value in record.items() if key not in ("data", "evaluation")}}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested names as 'instruments 1, model'."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for place, inner in enumerate(value, 1):
            yield from _flat(inner, f"{name} {place}")
    elif value is None or value in ("", [], {}):
        return
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
