"""The plots of one run: quantities over time, voltage over capacity, the cycles, and the impedance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor

from gui import quantities
from gui.history import Profile, TimeSeries
from gui.plots import Band, MarkerLines, Plot, TimeAxis, time_unit
from gui.reduce import MOST_POINTS, Array, notable, thin
from gui.theme import Theme
from station.readings import CycleView, MarkerEvent, SpectrumView

EMPTY = np.empty(0)
LEAST_SPAN = 0.02
"""Of the largest current: a constant one is a line, and not its noise."""


def pen(colour: str | QColor) -> pg.QtGui.QPen:
    return pg.mkPen(colour, width=1)  # a pixel whatever the zoom; wider ones cost a hundredfold


class TimeFigure(Plot):
    """One quantity over test time."""

    def __init__(self, title: str, theme: Theme, *, unit: str, factor: float, bottom_text: str = "") -> None:
        super().__init__(title, theme, bottom=TimeAxis(bottom_text))
        self._unit, self._factor = unit, factor
        self.item.setLabel("left", unit)
        self.item.getAxis("left").enableAutoSIPrefix(False)
        self.view.setMouseEnabled(x=True, y=False)
        self.view.enableAutoRange(y=True)
        self.view.setAutoVisible(y=True)
        self.curve = pg.PlotDataItem(connect="finite")
        self.item.addItem(self.curve)
        self.lines = MarkerLines()
        self.item.addItem(self.lines, ignoreBounds=True)
        self._markers: tuple[MarkerEvent, ...] = ()
        self._marked_s = EMPTY
        self._t, self._y = EMPTY, EMPTY

    def paint_in(self, theme: Theme, colour: str) -> None:
        self.set_theme(theme)
        self.curve.setPen(pen(colour))
        self.lines.set_colour(theme.text)

    def mark(self, markers: tuple[MarkerEvent, ...]) -> None:
        """A line at each marker; the readout names the one that it stands on."""
        self._markers = markers
        self._marked_s = np.array([marker.test_time_s for marker in markers], dtype=np.float64)
        self.lines.set_times(self._marked_s)

    def draw(self, t_s: Array, values: Array) -> None:
        """`values` in SI units; drawn in the axis's unit."""
        self._t, self._y = t_s, values * self._factor
        self.curve.setData(self._t, self._y)

    def clear(self) -> None:
        self.draw(EMPTY, EMPTY)

    def has_data(self) -> bool:
        return bool(np.isfinite(self._y).any())

    def words(self, index: int) -> str:
        return f"{self._y[index]:.4g} {self._unit}".replace("-", quantities.MINUS)

    def read(self, point: QPointF) -> str:
        return self.read_at(point.x())

    def read_at(self, x: float) -> str:
        known = np.flatnonzero(np.isfinite(self._y))
        if len(known) == 0:
            return ""
        index = int(known[np.argmin(np.abs(self._t[known] - x))])
        seconds, unit = time_unit(*self.view.viewRange()[0])
        return f"{self._marker_at(x)}{self._t[index] / seconds:.3f} {unit}   {self.words(index)}"

    def _marker_at(self, x: float) -> str:
        """The marker within a few pixels of `x`, by its name."""
        if not len(self._marked_s):
            return ""
        nearest = int(np.argmin(np.abs(self._marked_s - x)))
        near = abs(self._marked_s[nearest] - x) <= 4 * self.view.viewPixelSize()[0]
        return f"⚑ {self._markers[nearest].name}   " if near else ""


class VoltageFigure(TimeFigure):
    def __init__(self, theme: Theme) -> None:
        super().__init__("Voltage", theme, unit="V", factor=1.0)

    def words(self, index: int) -> str:
        return quantities.voltage(float(self._y[index]))


class CurrentFigure(TimeFigure):
    """In A, mA or µA, whichever suits the run."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Current", theme, unit="mA", factor=1e3)

    def draw(self, t_s: Array, values: Array) -> None:
        known = np.abs(values[np.isfinite(values)])
        most = float(known.max()) if len(known) else 0.0
        factor, unit = (1.0, "A") if most >= 1.0 else (1e3, "mA") if most >= 1e-4 or most == 0.0 else (1e6, "µA")
        if unit != self._unit:
            self._factor, self._unit = factor, unit
            self.item.setLabel("left", unit)
        self.view.setLimits(minYRange=LEAST_SPAN * most * factor or None)
        super().draw(t_s, values)

    def words(self, index: int) -> str:
        return quantities.current(float(self._y[index]) / self._factor)


class PressureFigure(TimeFigure):
    """With the band of its expanded uncertainty (k = 2)."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Pressure", theme, unit="kPa", factor=1e-3, bottom_text="Test time")
        self.band = Band()
        self.item.addItem(self.band)
        self._U = EMPTY

    def paint_in(self, theme: Theme, colour: str) -> None:
        super().paint_in(theme, colour)
        self.band.set_colour(colour, 60)
        self.key((colour, "± U (k = 2)"))

    def draw_with_band(self, t_s: Array, pressure_Pa: Array, U_Pa: Array) -> None:
        self._U = U_Pa
        low, high = (pressure_Pa - U_Pa) * 1e-3, (pressure_Pa + U_Pa) * 1e-3
        self.band.set_data(t_s, low, high)
        self.draw(t_s, pressure_Pa)

    def clear(self) -> None:
        self.draw_with_band(EMPTY, EMPTY, EMPTY)

    def words(self, index: int) -> str:
        return quantities.pressure(float(self._y[index]) * 1e3, float(self._U[index]))


def shades(count: int, theme: Theme) -> list[QColor]:
    """From old to new along viridis, which keeps its order in grey and for colour-blind eyes; the last stands out."""
    scale = pg.colormap.get("viridis")
    low, high = (0.35, 0.95) if theme.name == "dark" else (0.75, 0.10)
    return [scale.map(low + (high - low) * k / max(1, count - 1), mode="qcolor") for k in range(count)]


class ProfileFigure(Plot):
    """Voltage over capacity: 1, 2, 5, 10, … and the last three cycles, the last ones in full colour."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Voltage over capacity", theme)
        self.item.setLabel("left", "V")
        self._profiles: tuple[Profile, ...] = ()
        self._unit = (1e3, "mAh")
        self.curves: list[pg.PlotDataItem] = []

    def draw(self, profiles: Sequence[Profile], mass_g: float | None) -> None:
        self._profiles = tuple(profiles)
        self._unit = (1e3 / mass_g, "mAh/g") if mass_g else (1e3, "mAh")
        self.item.setLabel("bottom", f"Capacity ({self._unit[1]})")
        for axis in ("left", "bottom"):
            self.item.getAxis(axis).enableAutoSIPrefix(False)
        while len(self.curves) < len(profiles):
            self.curves.append(self.item.plot(connect="finite"))
        colours = shades(len(profiles), self.theme)
        for curve in self.curves[len(profiles) :]:
            curve.setData(EMPTY, EMPTY)
        for rank, (curve, profile, colour) in enumerate(zip(self.curves, profiles, colours, strict=False)):
            if rank < len(profiles) - 3:
                colour.setAlpha(120)
            curve.setPen(pen(self.theme.text if rank == len(profiles) - 1 else colour))
            curve.setData(profile.capacity_Ah * self._unit[0], profile.voltage_V)
        self._name_some([str(profile.cycle) for profile in profiles], colours)

    def _name_some(self, names: list[str], colours: list[QColor]) -> None:
        picked = sorted({0, len(names) // 2, len(names) - 1}) if names else []
        entries = [(colours[k].name(), names[k]) for k in picked]
        if entries:
            entries[-1] = (self.theme.text, f"<b>{names[-1]}</b>")
            entries[0] = (entries[0][0], f"cycle {entries[0][1]}" if len(entries) > 1 else entries[0][1])
        self.key(*entries)

    def read(self, point: QPointF) -> str:
        best = None
        width, height = self.view.viewPixelSize()
        for profile in self._profiles:
            x, y = profile.capacity_Ah * self._unit[0], profile.voltage_V
            index = self.nearest(x, y, point)
            if index is not None:
                far = ((x[index] - point.x()) / width) ** 2 + ((y[index] - point.y()) / height) ** 2
                if best is None or far < best[0]:
                    best = (far, f"cycle {profile.cycle}   {x[index]:.4g} {self._unit[1]}   {y[index]:.3f} V")
        return best[1] if best else ""


class CycleFigure(Plot):
    """Capacity by cycle on the left axis, Coulombic efficiency on the right one."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Capacity and CE", theme)
        self.item.setLabel("bottom", "Cycle")
        self.item.showAxis("right")
        self.item.setLabel("right", "CE (%)")
        self.item.getAxis("right").setGrid(False)
        self.item.getAxis("right").setWidth(50)
        self.right = pg.ViewBox(enableMenu=False)
        self.item.scene().addItem(self.right)
        self.item.getAxis("right").linkToView(self.right)
        self.right.setXLink(self.view)
        self.right.setMouseEnabled(x=False, y=False)
        self.view.sigResized.connect(lambda: self.right.setGeometry(self.view.sceneBoundingRect()))
        self.charge = pg.PlotDataItem(pen=None, symbol="t1", symbolSize=6)
        self.discharge = pg.PlotDataItem(pen=None, symbol="o", symbolSize=6)
        self.efficiency = pg.PlotDataItem(pen=None, symbol="d", symbolSize=6)
        self.item.addItem(self.charge)
        self.item.addItem(self.discharge)
        self.right.addItem(self.efficiency)
        self._rows: tuple[CycleView, ...] = ()
        self._factor, self._unit = 1e3, "mAh"

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for dots, colour in (
            (self.charge, theme.charge),
            (self.discharge, theme.discharge),
            (self.efficiency, theme.efficiency),
        ):
            dots.setSymbolPen(pen(colour))
            dots.setSymbolBrush(None if dots is self.efficiency else pg.mkBrush(colour))
        self.key((theme.discharge, "● discharge"), (theme.charge, "▲ charge"), (theme.efficiency, "◇ CE"))

    def draw(self, cycles: Sequence[CycleView], mass_g: float | None) -> None:
        """A cycle that goes on is not drawn: its capacity is not known yet."""
        self._rows = tuple(cycle for cycle in cycles if cycle.coulombic_efficiency is not None)
        self._factor, self._unit = (1e3 / mass_g, "mAh/g") if mass_g else (1e3, "mAh")
        self.item.setLabel("left", self._unit)
        self.item.getAxis("left").enableAutoSIPrefix(False)
        n = np.array([row.cycle for row in self._rows], dtype=np.float64)
        charge = np.array([row.charge_capacity_Ah for row in self._rows]) * self._factor
        discharge = np.array([row.discharge_capacity_Ah for row in self._rows]) * self._factor
        efficiency = np.array([row.coulombic_efficiency for row in self._rows], dtype=np.float64) * 100
        n, charge, discharge, efficiency = thin(n, charge, discharge, efficiency)
        size = 6 if len(n) < 150 else 4
        for dots, values in ((self.charge, charge), (self.discharge, discharge), (self.efficiency, efficiency)):
            dots.setSymbolSize(size)
            dots.setData(n, values)
        settled = efficiency[2:] if len(efficiency) > 6 else efficiency  # formation would flatten all that follows
        if len(settled):
            low, high = float(settled.min()), float(settled.max())
            margin = max(0.1 * (high - low), 0.05)
            self.right.setYRange(low - margin, high + margin, padding=0)

    def read(self, point: QPointF) -> str:
        if not self._rows:
            return ""
        row = min(self._rows, key=lambda each: abs(each.cycle - point.x()))
        return (
            f"cycle {row.cycle}   ● {row.discharge_capacity_Ah * self._factor:.4g}   "
            f"▲ {row.charge_capacity_Ah * self._factor:.4g} {self._unit}   "
            f"◇ {quantities.percent(row.coulombic_efficiency)}"
        )


class CyclePressureFigure(Plot):
    """The range of the pressure within each cycle, as a bar from its least to its most; dotted, as far as it came."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Pressure range by cycle", theme)
        self.item.setLabel("bottom", "Cycle")
        self.item.setLabel("left", "kPa")
        self.item.getAxis("left").enableAutoSIPrefix(False)
        self.bars, self.unfinished = pg.PlotDataItem(connect="pairs"), pg.PlotDataItem(connect="pairs")
        for bars in (self.bars, self.unfinished):
            self.item.addItem(bars)
        self._rows: tuple[CycleView, ...] = ()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.bars.setPen(pen(theme.pressure))
        dotted = pen(theme.pressure)
        dotted.setStyle(Qt.PenStyle.DotLine)
        self.unfinished.setPen(dotted)

    def draw(self, cycles: Sequence[CycleView]) -> None:
        self._rows = tuple(row for row in cycles if row.pressure_min_Pa is not None and row.pressure_max_Pa is not None)
        self._draw_bars(self.bars, [row for row in self._rows if row.complete])
        unfinished = [row for row in self._rows if not row.complete]
        self._draw_bars(self.unfinished, unfinished)
        self.key(*([(self.theme.pressure, "┊ not a whole cycle")] if unfinished else []))
        self.say("" if self._rows else "No pressure was measured")

    @staticmethod
    def _draw_bars(bars: pg.PlotDataItem, rows: Sequence[CycleView]) -> None:
        n = np.array([row.cycle for row in rows], dtype=np.float64)
        low = np.array([row.pressure_min_Pa for row in rows], dtype=np.float64) * 1e-3
        high = np.array([row.pressure_max_Pa for row in rows], dtype=np.float64) * 1e-3
        n, low, high = thin(n, low, high, limit=MOST_POINTS // 2)
        bars.setData(np.repeat(n, 2), np.stack([low, high], axis=1).ravel())

    def read(self, point: QPointF) -> str:
        if not self._rows:
            return ""
        row = min(self._rows, key=lambda each: abs(each.cycle - point.x()))
        low, high = (row.pressure_min_Pa or 0.0) / 1e3, (row.pressure_max_Pa or 0.0) / 1e3
        return f"cycle {row.cycle}   {low:.1f} … {high:.1f} kPa{'' if row.complete else ' so far'}"


class NyquistFigure(Plot):
    """−Im Z over Re Z on equal scales: the spectra 1, 2, 5, 10, … and the last three."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Impedance", theme)
        self.item.setLabel("bottom", "Re Z (Ω)")
        self.item.setLabel("left", "−Im Z (Ω)")
        for axis in ("left", "bottom"):
            self.item.getAxis(axis).enableAutoSIPrefix(False)
        self.view.setAspectLocked(True)
        self.curves: list[pg.PlotDataItem] = []
        self._spectra: tuple[SpectrumView, ...] = ()

    def draw(self, spectra: Sequence[SpectrumView]) -> None:
        picked = [spectra[n - 1] for n in notable(len(spectra))]
        self._spectra = tuple(picked)
        while len(self.curves) < len(picked):
            self.curves.append(self.item.plot(symbol="o", symbolSize=4))
        for curve in self.curves[len(picked) :]:
            curve.setData(EMPTY, EMPTY)
        colours = shades(len(picked), self.theme)
        for rank, (curve, spectrum, colour) in enumerate(zip(self.curves, picked, colours, strict=False)):
            shown = QColor(self.theme.text) if rank == len(picked) - 1 else colour
            curve.setPen(pen(shown))
            curve.setSymbolPen(None)
            curve.setSymbolBrush(pg.mkBrush(shown))
            real, minus_imaginary = np.array(spectrum.real_ohm), -np.array(spectrum.imaginary_ohm)
            curve.setData(*thin(real, minus_imaginary))
        entries = [(colour.name(), str(spectrum.cycle)) for colour, spectrum in zip(colours, picked, strict=True)]
        if entries:
            entries[-1] = (self.theme.text, f"<b>{picked[-1].cycle}</b>")
            kept = entries[:1] + entries[-1:] if len(entries) > 1 else entries
            kept[0] = (kept[0][0], f"cycle {kept[0][1]}")
            self.key(*kept)
        else:
            self.key()
        self.say("" if picked else "No impedance spectrum yet")

    def read(self, point: QPointF) -> str:
        best = None
        for spectrum in self._spectra:
            real, up = np.array(spectrum.real_ohm), -np.array(spectrum.imaginary_ohm)
            index = self.nearest(real, up, point)
            if index is not None:
                far = (real[index] - point.x()) ** 2 + (up[index] - point.y()) ** 2
                if best is None or far < best[0]:
                    f = quantities.frequency(spectrum.frequency_Hz[index])
                    best = (far, f"cycle {spectrum.cycle}   {f}   Re {real[index]:.4g} Ω   −Im {up[index]:.4g} Ω")
        return best[1] if best else ""


def series_with(series: TimeSeries, extra: Sequence[tuple[float, float, float, float, float]]) -> TimeSeries:
    """`series` with the live samples that came after it: test time, V, A, Pa and U in Pa."""
    last = series.test_time_s[-1] if len(series.test_time_s) else -np.inf
    fresh = [row for row in extra if row[0] > last]
    if not fresh:
        return series
    t, voltage, current, pressure, U = np.array(fresh, dtype=np.float64).T
    columns = thin(
        np.concatenate([series.test_time_s, t]),
        np.concatenate([series.voltage_V, voltage]),
        np.concatenate([series.current_A, current]),
        np.concatenate([series.pressure_Pa, pressure]),
        np.concatenate([series.pressure_U_Pa, U]),
    )
    return TimeSeries(series.run_id, *columns)
