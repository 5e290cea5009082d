"""What is drawn of one run: fetched from the service as it is needed, and no more often than a pixel can change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from gui.connection import Requests
from gui.reduce import MOST_POINTS, Array, half_cycles, notable, thin
from station.client import Client
from station.readings import ChannelState, ChannelView, CycleView, MarkerEvent, RunView, SeriesView

T = TypeVar("T")

TIME_COLUMNS = ("voltage_V", "current_A", "pressure_Pa", "pressure_U_Pa")
PROFILE_COLUMNS = ("net_capacity_Ah", "current_A", "voltage_V")
PROFILE_POINTS = 500
SOONEST_S = 1.0  # between two fetches of the same thing
LATEST_S = 30.0
RETRY_S = 10.0  # more, after a refusal
RUNS_LISTED = 30


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """Equal lengths, ordered by test time; NaN where a quantity was not measured."""

    run_id: str
    test_time_s: Array
    voltage_V: Array
    current_A: Array
    pressure_Pa: Array
    pressure_U_Pa: Array

    @staticmethod
    def of(view: SeriesView) -> TimeSeries:
        columns = [_array(view, name) for name in ("test_time_s", *TIME_COLUMNS)]
        t, voltage, current, pressure, U = thin(*columns)
        return TimeSeries(view.run_id, t, voltage, current, pressure, U)


@dataclass(frozen=True, eq=False)
class Profile:
    """Voltage over the capacity of each half-cycle of one cycle, a NaN between the halves."""

    cycle: int
    capacity_Ah: Array
    voltage_V: Array

    @staticmethod
    def of(cycle: int, view: SeriesView) -> Profile:
        net, current, voltage = thin(*(_array(view, name) for name in PROFILE_COLUMNS))
        return Profile(cycle, *half_cycles(net, current, voltage))


def _array(view: SeriesView, name: str) -> Array:
    return np.array(view.columns.get(name, (None,) * len(view.columns["test_time_s"])), dtype=np.float64)


@dataclass
class _Part:
    """One kind of data: whether it is out of date, under way, ever came, and when it was last asked for."""

    stale: bool = False
    under_way: bool = False
    came: bool = False
    asked: float = -1e9

    def due(self, period_s: float) -> bool:
        return self.stale and not self.under_way and time.monotonic() - self.asked >= period_s


class RunHistory(QObject):
    """The run on show. `show_channel` on selection, `update` with each live view, `look` as the range changes."""

    runs_listed = Signal(object)  # tuple[RunView, ...] of this channel, newest first
    run_shown = Signal(object)  # RunView | None
    series_came = Signal(object)  # TimeSeries
    cycles_came = Signal(object)  # tuple[CycleView, ...]
    profiles_came = Signal(object)  # tuple[Profile, ...] in the order of cycles
    spectra_came = Signal(object)  # tuple[SpectrumView, ...]
    markers_came = Signal(object)  # tuple[MarkerEvent, ...]
    failed = Signal(str)

    def __init__(self, requests: Requests, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._requests = requests
        self._channel: str | None = None
        self._runs: tuple[RunView, ...] = ()
        self._run_id: str | None = None
        self._generation = 0  # rises with each run shown: answers to older questions are dropped
        self._live = False
        self._place: tuple[str | None, int | None] = (None, None)
        self._since_s: float | None = None
        self._until_s: float | None = None
        self._pixels = 900
        self._period_s = SOONEST_S
        self._cycles: tuple[CycleView, ...] = ()
        self._profiles: dict[int, Profile] = {}
        self._finished: set[int] = set()  # cycles whose profile will not change
        self._forget()
        self._timer = QTimer(self, interval=100)
        self._timer.timeout.connect(self._fetch_what_is_due)
        self._timer.start()

    @property
    def run_id(self) -> str | None:
        return self._run_id

    @property
    def settled(self) -> bool:
        """Everything that the run on show has came at least once, for the range on show."""
        parts = [self._list]
        if self._run_id is not None:
            parts += [self._series, self._cycle_part, self._spectra, self._markers]
        if self._cycles:
            parts.append(self._profile_part)
        return self._channel is not None and all(part.came for part in parts)

    def stop(self) -> None:
        self._timer.stop()

    def show_channel(self, view: ChannelView) -> None:
        """The channel's present run, or its last one."""
        self._channel = view.name
        self._runs = ()
        self._show_run(view.run_id)
        self._list = _Part(stale=True)
        self.update(view)

    def show_run(self, run_id: str) -> None:
        """Another of the channel's runs."""
        if run_id != self._run_id:
            self._show_run(run_id)

    def update(self, view: ChannelView) -> None:
        """What the live stream says of the channel on show."""
        self._live = view.run_id == self._run_id and view.state in (ChannelState.RUNNING, ChannelState.STOPPING)
        if not self._live:
            return
        self._series.stale = True
        self._profile_part.stale = bool(self._cycles)
        place = (view.step_name, view.cycle)
        if place != self._place:
            self._place = place
            self._cycle_part.stale = self._spectra.stale = True

    def marked(self, run_id: str | None) -> None:
        """A marker was made in this run."""
        if run_id == self._run_id:
            self._markers.stale = True

    def relist(self, run_id: str | None) -> None:
        """A run has begun or ended on this channel: show it, and list the channel's runs again."""
        if run_id is not None:
            self._show_run(run_id)
        self._list.stale = True

    def refresh(self) -> None:
        """Fetch everything again: the service was away."""
        self._list.stale = self._channel is not None
        for part in (self._series, self._cycle_part, self._spectra, self._markers):
            part.stale, part.came, part.asked = self._run_id is not None, False, -1e9

    def look(self, since_s: float | None, until_s: float | None, pixels: int, seconds_a_pixel: float) -> None:
        """The range of test time on show; a new point is worth fetching once it moves the curve by a pixel."""
        if (since_s, until_s, pixels) != (self._since_s, self._until_s, self._pixels):
            self._since_s, self._until_s, self._pixels = since_s, until_s, pixels
            self._series.stale, self._series.came, self._series.asked = True, False, -1e9
        self._period_s = min(max(seconds_a_pixel, SOONEST_S), LATEST_S)

    # --- fetching

    def _show_run(self, run_id: str | None) -> None:
        self._run_id = run_id
        self._forget()
        self.run_shown.emit(next((run for run in self._runs if run.run_id == run_id), None))

    def _forget(self) -> None:
        self._generation += 1
        fresh = self._run_id is not None
        self._list = _Part(stale=self._channel is not None)
        self._series, self._cycle_part = _Part(stale=fresh), _Part(stale=fresh)
        self._profile_part, self._spectra, self._markers = _Part(), _Part(stale=fresh), _Part(stale=fresh)
        self._place = (None, None)
        self._cycles, self._profiles, self._finished = (), {}, set()
        self._marked: tuple[MarkerEvent, ...] = ()

    def _fetch_what_is_due(self) -> None:
        if self._list.due(SOONEST_S):
            self._ask(self._list, _runs_of(self._channel or ""), self._list_came)
        if (run_id := self._run_id) is None:
            return
        if self._series.due(self._period_s):
            self._ask(self._series, self._series_of(run_id), self.series_came.emit)
        if self._cycle_part.due(2 * SOONEST_S):
            self._ask(self._cycle_part, lambda station: station.cycles(run_id), self._cycles_have_come)
        if self._profile_part.due(3 * SOONEST_S) and self._cycles:
            self._ask(self._profile_part, _profiles_of(run_id, self._missing_profiles()), self._profiles_have_come)
        if self._spectra.due(3 * SOONEST_S):
            self._ask(self._spectra, lambda station: station.spectra(run_id), self.spectra_came.emit)

        if self._markers.due(SOONEST_S):
            self._ask(self._markers, _markers_of(run_id, self._marked), self._markers_have_come)

    def _ask(self, part: _Part, job: Callable[[Client], T], then: Callable[[T], None]) -> None:
        part.stale, part.under_way, part.asked = False, True, time.monotonic()
        generation = self._generation

        def came(answer: T) -> None:
            part.under_way, part.came = False, True
            if generation == self._generation:  # else the user has gone on to another run
                then(answer)

        def did_not_come(why: str) -> None:
            part.under_way, part.stale = False, True
            part.asked = time.monotonic() + RETRY_S
            if generation == self._generation:
                self.failed.emit(why)

        self._requests.ask(job, came, did_not_come)

    def _series_of(self, run_id: str) -> Callable[[Client], TimeSeries]:
        points = min(2 * self._pixels, MOST_POINTS // 2)
        since, until = self._since_s, self._until_s
        return lambda station: TimeSeries.of(
            station.series(run_id, TIME_COLUMNS, since_s=since, until_s=until, points=points)
        )

    def _list_came(self, runs: tuple[RunView, ...]) -> None:
        self._runs = runs
        self.runs_listed.emit(runs)
        if self._run_id is None and runs:
            self._show_run(runs[0].run_id)
            self._list.stale = False
        else:
            self.run_shown.emit(next((run for run in runs if run.run_id == self._run_id), None))

    def _missing_profiles(self) -> tuple[int, ...]:
        wanted = notable(self._cycles[-1].cycle)
        return tuple(cycle for cycle in wanted if cycle not in self._finished)

    def _cycles_have_come(self, cycles: tuple[CycleView, ...]) -> None:
        self._cycles = cycles
        self._profile_part.stale = bool(cycles)
        self.cycles_came.emit(cycles)

    def _markers_have_come(self, markers: tuple[MarkerEvent, ...]) -> None:
        self._marked = markers
        self.markers_came.emit(markers)

    def _profiles_have_come(self, profiles: tuple[Profile, ...]) -> None:
        last = self._cycles[-1].cycle
        self._profiles.update({profile.cycle: profile for profile in profiles})
        self._finished.update(profile.cycle for profile in profiles if profile.cycle < last)
        self.profiles_came.emit(tuple(self._profiles[n] for n in notable(last) if n in self._profiles))


def _runs_of(channel: str) -> Callable[[Client], tuple[RunView, ...]]:
    return lambda station: tuple(run for run in station.runs() if run.channel == channel)[:RUNS_LISTED]


def _markers_of(run_id: str, known: tuple[MarkerEvent, ...]) -> Callable[[Client], tuple[MarkerEvent, ...]]:
    """The known ones and those made since; of the last known moment, there may be more by now."""
    if not known:
        return lambda station: station.markers(run_id)
    since_s = known[-1].test_time_s
    before = tuple(marker for marker in known if marker.test_time_s < since_s)
    return lambda station: before + station.markers(run_id, since_s)


def _profiles_of(run_id: str, cycles: tuple[int, ...]) -> Callable[[Client], tuple[Profile, ...]]:
    def fetch(station: Client) -> tuple[Profile, ...]:
        read = partial(station.series, run_id, PROFILE_COLUMNS, points=PROFILE_POINTS)
        return tuple(Profile.of(cycle, read(cycle=cycle)) for cycle in cycles)

    return fetch
