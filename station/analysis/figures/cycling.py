"""Figures of cycling: voltage over capacity, capacity and efficiency over cycles, rate tests, maps of dQ/dV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from station.analysis.curves import SMOOTH, Derivative, HalfCurve, Smoothing, dqdv, half_curves
from station.analysis.cycles import Cycle, rate_test
from station.analysis.errors import AnalysisError
from station.analysis.figures.page import Figure, Size, blank, finished, in_style, legend_above
from station.analysis.figures.palette import GREY, Order, key, look
from station.analysis.figures.sample import Sample, common_unit, said_of_cut
from station.analysis.figures.scales import largest, prefix_scale
from station.analysis.flow import Direction
from station.store.reduce import extremes

CURVE_POINTS = 1000
"""Of each half-cycle; all extremes are among them."""
SOME_CYCLES = 7
LETTERS_PER_MM = 0.55
"""Of names above groups, side by side, in the width of a figure."""
AS_FAR = "is drawn as far as it came"
MOST_ROWS = 400
"""Cycles of a map; a page has no more lines to show."""


def spread(numbers: Sequence[int], most: int = SOME_CYCLES) -> list[int]:
    """At most `most` of the numbers, the first and the last among them, evenly apart."""
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)
    return [numbers[place] for place in places.tolist()]


def chosen(sample: Sample, numbers: Sequence[int] | None, most: int) -> list[Cycle]:
    """Those named; where none is, some that were not cut, evenly apart. Raises AnalysisError for one not there."""
    cycles = sample.compared_cycles if numbers is None else sample.cycles
    by_number = {cycle.number: cycle for cycle in cycles}
    if numbers is None:
        return [by_number[number] for number in spread(sorted(by_number), most)]
    if missing := [number for number in numbers if number not in by_number]:
        raise AnalysisError(f"there is no cycle {missing[0]}; there are {min(by_number)} to {max(by_number)}")
    return [by_number[number] for number in numbers]


# --- voltage over capacity


@in_style
def voltage_capacity(sample: Sample, numbers: Sequence[int] | None = None, *, size: Size = Size.SINGLE) -> Figure:
    """Voltage over the capacity of each half-cycle, which counts from 0; of some cycles unless they are named.

    Columns: cycle, direction, capacity, voltage_V. Raises AnalysisError where a cycle is not there.
    """
    table = _curve_table(sample, chosen(sample, numbers, SOME_CYCLES))
    drawing = blank(size, 62.0 if size is Size.SINGLE else 78.0)
    axes = drawing.subplots()
    order = Order(table["cycle"].unique().tolist())
    for (cycle, direction), rows in table.groupby(["cycle", "direction"], sort=False):
        line = "-" if direction == Direction.CHARGE else "--"
        axes.plot(
            rows[sample.capacity.column], rows["voltage_V"], line, color=order.colour(float(str(cycle))), linewidth=0.9
        )
    axes.set(xlabel=sample.capacity.label, ylabel="Voltage / V")
    axes.set_xlim(left=0)
    _legend_of_cycles(drawing, axes, order, table["direction"].unique().tolist())
    caption = "Voltage over the capacity of each half-cycle. Solid: charge; broken: discharge."
    caption += said_of_cut([sample], AS_FAR, table["cycle"])
    return finished("voltage-capacity", drawing, table, caption, simulated=sample.simulated)


def _curve_table(sample: Sample, cycles: Sequence[Cycle]) -> pd.DataFrame:
    halves = [half for cycle in cycles for half in (cycle.half(cycle.first), cycle.half(cycle.first.other)) if half]
    parts = []
    for curve in half_curves(sample.record, halves, hold=True):
        rows = extremes(curve.capacity_Ah, {"voltage": curve.voltage_V}, CURVE_POINTS)
        parts.append(
            pd.DataFrame(
                {
                    "cycle": curve.cycle,
                    "direction": curve.direction.value,
                    sample.capacity.column: curve.capacity_Ah[rows] * sample.capacity.per_Ah,
                    "voltage_V": curve.voltage_V[rows],
                }
            )
        )
    if not parts:
        raise AnalysisError(f"{sample.name}: no current has flowed in these cycles")
    return pd.concat(parts, ignore_index=True)


def _legend_of_cycles(drawing: Drawing, axes: Axes, order: Order, directions: Sequence[str]) -> None:
    handles = []
    if order.few:
        handles = [key(color=order.colour(n), label=f"cycle {n:g}") for n in order.numbers]
    else:
        order.bar(drawing, axes, "Cycle")
    lines = {Direction.CHARGE: "-", Direction.DISCHARGE: "--"}
    handles += [key(color=GREY, linestyle=line, label=way.value) for way, line in lines.items() if way in directions]
    legend_above(drawing, handles)


# --- over cycles


@in_style
def capacities(samples: Sequence[Sample], *, size: Size = Size.SINGLE) -> Figure:
    """Capacity of charge (open) and discharge (filled) over cycles, and below them the Coulombic efficiency.

    Columns: sample, cycle, charge and discharge capacity, coulombic_efficiency_percent, cut_short. All efficiencies are
    drawn, those above 100 % too; what is far from the others sets no scale, and is drawn at the edge as a triangle. A
    half-cycle that the run was cut in is a cross, named in `cut_short`, and its cycle has no efficiency.
    """
    unit = common_unit(samples)
    table = pd.concat([_cycle_rows(sample) for sample in samples], ignore_index=True)
    charge, discharge = f"charge_{unit.column}", f"discharge_{unit.column}"
    drawing = blank(size, 84.0)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    markersize = 3.2 if len(table) <= 120 * len(samples) else 1.8
    for place, (name, rows) in enumerate(table.groupby("sample", sort=False)):
        as_ = look(place)
        own: Any = {"linestyle": "", "color": as_.colour, "marker": as_.marker, "markersize": markersize}
        prefix = f"{name}, " if len(samples) > 1 else ""
        for way, column, face in ((Direction.CHARGE, charge, "white"), (Direction.DISCHARGE, discharge, as_.colour)):
            whole = rows[rows["cut_short"] != way]
            upper.plot(whole["cycle"], whole[column], markerfacecolor=face, label=f"{prefix}{way}", **own)
        _cross(upper, rows, as_.colour, f"{prefix}cut short", charge, discharge)
        lower.plot(rows["cycle"], rows["coulombic_efficiency_percent"], **own)
    top = max(largest(table[charge]), largest(table[discharge]))
    upper.set_ylim(0, 1.08 * top if top else 1.0)
    upper.set_ylabel(unit.label)
    _efficiency_axis(lower, table)
    lower.set_xlabel("Cycle")
    lower.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    drawing.legend(loc="outside upper center", ncols=2, columnspacing=1.2)
    caption = "Capacity of charge (open) and discharge (filled), and Coulombic efficiency, over cycles."
    caption += said_of_cut(samples, "has a cross instead, and no efficiency", table["cycle"])
    return finished("cycling", drawing, table, caption, simulated=any(sample.simulated for sample in samples))


def _cross(axes: Axes, rows: pd.DataFrame, colour: str, label: str, charge: str, discharge: str) -> None:
    """What was cut short is no capacity of the cell."""
    cut = rows[rows["cut_short"] != ""]
    if len(cut):
        values = np.where(cut["cut_short"] == Direction.CHARGE, cut[charge], cut[discharge])
        axes.plot(cut["cycle"], values, "x", color=colour, label=label)


def _cycle_rows(sample: Sample) -> pd.DataFrame:
    cut = None if sample.cut is None else sample.cut.cycle

    def of(cycle: Cycle, direction: Direction) -> float:
        half = cycle.half(direction)
        return math.nan if half is None else half.capacity_Ah * sample.capacity.per_Ah

    return pd.DataFrame(
        {
            "sample": sample.name,
            "cycle": [cycle.number for cycle in sample.cycles],
            f"charge_{sample.capacity.column}": [of(cycle, Direction.CHARGE) for cycle in sample.cycles],
            f"discharge_{sample.capacity.column}": [of(cycle, Direction.DISCHARGE) for cycle in sample.cycles],
            "coulombic_efficiency_percent": [
                100 * cycle.coulombic_efficiency if cut != cycle.number else math.nan for cycle in sample.cycles
            ],
            "cut_short": [
                sample.cut.direction.value if sample.cut is not None and cut == cycle.number else ""
                for cycle in sample.cycles
            ],
        }
    )


def _efficiency_axis(axes: Axes, table: pd.DataFrame) -> None:
    values = table["coulombic_efficiency_percent"].to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    axes.axhline(100, color="0.75", linewidth=0.6, zorder=0)
    axes.set_ylabel("Coulombic\nefficiency / %")
    if not len(known):
        axes.set_ylim(90, 101)
        return
    first, third = np.percentile(known, (25, 75))
    reach = max(1.0, 4 * (third - first))
    within = known[(known >= first - reach) & (known <= third + reach)]
    low, high = min(within.min(), 100.0), max(within.max(), 100.0)
    room = 0.12 * max(high - low, 0.5)
    axes.set_ylim(low - room, high + room)
    edges = axes.get_ylim()
    for beyond, edge, marker in ((values < edges[0], edges[0], "v"), (values > edges[1], edges[1], "^")):
        if beyond.any():
            style: Any = {"color": GREY, "marker": marker, "markersize": 4, "linestyle": "", "clip_on": False}
            axes.plot(table["cycle"][beyond], np.full(int(beyond.sum()), edge), **style)


@in_style
def rates(samples: Sequence[Sample], *, size: Size = Size.SINGLE) -> Figure:
    """Capacity of the second half-cycle over cycles, with the current of each group of cycles above it.

    Columns: sample, cycle, rate (the group's number), current_A, c_rate, capacity.
    """
    unit = common_unit(samples)
    table = pd.concat([_rate_rows(sample) for sample in samples], ignore_index=True)
    drawing = blank(size, 62.0 if size is Size.SINGLE else 75.0)
    axes = drawing.subplots()
    for place, (name, rows) in enumerate(table.groupby("sample", sort=False)):
        as_ = look(place)
        axes.plot(rows["cycle"], rows[unit.column], as_.marker, color=as_.colour, label=str(name))
    top = largest(table[unit.column])
    axes.set_ylim(0, 1.2 * top if top else 1.0)
    axes.set(xlabel="Cycle", ylabel=unit.label)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    first = table[table["sample"] == samples[0].name]
    _name_groups(axes, first, top, LETTERS_PER_MM * size.width_mm)
    if len(samples) > 1:
        axes.legend(loc="lower left")
    caption = "Rate test: capacity over cycles; each group of cycles at one current is named above it."
    caption += said_of_cut(samples, AS_FAR, table["cycle"])
    return finished("rate", drawing, table, caption, simulated=any(sample.simulated for sample in samples))


def _rate_rows(sample: Sample) -> pd.DataFrame:
    direction = sample.cycles[0].first.other if sample.cycles else Direction.DISCHARGE
    rows, cycles = [], sample.compared_cycles
    for number, group in enumerate(rate_test(cycles, sample.nominal_capacity_Ah), 1):
        for cycle in cycles:
            half = cycle.half(direction)
            if group.first <= cycle.number <= group.last and half is not None:
                capacity = half.capacity_Ah * sample.capacity.per_Ah
                c_rate = math.nan if group.c_rate is None else group.c_rate
                rows.append((sample.name, cycle.number, number, group.current_A, c_rate, capacity))
    if not rows:
        raise AnalysisError(f"{sample.name}: no cycle has a current, so there are no rates")
    return pd.DataFrame(rows, columns=["sample", "cycle", "rate", "current_A", "c_rate", sample.capacity.column])


def _name_groups(axes: Axes, rows: pd.DataFrame, top: float, letters: float) -> None:
    """The rate over the middle of each group; where there is no room for so many letters, names stand on end."""
    groups = list(rows.groupby("rate", sort=True))
    names = [_rate_said(float(group["current_A"].iloc[0]), float(group["c_rate"].iloc[0])) for _, group in groups]
    span = float(rows["cycle"].iloc[-1] - rows["cycle"].iloc[0] + 1)
    crowded = any(len(name) > letters * len(group) / span for name, (_, group) in zip(names, groups, strict=True))
    if crowded and top:
        axes.set_ylim(0, 1.4 * top)
    for place, (_, group) in enumerate(groups):
        middle = (group["cycle"].iloc[0] + group["cycle"].iloc[-1]) / 2
        height = largest(group.iloc[:, 5]) + 0.045 * top
        axes.annotate(
            names[place], (middle, height), ha="center", va="bottom", fontsize=6.5, rotation=90 if crowded else 0
        )
        if place:
            axes.axvline(group["cycle"].iloc[0] - 0.5, color="0.85", linewidth=0.5, zorder=0)


def _rate_said(current_A: float, c_rate: float) -> str:
    if math.isnan(c_rate):
        scale = prefix_scale(current_A, "A")
        return f"{current_A * scale.factor:.3g} {scale.unit}"
    part = 1 / c_rate
    return f"C/{part:.2g}" if c_rate < 0.95 and abs(part - round(part)) < 0.04 * part else f"{c_rate:.2g}C"


# --- dQ/dV


@in_style
def dqdv_map(
    sample: Sample,
    numbers: Sequence[int] | None = None,
    *,
    step_V: float | None = None,
    smoothing: Smoothing = SMOOTH,
    size: Size = Size.DOUBLE,
) -> Figure:
    """|dQ/dV| over voltage and cycle, of charge and discharge: each row as the analysis gives it, on its own grid.

    Columns: cycle, direction, voltage_V, dqdv (signed, of the capacity's unit per V). Half-cycles that are too short
    for a derivative are left out. Raises AnalysisError where none is left.
    """
    found = list(_derivatives(sample, chosen(sample, numbers, MOST_ROWS), step_V, smoothing))
    if not found:
        raise AnalysisError(f"{sample.name}: no half-cycle is long enough for dQ/dV")
    column = f"dqdv_{sample.capacity.unit.replace('/', '_')}_V"
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "cycle": one.cycle,
                    "direction": one.direction.value,
                    "voltage_V": one.x,
                    column: one.dydx * sample.capacity.per_Ah,
                }
            )
            for one in found
        ],
        ignore_index=True,
    )
    ways = [way for way in Direction if any(one.direction is way for one in found)]
    stacked = size is Size.SINGLE and len(ways) > 1
    drawing = blank(size, 108.0 if stacked else 66.0)
    rows, columns = (len(ways), 1) if stacked else (1, len(ways))
    panels = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    top = float(np.percentile(np.abs(table[column]), 99.5))
    colours = Normalize(0.0, top)
    for axes, way in zip(panels, ways, strict=True):
        for one in (one for one in found if one.direction is way):
            edges = np.append(one.x - one.step / 2, one.x[-1] + one.step / 2)
            values = np.abs(one.dydx)[np.newaxis] * sample.capacity.per_Ah
            cycle = (one.cycle - 0.5, one.cycle + 0.5)
            axes.pcolormesh(edges, cycle, values, cmap="cividis", norm=colours, rasterized=True)
        axes.set_title(way.value, loc="left")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    for axes in panels if not stacked else panels[-1:]:
        axes.set_xlabel("Voltage / V")
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel("Cycle")
    label = f"|dQ/dV| / {sample.capacity.label.partition(' / ')[2]} V⁻¹"
    bar = drawing.colorbar(
        ScalarMappable(colours, "cividis"), ax=panels, label=label, extend="max", aspect=28, pad=0.02
    )
    bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    caption = f"Differential capacity over voltage and cycle; {found[0].smoothing}."
    caption += said_of_cut([sample], AS_FAR, table["cycle"])
    return finished("dqdv", drawing, table, caption, simulated=sample.simulated)


def _derivatives(
    sample: Sample, cycles: Sequence[Cycle], step_V: float | None, smoothing: Smoothing
) -> Iterator[Derivative]:
    halves = [half for cycle in cycles for half in (cycle.charge, cycle.discharge) if half is not None]
    curves: Iterator[HalfCurve] = half_curves(sample.record, halves)
    for curve in curves:
        try:
            yield dqdv(curve, step_V, smoothing)
        except AnalysisError:
            continue  # too short, as the one of a test that was stopped; the docstring says so
