"""The last hours of every channel, for its tile: asked for in turn, and lengthened by the live stream between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from gui.connection import Requests
from gui.reduce import Array
from station.client import Client
from station.readings import ChannelState, ChannelView, SeriesView, StationView

SPAN_S = 24 * 3600.0
POINTS = 120
ASK_EVERY_MS = 400
MOST_POINTS = 600


class Trace:
    """Test time with voltage and pressure (NaN where unknown), of one run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.asked = self.came = False
        self.test_time_s: Array = np.empty(0)
        self.voltage_V: Array = np.empty(0)
        self.pressure_Pa: Array = np.empty(0)

    def replace(self, view: SeriesView) -> None:
        self.came = True
        t = view.columns["test_time_s"]
        none = (None,) * len(t)
        self.test_time_s = np.array(t, dtype=np.float64)
        self.voltage_V = np.array(view.columns.get("voltage_V", none), dtype=np.float64)
        self.pressure_Pa = np.array(view.columns.get("pressure_Pa", none), dtype=np.float64)

    def append(self, view: ChannelView) -> None:
        t = view.test_time_s
        apart = SPAN_S / POINTS / 4
        if t is None or (len(self.test_time_s) and t < self.test_time_s[-1] + apart):
            return
        kept = slice(int(np.searchsorted(self.test_time_s, t - SPAN_S)), None)
        kept = slice(max(kept.start, len(self.test_time_s) - MOST_POINTS), None)
        self.test_time_s = np.append(self.test_time_s[kept], t)
        self.voltage_V = np.append(self.voltage_V[kept], np.nan if view.voltage_V is None else view.voltage_V)
        self.pressure_Pa = np.append(self.pressure_Pa[kept], np.nan if view.pressure_Pa is None else view.pressure_Pa)


class Sparklines(QObject):
    changed = Signal(str)  # channel

    def __init__(self, requests: Requests, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.traces: dict[str, Trace] = {}
        self._requests = requests
        self._views: dict[str, ChannelView] = {}
        self._turn: list[str] = []
        self._timer = QTimer(self, interval=ASK_EVERY_MS)
        self._timer.timeout.connect(self._ask_next)
        self._timer.start()

    @property
    def settled(self) -> bool:
        """Every trace was asked for and has come."""
        return all(trace.came for trace in self.traces.values())

    def stop(self) -> None:
        self._timer.stop()

    def update(self, station: StationView) -> None:
        self._views = {view.name: view for view in station.channels}
        for name, view in self._views.items():
            trace = self.traces.get(name)
            if view.run_id is None:
                self.traces.pop(name, None)
            elif trace is None or trace.run_id != view.run_id:
                self.traces[name] = Trace(view.run_id)
                self._turn.insert(0, name)
            else:
                trace.append(view)
        self._turn += [name for name, view in self._views.items() if name not in self._turn and view.run_id]

    def _ask_next(self) -> None:
        """One channel at a time, and none while the window's own requests wait."""
        while self._turn and self._requests.pending == 0:
            name = self._turn.pop(0)
            view, trace = self._views.get(name), self.traces.get(name)
            if view is None or trace is None or (trace.asked and view.state is not ChannelState.RUNNING):
                continue
            trace.asked = True
            self._requests.ask(_last_hours(trace.run_id, view.test_time_s), self._came, lambda _: None)
            return

    def _came(self, series: SeriesView) -> None:
        for name, trace in self.traces.items():
            if trace.run_id == series.run_id:
                trace.replace(series)
                self.changed.emit(name)
        if not all(trace.asked for trace in self.traces.values()):
            self._ask_next()


def _last_hours(run_id: str, now_s: float | None) -> Callable[[Client], SeriesView]:
    since = None if now_s is None else max(0.0, now_s - SPAN_S)

    def fetch(station: Client) -> SeriesView:
        return station.series(run_id, ("voltage_V", "pressure_Pa"), since_s=since, points=POINTS)

    return fetch
