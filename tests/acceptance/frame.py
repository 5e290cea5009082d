"""A frame that presses a cell, with a trigger line: no maker's is driven yet, so this one stands for it."""

from __future__ import annotations

import math

from drivers.interface import NoReading, Range
from drivers.scpi import ScpiInstrument, number, read_number
from drivers.simulated.clock import Clock
from drivers.simulated.scpi import NumberSetting, ScpiServer


class VirtualFrame(ScpiServer):
    """Goes to its set point exponentially; counts the pulses of its trigger line."""

    identity = "CELLSTATION,FRAME 1,1,1"

    def __init__(self, clock: Clock, time_constant_s: float = 10.0) -> None:
        super().__init__(clock=clock)
        self.time_constant_s = time_constant_s
        self.pressure_Pa, self.goal_Pa, self.pulses = 1e5, 1e5, 0
        self._at = clock.now()
        self.goal = self.setting(":PRESsure", NumberSetting("1e5", on_change=self._aim, low=0.0, high=5e6))
        self.define(":MEASure:PRESsure?", lambda _: f"{self._now():.6E}")
        self.define(":TRIGger:PULSe", lambda _: self._pulse())

    def _aim(self) -> None:
        self._now()
        self.goal_Pa = self.goal.value

    def _now(self) -> float:
        now = self.clock.now()
        left = math.exp(-(now - self._at) / self.time_constant_s)
        self.pressure_Pa, self._at = self.goal_Pa + (self.pressure_Pa - self.goal_Pa) * left, now
        return self.pressure_Pa

    def _pulse(self) -> None:
        self.pulses += 1


class Frame(ScpiInstrument):
    """A `PressureFrame` and a `TriggerOutput`."""

    model = "Frame 1"
    safe_state = "as it is: the pressure stays"
    identity = "CELLSTATION,FRAME 1,"
    goal = number(":PRES", "Pa", within=Range(0.0, 5e6), doc="Set point.")

    def make_safe(self) -> None:
        """Nothing is changed."""

    def check_pressure(self, pressure_Pa: float) -> None:
        Frame.goal.check(self, pressure_Pa)

    def set_pressure(self, pressure_Pa: float) -> None:
        Frame.goal.set_verified(self, pressure_Pa)

    def read_pressure_Pa(self) -> float | NoReading:
        return read_number(self.ask(":MEAS:PRES?"))

    def pulse(self) -> None:
        self.send(":TRIG:PULS")
        self.check_errors()
