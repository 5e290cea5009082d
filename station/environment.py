"""What surrounds a cell and can be read or set: the chamber, the frame that clamps it, the trigger line."""

from __future__ import annotations

import asyncio
import bisect
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from drivers.interface import Chamber, Instrument, InstrumentError, NoReading, PressureFrame, TriggerOutput
from drivers.simulated.clock import Clock
from station.journal import Journal
from station.readings import Level
from station.sequencer import Sample
from station.workers import Patience, Worker

I = TypeVar("I", bound=Instrument)  # noqa: E741


class Gauge:
    """One quantity of the surroundings (a temperature in °C, a frame's pressure in Pa), with its recent past."""

    def __init__(self, quantity: str, instrument: str, lost_after_s: float) -> None:
        self.quantity, self.instrument = quantity, instrument
        self._past: deque[tuple[float, float | None]] = deque(maxlen=5000)
        self._patience = Patience(lost_after_s)
        self._heard_at = -math.inf
        self._lost_after_s = lost_after_s
        self._why = "it was never read"

    def hear(self, when: float, value: float | NoReading) -> None:
        """Take up what the instrument said; what is no number is no reading."""
        self._heard_at = time.monotonic()
        if isinstance(value, NoReading) or not math.isfinite(value):
            self._why = f"it says '{value.value if isinstance(value, NoReading) else value}'"
            self._past.append((when, None))
            return
        self._patience.good()
        self._past.append((when, value))

    @property
    def lost(self) -> str | None:
        """Why there has been no value for too long; None while there is one."""
        if not self._patience.lost:
            return None
        return f"no {self.quantity} from {self.instrument} for {self._patience.since_s:.0f} s: {self._why}"

    @property
    def newest(self) -> float | None:
        """What was said last; None where that is too old."""
        return self._past[-1][1] if self._past and self._is_fresh() else None

    def at(self, when: float) -> float | None:
        """What was said last before `when`; None where the instrument has been silent for too long."""
        return self.before(when, math.inf) if self._is_fresh() else None

    def before(self, when: float, within_s: float) -> float | None:
        """What was said last before `when` (the oldest kept where all is later); None where that is further away."""
        if not self._past:
            return None
        index = max(0, bisect.bisect_right(self._past, when, key=lambda said: said[0]) - 1)
        said_at, value = self._past[index]
        return value if abs(when - said_at) <= within_s else None

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._heard_at <= self._lost_after_s


@dataclass(frozen=True)
class Environment:
    """Of one channel; None where the bench has nothing of the kind. `pressure` is the frame's own."""

    temperature: Gauge | None = None
    pressure: Gauge | None = None
    chamber: Worker[Chamber] | None = None
    frame: Worker[PressureFrame] | None = None
    trigger: Worker[TriggerOutput] | None = None

    @property
    def instruments(self) -> tuple[str, ...]:
        workers = (self.chamber, self.frame, self.trigger)
        names = [worker.name for worker in workers if worker is not None]
        if self.temperature is not None:
            names.append(self.temperature.instrument)
        return tuple(dict.fromkeys(names))

    def onto(self, sample: Sample) -> Sample:
        """The sample with the temperature, and with the frame's pressure where the sample has no sensor's."""
        if self.temperature is not None:
            sample = replace(sample, temperature_degC=self.temperature.at(sample.time))
        if self.pressure is not None and (pressure_Pa := self.pressure.at(sample.time)) is not None:
            sample = replace(sample, pressure_Pa=pressure_Pa, calibration=f"frame {self.pressure.instrument}")
        return sample


NOTHING = Environment()


async def watch(
    worker: Worker[I],
    read: Callable[[I], float | NoReading],
    gauge: Gauge,
    clock: Clock,
    period_s: float,
    journal: Journal,
) -> None:
    """Read one gauge, for ever."""
    patience = Patience(0.0)
    while True:
        try:
            value = await worker.call(read)
            gauge.hear(clock.now(), value)
            if patience.failing:
                journal.say(Level.INFO, f"{worker.name} answers again")
            patience.good()
        except InstrumentError as error:
            if patience.bad():
                journal.say(Level.WARNING, f"{worker.name}: {error}")
        await asyncio.sleep(max(period_s / clock.speed, 0.05))
