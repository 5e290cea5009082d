"""The plots of an evaluated calibration: the curve with its band, the residuals, the hysteresis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF

from calibration.data import Direction
from calibration.record import Calibration
from gui import quantities
from gui.calibration.figures import LogPlot, Scatter, columns, point_words
from gui.figures import EMPTY, pen
from gui.plots import Band
from gui.reduce import Array
from gui.theme import Theme
from station.calibration_views import PointView

FINE = 240  # points of a drawn curve


def covered(record: Calibration) -> Array:
    """Forces over the calibrated range, evenly spaced in ln F."""
    return np.geomspace(record.force_min_N * (1 + 1e-9), record.force_max_N * (1 - 1e-9), FINE)


def residuals(record: Calibration, points: Sequence[PointView]) -> Array:
    """Force by the curve over the force applied, less one; NaN where the curve has none."""
    applied = np.array([point.force_N for point in points], dtype=np.float64)
    ohm = np.array([point.resistance_ohm for point in points], dtype=np.float64)
    result: Array = record.model.force_N(ohm) / applied - 1.0
    return result


def points_of(record: Calibration) -> tuple[PointView, ...]:
    """The points of a record as the figures take them."""
    return tuple(
        PointView(
            index=index,
            series=point.series,
            insertion=point.insertion,
            direction=point.direction,
            nominal_N=point.nominal_N,
            force_N=point.force_N,
            resistance_ohm=point.resistance_ohm,
            excluded=point.excluded,
        )
        for index, point in enumerate(record.data.points)
    )


class CurveFigure(LogPlot):
    """The fitted curve, its 95 % interval, and the points."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Curve with its 95 % interval", theme, "Resistance (Ω)", log_left=True)
        self.band = Band()
        self.curve = pg.PlotDataItem()
        self.item.addItem(self.band)
        self.item.addItem(self.curve)
        self.scatter = Scatter(self)
        self._points: Sequence[PointView] = ()
        self._record: Calibration | None = None
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.curve.setPen(pen(theme.text))
        self.band.set_colour(theme.accent, 90)

    def draw(self, record: Calibration, points: Sequence[PointView]) -> None:
        self._record, self._points = record, points
        force = covered(record)
        ohm = record.model.resistance_ohm(force)
        found = record.pressures(ohm)
        self.curve.setData(np.log10(force), np.log10(ohm))
        y = np.log10(ohm)
        with np.errstate(all="ignore"):
            low, high = np.log10(found.low_Pa * record.area.value_m2), np.log10(found.high_Pa * record.area.value_m2)
        known = np.isfinite(low) & np.isfinite(high)
        self.band.set_sideways(y[known], low[known], high[known])
        self.scatter.draw(points, *columns(points))

    def read(self, point: QPointF) -> str:
        if self._record is None:
            return ""
        index = self.nearest(*columns(self._points), point) if self._points else None
        if index is not None:
            x, y = (column[index] for column in columns(self._points))
            width, height = self.view.viewPixelSize()
            if math.hypot((x - point.x()) / width, (y - point.y()) / height) < 12:
                return point_words(self._points[index])
        ohm = float(self._record.model.resistance_ohm(10 ** point.x()))
        found = self._record.pressure(ohm) if math.isfinite(ohm) else None
        if found is None:
            return "outside the calibrated range"
        stated = quantities.pressure(found.value_Pa, found.expanded_uncertainty_Pa)
        return f"{quantities.force(10 ** point.x())}   {quantities.resistance(ohm)}   {stated}"


class ResidualFigure(LogPlot):
    """How far each point lies from the curve, in per cent of its force, within ± U (k = 2) of the force."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Residuals", theme, "Residual (%)")
        self.band = Band()
        self.zero = pg.InfiniteLine(angle=0, pos=0)
        self.item.addItem(self.band)
        self.item.addItem(self.zero, ignoreBounds=True)
        self.scatter = Scatter(self)
        self._points: Sequence[PointView] = ()
        self._y = EMPTY
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.zero.setPen(pen(theme.dim))
        self.band.set_colour(theme.accent, 60)

    def draw(self, record: Calibration, points: Sequence[PointView]) -> None:
        self._points, self._y = points, residuals(record, points) * 100
        force = covered(record)
        table = record.evaluation.table
        grid = table.ln_ohm_first + table.ln_ohm_step * np.arange(len(table.expanded_force))
        spread = np.interp(np.log(record.model.resistance_ohm(force)), grid, table.expanded_force) * 100
        self.band.set_data(np.log10(force), -spread, spread)
        self.scatter.draw(points, columns(points)[0], self._y)
        self.key((self.theme.accent, "± U of the force (k = 2)"))

    def read(self, point: QPointF) -> str:
        index = self.nearest(columns(self._points)[0], self._y, point) if self._points else None
        if index is None:
            return ""
        return f"{point_words(self._points[index])}   {self._y[index]:+.2f} %".replace("-", quantities.MINUS)


class HysteresisFigure(LogPlot):
    """The loop: mean residual of the way up and of the way down, load by load."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Hysteresis", theme, "Residual (%)")
        self.loop = Band()
        self.zero = pg.InfiniteLine(angle=0, pos=0)
        self.branches = {
            Direction.UP: pg.PlotDataItem(symbol="t1", symbolSize=9),
            Direction.DOWN: pg.PlotDataItem(symbol="t", symbolSize=9),
        }
        self.item.addItem(self.loop)
        self.item.addItem(self.zero, ignoreBounds=True)
        for branch in self.branches.values():
            self.item.addItem(branch)
        self.largest = 0.0
        self._loop: tuple[Array, Array] = (EMPTY, EMPTY)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.zero.setPen(pen(theme.dim))
        self.loop.set_colour(theme.grid, 60)
        for direction, colour in ((Direction.UP, theme.current), (Direction.DOWN, theme.accent)):
            self.branches[direction].setPen(pen(colour))
            self.branches[direction].setSymbolBrush(pg.mkBrush(colour))
            self.branches[direction].setSymbolPen(None)
        self.key((theme.current, "▲ up"), (theme.accent, "▼ down"))

    def draw(self, record: Calibration, points: Sequence[PointView]) -> None:
        used = [point for point in points if not point.excluded]
        off = residuals(record, used) * 100
        means: dict[Direction, dict[float, float]] = {}
        for direction in Direction:
            by_level: dict[float, list[float]] = {}
            for point, value in zip(used, off, strict=True):
                if point.direction is direction and math.isfinite(value):
                    by_level.setdefault(point.nominal_N or float(f"{point.force_N:.2g}"), []).append(value)
            means[direction] = {load: sum(values) / len(values) for load, values in sorted(by_level.items())}
            loads = np.array(list(means[direction]), dtype=np.float64)
            self.branches[direction].setData(np.log10(loads), np.array(list(means[direction].values())))
        both = np.array(sorted(set(means[Direction.UP]) & set(means[Direction.DOWN])), dtype=np.float64)
        up = np.array([means[Direction.UP][load] for load in both])
        down = np.array([means[Direction.DOWN][load] for load in both])
        self.loop.set_data(np.log10(both), np.minimum(up, down), np.maximum(up, down))
        self._loop = (both, np.abs(down - up))
        self.largest = float(self._loop[1].max()) if len(both) else 0.0
        self.say("" if len(both) else "Only one direction was measured")

    def read(self, point: QPointF) -> str:
        loads, width = self._loop
        if not len(loads):
            return ""
        index = int(np.argmin(np.abs(np.log10(loads) - point.x())))
        return f"{quantities.force(float(loads[index]))}   loop {width[index]:.2f} % of the force"
