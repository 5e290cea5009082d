"""What is handed to the writer, and its form in the spool file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from station.readings import (
    CellEvent,
    CellEventKind,
    Event,
    Level,
    MarkerEvent,
    Reading,
    RunState,
    Spectrum,
    StepSummary,
)


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run as it begins. `started` in seconds since the Unix epoch."""

    run_id: str
    channel: str
    cell: str
    protocol: str
    started: float
    simulated: bool
    active_mass_g: float | None
    electrode_area_cm2: float | None
    document: str  # JSON: station, instruments, cell, protocol, calibrations, versions


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written together or not at all. Any part may be empty; without a run, events alone are carried."""

    run_id: str | None = None
    readings: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    events: tuple[Event, ...] = ()
    checkpoint: str | None = None  # JSON: the sequencer's state after the last of these readings
    state: RunState | None = None  # where it changed
    reason: str = ""
    ended: float | None = None
    markers: tuple[MarkerEvent, ...] = ()
    cell_events: tuple[CellEvent, ...] = ()

    def __post_init__(self) -> None:
        if self.run_id is None and dataclasses.replace(self, run_id="", events=(), cell_events=()) != Batch(run_id=""):
            raise ValueError("a batch without a run can carry events alone")


Entry: TypeAlias = RunSnapshot | Batch


@dataclass(frozen=True, slots=True)
class Numbered:
    """One entry with the writer that took it and its place in that writer's order, from 1."""

    writer: str
    number: int
    entry: Entry


def encode(item: Numbered) -> str:
    """One line of JSON."""
    return json.dumps(
        {
            "writer": item.writer,
            "number": item.number,
            "kind": type(item.entry).__name__,
            "entry": dataclasses.asdict(item.entry),
        },
        separators=(",", ":"),
        default=_plain,
    )


def _plain(value: Any) -> Any:
    """A number of NumPy's, as Python's own; what is no value at all, as people would see it."""
    return value.item() if hasattr(value, "item") else repr(value)


def decode(line: str) -> Numbered:
    """The inverse of `encode`; raises ValueError, KeyError or TypeError where the line is of another form."""
    content = json.loads(line)
    entry = content["entry"]
    return Numbered(
        content["writer"],
        content["number"],
        RunSnapshot(**entry) if content["kind"] == RunSnapshot.__name__ else _batch(entry),
    )


def _batch(entry: dict[str, Any]) -> Batch:
    return Batch(
        run_id=entry["run_id"],
        readings=tuple(Reading(**row) for row in entry["readings"]),
        steps=tuple(StepSummary(**row) for row in entry["steps"]),
        spectra=tuple(_spectrum(row) for row in entry["spectra"]),
        events=tuple(Event(**{**row, "level": Level(row["level"])}) for row in entry["events"]),
        checkpoint=entry["checkpoint"],
        state=None if entry["state"] is None else RunState(entry["state"]),
        reason=entry["reason"],
        ended=entry["ended"],
        markers=tuple(MarkerEvent(**row) for row in entry.get("markers", ())),  # none in what version 0.1.0 spooled
        cell_events=tuple(_cell_event(row) for row in entry.get("cell_events", ())),
    )


def _cell_event(row: dict[str, Any]) -> CellEvent:
    return CellEvent(**{**row, "kind": CellEventKind(row["kind"])})


def _spectrum(row: dict[str, Any]) -> Spectrum:
    arrays = {name: tuple(row[name]) for name in ("frequency_Hz", "real_ohm", "imaginary_ohm")}
    return Spectrum(**{**row, **arrays})
