"""The plots of a calibration: the planned loads, the last minutes, the points as they come."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF

from calibration.data import Direction
from gui import quantities
from gui.calibration.forecast import Planned
from gui.figures import EMPTY, TimeFigure, pen, shades
from gui.plots import Band, Plot, TimeAxis, time_unit
from gui.reduce import Array, thin
from gui.theme import Theme
from station.calibration_views import CalibrationView, PointView, Stage, TraceView

TRACE_S = 300.0  # that is shown of the last minutes
MOST_TIMES = 4.0  # the present resistance, at the top of its plot
MARKS = {Direction.UP: "t1", Direction.DOWN: "t"}  # triangles that point the way the load went


class LogAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis of log10 values, ticked at 1, 2 and 5 of each decade and lettered with plain numbers: 20, 500 k, 1 M."""

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        decades = range(math.floor(low), math.ceil(high) + 1)
        room = 40 if self.orientation == "left" else 150  # px of a decade, for its 1, 2 and 5 to stand apart
        wide = size < room * (high - low)
        lettered = (1,) if wide else (1, 2, 5)
        if high - low < 0.5:
            lettered = tuple(range(1, 10))  # type: ignore[assignment]
        named = [d + math.log10(k) for d in decades for k in lettered]
        rest = [d + math.log10(k) for d in decades for k in range(1, 10) if k not in lettered]
        return [
            (1.0, [value for value in named if low <= value <= high]),
            (0.1, [value for value in rest if low <= value <= high]),
        ]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [short(10**value) if spacing == 1.0 else "" for value in values]


def short(value: float) -> str:
    """A round number with its prefix: 0.5, 20, 500 k, 1 M."""
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= factor * 0.999:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.3g}"


class LogPlot(Plot):
    """Something over the force, which is on a logarithmic axis."""

    def __init__(self, title: str, theme: Theme, left: str, log_left: bool = False) -> None:
        super().__init__(title, theme)
        self.item.setAxisItems({"bottom": LogAxis("bottom")} | ({"left": LogAxis("left")} if log_left else {}))
        self.item.getAxis("left").setWidth(62)
        self.item.setLabel("bottom", "Force (N)")
        self.item.setLabel("left", left)
        for name in ("left", "bottom"):
            axis = self.item.getAxis(name)
            axis.enableAutoSIPrefix(False)
            axis.setGrid(33)
        self.view.setMouseEnabled(x=False, y=False)


class StaircaseFigure(Plot):
    """The planned load over time."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Planned load", theme, bottom=TimeAxis("Time"))
        self.item.setLabel("left", "Load (N)")
        self.item.getAxis("left").enableAutoSIPrefix(False)
        self.view.setMouseEnabled(x=False, y=False)
        self.curve = pg.PlotDataItem()
        self.bands = {stage: Band() for stage in (Stage.CONDITIONING, Stage.SERIES, Stage.CREEP)}
        for band in self.bands.values():
            self.item.addItem(band, ignoreBounds=True)
        self.item.addItem(self.curve)
        self._planned: Planned | None = None
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.curve.setPen(pen(theme.dim))
        colours = {Stage.CONDITIONING: theme.current, Stage.SERIES: theme.accent, Stage.CREEP: theme.pressure}
        for stage, band in self.bands.items():
            band.set_colour(colours[stage], 110)
        self.key(*((colours[stage], stage.value) for stage in self.bands))

    def draw(self, planned: Planned) -> None:
        self._planned = planned
        self.curve.setData(planned.time_s, planned.load_N)
        for stage, band in self.bands.items():
            inside = np.zeros(len(planned.time_s), dtype=bool)
            for each, _, begin, end in planned.spans:
                if each is stage:
                    inside |= (planned.time_s >= begin) & (planned.time_s <= end)
            band.set_data(planned.time_s, np.where(inside, 0.0, np.nan), np.where(inside, planned.load_N, np.nan))

    def read(self, point: QPointF) -> str:
        if self._planned is None:
            return ""
        found = [name for _, name, begin, end in self._planned.spans if begin <= point.x() <= end]
        load = float(np.interp(point.x(), self._planned.time_s, self._planned.load_N))
        seconds, unit = time_unit(*self.view.viewRange()[0])
        return f"{point.x() / seconds:.1f} {unit}   {quantities.force(load)}   {' '.join(found)}"


class TraceFigure(TimeFigure):
    """The last minutes of force or resistance; time is counted back from now."""

    bounded = False

    def __init__(self, title: str, theme: Theme, *, unit: str, factor: float, bottom_text: str = "") -> None:
        super().__init__(title, theme, unit=unit, factor=factor, bottom_text=bottom_text)
        self.view.setMouseEnabled(x=False, y=False)
        self.item.setMouseEnabled(x=False, y=False)
        self.target = Band()
        self.item.addItem(self.target, ignoreBounds=True)

    def paint_in(self, theme: Theme, colour: str) -> None:
        super().paint_in(theme, colour)
        self.target.set_colour(theme.good, 60)

    def draw_trace(self, trace: TraceView, values: Sequence[float | None], band: tuple[float, float] | None) -> None:
        """`band`: the lowest and highest force that count as on target, in N."""
        if not trace.time_s:
            self.clear()
            self.target.set_data(EMPTY, EMPTY, EMPTY)
            return
        t = np.array(trace.time_s) - trace.time_s[-1]
        y = np.array([math.nan if value is None else value for value in values])
        late = t >= -TRACE_S
        t, y = t[late], y[late]
        self.draw(*thin(t, y))
        self._frame(y)
        if band is None:
            self.target.set_data(EMPTY, EMPTY, EMPTY)
        else:
            ends = np.array([t[0], t[-1]])
            self.target.set_data(ends, np.full(2, band[0]), np.full(2, band[1]))

    def _frame(self, values: Array) -> None:
        """Around what is measured now: a sensor without load reads a hundred times as much, and would flatten it."""
        known = values[np.isfinite(values)]
        if not len(known):
            return
        low, high = float(known.min()), float(known.max())
        most = max(low, MOST_TIMES * float(known[-1])) if self.bounded else high
        high = min(high, most) * self._factor
        margin = max(0.06 * (high - low * self._factor), 1e-3 * abs(high), 1e-9)
        self.view.setYRange(low * self._factor - margin, high + margin, padding=0)


class ForceTrace(TraceFigure):
    def __init__(self, theme: Theme) -> None:
        super().__init__("Force", theme, unit="N", factor=1.0, bottom_text="Before now")

    def words(self, index: int) -> str:
        return quantities.force(float(self._y[index]))


class ResistanceTrace(TraceFigure):
    """In MΩ, kΩ or Ω, whichever suits."""

    bounded = True

    def __init__(self, theme: Theme) -> None:
        super().__init__("Resistance", theme, unit="kΩ", factor=1e-3, bottom_text="Before now")

    def draw(self, t_s: Array, values: Array) -> None:
        known = values[np.isfinite(values)]
        now = float(known[-1]) if len(known) else 0.0
        factor, unit = (1e-6, "MΩ") if now >= 1e6 else (1e-3, "kΩ") if now >= 1e3 else (1.0, "Ω")
        if unit != self._unit:
            self._factor, self._unit = factor, unit
            self.item.setLabel("left", unit)
        super().draw(t_s, values)

    def words(self, index: int) -> str:
        return quantities.resistance(float(self._y[index]) / self._factor)


class Scatter:
    """Points by series (colour, old to new) and branch (▲ up, ▼ down); marked ones crossed out, suspects ringed."""

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        self.dots = pg.ScatterPlotItem()
        self.crossed = pg.ScatterPlotItem(symbol="x", size=11)
        self.rings = pg.ScatterPlotItem(symbol="o", size=20, brush=None)
        for item in (self.rings, self.dots, self.crossed):
            plot.item.addItem(item)

    def draw(self, points: Sequence[PointView], x: Array, y: Array) -> None:
        theme = self._plot.theme
        names = sorted({point.series for point in points})
        colours = dict(zip(names, shades(len(names), theme), strict=True))
        spots = [
            {
                "pos": (float(at), float(up)),
                "symbol": MARKS[point.direction],
                "size": 11,
                "pen": pen(theme.surface),
                "brush": pg.mkBrush(colours[point.series]),
            }
            for point, at, up in zip(points, x, y, strict=True)
            if not point.excluded and np.isfinite(up)
        ]
        self.dots.setData(spots)
        known = np.isfinite(y)
        out = np.array([bool(point.excluded) for point in points], dtype=bool) & known
        doubted = np.array([point.suspect and not point.excluded for point in points], dtype=bool) & known
        self.crossed.setData(x[out], y[out], pen=pg.mkPen(theme.danger, width=2), brush=pg.mkBrush(theme.danger))
        self.rings.setData(x[doubted], y[doubted], pen=pg.mkPen(theme.warning, width=2))
        entries = [(colours[name].name(), f"series {name}" if name == names[0] else str(name)) for name in names]
        marks = [(theme.dim, "▲ up"), (theme.dim, "▼ down")] if points else []
        if out.any():
            marks.append((theme.danger, "× marked"))
        if doubted.any():
            marks.append((theme.warning, "○ suspect"))
        self._plot.key(*entries, *marks)


def columns(points: Sequence[PointView]) -> tuple[Array, Array]:
    """log10 of force and of resistance."""
    force = np.array([point.force_N for point in points], dtype=np.float64)
    ohm = np.array([point.resistance_ohm for point in points], dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.log10(force), np.log10(ohm)


def point_words(point: PointView) -> str:
    marked = f"   marked: {point.excluded}" if point.excluded else "   suspect" if point.suspect else ""
    return (
        f"point {point.index + 1}   series {point.series} {point.direction.value}   "
        f"{quantities.force(point.force_N)}   {quantities.resistance(point.resistance_ohm)}{marked}"
    )


class GrowingCurve(LogPlot):
    """Resistance over force as the points come in, both logarithmic."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Points so far", theme, "Resistance (Ω)", log_left=True)
        self.scatter = Scatter(self)
        self.now = pg.InfiniteLine(angle=90)
        self.item.addItem(self.now, ignoreBounds=True)
        self._points: tuple[PointView, ...] = ()
        self._drawn: object = None
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.now.setPen(pen(theme.good))
        self._drawn = None

    def show_view(self, view: CalibrationView) -> None:
        self.now.setVisible(bool(view.target_N) and bool(view.points))
        if view.target_N:
            self.now.setValue(math.log10(view.target_N))
        if view.points != self._drawn:
            self._points = self._drawn = view.points
            self.scatter.draw(view.points, *columns(view.points))
        self.say("" if view.points else "The first point comes with the first series")

    def read(self, point: QPointF) -> str:
        index = self.nearest(*columns(self._points), point) if self._points else None
        return "" if index is None else point_words(self._points[index])
