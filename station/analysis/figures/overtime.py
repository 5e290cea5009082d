"""Figures over time: voltage with current, voltage with pressure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from station.analysis.errors import AnalysisError
from station.analysis.figures.page import Figure, Size, blank, finished, in_style
from station.analysis.figures.palette import BLUE, GREEN, GREY, VERMILION
from station.analysis.figures.scales import Scale, largest, prefix_scale, time_scale
from station.analysis.record import Floats, Record
from station.store.reduce import extremes

POINTS = 4000
MOST_MARKERS = 200
"""Lines in one figure, evenly chosen: more would be a grey wall."""
NO_MARKERS: Floats = np.empty(0)


@in_style
def voltage_and_current(
    record: Record, markers_s: Floats = NO_MARKERS, *, size: Size = Size.DOUBLE, simulated: bool = False
) -> Figure:
    """Over test time, with a vertical line at each marker. Columns: time_s, voltage_V, current_A."""
    rows = extremes(record.time_s, {"voltage": record.voltage_V, "current": record.current_A}, POINTS)
    table = pd.DataFrame(
        {"time_s": record.time_s[rows], "voltage_V": record.voltage_V[rows], "current_A": record.current_A[rows]}
    )
    time, current = _time(table), prefix_scale(largest(table["current_A"]), "A")
    drawing = blank(size, 82.0)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(table["time_s"] * time.factor, table["voltage_V"], color=BLUE, linewidth=0.8)
    upper.set_ylabel("Voltage / V")
    lower.axhline(0, color="0.75", linewidth=0.6)
    lower.plot(table["time_s"] * time.factor, table["current_A"] * current.factor, color=VERMILION, linewidth=0.8)
    lower.set_ylabel(f"Current / {current.unit}")
    for axes in (upper, lower):
        _mark(axes, markers_s * time.factor)
    lower.set_xlabel(f"Test time / {time.unit}")
    _whole_width(lower, table, time.factor)
    caption = "Positive current charges the cell. All extremes are drawn." + _marked(markers_s)
    return finished("voltage-current", drawing, table, caption, simulated=simulated)


@in_style
def pressure_and_voltage(
    record: Record, markers_s: Floats = NO_MARKERS, *, size: Size = Size.DOUBLE, simulated: bool = False
) -> Figure:
    """Pressure, with a band of its expanded uncertainty where it has one, above the voltage, over test time.

    Columns: time_s, voltage_V, pressure_Pa, pressure_U_Pa (k = 2). Raises AnalysisError without a pressure.
    """
    if record.pressure_Pa is None or not np.isfinite(record.pressure_Pa).any():
        raise AnalysisError("no pressure was measured in this record")
    U_Pa = np.full(len(record), np.nan) if record.pressure_U_Pa is None else record.pressure_U_Pa
    rows = extremes(record.time_s, {"voltage": record.voltage_V, "pressure": record.pressure_Pa}, POINTS)
    table = pd.DataFrame(
        {
            "time_s": record.time_s[rows],
            "voltage_V": record.voltage_V[rows],
            "pressure_Pa": record.pressure_Pa[rows],
            "pressure_U_Pa": U_Pa[rows],
        }
    )
    time, scale = _time(table), prefix_scale(largest(table["pressure_Pa"]), "Pa")
    x = table["time_s"] * time.factor
    y, band = table["pressure_Pa"] * scale.factor, table["pressure_U_Pa"] * scale.factor
    drawing = blank(size, 82.0)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    known = bool(np.isfinite(band).any())
    if known:
        upper.fill_between(x, y - band, y + band, color=GREEN, alpha=0.22, linewidth=0, label="± U (k = 2)")
    upper.plot(x, y, color=GREEN, linewidth=0.9)
    upper.set_ylabel(f"Pressure / {scale.unit}")
    lower.plot(x, table["voltage_V"], color=BLUE, linewidth=0.8)
    lower.set_ylabel("Voltage / V")
    for axes in (upper, lower):
        _mark(axes, markers_s * time.factor)
    lower.set_xlabel(f"Test time / {time.unit}")
    _whole_width(lower, table, time.factor)
    if known:
        upper.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)
    said = "The band is the expanded uncertainty (k = 2)." if known else "Its uncertainty is not known."
    caption = f"Pressure, and voltage, over test time. {said}{_marked(markers_s)}"
    return finished("pressure", drawing, table, caption, simulated=simulated)


def _time(table: pd.DataFrame) -> Scale:
    return time_scale(float(table["time_s"].iloc[-1] - table["time_s"].iloc[0]))


def _whole_width(axes: Axes, table: pd.DataFrame, factor: float) -> None:
    first, last = (float(table["time_s"].iloc[place]) * factor for place in (0, -1))
    room = 0.01 * (last - first)
    axes.set_xlim(first - room, last + room)


def _mark(axes: Axes, times: Floats) -> None:
    if not len(times):
        return
    if len(times) > MOST_MARKERS:
        times = times[np.linspace(0, len(times) - 1, MOST_MARKERS).round().astype(int)]
    over_the_height = axes.get_xaxis_transform()
    axes.vlines(times, 0, 1, transform=over_the_height, colors=GREY, linewidth=0.5, alpha=0.6, linestyles="dashed")


def _marked(markers_s: Floats) -> str:
    return " Broken vertical lines are the protocol's markers." if len(markers_s) else ""
