"""A channel of a tester that nobody can control: its exports in a folder become runs, with the pressure of the time.

The folder is looked at again and again, which works on every system and network drive. What was imported is known from
the database itself: a test is known by its channel and its beginning, so that nothing is imported twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from protocols.cell import Cell, read_cell
from protocols.document import DocumentError
from protocols.limits import Limits
from station.channel import Channel, ChannelError, Progress, Surroundings
from station.config import ExportsSection
from station.imported import readings_of
from station.land_export import Export, ExportError, read_export
from station.pressure_log import PressureLog
from station.readings import Level, Reading, RunState, RunView
from station.run import Run
from station.sensors import Sensor
from station.store import Archive, Batch, RunSnapshot, StoreError

BATCH_ROWS = 1000
SAME = 1e-6  # V, and s relative: a reading that was imported, and the same one read again
NAMED_LINES = 3  # of those that could not be read, in a message
COMMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Signature:
    """By which a file is known to be unchanged."""

    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was seen last: since when it has been so (monotonic), and whether it was dealt with."""

    signature: Signature
    since: float
    done: bool = False


class WatchedChannel(Channel):
    """Keeps its sensor's pressure, and imports each export once that it has come to rest; commands are refused."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        sensor: Sensor | None,
        exports: ExportsSection,
        archive: Archive,
        cells: Path,
        depends_on: Callable[[], dict[str, object]],
        *,
        simulated: bool,
    ) -> None:
        super().__init__(name, around, Limits(), sensor)
        self._exports, self._archive, self._cells, self._simulated = exports, archive, cells, simulated
        self._depends_on = depends_on
        self._log = PressureLog(exports.pressures / (sensor.name if sensor else name))
        self._log_again_at = 0.0
        self._seen: dict[str, Seen] = {}
        self._said: set[str] = set()

    # --- the loop

    async def loop(self) -> None:
        last_look = -float("inf")
        while True:
            await asyncio.to_thread(self._keep_pressure)
            if time.monotonic() - last_look >= self._exports.every:
                await asyncio.to_thread(self.look)
                last_look = time.monotonic()
            await asyncio.sleep(min(self._exports.every, max(self.around.poll_s / self.around.clock.speed, 0.05)))

    def _keep_pressure(self) -> None:
        """The first that the sensor says in each span of `record`."""
        said = self.sensor.newest if self.sensor else None
        if said is None or said.time < self._log_again_at or said.resistance_ohm is None:
            return
        try:
            self._log.keep(said)
            self._log_again_at = (said.time // self._exports.record + 1) * self._exports.record
        except OSError as error:
            self._say_once(Level.ALARM, f"the pressure cannot be kept in {self._log.folder}: {error.strerror}")

    # --- the folder

    def look(self) -> None:
        """Import what is new and has come to rest."""
        if self.around.writer.trouble is not None:
            return  # what is in the database is how it is known what was imported
        folder = self._exports.folder
        try:
            found = sorted(path for path in folder.glob(self._exports.files) if path.is_file())
        except OSError as error:
            self._say_once(Level.WARNING, f"the folder {folder} cannot be read: {error.strerror}")
            return
        if not folder.is_dir():
            self._say_once(Level.WARNING, f"there is no folder {folder}: is the share mounted?")
            return
        for path in found:
            if not path.name.startswith("~$") and self._has_come_to_rest(path):
                self._deal_with(path)

    def _has_come_to_rest(self, path: Path) -> bool:
        """Unchanged for `settle`, by our own clock: that of the drive may be another."""
        try:
            status = path.stat()
        except OSError:
            return False  # moved away again
        now, seen = time.monotonic(), self._seen.get(path.name)
        signature = Signature(status.st_size, status.st_mtime_ns)
        if seen is None or seen.signature != signature:
            seen = self._seen[path.name] = Seen(signature, now)
        return not seen.done and now - seen.since >= self._exports.settle

    def _deal_with(self, path: Path) -> None:
        seen = self._seen[path.name]
        try:
            content = path.read_bytes()
        except OSError as error:  # still open in the program that writes it
            self._say_once(Level.WARNING, f"{path.name} cannot be read yet: {error.strerror}")
            return
        if len(content) != seen.signature.size:
            return
        try:
            self._import(path, read_export(content))
        except (ExportError, DocumentError) as error:
            self.say(Level.WARNING, f"{path.name} is not imported: {error}")
        except StoreError as error:
            self._say_once(Level.WARNING, f"{path.name} is not imported yet: {error}")
            return
        self._seen[path.name] = Seen(seen.signature, seen.since, done=True)

    # --- one export

    def _import(self, path: Path, export: Export) -> None:
        began, ended = (export.rows[index].time - self._exports.clock_offset for index in (0, -1))
        run_id = f"{datetime.fromtimestamp(began, UTC):%Y%m%dT%H%M%S}-{self.name}"
        known = next((run for run in self._archive.runs() if run.run_id == run_id), None)
        margin_s = 2 * self._exports.record + 60.0
        pressures = self._log.between(began - margin_s, ended + margin_s)
        readings, steps = readings_of(export.rows, pressures, self._exports.clock_offset)
        there = known.readings if known else 0
        if known is not None and not self._continues(known, readings):
            raise ExportError(f"it begins when run {run_id} does, and has other data; give it to another channel")
        if known is not None and known.ended is not None and there >= len(readings):
            return  # imported already, under this name or another
        if known is None:
            self.around.writer.begin_run(self._snapshot(run_id, path, began))
        new_steps = steps[len(self._archive.steps(run_id)) if known else 0 :]
        for first in range(there, len(readings), BATCH_ROWS):
            self.around.writer.submit(Batch(run_id, readings[first : first + BATCH_ROWS]))
        reason = f"imported from {path.name}"
        self.around.writer.submit(Batch(run_id, steps=new_steps, state=RunState.FINISHED, reason=reason, ended=ended))
        if not self.around.writer.flush(COMMIT_S):
            raise StoreError(f"run {run_id} waits to be written")
        self._tell(run_id, path, export, readings[there:], known)

    def _continues(self, known: RunView, readings: tuple[Reading, ...]) -> bool:
        """Whether what is stored and what was read agree as far as both go."""
        stored = self._archive.frame(known.run_id)
        pairs = zip(stored["test_time_s"], stored["voltage_V"], readings, strict=False)
        return all(
            abs(time_s - again.test_time_s) <= SAME * max(1.0, time_s) and abs(volts - again.voltage_V) <= SAME
            for time_s, volts, again in pairs
        )

    def _snapshot(self, run_id: str, path: Path, began: float) -> RunSnapshot:
        cell, file, text = self._cell()
        document: dict[str, Any] = {
            "cell": {"file": file, "text": text},
            "import": {"file": str(path), "reader": "LAND text export", "clock_offset_s": self._exports.clock_offset},
            **self._depends_on(),
        }
        return RunSnapshot(
            run_id=run_id,
            channel=self.name,
            cell=cell.cell if cell else path.stem,
            protocol=f"export {path.name}",
            started=began,
            simulated=self._simulated,
            active_mass_g=cell.active_mass if cell else None,
            electrode_area_cm2=cell.electrode_area if cell else None,
            document=json.dumps(document, ensure_ascii=False, default=str),
        )

    def _cell(self) -> tuple[Cell | None, str, str]:
        """The one that is named for the channel; raises `DocumentError`, `ExportError`."""
        if self._exports.cell is None:
            return None, "", ""
        path = self._cells / f"{self._exports.cell}.yaml"
        try:
            return read_cell(path), str(path), path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ExportError(f"the channel's cell {path} cannot be read: {error.strerror}") from None

    def _tell(self, run_id: str, path: Path, export: Export, new: tuple[Reading, ...], known: RunView | None) -> None:
        pressed = sum(reading.pressure_Pa is not None for reading in new)
        what = "imported" if known is None else "goes on"
        said = f"{path.name} {what}: {len(new)} readings to cycle {new[-1].cycle}" if new else f"{path.name} {what}"
        if self.sensor is not None and new:
            said += f", with the pressure of {100 * pressed / len(new):.0f} %"
        level = Level.INFO
        if export.unread:
            lines = ", ".join(map(str, export.unread[:NAMED_LINES])) + (
                " …" if len(export.unread) > NAMED_LINES else ""
            )
            said += f"; {len(export.unread)} lines could not be read: {lines}"
            level = Level.WARNING
        self.around.journal.say(level, said, channel=self.name, run_id=run_id)

    def _say_once(self, level: Level, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(level, text)

    # --- what it is not: a channel that can be worked from here

    def check(self, run: Run) -> None:
        raise ChannelError(
            f"channel {self.name} is of a tester that cannot be controlled: start the test in the maker's program, "
            f"and export it to {self._exports.folder}"
        )

    async def check_ranges(self, run: Run) -> None:
        self.check(run)

    async def _start(self, run: Run) -> None:
        self.check(run)

    async def _pause(self) -> None:
        raise ChannelError(f"channel {self.name} cannot be controlled from here")

    _resume = _pause

    async def _skip(self, reason: str) -> None:
        await self._pause()

    async def _stop(self, reason: str) -> None:
        await self._pause()

    async def _open_circuit(self) -> None:
        """Nothing is driven from here."""

    async def _cleared(self, who: str) -> None:
        """There is no run of its own."""

    async def shut_down(self) -> None:
        """Nothing is driven from here."""

    def _restore(self, run: Run, state: str | None) -> None:
        """An import that the station died in is done again from its file."""

    def _halt(self) -> None:
        """There is no run of its own."""

    def _state_json(self) -> str | None:
        return None

    def _progress(self) -> Progress | None:
        return None

    @property
    def _instruments(self) -> tuple[str, ...]:
        return (self.sensor.meter,) if self.sensor else ()
