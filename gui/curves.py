"""The curves of the selected channel: live, or of one of its earlier runs."""

from __future__ import annotations

import math
from collections import deque

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui import quantities
from gui.figures import (
    CurrentFigure,
    CycleFigure,
    CyclePressureFigure,
    NyquistFigure,
    PressureFigure,
    ProfileFigure,
    VoltageFigure,
    series_with,
)
from gui.history import Profile, RunHistory, TimeSeries
from gui.plots import Plot
from gui.theme import Theme
from gui.widgets import Choice
from station.readings import ChannelView, CycleView, MarkerEvent, RunView, SpectrumView

REDRAW_MS = 1000
LIVE_SAMPLES = 1000
LOW = 520  # px: six plots in less are too low to read
SPANS = (("1 h", 3600.0), ("24 h", 86400.0), ("All", None))


class CurvePanel(QWidget):
    def __init__(self, history: RunHistory, theme: Theme) -> None:
        super().__init__()
        self._history = history
        self._run: RunView | None = None
        self._series: TimeSeries | None = None
        self._live: deque[tuple[float, float, float, float, float]] = deque(maxlen=LIVE_SAMPLES)
        self._profiles: tuple[Profile, ...] = ()
        self._cycles: tuple[CycleView, ...] = ()
        self._spectra: tuple[SpectrumView, ...] = ()
        self._span_s: float | None = None
        self._speed = 1.0
        self._dirty = False
        self._in_cycle_unit: float | None = None
        self._page, self._low = "Overview", False

        self.voltage, self.current, self.pressure = VoltageFigure(theme), CurrentFigure(theme), PressureFigure(theme)
        self.profiles, self.cycles = ProfileFigure(theme), CycleFigure(theme)
        self.cycle_pressure, self.nyquist = CyclePressureFigure(theme), NyquistFigure(theme)
        self.over_time = (self.voltage, self.current, self.pressure)
        self.figures: tuple[Plot, ...] = (
            *self.over_time,
            self.profiles,
            self.cycles,
            self.cycle_pressure,
            self.nyquist,
        )
        self._build()
        self._connect()
        self.set_theme(theme)
        self.show_page("Overview")

    # --- making

    def _build(self) -> None:
        self.runs = Choice()
        self.runs.setMinimumWidth(160)
        self.runs.setAccessibleName("Run")
        self.runs.setToolTip("The channel's runs, newest first")
        self._pages = QButtonGroup(self)
        self._spans = QButtonGroup(self)
        bar = QHBoxLayout()
        bar.setSpacing(6)
        for name in ("Overview", "Time", "Cycles", "Impedance"):
            bar.addWidget(_segment(name, self._pages, checked=name == "Overview"))
        bar.addSpacing(10)
        bar.addWidget(self.runs, 1)
        bar.addSpacing(10)
        for name, _ in SPANS:
            bar.addWidget(_segment(name, self._spans, checked=name == "All"))
        self.follow = _segment("Follow", None, checked=True)
        self.follow.setToolTip("Keep the newest reading in sight; dragging or zooming a time plot lets go")
        bar.addWidget(self.follow)
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(bar)
        column.addLayout(self._grid, 1)

    def _connect(self) -> None:
        history = self._history
        history.runs_listed.connect(self._list_runs)
        history.run_shown.connect(self._show_run)
        history.series_came.connect(self._take_series)
        history.cycles_came.connect(self._take_cycles)
        history.profiles_came.connect(self._take_profiles)
        history.spectra_came.connect(self._take_spectra)
        history.markers_came.connect(self._take_markers)
        self.runs.activated.connect(lambda row: history.show_run(self.runs.itemData(row)))
        self._pages.buttonClicked.connect(lambda button: self.show_page(button.text()))
        self._spans.buttonClicked.connect(lambda button: self.set_span(dict(SPANS)[button.text()]))
        self.follow.toggled.connect(self._follow_toggled)
        for figure in self.over_time:
            if figure is not self.voltage:
                figure.item.setXLink(self.voltage.item)
            figure.moved.connect(self._point_all)
            figure.left.connect(self._point_nowhere)
            figure.view.sigRangeChangedManually.connect(lambda *_: self.follow.setChecked(False))
        self._looked = QTimer(self, singleShot=True, interval=150)
        self._looked.timeout.connect(self._look)
        self.voltage.view.sigXRangeChanged.connect(lambda *_: self._looked.start())
        self._redraw = QTimer(self, interval=REDRAW_MS)
        self._redraw.timeout.connect(self._draw_if_dirty)
        self._redraw.start()

    def stop(self) -> None:
        self._redraw.stop()
        self._looked.stop()

    def set_theme(self, theme: Theme) -> None:
        self.voltage.paint_in(theme, theme.voltage)
        self.current.paint_in(theme, theme.current)
        self.pressure.paint_in(theme, theme.pressure)
        for figure in (self.profiles, self.cycles, self.cycle_pressure, self.nyquist):
            figure.set_theme(theme)
        self._draw_everything()

    def show_page(self, name: str) -> None:
        """'Overview' has all, or the four that matter most where the window is low; the others show some larger."""
        self._page = name
        self._low = self.height() < LOW
        shown = self._pages_now()[name]
        for figure in self.figures:
            self._grid.removeWidget(figure)
            figure.hide()
        for figure, row, column, rows in shown:
            self._grid.addWidget(figure, row, column, rows, 1)
            figure.show()
        two = any(column == 1 for _, _, column, _ in shown)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1 if two else 0)
        for row in range(6):
            self._grid.setRowStretch(row, 1)
        next(each for each in self._pages.buttons() if each.text() == name).setChecked(True)

    def _pages_now(self) -> dict[str, tuple[tuple[Plot, int, int, int], ...]]:
        """By page: plot, row, column, rows spanned of the six."""
        all_six = (
            *((figure, 2 * row, 0, 2) for row, figure in enumerate(self.over_time)),
            *((figure, 2 * row, 1, 2) for row, figure in enumerate((self.profiles, self.cycles, self.nyquist))),
        )
        four = (
            *((figure, 3 * row, 0, 3) for row, figure in enumerate((self.voltage, self.pressure))),
            *((figure, 3 * row, 1, 3) for row, figure in enumerate((self.profiles, self.cycles))),
        )
        return {
            "Overview": four if self._low else all_six,
            "Time": tuple((figure, 2 * row, 0, 2) for row, figure in enumerate(self.over_time)),
            "Cycles": ((self.profiles, 0, 0, 6), (self.cycles, 0, 1, 3), (self.cycle_pressure, 3, 1, 3)),
            "Impedance": ((self.nyquist, 0, 0, 6),),
        }

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._low != (self.height() < LOW):
            self.show_page(self._page)

    # --- what comes in

    def clear(self, word: str) -> None:
        self._series, self._profiles, self._cycles, self._spectra = None, (), (), ()
        self._live.clear()
        self._take_markers(())
        self._draw_everything()
        for figure in self.figures:
            figure.say(word)

    def update_live(self, view: ChannelView, speed: float) -> None:
        """A live view of the selected channel; its sample is drawn after the stored ones."""
        self._speed = speed
        if view.run_id is None or view.run_id != self._history.run_id or view.test_time_s is None:
            return
        if self._live and view.test_time_s <= self._live[-1][0]:
            return
        values = (view.voltage_V, view.current_A, view.pressure_Pa, view.pressure_U_Pa)
        voltage, current, pressure, U = (math.nan if value is None else value for value in values)
        self._live.append((view.test_time_s, voltage, current, pressure, U))
        self._dirty = True

    def _list_runs(self, runs: tuple[RunView, ...]) -> None:
        self.runs.clear()
        for run in runs:
            started = quantities.clock_time(run.started)[:16]
            self.runs.addItem(f"{started} · {run.cell} · {run.state.value}", run.run_id)
        self._pick_run()
        if not runs:
            self.clear("No run on this channel yet")

    def _pick_run(self) -> None:
        self.runs.setCurrentIndex(self.runs.findData(self._history.run_id))

    def _show_run(self, run: RunView | None) -> None:
        if self._series is not None and self._series.run_id != self._history.run_id:
            self.clear("Fetching the readings …")
        self._run = run
        self._pick_run()
        if self._mass_g() != self._in_cycle_unit:
            self._draw_cycles()

    def _take_series(self, series: TimeSeries) -> None:
        self._series = series
        self._dirty = True
        self._draw_if_dirty()

    def _take_cycles(self, cycles: tuple[CycleView, ...]) -> None:
        self._cycles = cycles
        self._draw_cycles()

    def _take_profiles(self, profiles: tuple[Profile, ...]) -> None:
        self._profiles = profiles
        self.profiles.draw(profiles, self._mass_g())
        self.profiles.say("" if profiles else "No cycle yet")

    def _take_spectra(self, spectra: tuple[SpectrumView, ...]) -> None:
        self._spectra = spectra
        self.nyquist.draw(spectra)

    def _take_markers(self, markers: tuple[MarkerEvent, ...]) -> None:
        for figure in self.over_time:
            figure.mark(markers)

    def _mass_g(self) -> float | None:
        return self._run.active_mass_g if self._run else None

    # --- drawing

    def _draw_everything(self) -> None:
        self._dirty = True
        self._draw_if_dirty()
        self._draw_cycles()
        self.profiles.draw(self._profiles, self._mass_g())
        self.nyquist.draw(self._spectra)

    def _draw_cycles(self) -> None:
        self._in_cycle_unit = self._mass_g()
        self.cycles.draw(self._cycles, self._mass_g())
        self.cycles.say("" if any(row.coulombic_efficiency for row in self._cycles) else "No complete cycle yet")
        self.cycle_pressure.draw(self._cycles)
        if self._profiles:
            self.profiles.draw(self._profiles, self._mass_g())

    def _draw_if_dirty(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        series = self._series
        if series is None:
            for figure in self.over_time:
                figure.clear()
            return
        if self.follow.isChecked():  # else the range may end long before the live samples
            series = series_with(series, self._live)
        self.voltage.draw(series.test_time_s, series.voltage_V)
        self.current.draw(series.test_time_s, series.current_A)
        self.pressure.draw_with_band(series.test_time_s, series.pressure_Pa, series.pressure_U_Pa)
        for figure in self.over_time:
            figure.say("" if figure.has_data() else f"No {figure.title.lower()} was measured")
        if self.follow.isChecked() and len(series.test_time_s) > 1:
            last = float(series.test_time_s[-1])
            first = float(series.test_time_s[0]) if self._span_s is None else last - self._span_s
            self.voltage.view.setXRange(first, last + 0.01 * (last - first), padding=0)

    # --- the range on show

    def set_span(self, span_s: float | None) -> None:
        """Follow the last `span_s` seconds of test time; None: the whole run."""
        self._span_s = span_s
        self.follow.setChecked(True)
        self._dirty = True
        self._draw_if_dirty()
        self._look()

    def _follow_toggled(self, on: bool) -> None:
        if on:
            self._dirty = True
            self._draw_if_dirty()
        self._look()

    def _look(self) -> None:
        """Tell the history what part of the run is on show, and how finely."""
        pixels = max(100, int(self.voltage.view.width()))
        low, high = self.voltage.view.viewRange()[0]
        per_pixel = (high - low) / pixels / max(self._speed, 1e-9)
        if self.follow.isChecked():
            if self._span_s is None or self._series is None or len(self._series.test_time_s) == 0:
                self._history.look(None, None, pixels, per_pixel)
            else:
                since = math.floor((high - self._span_s) / 60.0) * 60.0 - 60.0
                self._history.look(max(0.0, since), None, pixels, per_pixel)
        else:
            margin = 0.1 * (high - low)
            self._history.look(max(0.0, low - margin), high + margin, pixels, per_pixel)

    def _point_all(self, x: float) -> None:
        for figure in self.over_time:
            figure.point_at(x)
            figure.set_readout(figure.read_at(x))

    def _point_nowhere(self) -> None:
        for figure in self.over_time:
            figure.point_at(None)
            figure.set_readout("")


def _segment(text: str, group: QButtonGroup | None, *, checked: bool) -> QPushButton:
    button = QPushButton(text)
    button.setProperty("role", "segment")
    button.setCheckable(True)
    button.setChecked(checked)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if group is not None:
        group.addButton(button)
    return button
