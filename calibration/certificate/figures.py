"""The figures of a certificate. Every function draws what the record holds, into a figure of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from calibration.certificate.rounding import Scale, significant
from calibration.data import Direction, Point
from calibration.models import Floats
from calibration.record import Calibration
from calibration.results import Budget, Creep

# Okabe and Ito's colours, which all kinds of colour vision tell apart (https://jfly.uni-koeln.de/color/).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5b6470")
BLUE, VERMILION, GREEN, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[6]
WIDTH_IN = 6.85  # between the margins of an A4 page
MARKER = {Direction.UP: "^", Direction.DOWN: "v"}
OPEN: dict[str, Any] = {"markersize": 3.6, "markerfacecolor": "none"}
BAND: dict[str, Any] = {"color": GREEN, "alpha": 0.25, "linewidth": 0}
BESIDE: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "labelspacing": 0.3}
LINE = {Direction.UP: "-", Direction.DOWN: "--"}
MOST_PARTS = 6  # of a budget, that have a colour of their own


def curve(calibration: Calibration) -> Figure:
    """Resistance over force with the fitted curve and the 95 % interval of the pressure, on both scales."""
    figure, axes = _figure(3.7)
    scale = Scale.of(max(point.resistance_ohm for point in calibration.data.points), "Ω")
    force = _forces(calibration)
    resistance = calibration.model.resistance_ohm(force) * scale.factor
    band = stated(calibration, force)
    axes.fill_betweenx(resistance, force * band.low, force * band.high, **BAND)
    axes.plot(force, resistance, color="black", linewidth=0.9)
    colours = _groups(calibration)
    for series, points in by_series(calibration):
        for direction in Direction:
            chosen = [point for point in points if point.direction is direction and point.used]
            x, y = _arrays(chosen)
            axes.plot(x, y * scale.factor, MARKER[direction], color=colours[series][0], **OPEN)
    x, y = _arrays([point for point in calibration.data.points if not point.used])
    axes.plot(x, y * scale.factor, "x", color="black", markersize=5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_numbers(axes)
    axes.set_xlabel("Force / N")
    axes.set_ylabel(f"Resistance / {scale.unit}")
    kPa = 1e-3 / calibration.area.value_m2
    top = axes.secondary_xaxis("top", functions=(lambda N: np.multiply(N, kPa), lambda P: np.divide(P, kPa)))
    top.set_xlabel("Pressure / kPa", fontsize=8.5)
    top.tick_params(labelsize=8)
    _plain(top.xaxis)
    handles = [*_series_handles(calibration), *_direction_handles(calibration), *_excluded_handle(calibration)]
    handles += [Line2D([], [], color="black", linewidth=0.9, label="fitted curve")]
    handles += [Line2D([], [], color=GREEN, alpha=0.35, linewidth=6, label="95 % interval")]
    axes.legend(handles=handles, **BESIDE)
    return _styled(figure)


def residuals(calibration: Calibration) -> Figure:
    """Force from the curve less the force applied, in % of it, with the band ± U of the force."""
    figure, axes = _figure(2.15)
    force = _forces(calibration)
    band = 100 * stated(calibration, force).force
    axes.fill_between(force, -band, band, **BAND)
    axes.axhline(0, color="black", linewidth=0.9)
    colours = _groups(calibration)
    for series, points in by_series(calibration):
        for direction in Direction:
            x, y = residual_percent(calibration, [p for p in points if p.direction is direction and p.used])
            axes.plot(x, y, MARKER[direction], color=colours[series][0], **OPEN)
    axes.set_xscale("log")
    _plain_numbers(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_xlabel("Force / N")
    axes.set_ylabel("Deviation of the force / %")
    band_handle = Line2D([], [], color=GREEN, alpha=0.35, linewidth=6, label="± U, k = 2")
    handles = [*_series_handles(calibration), *_direction_handles(calibration), band_handle]
    axes.legend(handles=handles, **BESIDE)
    return _styled(figure)


def hysteresis(calibration: Calibration) -> Figure | None:
    """Conductance over force up and down, and beside it their difference; None without both branches."""
    loops = [loop for loop in (_loop(series, points) for series, points in by_series(calibration)) if loop]
    if not loops:
        return None
    figure = Figure(figsize=(WIDTH_IN, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    scale = Scale.of(max(float((1 / y).max()) for _, (_, y), _ in loops), "S")
    colours = _groups(calibration)
    for series, (up_N, up_ohm), (down_N, down_ohm) in loops:
        left.plot(up_N, scale.factor / up_ohm, LINE[Direction.UP], color=colours[series][0], linewidth=0.7)
        left.plot(down_N, scale.factor / down_ohm, LINE[Direction.DOWN], color=colours[series][0], linewidth=0.7)
        x, difference = difference_percent((up_N, up_ohm), (down_N, down_ohm))
        right.plot(x, difference, "o-", color=colours[series][0], markersize=3.0, linewidth=0.8)
    left.set_xlabel("Force / N")
    left.set_ylabel(f"Conductance / {scale.unit}")
    right.set_xscale("log")
    _plain_numbers(right)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_ylabel("Branches: (down − up) / up / %")
    right.set_xlabel("Force / N")
    right.yaxis.set_major_formatter(FuncFormatter(_number))
    handles = [*_series_handles(calibration), *_direction_handles(calibration, lines=True)]
    right.legend(handles=handles, **BESIDE)
    return _styled(figure)


def creep(calibration: Calibration) -> Figure | None:
    """Conductance at constant force over the logarithm of time, as a share of that at the reference time."""
    found = calibration.evaluation.creep
    if found is None or not calibration.data.creep:
        return None
    figure, axes = _figure(2.2)
    time = np.array([sample.time_s for sample in calibration.data.creep])
    grown = creep_percent(calibration, found)
    grid = np.geomspace(time.min(), time.max(), 100)
    decades = np.log10(grid / found.reference_s)
    line, band = 100 * found.per_decade * decades, 200 * found.standard_uncertainty * np.abs(decades)
    axes.fill_between(grid, line - band, line + band, label="± U of the slope, k = 2", **BAND)
    axes.plot(grid, line, color="black", linewidth=0.9, label="fitted")
    axes.plot(time, grown, "o", color=BLUE, label="measured", **OPEN)
    axes.axvline(found.reference_s, color=GREY, linewidth=0.9, linestyle=":", label="reference time")
    axes.set_xscale("log")
    _plain_numbers(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_xlabel("Time under load / s")
    axes.set_ylabel("Change of conductance / %")
    axes.legend(**BESIDE)
    return _styled(figure)


def budget(calibration: Calibration) -> Figure:
    """Bars as high as U in %, divided by what each component has of the variance."""
    figure, axes = _figure(3.0)
    budgets = calibration.evaluation.budgets
    at = np.arange(len(budgets))
    bottom = np.zeros(len(budgets))
    colours = dict(zip([name for name, _ in budget_parts(budgets)], COLOURS, strict=False))
    for name, heights in budget_parts(budgets):
        axes.bar(at, heights, 0.72, bottom, color=colours[name], label=name, edgecolor="white", linewidth=0.4)
        bottom = bottom + heights
    axes.set_xticks(at, [significant(each.force_N, 3) for each in budgets])
    axes.set_xlabel("Force / N")
    axes.set_ylabel("U (k = 2) of the pressure / %")
    axes.legend(reverse=True, **BESIDE)
    return _styled(figure)


def drift(calibration: Calibration, history: Sequence[Calibration]) -> Figure | None:
    """What earlier versions would have given for the same resistances, less what this one gives, in %."""
    if not history:
        return None
    figure, axes = _figure(2.7)
    force = _forces(calibration)
    band = stated(calibration, force)
    axes.fill_between(force, 100 * (band.low - 1), 100 * (band.high - 1), label=f"95 %, {calibration.id}", **BAND)
    axes.axhline(0, color="black", linewidth=0.9)
    for number, each in enumerate(history):
        x, y = drift_percent(calibration, each, force)
        axes.plot(x, y, color=COLOURS[number % len(COLOURS)], linewidth=1.2, label=f"{each.id}, {each.calibrated}")
    axes.set_xscale("log")
    _plain_numbers(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_xlabel("Force / N")
    axes.set_ylabel("Difference of pressure / %")
    axes.legend(**BESIDE)
    return _styled(figure)


# --- what is drawn


def by_series(calibration: Calibration) -> Iterator[tuple[int, list[Point]]]:
    for series in sorted({point.series for point in calibration.data.points}):
        yield series, [point for point in calibration.data.points if point.series == series]


@dataclass(frozen=True, slots=True)
class Stated:
    """At some forces: U of force and of pressure, relative, and the factors to the ends of the 95 % interval."""

    force: Floats
    pressure: Floats
    low: Floats
    high: Floats


def stated(calibration: Calibration, force_N: Floats) -> Stated:
    """As readings of the resistances that belong to these forces are stated."""
    table = calibration.evaluation.table
    grid = table.ln_ohm_first + table.ln_ohm_step * np.arange(len(table.expanded))
    at = np.log(calibration.model.resistance_ohm(force_N))
    columns = (table.expanded_force, table.expanded, table.low, table.high)
    force, pressure, low, high = (np.interp(at, grid, column) for column in columns)
    return Stated(force, pressure, np.exp(low), np.exp(high))


def residual_percent(calibration: Calibration, points: Sequence[Point]) -> tuple[Floats, Floats]:
    """Force, and the curve's force less this one in % of it."""
    force, resistance = _arrays(points)
    return force, 100 * (calibration.model.force_N(resistance) / force - 1)


def difference_percent(up: tuple[Floats, Floats], down: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Conductance going down less that going up, in % of the latter, at the forces of the way up that both cover."""
    common = (up[0] >= down[0].min() * (1 - 0.03)) & (up[0] <= down[0].max() * (1 + 0.03))
    at = np.log(up[0][common])
    slope_to = np.interp(at, np.log(down[0]), np.log(down[1]))
    edge = np.clip(at, np.log(down[0].min()), np.log(down[0].max()))
    exponent = -np.polyfit(np.log(up[0]), np.log(up[1]), 1)[0]
    ln_down = slope_to - exponent * (at - edge)  # the few per cent by which a step was missed
    return up[0][common], 100 * np.expm1(np.log(up[1][common]) - ln_down)


def creep_percent(calibration: Calibration, found: Creep) -> Floats:
    """Conductance less that at the reference time, in % of it; small changes of the force are taken out."""
    samples = calibration.data.creep
    time = np.array([sample.time_s for sample in samples])
    force = np.array([sample.force_N for sample in samples])
    exponent = float(calibration.model.exponent(found.force_N))
    conductance = (found.force_N / force) ** exponent / np.array([sample.resistance_ohm for sample in samples])
    line = 1 + found.per_decade * np.log10(time / found.reference_s)
    return np.asarray(100 * (conductance / np.exp(np.mean(np.log(conductance / line))) - 1))


def budget_parts(budgets: Sequence[Budget]) -> list[tuple[str, Floats]]:
    """Each component's part of U in %, largest first; the small ones together. They add up to U."""
    names = list(dict.fromkeys(part.name for each in budgets for part in each.components))
    parts = {name: np.zeros(len(budgets)) for name in names}
    for column, each in enumerate(budgets):
        for part in each.components:
            parts[part.name][column] += 100 * each.expanded * (part.relative / each.combined) ** 2
    ranked = sorted(parts.items(), key=lambda item: -float(item[1].max()))
    shown, small = ranked[:MOST_PARTS], ranked[MOST_PARTS:]
    return shown + ([("all others", np.sum([heights for _, heights in small], axis=0))] if small else [])


def drift_percent(calibration: Calibration, former: Calibration, force_N: Floats) -> tuple[Floats, Floats]:
    """Forces at which the former calibration is valid too, and its pressure less this one's in % of the latter."""
    found = former.pressures(calibration.model.resistance_ohm(force_N)).value_Pa
    valid = np.isfinite(found)
    return force_N[valid], 100 * (found[valid] * calibration.area.value_m2 / force_N[valid] - 1)


def _loop(series: int, points: Sequence[Point]) -> tuple[int, tuple[Floats, Floats], tuple[Floats, Floats]] | None:
    """The two branches of a series by rising force; going down begins where going up ended."""
    up = [point for point in points if point.direction is Direction.UP and point.used]
    down = [point for point in points if point.direction is Direction.DOWN and point.used]
    if len(up) < 2 or not down:
        return None
    top = max(up, key=lambda point: point.force_N)
    if top.force_N > max(point.force_N for point in down):
        down = [top, *down]
    return series, _sorted(up), _sorted(down)


def _sorted(points: Sequence[Point]) -> tuple[Floats, Floats]:
    return _arrays(sorted(points, key=lambda point: point.force_N))


def _arrays(points: Sequence[Point]) -> tuple[Floats, Floats]:
    return np.array([point.force_N for point in points]), np.array([point.resistance_ohm for point in points])


def _forces(calibration: Calibration) -> Floats:
    return np.geomspace(calibration.force_min_N, calibration.force_max_N, 200)


# --- the house's style


def _figure(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots()


def _styled(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, which="both")
        axes.xaxis.label.set_fontsize(8.5)
        axes.yaxis.label.set_fontsize(8.5)
        axes.grid(color="0.92", linewidth=0.6)
        axes.set_axisbelow(True)
        legend = axes.get_legend()
        if legend is not None:
            legend.set_frame_on(False)
            for text in legend.get_texts():
                text.set_fontsize(7.5)
    figure.align_ylabels()
    return figure


def _number(value: float, _position: object = None) -> str:
    return f"{value:g}".replace("-", "−")


def _plain_numbers(axes: Axes) -> None:
    """1, 2, 5, 10 instead of powers of ten, on the logarithmic axes."""
    for axis, name in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if name == "log":
            _plain(axis)


def _plain(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(_number))
    axis.set_minor_formatter(NullFormatter())


def _groups(calibration: Calibration) -> dict[int, tuple[str, str]]:
    """Colour and name of each series: its own where they are few, else that of its insertion, else the same for all."""
    insertions = {series: points[0].insertion for series, points in by_series(calibration)}
    if len(insertions) <= len(COLOURS):
        return {
            series: (colour, f"series {series}, insertion {insertion}")
            for (series, insertion), colour in zip(insertions.items(), COLOURS, strict=False)
        }
    numbers = sorted(set(insertions.values()))
    if len(numbers) > len(COLOURS):
        return dict.fromkeys(insertions, (BLUE, f"{len(insertions)} series"))
    colours = dict(zip(numbers, COLOURS, strict=False))
    return {series: (colours[insertion], f"insertion {insertion}") for series, insertion in insertions.items()}


def _series_handles(calibration: Calibration) -> list[Line2D]:
    looks: dict[str, Any] = {"marker": "s", "markersize": 4, "linestyle": ""}
    named = dict.fromkeys(_groups(calibration).values())
    return [Line2D([], [], color=colour, label=label, **looks) for colour, label in named]


def _direction_handles(calibration: Calibration, lines: bool = False) -> list[Line2D]:
    """As markers, or as the lines that join them."""
    looks: dict[Direction, dict[str, Any]] = {
        each: {"linestyle": LINE[each], "linewidth": 0.8}
        if lines
        else {"linestyle": "", "marker": MARKER[each], "markerfacecolor": "none", "markersize": 4}
        for each in Direction
        if any(point.direction is each for point in calibration.data.points)
    }
    return [Line2D([], [], color="black", label=f"going {each.value}", **look) for each, look in looks.items()]


def _excluded_handle(calibration: Calibration) -> list[Line2D]:
    if all(point.used for point in calibration.data.points):
        return []
    return [Line2D([], [], color="black", marker="x", linestyle="", markersize=5, label="excluded")]
