"""What a pressure sensor said, kept day by day in CSV files, for tests that the station does not run itself."""

from __future__ import annotations

import bisect
import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from station.conversion import Pressed

FIELDS = ("time", "resistance_ohm", "pressure_Pa", "pressure_U_Pa", "calibration", "mark")


class PressureLog:
    """One sensor's, in `folder`, a file for each day (UTC). A line that was cut by a crash is left out when read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, said: Pressed) -> None:
        """Append it; raises `OSError` where the disk takes no more."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(said.time)
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(FIELDS)
            writer.writerow([_text(getattr(said, name)) for name in FIELDS])

    def between(self, begin: float, end: float) -> list[Pressed]:
        """All that was said then, in order; empty where nothing was kept."""
        found: list[Pressed] = []
        day = datetime.fromtimestamp(begin, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day.timestamp() <= end:
            found += [said for said in self._read(self._path(day.timestamp())) if begin <= said.time <= end]
            day += timedelta(days=1)
        return sorted(found, key=lambda said: said.time)

    def _path(self, time: float) -> Path:
        return self.folder / f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}.csv"

    def _read(self, path: Path) -> Iterator[Pressed]:
        if not path.is_file():
            return
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.reader(file):
                try:
                    time, ohm, pressure, uncertainty, calibration, mark = row
                    numbers = (float(time), _float(ohm), _float(pressure), _float(uncertainty))
                    yield Pressed(*numbers, calibration or None, mark or None)
                except ValueError:
                    continue  # the heading, or a line that a crash has cut


def nearest(said: list[Pressed], when: float, within_s: float) -> Pressed | None:
    """The last before `when`, or the first after it; None where both are further away. `said` is in order."""
    index = bisect.bisect_right(said, when, key=lambda one: one.time)
    around = [*said[max(0, index - 1) : index], *said[index : index + 1]]
    near = [one for one in around if abs(one.time - when) <= within_s]
    return near[0] if near else None


def _text(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _float(text: str) -> float | None:
    if text == "":
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
