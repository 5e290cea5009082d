"""Pressure sensors: one meter is scanned once for all channels that are bound to it."""

from __future__ import annotations

import asyncio
import bisect
import datetime
import math
import time
from collections import deque
from dataclasses import dataclass, replace

from calibration.record import Calibration
from drivers.interface import InstrumentError, NoReading, ResistanceMeter
from drivers.simulated.clock import Clock
from station.journal import Journal
from station.readings import Level
from station.sequencer import Sample
from station.workers import Patience, Worker


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a pressure sensor said: the raw resistance beside the pressure derived from it."""

    time: float
    resistance_ohm: float | None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None
    calibration: str | None = None  # that gave the pressure


class Sensor:
    """The pressure sensor of one channel, with its calibration and its recent past."""

    def __init__(
        self, name: str, meter: str, channel: int, calibration: Calibration | None, lost_after_s: float
    ) -> None:
        self.name, self.meter, self.channel = name, meter, channel
        self.calibration = calibration
        self._past: deque[Pressed] = deque(maxlen=5000)
        self._patience = Patience(lost_after_s)
        self._heard_at = -float("inf")
        self._lost_after_s = lost_after_s
        self._why = "it was never read"

    def hear(self, when: float, resistance: float | NoReading) -> None:
        """Take up what the meter said; overload is no reading, never a number."""
        self._heard_at = time.monotonic()
        if isinstance(resistance, NoReading) or not math.isfinite(resistance):
            said = resistance.value if isinstance(resistance, NoReading) else str(resistance)
            self._why = f"the meter says '{said}'"
            self._past.append(Pressed(when, None))
            return
        pressure = self.calibration.pressure(resistance) if self.calibration else None
        if self.calibration is None or pressure is None:
            self._why = "its resistance is outside the calibrated range" if self.calibration else "no calibration"
            self._past.append(Pressed(when, resistance))
            return
        self._patience.good()
        self._past.append(
            Pressed(when, resistance, pressure.value_Pa, pressure.expanded_uncertainty_Pa, self.calibration.id)
        )

    @property
    def lost(self) -> str | None:
        """Why there has been no pressure for too long; None while there is one."""
        return (
            f"no pressure from {self.name} for {self._patience.since_s:.0f} s: {self._why}"
            if self._patience.lost
            else None
        )

    def onto(self, sample: Sample) -> Sample:
        """The sample with what the sensor said last before it; nothing where that is too old."""
        said = self.before(sample.time)
        if said is None or time.monotonic() - self._heard_at > self._lost_after_s:
            return sample
        return replace(
            sample,
            resistance_ohm=said.resistance_ohm,
            pressure_Pa=said.pressure_Pa,
            pressure_U_Pa=said.pressure_U_Pa,
            calibration=said.calibration,
        )

    @property
    def newest(self) -> Pressed | None:
        """What the sensor said last; None where that is too old."""
        if not self._past or time.monotonic() - self._heard_at > self._lost_after_s:
            return None
        return self._past[-1]

    def before(self, when: float) -> Pressed | None:
        """The newest entry not later than `when`, or the oldest kept."""
        if not self._past:
            return None
        if self._past[-1].time <= when:
            return self._past[-1]
        index = bisect.bisect_right(self._past, when, key=lambda pressed: pressed.time)
        return self._past[max(0, index - 1)]

    def warning(self, today: datetime.date) -> str | None:
        """What must be said before a run: a missing or expired calibration."""
        if self.calibration is None:
            return f"sensor {self.name} has no calibration: resistance is stored, pressure is not known"
        if self.calibration.expired(today):
            return f"the calibration {self.calibration.id} expired on {self.calibration.expires}"
        return None


async def scan(
    meter: Worker[ResistanceMeter], sensors: list[Sensor], clock: Clock, period_s: float, journal: Journal
) -> None:
    """Read all `sensors` of one meter, for ever."""
    channels = [sensor.channel for sensor in sensors]
    patience = Patience(0.0)
    while True:
        try:
            said = await meter.call(lambda instrument: instrument.read_resistances(channels))
            now = clock.now()
            for sensor in sensors:
                sensor.hear(now, said.get(sensor.channel, NoReading.NOT_AVAILABLE))
            if patience.failing:
                journal.say(Level.INFO, f"{meter.name} answers again")
            patience.good()
        except InstrumentError as error:
            if patience.bad():
                journal.say(Level.WARNING, f"{meter.name}: {error}")
        await asyncio.sleep(max(period_s / clock.speed, 0.05))
