"""The figures of a run report, as SVG text. Every function takes plain arrays and knows nothing of the store."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# Okabe and Ito's colours, which all kinds of colour vision tell apart (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5b6470"
CYCLE_COLOURS = "cividis"  # its lightest end is left out: yellow on white
WIDTH_IN = 7.4
MOST_MARKERS = 200  # lines in one figure, evenly chosen: more would be a grey wall
NO_MARKERS: Floats = np.empty(0)


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve that belongs to a cycle; `x` and `y` of equal length, NaN breaks the line."""

    cycle: int
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit to draw in: its name, and how much of it one SI unit is."""

    unit: str
    factor: float


def time_scale(longest_s: float) -> Scale:
    for limit_s, unit, seconds in ((300, "s", 1), (3 * 3600, "min", 60), (4 * 86400, "h", 3600)):
        if longest_s <= limit_s:
            return Scale(unit, 1 / seconds)
    return Scale("d", 1 / 86400)


def prefix_scale(largest: float, unit: str) -> Scale:
    """The prefix in which the largest magnitude is between 1 and 1000, as near as there is one."""
    for factor, prefix in ((1e-6, "M"), (1e-3, "k"), (1.0, ""), (1e3, "m"), (1e6, "µ")):
        if abs(largest) * factor >= 0.9995:
            return Scale(prefix + unit, factor)
    return Scale("n" + unit, 1e9) if largest else Scale(unit, 1.0)


def voltage_and_current(time_s: Floats, voltage_V: Floats, current_A: Floats, markers_s: Floats = NO_MARKERS) -> str:
    """Over test time, with a vertical line at each marker."""
    time, current = time_scale(_span(time_s)), prefix_scale(_largest(current_A), "A")
    figure = _figure(4.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(time_s * time.factor, voltage_V, color=BLUE, linewidth=0.9)
    upper.set_ylabel("Voltage / V")
    lower.axhline(0, color="0.8", linewidth=0.8)
    lower.plot(time_s * time.factor, current_A * current.factor, color=VERMILION, linewidth=0.9)
    lower.set_ylabel(f"Current / {current.unit}")
    for axes in (upper, lower):
        _mark(axes, markers_s * time.factor)
    lower.set_xlabel(f"Test time / {time.unit}")
    return _svg(figure)


def pressure(time_s: Floats, pressure_Pa: Floats, U_Pa: Floats, markers_s: Floats = NO_MARKERS) -> str:
    """The pressure, with a band of its expanded uncertainty where it has one."""
    time, scale = time_scale(_span(time_s)), prefix_scale(_largest(pressure_Pa), "Pa")
    x, y, band = time_s * time.factor, pressure_Pa * scale.factor, U_Pa * scale.factor
    figure = _figure(2.6)
    axes = figure.subplots()
    if np.isfinite(band).any():
        axes.fill_between(x, y - band, y + band, color=GREEN, alpha=0.22, linewidth=0, label="± U (k = 2)")
        axes.legend()
    axes.plot(x, y, color=GREEN, linewidth=1.0)
    _mark(axes, markers_s * time.factor)
    axes.set_xlabel(f"Test time / {time.unit}")
    axes.set_ylabel(f"Pressure / {scale.unit}")
    return _svg(figure)


def voltage_profiles(curves: Sequence[Curve], capacity_unit: str) -> str:
    """Voltage in V over the capacity of each half-cycle."""
    figure = _figure(3.6)
    axes = figure.subplots()
    _by_cycle(figure, axes, curves)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"Capacity / {capacity_unit}")
    axes.set_ylabel("Voltage / V")
    return _svg(figure)


def capacities(cycle: Floats, charge: Floats, discharge: Floats, efficiency: Floats, capacity_unit: str) -> str:
    """Capacities over cycles, and below them the Coulombic efficiency (a ratio, drawn in %)."""
    figure = _figure(4.2)
    known = bool(np.isfinite(efficiency).any())
    rows = figure.subplots(2 if known else 1, 1, sharex=True, squeeze=False, height_ratios=(3, 2) if known else (1,))
    upper: Axes = rows[0, 0]
    upper.plot(cycle, charge, "^", color=VERMILION, markersize=4.5, label="charge")
    upper.plot(cycle, discharge, "v", color=BLUE, markersize=4.5, label="discharge")
    upper.set_ylabel(f"Capacity / {capacity_unit}")
    upper.set_ylim(0, 1.1 * max(_largest(charge), _largest(discharge)))
    upper.legend()
    last: Axes = rows[-1, 0]
    if known:
        last.axhline(100, color="0.8", linewidth=0.8)
        last.plot(cycle, 100 * efficiency, "o", color=GREY, markersize=3.5)
        last.set_ylabel("Coulombic efficiency / %")
    last.set_xlabel("Cycle")
    last.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure)


def nyquist(curves: Sequence[Curve]) -> str:
    """`x` is the real part and `y` the negated imaginary part, both in Ω, drawn to the same scale."""
    largest = max(_largest(np.concatenate((curve.x, curve.y))) for curve in curves)
    scale = prefix_scale(largest, "Ω")
    scaled = [Curve(curve.cycle, curve.x * scale.factor, curve.y * scale.factor) for curve in curves]
    figure = _figure(4.2)
    axes = figure.subplots()
    _by_cycle(figure, axes, scaled, marker="o", markersize=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"Re Z / {scale.unit}")
    axes.set_ylabel(f"−Im Z / {scale.unit}")
    return _svg(figure)


def _by_cycle(figure: Figure, axes: Axes, curves: Sequence[Curve], marker: str = "", markersize: float = 3) -> None:
    """Curves in the colour of their cycle: with a legend where they are few, else with a bar of colours."""
    cycles = sorted({curve.cycle for curve in curves})
    colours = matplotlib.colormaps[CYCLE_COLOURS]
    place = Normalize(cycles[0], cycles[-1] + 0.18 * max(1, cycles[-1] - cycles[0]))
    named: set[int] = set()
    for curve in curves:
        label = "" if curve.cycle in named else f"cycle {curve.cycle}"
        named.add(curve.cycle)
        colour = colours(place(curve.cycle))
        axes.plot(curve.x, curve.y, color=colour, linewidth=1.1, marker=marker, markersize=markersize, label=label)
    if len(cycles) <= 8:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    else:
        figure.colorbar(ScalarMappable(place, colours), ax=axes, label="Cycle")


def _mark(axes: Axes, times: Floats) -> None:
    if not len(times):
        return
    if len(times) > MOST_MARKERS:
        times = times[np.linspace(0, len(times) - 1, MOST_MARKERS).round().astype(int)]
    over_the_height = axes.get_xaxis_transform()
    axes.vlines(times, 0, 1, transform=over_the_height, colors=GREY, linewidth=0.6, alpha=0.6, linestyles="dashed")


def _figure(height_in: float) -> Figure:
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def style(figure: Figure) -> None:
    """What all figures of the house share."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
        axes.grid(color="0.92", linewidth=0.6)
        axes.set_axisbelow(True)
        legend = axes.get_legend()
        if legend is not None:
            legend.set_frame_on(False)
            for text in legend.get_texts():
                text.set_fontsize(8)
    figure.align_ylabels()


def _svg(figure: Figure) -> str:
    """The figure as an <svg> element; letters are drawn as shapes, so that it looks the same everywhere."""
    style(figure)
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    return svg[svg.index("<svg") :]


def _span(values: Floats) -> float:
    return float(values[-1] - values[0]) if len(values) else 0.0


def _largest(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.max(np.abs(finite))) if len(finite) else 0.0
