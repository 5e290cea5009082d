"""A forecast as a picture: voltage, current and pressure over time, capacity and efficiency over cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from station.analysis.figures.page import MM, Size, in_style
from station.analysis.figures.palette import BLUE, GREEN, GREY, VERMILION
from station.analysis.figures.scales import Scale, largest, prefix_scale, time_scale
from station.forecast import Simulation
from station.forecast.results import CycleForecast, Forecast
from station.store.reduce import extremes

SUFFIXES = (".png", ".svg", ".pdf")
POINTS = 8000
OVER_TIME = (
    ("voltage_V", "Voltage", "V", BLUE),
    ("current_A", "Current", "A", VERMILION),
    ("pressure_Pa", "Pressure", "Pa", GREEN),
)


@in_style
def draw(simulation: Simulation, path: Path) -> None:
    """Write it as the kind of file that the suffix says; raises `ValueError` for one that is none of `SUFFIXES`."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a picture is written as {', '.join(SUFFIXES)}")
    cycles = [c for c in simulation.forecast.cycles if c.charge_capacity_Ah or c.discharge_capacity_Ah]
    figure = Figure(figsize=(Size.DOUBLE.width_mm * MM, 8.2 if cycles else 6.0), layout="constrained")
    heights = (3, 2, 2, 2.6) if cycles else (3, 2, 2)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    _over_time(figure, grid, simulation)
    if cycles:
        _over_cycles(figure.add_subplot(grid[3, 0]), figure.add_subplot(grid[3, 1]), cycles)
    _mark(figure, simulation.forecast)
    figure.align_ylabels()
    figure.savefig(path, dpi=150, metadata={"Title": f"SIMULATED forecast: {simulation.forecast.protocol}"})


def _over_time(figure: Figure, grid: GridSpec, simulation: Simulation) -> None:
    readings = simulation.readings
    time_s = readings["test_time_s"]
    rows = extremes(time_s, {name: readings[name] for name, *_ in OVER_TIME}, POINTS)
    time = time_scale(simulation.forecast.duration_s)
    x = time_s[rows] * time.factor
    above: Axes | None = None
    for place, (name, label, unit, colour) in enumerate(OVER_TIME):
        axes = figure.add_subplot(grid[place, :], sharex=above)
        values = readings[name][rows]
        scale = Scale(unit, 1.0) if unit == "V" else prefix_scale(largest(values), unit)
        axes.plot(x, values * scale.factor, color=colour, linewidth=0.7)
        axes.set_ylabel(f"{label} / {scale.unit}")
        axes.tick_params(labelbottom=place == len(OVER_TIME) - 1)
        above = axes
    assert above is not None
    above.set_xlabel(f"Test time / {time.unit}")


def _over_cycles(left: Axes, right: Axes, cycles: list[CycleForecast]) -> None:
    number = np.array([cycle.cycle for cycle in cycles])
    charge = np.array([cycle.charge_capacity_Ah for cycle in cycles])
    discharge = np.array([cycle.discharge_capacity_Ah for cycle in cycles])
    scale = prefix_scale(max(largest(charge), largest(discharge)), "Ah")
    size = 4.0 if len(cycles) <= 50 else 2.0
    left.plot(number, charge * scale.factor, "^", color=VERMILION, markersize=size, label="charge")
    left.plot(number, discharge * scale.factor, "v", color=BLUE, markersize=size, label="discharge")
    left.set_ylabel(f"Capacity / {scale.unit}")
    left.set_ylim(0, 1.1 * max(largest(charge), largest(discharge)) * scale.factor)
    left.legend()
    coulombic = np.array([cycle.coulombic_efficiency or np.nan for cycle in cycles])
    right.axhline(100, color="0.8", linewidth=0.8)
    right.plot(number, 100 * coulombic, "o", color=GREY, markersize=size)
    right.set_ylabel("Coulombic efficiency / %")
    for axes in (left, right):
        axes.set_xlabel("Cycle")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark(figure: Figure, forecast: Forecast) -> None:
    """So that nobody takes it for a measurement."""
    figure.suptitle(f"SIMULATED forecast: {forecast.protocol}\n{forecast.cell}: {forecast.reason}", fontsize=9)
    figure.text(
        0.5, 0.5, "SIMULATED", color="0.5", alpha=0.18, fontsize=64, rotation=35, ha="center", va="center", zorder=10
    )
