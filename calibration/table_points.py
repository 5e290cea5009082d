"""From rows to points: bursts, zero readings, and long recordings summed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.data import Dataset, Direction, Point, ZeroReading
from calibration.table_order import Bools, Floats, Ints, bursts

MOST_POINTS = 1000  # more are summed up by force
BIN = 0.05  # of ln F, where they are
MOST_IN_BURST = 20  # readings that a summed-up point states: means of equal parts of its rows
EPOCH = 1e8  # s: a smaller time counts from the start of the recording


@dataclass(frozen=True, slots=True)
class Rows:
    """All readings in their order; arrays of equal length. No load is a force of 0; open is infinity or NaN there."""

    lines: Ints
    measured: Floats  # forces as they were read
    forces: Floats
    resistances: Floats
    series: Ints
    down: Bools
    insertion: Ints
    excluded: list[str]
    times: Floats | None
    temperatures: Floats | None
    nominal: Floats | None


def dataset(rows: Rows) -> tuple[Dataset, tuple[str, ...]]:
    """With notes on what was done."""
    notes: list[str] = []
    pressed = (rows.forces > 0) & np.isfinite(rows.resistances)
    dropped = np.flatnonzero((rows.forces > 0) & ~pressed)
    for row in dropped[:10]:
        reason = rows.excluded[row]
        notes.append(f"line {rows.lines[row]}: excluded ({reason}); no resistance was read, so that it is no point")
    loaded = np.flatnonzero(pressed)
    if not loaded.size:
        return Dataset(points=(), zeros=_zeros(rows)), tuple(notes)
    groups = list(_groups(rows, loaded))
    if len(groups) > MOST_POINTS:
        groups = _by_force(rows, loaded)
        notes.append(
            f"a recording of {loaded.size} readings under load, summed up in {len(groups)} points: for each series and "
            f"direction by forces within {BIN:.0%}; each states at most {MOST_IN_BURST} means of its readings"
        )
    elif len(groups) < loaded.size:
        notes.append(
            f"{loaded.size} rows under load are {len(groups)} points: rows that follow each other at one force and "
            "agree within 2 % in resistance are one burst"
        )
    since = _under_load(rows)
    points = tuple(_point(rows, group, since) for group in groups)
    return Dataset(points=points, zeros=_zeros(rows)), tuple(notes)


def _groups(rows: Rows, loaded: Ints) -> Iterator[Ints]:
    reasons = {reason: number for number, reason in enumerate(dict.fromkeys(rows.excluded))}
    marks = np.array([reasons[reason] for reason in rows.excluded], np.int64)
    # A row without load in between ends a burst too: the count of such rows so far is part of the key.
    unloaded = np.cumsum(~(rows.forces > 0))
    columns = (rows.series, rows.insertion, rows.down, marks, unloaded)
    keys = pd.MultiIndex.from_arrays([column[loaded] for column in columns]).factorize()[0]
    times = rows.times[loaded] if rows.times is not None else None
    for first, last in bursts(keys, rows.forces[loaded], rows.resistances[loaded], times):
        yield loaded[first:last]


def _by_force(rows: Rows, loaded: Ints) -> list[Ints]:
    frame = pd.DataFrame(
        {
            "row": loaded,
            "series": rows.series[loaded],
            "insertion": rows.insertion[loaded],
            "down": rows.down[loaded],
            "excluded": [rows.excluded[row] for row in loaded],
            "bin": np.floor(np.log(rows.forces[loaded]) / BIN).astype(np.int64),
        }
    )
    keys = ["series", "insertion", "down", "excluded", "bin"]
    groups = [np.asarray(group, np.int64) for _, group in frame.groupby(keys, sort=False)["row"]]
    return sorted(groups, key=lambda group: int(np.median(group)))


def _point(rows: Rows, group: Ints, since: Floats | None) -> Point:
    first, last = int(group[0]), int(group[-1])
    parts = np.array_split(group, min(len(group), MOST_IN_BURST))
    lines = (rows.lines[first], rows.lines[last])
    time = float(rows.times[first]) if rows.times is not None else float("nan")
    return Point(
        series=int(rows.series[first]),
        insertion=int(rows.insertion[first]),
        direction=Direction.DOWN if rows.down[first] else Direction.UP,
        forces_N=tuple(float(rows.forces[part].mean()) for part in parts),
        resistances_ohm=tuple(
            float(rows.resistances[part[0]] if len(part) == 1 else np.exp(np.log(rows.resistances[part]).mean()))
            for part in parts
        ),
        nominal_N=_positive(rows.nominal, first),
        time=time if time >= EPOCH else None,
        under_load_s=float(since[first]) if since is not None and np.isfinite(since[first]) else None,
        temperature_degC=_mean(rows.temperatures, group),
        excluded=rows.excluded[first],
        place=f"line {lines[0]}" if len(group) == 1 else f"lines {lines[0]} to {lines[1]}",
    )


def _positive(values: Floats | None, row: int) -> float | None:
    return float(values[row]) if values is not None and values[row] > 0 else None


def _mean(values: Floats | None, group: Ints) -> float | None:
    good = values[group][np.isfinite(values[group])] if values is not None else np.empty(0)
    return float(good.mean()) if good.size else None


def _under_load(rows: Rows) -> Floats | None:
    """Time since the last row without load, where there is one before."""
    if rows.times is None:
        return None
    unloaded = np.where(rows.forces > 0, np.nan, rows.times)
    since = rows.times - pd.Series(unloaded).ffill().to_numpy()
    return np.where(since >= 0, since, np.nan)


def _zeros(rows: Rows) -> tuple[ZeroReading, ...]:
    """One for each run of rows without load; before a series where readings under load of it follow."""
    empty = np.flatnonzero(~(rows.forces > 0))
    if not empty.size:
        return ()
    breaks = np.flatnonzero((np.diff(empty) > 1) | (np.diff(rows.series[empty]) != 0)) + 1
    return tuple(_zero(rows, run) for run in np.split(empty, breaks))


def _zero(rows: Rows, run: Ints) -> ZeroReading:
    series = int(rows.series[run[0]])
    of_series = np.flatnonzero((rows.series == series) & (rows.forces > 0))
    read = rows.resistances[run][np.isfinite(rows.resistances[run])]
    time = float(rows.times[run[0]]) if rows.times is not None else float("nan")
    return ZeroReading(
        series=series,
        before=bool(of_series.size and run[-1] < of_series[0]),
        force_N=float(rows.measured[run].mean()),
        resistance_ohm=float(np.exp(np.log(read).mean())) if read.size else None,
        time=time if time >= EPOCH else None,
    )
