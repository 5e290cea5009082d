"""The event log: what happened and what was asked for, by whom, into the store and the program's log."""

from __future__ import annotations

import logging

from drivers.simulated.clock import Clock
from station.readings import Event, Level
from station.store import Batch, Writer

log = logging.getLogger("cellstation")
_LOG_LEVEL = {
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ALARM: logging.ERROR,
    Level.MARKER: logging.INFO,
}


class Journal:
    """Writes events; each names the channel and the run where there is one, and who asked."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer, self._clock = writer, clock

    def say(
        self, level: Level, text: str, *, channel: str | None = None, run_id: str | None = None, who: str = "station"
    ) -> None:
        log.log(_LOG_LEVEL[level], "%s%s", f"{channel}: " if channel else "", text)
        event = Event(self._clock.now(), level, text, channel, run_id, who)
        self._writer.submit(Batch(run_id=None, events=(event,)))
