"""What was done to a cell and its pressure sensor by hand: what it means, and how it is told."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from station.readings import CellEvent, CellEventKind

CLOCKS_DIFFER_S = 60.0  # those of two computers, by so much at the most


def loaded_since(events: Sequence[CellEvent], until: float) -> float | None:
    """When the cell was assembled last before `until`; None where that is not known.

    An in-cell zero that was read afterwards says that the cell was taken apart again.
    """
    before = [event for event in events if event.time <= until]
    return before[-1].time if before and before[-1].kind is CellEventKind.ASSEMBLED else None


def in_words(event: CellEvent) -> str:
    """For the event log and the command line."""
    said = f"cell {event.cell}: {event.kind.value}"
    if event.measured is None or abs(event.time - event.measured) > CLOCKS_DIFFER_S:
        said += f" at {moment(event.time)}"
    if event.resistance_ohm is not None:
        said += f", {event.resistance_ohm:.4g} Ω"
    if event.pressure_Pa is not None and event.pressure_U_Pa is not None:
        said += (
            f", {event.pressure_Pa / 1e3:.4g} kPa ± {event.pressure_U_Pa / 1e3:.2g} kPa (k = 2, {event.calibration})"
        )
    return said + (f"; {event.note}" if event.note else "")


def moment(time: float) -> str:
    return f"{datetime.datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S}"
