"""A virtual press: sensors that are pressed against a load cell one at a time, by a person's hand or by a drive.

A load that was turned to by hand relaxes a little, as a screw's does. Each time a sensor is put in, its contact is a
little different (`SensorParameters.insertion`), which is what a calibration has to find as reproducibility.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from random import Random

from drivers.simulated.cell.sensor import Sensor, SensorParameters
from drivers.simulated.clock import Clock
from drivers.simulated.scpi import ILLEGAL_VALUE, Arguments, NumberSetting, ScpiError, ScpiServer, unquoted

HAND_RELAXES = 0.003  # of the load, a decade of time since it was set
FIRST_DECADE_S = 5.0
TEMPERATURE_DEGC = 25.0


class VirtualPress:
    """Holds copies of the sensors `truths`, by name; the first lies in the press. Thread-safe.

    The load cell beneath indicates the true force times `gauge_factor`, plus `gauge_offset_N`, with noise.
    """

    def __init__(
        self,
        truths: Mapping[str, SensorParameters],
        clock: Clock,
        seed: int = 0,
        *,
        time_constant_s: float = 2.0,
        gauge_factor: float = 1.0,
        gauge_offset_N: float = 0.0,
        gauge_noise_N: float = 0.0,
    ) -> None:
        self.truths = dict(truths)
        self.time_constant_s = time_constant_s
        self.gauge_factor, self.gauge_offset_N, self.gauge_noise_N = gauge_factor, gauge_offset_N, gauge_noise_N
        self._clock, self._at = clock, clock.now()
        self._random, self._noise = Random(seed), Random(seed + 1)
        self._lock = threading.RLock()
        self._goal_N = self._force_N = 0.0
        self._set_at = self._at
        self._by_hand = True
        self.insertions = 0
        self._sensor = self._lying(next(iter(self.truths)))

    # --- the person, or the drive

    def turn_to(self, force_N: float) -> None:
        """Turn the screw: the load comes there within some seconds, and relaxes a little afterwards."""
        self._aim(force_N, by_hand=True)

    def drive_to(self, force_N: float) -> None:
        """The same by a drive, which holds the load."""
        self._aim(force_N, by_hand=False)

    def insert(self, name: str) -> None:
        """Take out what lies in the press and put a sensor in, without load. Raises `KeyError` where there is none."""
        with self._lock:
            self._catch_up()
            self._sensor = self._lying(name)
            self._goal_N = self._force_N = 0.0

    def reseat(self) -> None:
        """Take the sensor out and put it back, turned a little."""
        self.insert(self.sensor_name)

    # --- what the instruments see

    def force_N(self) -> float:
        """The true force on the sensor."""
        with self._lock:
            self._catch_up()
            return self._force_N

    def indicated_N(self) -> float:
        """What the load cell makes of it."""
        with self._lock:
            noise = self._noise.gauss(0.0, self.gauge_noise_N)
            return self.force_N() * self.gauge_factor + self.gauge_offset_N + noise

    def read_ohm(self) -> float:
        """One reading of the sensor; `inf` where it does not conduct."""
        with self._lock:
            self._catch_up()
            return self._sensor.read_ohm(TEMPERATURE_DEGC)

    def _lying(self, name: str) -> Sensor:
        """A sensor as it comes to lie in the press."""
        truth = self.truths[name]
        self.sensor_name, self.insertions = name, self.insertions + 1
        return Sensor(truth, self._random, factor=self._random.lognormvariate(0.0, truth.insertion))

    # --- time; the lock is held

    def _aim(self, force_N: float, *, by_hand: bool) -> None:
        if not 0.0 <= force_N < math.inf:
            raise ValueError(f"{force_N} N: a press pushes, it does not pull")
        with self._lock:
            self._catch_up()
            self._goal_N, self._by_hand, self._set_at = force_N, by_hand, self._at

    def _catch_up(self) -> None:
        now = self._clock.now()
        if (passed := now - self._at) <= 0.0:
            return
        self._at = now
        goal = self._goal_N
        if self._by_hand:
            decades = math.log10(1.0 + (now - self._set_at) / FIRST_DECADE_S)
            goal *= 1.0 - HAND_RELAXES * decades
        self._force_N = goal + (self._force_N - goal) * math.exp(-passed / self.time_constant_s)
        if goal == 0.0 and self._force_N < 1e-6:
            self._force_N = 0.0
        self._sensor.advance(self._force_N / self._sensor.parameters.area_m2, passed)


class VirtualPressDrive(ScpiServer):
    """The drive of such a press, with the magazine that it takes sensors from. No maker's: simulated alone.

    Its own scale is `scale` times the true force, as that of a drive that was never calibrated.
    """

    identity = "CELLSTATION,SIMULATED PRESS,1,1"
    highest_N = 500.0

    def __init__(self, press: VirtualPress, clock: Clock, scale: float = 0.98) -> None:
        super().__init__(clock=clock)
        self.press, self.scale = press, scale
        self.goal = self.setting(":FORCe", NumberSetting("0", on_change=self._go, low=0.0, high=self.highest_N))
        self.define(":SENSor:INSert", self._insert)
        self.define(":SENSor?", lambda _: f'"{press.sensor_name}"')

    def _go(self) -> None:
        self.press.drive_to(self.goal.value * self.scale)

    def _insert(self, arguments: Arguments) -> None:
        name = unquoted(arguments[0]) if arguments else ""
        if name not in self.press.truths:
            raise ScpiError(*ILLEGAL_VALUE)
        self.goal.reset()
        self.press.insert(name)
