"""Pressure sensors: one meter is scanned once for all channels that are bound to it."""

from __future__ import annotations

import asyncio
import bisect
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from calibration.record import Calibration
from drivers.interface import InstrumentError, NoReading, ResistanceMeter
from drivers.simulated.clock import Clock
from station.conversion import Conversion, Mark, Pressed
from station.environment import Gauge
from station.journal import Journal
from station.readings import Level
from station.sequencer import Sample
from station.workers import Patience, Worker

Say: TypeAlias = Callable[[Level, str], None]


class Sensor:
    """The pressure sensor of one channel, with its calibration and its recent past.

    `calibration` is the newest. What a run begins with stays for that run; one that is signed meanwhile counts from
    the next, and `calibrated` may say so from any thread. `say` is told when a running cell's pressure leaves the
    calibrated range, and when it is back.
    """

    def __init__(
        self,
        name: str,
        meter: str,
        channel: int,
        calibration: Calibration | None,
        lost_after_s: float,
        thermometer: Gauge | None = None,
        say: Say = lambda level, text: None,
    ) -> None:
        self.name, self.meter, self.channel = name, meter, channel
        self.conversion = Conversion(calibration)
        self._newest_calibration = calibration
        self._in_run = False
        self._outside = False
        self._past: deque[Pressed] = deque(maxlen=5000)
        self._temperatures: deque[float | None] = deque(maxlen=5000)  # of the past, one by one
        self._patience = Patience(lost_after_s)
        self._heard_at = -float("inf")
        self._lost_after_s = lost_after_s
        self._why = "it was never read"
        self._thermometer = thermometer
        self._say = say
        self._converting = threading.RLock()  # the past is whole whenever it is replaced

    # --- what it is converted with

    def begin(self, conversion: Conversion) -> None:
        """A run begins, or goes on: its calibration is used until it ends."""
        with self._converting:
            self._in_run = True
            self._convert(conversion)

    def end(self) -> None:
        with self._converting:
            self._in_run = False
            self._convert(Conversion(self._newest_calibration))

    def calibrated(self, calibration: Calibration | None) -> None:
        """There is a new one: for the next run, and at once where none is on."""
        with self._converting:
            self._newest_calibration = calibration
            if not self._in_run:
                self._convert(Conversion(calibration))

    def _convert(self, conversion: Conversion) -> None:
        """What was heard is seen by the new light, so that no reading of a run shows another's calibration."""
        self.conversion, self._outside = conversion, False
        heard = [
            (one.time, one.resistance_ohm, temperature_degC)
            for one, temperature_degC in zip(self._past, self._temperatures, strict=True)
        ]
        self._past = deque(conversion.again(heard), maxlen=self._past.maxlen)
        if self._past and self._past[-1].pressure_Pa is not None:
            self._patience.good()

    # --- what it says

    def hear(self, when: float, resistance: float | NoReading) -> None:
        """Take up what the meter said; overload is no reading, never a number."""
        with self._converting:
            self._hear(when, resistance)

    def _hear(self, when: float, resistance: float | NoReading) -> None:
        self._heard_at = time.monotonic()
        temperature_degC = self._thermometer.newest if self._thermometer else None
        self._temperatures.append(temperature_degC)
        if isinstance(resistance, NoReading) or not math.isfinite(resistance):
            said = resistance.value if isinstance(resistance, NoReading) else str(resistance)
            self._why = f"the meter says '{said}'"
            self._past.append(Pressed(when, None))
            return
        pressed = self.conversion.pressed(when, resistance, temperature_degC)
        self._past.append(pressed)
        if pressed.pressure_Pa is not None:
            self._patience.good()
        elif self.conversion.calibration is None:
            self._why = "no calibration"
        else:
            self._why = "its resistance is outside the calibrated range"
        self._watch_range(pressed)

    def _watch_range(self, pressed: Pressed) -> None:
        """Say it once when the pressure leaves the range, and once when it is back."""
        calibration = self.conversion.calibration
        if not self._in_run or calibration is None:
            return
        if pressed.mark in (Mark.BELOW, Mark.ABOVE) and not self._outside:
            self._outside = True
            area_m2 = calibration.area.value_m2
            low_kPa, high_kPa = calibration.force_min_N / area_m2 / 1e3, calibration.force_max_N / area_m2 / 1e3
            self._say(
                Level.WARNING,
                f"{pressed.resistance_ohm:.4g} Ω of sensor {self.name} is {pressed.mark} the range of {calibration.id} "
                f"({low_kPa:.4g} kPa to {high_kPa:.4g} kPa): its pressure is not known",
            )
        elif pressed.pressure_Pa is not None and pressed.mark is None and self._outside:
            self._outside = False
            self._say(Level.INFO, f"sensor {self.name} is within the range of {calibration.id} again")

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
            pressure_mark=said.mark,
        )

    @property
    def newest(self) -> Pressed | None:
        """What the sensor said last; None where that is too old."""
        past = self._past
        if not past or time.monotonic() - self._heard_at > self._lost_after_s:
            return None
        return past[-1]

    def before(self, when: float) -> Pressed | None:
        """The newest entry not later than `when`, or the oldest kept."""
        past = self._past
        if not past:
            return None
        if past[-1].time <= when:
            return past[-1]
        index = bisect.bisect_right(past, when, key=lambda pressed: pressed.time)
        return past[max(0, index - 1)]


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
