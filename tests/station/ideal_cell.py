"""A cell simple enough to know the answers beforehand: a capacity, a resistance, and a pressure that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class IdealCell:
    """The voltage rises from `empty_V` to `full_V` over the capacity, plus the current over the resistance.

    The pressure rises with the charge; ageing takes `fade` of the capacity with each coulomb that has passed.
    """

    capacity_Ah: float = 1e-3
    empty_V: float = 3.0
    full_V: float = 4.0
    resistance_ohm: float = 10.0
    state_of_charge: float = 0.0
    breathing_Pa: float = 100e3
    rest_Pa: float = 500e3
    temperature_degC: float = 25.0
    efficiency: float = 1.0  # share of the charge that stays in
    voltage_V: float = 0.0
    current_A: float = 0.0
    pressure_Pa: float = 0.0
    target_V: float | None = None
    most_A: float = math.inf

    def __post_init__(self) -> None:
        self.set_current(0.0)

    @property
    def open_V(self) -> float:
        return self.empty_V + (self.full_V - self.empty_V) * self.state_of_charge

    def set_current(self, amperes: float) -> None:
        self.target_V, self.current_A = None, amperes
        self._show()

    def set_voltage(self, volts: float, current_max_A: float) -> None:
        self.target_V, self.most_A = volts, current_max_A
        self._show()

    def set_temperature(self, degC: float) -> None:
        if degC > 150.0:
            raise ValueError(f"{degC:g} °C is more than this cell bears")
        self.temperature_degC = degC

    def set_stack_pressure(self, pascals: float) -> None:
        self.rest_Pa += pascals - self.pressure_Pa
        self._show()

    def step(self, seconds: float) -> None:
        gained = self.current_A * seconds / 3600.0 / self.capacity_Ah
        self.state_of_charge += gained * (self.efficiency if gained > 0 else 1.0)
        self._show()

    def impedance(self, frequency_Hz: float) -> complex:
        return complex(self.resistance_ohm, -1.0 / frequency_Hz)

    def _show(self) -> None:
        if self.target_V is not None:
            wanted_A = (self.target_V - self.open_V) / self.resistance_ohm
            self.current_A = max(-self.most_A, min(self.most_A, wanted_A))
        self.voltage_V = self.open_V + self.current_A * self.resistance_ohm
        self.pressure_Pa = self.rest_Pa + self.breathing_Pa * self.state_of_charge
