"""What is analysed: readings in the order taken, as arrays of equal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from station.analysis.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_TIMES = ("test_time_s", "time_s", "time")
_VOLTAGES = ("voltage_V", "voltage")
_CURRENTS = ("current_A", "current")
_INTEGERS = ("step", "cycle", "sequence")
_OTHERS = (
    "step_time_s",
    "step_capacity_Ah",
    "step_energy_Wh",
    "pressure_Pa",
    "pressure_U_Pa",
    "temperature_degC",
)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Readings of one cell in the order taken; current is positive on charge.

    Where all of `step`, `step_time_s`, `step_capacity_Ah` and `step_energy_Wh` are there, charge and energy are those
    that the station integrated over every sample; otherwise they are integrated here by the trapezoid rule.
    """

    time_s: Floats
    voltage_V: Floats
    current_A: Floats
    step: Ints | None = None
    cycle: Ints | None = None
    step_time_s: Floats | None = None
    step_capacity_Ah: Floats | None = None
    step_energy_Wh: Floats | None = None
    pressure_Pa: Floats | None = None
    pressure_U_Pa: Floats | None = None  # expanded, k = 2
    temperature_degC: Floats | None = None
    sequence: Ints | None = None  # of each reading within its run, by which a number is traced to readings
    left_out: int = 0  # rows without a time, voltage or current, or that went back in time within a run of the station

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def integrated(self) -> bool:
        """Whether the charge and energy of each step came with the readings."""
        return not any(
            column is None for column in (self.step, self.step_time_s, self.step_capacity_Ah, self.step_energy_Wh)
        )

    def rows(self, first: int, end: int) -> Record:
        """The readings from row `first` up to, not including, row `end`."""
        return self._at(slice(first, end))

    def _at(self, which: Any) -> Record:
        columns = {name: getattr(self, name) for name in (*_INTEGERS, *_OTHERS)}
        others: dict[str, Any] = {name: column[which] for name, column in columns.items() if column is not None}
        return Record(self.time_s[which], self.voltage_V[which], self.current_A[which], **others)


def record(time_s: ArrayLike, voltage_V: ArrayLike, current_A: ArrayLike, **columns: ArrayLike) -> Record:
    """From arrays; `columns` are other fields of `Record`.

    Rows without a time, a voltage or a current are left out and counted. Raises AnalysisError where columns differ in
    length, where nothing is left, or where time goes back.
    """
    if unknown := [name for name in columns if name not in (*_INTEGERS, *_OTHERS)]:
        known = ", ".join((*_INTEGERS, *_OTHERS))
        raise AnalysisError(f"there is no column '{unknown[0]}' of a record; there are {known}")
    given = {"time_s": time_s, "voltage_V": voltage_V, "current_A": current_A, **columns}
    arrays: dict[str, Any] = {
        name: np.asarray(values, np.int64 if name in _INTEGERS else np.float64) for name, values in given.items()
    }
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise AnalysisError(f"the columns are not of equal length: {said}")
    return _checked(Record(**arrays))


def as_record(data: Record | pd.DataFrame) -> Record:
    """A record as it is; or the columns of a frame.

    The frame is one that `station.store.Archive.frame` gives, with fields of `station.readings.Reading` as columns, or
    a plain one with time in s ('time', 'time_s' or 'test_time_s'), 'voltage' in V and 'current' in A, positive on
    charge. Raises AnalysisError as `record` does, and where a column is missing.
    """
    if isinstance(data, Record):
        return data
    named = {
        "time_s": _column(data, _TIMES, "time in s"),
        "voltage_V": _column(data, _VOLTAGES, "voltage in V"),
        "current_A": _column(data, _CURRENTS, "current in A"),
    }
    others = {name: data[name].to_numpy() for name in (*_INTEGERS, *_OTHERS) if name in data.columns}
    for name in ("pressure_Pa", "pressure_U_Pa", "temperature_degC"):
        if name in others and not np.isfinite(others[name].astype(np.float64, copy=False)).any():
            del others[name]  # never measured
    return record(**named, **others)


def _column(frame: pd.DataFrame, names: tuple[str, ...], what: str) -> NDArray[Any]:
    for name in names:
        if name in frame.columns:
            return frame[name].to_numpy()
    there = ", ".join(str(name) for name in frame.columns)
    raise AnalysisError(f"there is no column of {what} ('{names[0]}'); there are: {there}")


def _checked(given: Record) -> Record:
    kept = np.isfinite(given.time_s)
    kept &= np.isfinite(given.voltage_V)
    kept &= np.isfinite(given.current_A)
    if given.integrated and kept.all() and _backwards(given.time_s).any():
        # A clock that was set back says nothing of the charge, which is the station's own.
        kept &= given.time_s >= np.maximum.accumulate(given.time_s)
    left_out = len(given) - int(np.count_nonzero(kept))
    if left_out:
        given = given._at(kept)
        object.__setattr__(given, "left_out", left_out)
    if len(given) < 2:
        raise AnalysisError("there are fewer than two readings with a time, a voltage and a current")
    backwards = _backwards(given.time_s)
    if backwards.any():
        row = int(np.argmax(backwards)) + 1
        raise AnalysisError(
            f"reading {row + 1} was taken at {given.time_s[row]:g} s, before the one above it at "
            f"{given.time_s[row - 1]:g} s; give readings in the order taken, of one test only"
        )
    return given


def _backwards(time_s: Floats) -> NDArray[np.bool_]:
    """For each row but the first."""
    return time_s[1:] < time_s[:-1]
