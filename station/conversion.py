"""How the resistance of a pressure sensor in a cell becomes a pressure: while it is measured, and anew afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.record import Calibration, Place, Pressures, UnderLoad

LONGEST_BEFORE_A_RUN_S = 30 * 86400.0
"""Where the cell's assembly is not recorded, its sensor was loaded at most so long before the run began."""
AT_ONCE = 65536  # readings converted at a time


class Mark(StrEnum):
    """What is said of a reading that lies beyond the calibrated range. Only `AT_END` has a pressure."""

    AT_END = "at end"  # beyond it by less than the uncertainty
    BELOW = "below"
    ABOVE = "above"


_MARKS = {Place.AT_END: Mark.AT_END.value, Place.BELOW: Mark.BELOW.value, Place.ABOVE: Mark.ABOVE.value}


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a pressure sensor said: the raw resistance beside the pressure derived from it."""

    time: float
    resistance_ohm: float | None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None  # expanded uncertainty, k = 2
    calibration: str | None = None  # that gave the pressure
    mark: str | None = None  # of `Mark`


@dataclass(frozen=True)
class Conversion:
    """One calibration, and since when the sensor is under load; both stay what they are for a whole run.

    Times in seconds since the Unix epoch. Creep is corrected by the time since `assembled`. Where that is not known,
    the sensor is under load at least since the run `began`, and at most `LONGEST_BEFORE_A_RUN_S` longer: what lies
    between is added to the uncertainty. Without a calibration there is no pressure.
    """

    calibration: Calibration | None = None
    assembled: float | None = None
    began: float | None = None

    def pressed(self, time: float, resistance_ohm: float, temperature_degC: float | None = None) -> Pressed:
        """One reading; a temperature that is not known is taken for one that the uncertainty allows for."""
        if self.calibration is None:
            return Pressed(time, resistance_ohm)
        found = self.calibration.pressures([resistance_ohm], self._under_load(time), temperature_degC)
        return self._pressed(time, resistance_ohm, found, 0)

    def pressures(
        self, time: NDArray[np.float64], resistance_ohm: NDArray[np.float64], temperature_degC: NDArray[np.float64]
    ) -> Pressures:
        """Of arrays of shape (readings,), NaN where a value is not known. Raises `ValueError` without a calibration."""
        if self.calibration is None:
            raise ValueError("there is no calibration to convert with")
        parts = [
            self.calibration.pressures(
                resistance_ohm[rows], [self._under_load(each) for each in time[rows].tolist()], temperature_degC[rows]
            )
            for rows in (slice(first, first + AT_ONCE) for first in range(0, max(1, len(time)), AT_ONCE))
        ]
        return Pressures(
            np.concatenate([part.value_Pa for part in parts]),
            np.concatenate([part.expanded_uncertainty_Pa for part in parts]),
            np.concatenate([part.low_Pa for part in parts]),
            np.concatenate([part.high_Pa for part in parts]),
            np.concatenate([part.place for part in parts]),
        )

    def again(self, past: list[tuple[float, float | None, float | None]]) -> list[Pressed]:
        """Entries of time, resistance and temperature, all at once; None is no value."""
        if self.calibration is None or not past:
            return [Pressed(time, resistance) for time, resistance, _ in past]
        time, resistance, temperature = np.array(past, dtype=np.float64).T
        found = self.pressures(time, resistance, temperature)
        return [self._pressed(*past[row][:2], found, row) for row in range(len(past))]

    def _pressed(self, time: float, resistance_ohm: float | None, found: Pressures, row: int) -> Pressed:
        assert self.calibration is not None
        mark = _MARKS.get(Place(int(found.place[row])))
        value = float(found.value_Pa[row])
        if not np.isfinite(value):
            return Pressed(time, resistance_ohm, mark=mark)
        return Pressed(
            time, resistance_ohm, value, float(found.expanded_uncertainty_Pa[row]), self.calibration.id, mark
        )

    def _under_load(self, time: float) -> UnderLoad:
        if self.assembled is not None:
            return UnderLoad.since(max(0.0, time - self.assembled))
        least_s = max(0.0, time - self.began) if self.began is not None else 0.0
        return UnderLoad(least_s, least_s + LONGEST_BEFORE_A_RUN_S)


def marks(place: ArrayLike) -> list[str | None]:
    """In words, by reading; None where there is nothing to mark."""
    return [_MARKS.get(Place(each)) for each in np.asarray(place).tolist()]
