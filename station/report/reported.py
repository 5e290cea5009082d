"""What a report is made from: a run with all that belongs to it, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocols.cell import parse_cell
from protocols.document import DocumentError
from station.analysis.cycles import Cycle, cut_half, cycles
from station.analysis.errors import AnalysisError
from station.analysis.figures import CapacityUnit, Sample
from station.analysis.impedance.spectrum import Measured, from_sweep
from station.analysis.record import Record, as_record
from station.readings import CellEvent, DerivationView, EventView, Level, MarkerEvent, RunState, RunView
from station.store import Archive


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """`record` is None without readings, `sample` where no current has flowed."""

    run: RunView
    depended_on: Mapping[str, Any]
    record: Record | None
    sample: Sample | None
    spectra: tuple[Measured, ...]
    markers: tuple[MarkerEvent, ...]
    events: tuple[EventView, ...]
    cell_events: tuple[CellEvent, ...]
    derivations: tuple[DerivationView, ...]

    def readings(self, first_row: int, end_row: int) -> str:
        """The sequence numbers of these rows of the record: '1–345'."""
        if self.record is None or self.record.sequence is None or end_row <= first_row:
            return "none"
        numbers = self.record.sequence[first_row:end_row]
        return f"{int(numbers[0])}–{int(numbers[-1])}"

    @property
    def complete_cycles(self) -> tuple[Cycle, ...]:
        """Those with both half-cycles whole."""
        return () if self.sample is None else self.sample.complete_cycles

    @property
    def all_readings(self) -> str:
        return "none" if self.record is None else self.readings(0, len(self.record))


def read(archive: Archive, run_id: str) -> Reported:
    """Raises StoreError where there is no such run."""
    run = archive.run(run_id)
    depended_on = _document(archive.snapshot(run_id).document)
    record = _record(archive, run_id)
    events = tuple(event for event in archive.run_events(run_id) if event.level is not Level.MARKER)
    return Reported(
        run,
        depended_on,
        record,
        None if record is None else _sample(run, record, depended_on),
        _spectra(archive, run),
        archive.markers(run_id),
        events,
        archive.cell_events(run.cell),
        archive.derivations(run_id),
    )


def _document(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {"document": text}
    return found if isinstance(found, dict) else {"document": found}


def _record(archive: Archive, run_id: str) -> Record | None:
    try:
        return as_record(archive.frame(run_id))
    except AnalysisError:
        return None  # fewer than two readings


def _sample(run: RunView, record: Record, depended_on: Mapping[str, Any]) -> Sample | None:
    try:
        found = cycles(record)
    except AnalysisError:
        return None  # no current has flowed yet
    unit = CapacityUnit.of(run.active_mass_g)
    cut = None if run.state is RunState.FINISHED else cut_half(found, len(record))
    return Sample(run.cell, record, found, unit, run.simulated, _nominal_Ah(depended_on), cut)


def _nominal_Ah(depended_on: Mapping[str, Any]) -> float | None:
    cell = depended_on.get("cell")
    text = cell.get("text") if isinstance(cell, dict) else None
    try:
        return parse_cell(text).capacity_Ah if text else None
    except DocumentError:
        return None  # a cell file of another version


def _spectra(archive: Archive, run: RunView) -> tuple[Measured, ...]:
    found = []
    for sweep in archive.sweeps(run.run_id):
        try:
            found.append(Measured(run.run_id, sweep.number, sweep.cycle, from_sweep(sweep), run.simulated))
        except AnalysisError:
            continue  # no point has a value, as in a sweep that was stopped
    return tuple(found)
