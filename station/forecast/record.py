"""A forecast as a run in a database, marked as simulated, so that it is exported and reported like any other."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from station.forecast.results import Ending, Forecast
from station.readings import Event, Level, Reading, RunState
from station.run import Run, snapshot
from station.sequencer import Outcome
from station.store import Archive, Batch, StoreError, Writer

CHANNEL = "forecast"
READINGS_IN_BATCH = 2000
MOST_BATCHES_WAITING = 20
PATIENCE_S = 30.0


def new_run_id(archive: Archive, started: float) -> str:
    """One that no run in the database has."""
    known = {view.run_id for view in archive.runs()}
    stem = f"{datetime.datetime.fromtimestamp(started, datetime.UTC):%Y%m%dT%H%M%S}-{CHANNEL}"
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    return next(name for name in numbered if name not in known)


@contextlib.contextmanager
def recorded(url: str, run: Run) -> Iterator[Recorder]:
    """A recorder of `run` in this database, which gets the tables that it lacks; all is stored when it is left."""
    with tempfile.TemporaryDirectory(prefix="cellstation") as spool:
        writer = Writer(url, Path(spool))
        try:
            recorder = Recorder(writer, replace(run, run_id=new_run_id(Archive(url), run.started), channel=CHANNEL))
            try:
                yield recorder
            except BaseException as error:
                recorder.abandon(f"the forecast was broken off: {error}")
                raise
        finally:
            writer.close(PATIENCE_S)


class Recorder:
    """Hears a forecast, and hands it to the store's writer; times count from when the forecast was made.

    Raises `StoreError` where the database cannot be written.
    """

    def __init__(self, writer: Writer, run: Run) -> None:
        self._writer = writer
        self.run = run
        self._waiting = Batch(run.run_id)
        self._readings: list[Reading] = []
        self._check()
        versions = {
            "cellstation": version("cellstation"),
            "python": platform.python_version(),
            "system": platform.platform(),
        }
        writer.begin_run(snapshot(run, True, {"forecast": "virtual time, a simulated cell", "versions": versions}))

    def keep(self, outcome: Outcome) -> None:
        began, waiting = self.run.started, self._waiting
        self._readings += (replace(reading, time=reading.time + began) for reading in outcome.readings)
        if outcome.steps or outcome.spectra or outcome.markers:
            self._waiting = replace(
                waiting,
                steps=waiting.steps
                + tuple(
                    replace(step, start_time=step.start_time + began, end_time=step.end_time + began)
                    for step in outcome.steps
                ),
                spectra=waiting.spectra + tuple(replace(each, time=each.time + began) for each in outcome.spectra),
                markers=waiting.markers + tuple(replace(each, time=each.time + began) for each in outcome.markers),
            )
        if len(self._readings) >= READINGS_IN_BATCH:
            self._submit(self._waiting)

    def close(self, forecast: Forecast) -> None:
        """Write the rest, and how it ended; returns when all of it is in the database."""
        ended = self.run.started + forecast.duration_s
        finished = forecast.ending is Ending.FINISHED
        reason = forecast.reason if finished else f"forecast {forecast.ending}: {forecast.reason}"
        text = f"SIMULATED in virtual time: {reason}"
        asked = [(each.at.time_s, f"question, answered at once: {each.text}") for each in forecast.questions]
        events = tuple(
            Event(self.run.started + time_s, Level.INFO, text, CHANNEL, self.run.run_id)
            for time_s, text in (*asked, (forecast.duration_s, text))
        )
        # Never left open as tripped: no station should look for the channel that it stands in.
        state = RunState.FINISHED if finished else RunState.STOPPED
        self._submit(replace(self._waiting, events=events, state=state, reason=reason, ended=ended))
        if not self._writer.flush(PATIENCE_S):
            raise StoreError(self._writer.trouble or f"the database did not take the run within {PATIENCE_S:g} s")

    def abandon(self, reason: str) -> None:
        """Leave no run behind that seems to go on."""
        ended = self.run.started + (self._readings[-1].test_time_s if self._readings else 0.0)
        self._writer.submit(Batch(self.run.run_id, state=RunState.STOPPED, reason=reason, ended=ended))

    def _submit(self, batch: Batch) -> None:
        self._writer.submit(replace(batch, readings=tuple(self._readings)))
        self._waiting, self._readings = Batch(self.run.run_id), []
        self._check()
        if self._writer.in_memory > MOST_BATCHES_WAITING:
            self._writer.flush(PATIENCE_S)
            self._check()

    def _check(self) -> None:
        if trouble := self._writer.trouble:
            raise StoreError(trouble)
