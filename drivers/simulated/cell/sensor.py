"""A membrane force-sensing resistor (MFSR) in the stack.

Its conductance rises with a power of the pressure. On top come what makes its calibration necessary, in the
sizes that makers and users report (Interlink FSR 400 data sheet, Tekscan FlexiForce user manual): creep by a
few per cent a decade of time under load, a conductance that stays high while the load goes back, a temperature
coefficient, and noise. Below a threshold it does not conduct.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log10, pi
from random import Random


@dataclass(frozen=True, slots=True)
class SensorParameters:
    """The true response of one sensor, which a calibration has to find.

    On the loading branch, at `reference_degC`, when `settled_s` have passed since it was loaded:
    R in Ω is `anchor_ohm` · (P / `anchor_Pa`)^-`exponent`.
    """

    diameter_m: float = 14e-3
    anchor_Pa: float = 546e3
    anchor_ohm: float = 0.288e6
    exponent: float = 0.85
    threshold_Pa: float = 1.3e3  # 0.2 N on a 14 mm disc
    creep_per_decade: float = 0.03  # relative rise of conductance per decade of time under load
    settled_s: float = 3600.0
    hysteresis: float = 0.04  # excess conductance on the unloading branch
    hysteresis_width: float = 0.05  # change of ln P over which one branch goes over into the other
    noise: float = 0.003  # standard deviation of ln R of one reading
    temperature_per_K: float = -0.003  # d ln R/dT
    reference_degC: float = 25.0
    insertion: float = 0.015  # standard deviation of ln R from one insertion between two plates to the next

    @property
    def area_m2(self) -> float:
        return pi / 4.0 * self.diameter_m**2

    def resistance_ohm(self, pressure_Pa: float) -> float:
        """Settled resistance on the loading branch at the reference temperature; `inf` below the threshold."""
        if pressure_Pa < self.threshold_Pa:
            return inf
        return float(self.anchor_ohm * (pressure_Pa / self.anchor_Pa) ** -self.exponent)


@dataclass(slots=True)
class Sensor:
    """One sensor with its history: how long it has been loaded, and in which direction last."""

    parameters: SensorParameters
    random: Random
    pressure_Pa: float = 0.0
    loaded_s: float = 0.0  # since it had settled
    branch: float = 1.0  # +1 loading, -1 unloading
    factor: float = 1.0  # of the resistance, by how it lies between its plates this time

    def advance(self, pressure_Pa: float, time_s: float) -> None:
        p = self.parameters
        if pressure_Pa < p.threshold_Pa:
            self.loaded_s, self.branch = -p.settled_s, 1.0
        else:
            if self.pressure_Pa > 0.0 and pressure_Pa != self.pressure_Pa:
                toward = 1.0 if pressure_Pa > self.pressure_Pa else -1.0
                travel = abs(log(pressure_Pa / self.pressure_Pa)) / p.hysteresis_width
                self.branch = toward + (self.branch - toward) * exp(-travel)
            self.loaded_s += time_s
        self.pressure_Pa = pressure_Pa

    def true_resistance_ohm(self, temperature_degC: float) -> float:
        """Resistance without the noise."""
        p = self.parameters
        settled = p.resistance_ohm(self.pressure_Pa)
        if settled == inf:
            return inf
        decades = log10(max(1.0, p.settled_s + self.loaded_s) / p.settled_s)
        conductance = (1.0 + p.creep_per_decade * decades) * (1.0 + 0.5 * p.hysteresis * (1.0 - self.branch))
        return self.factor * settled / conductance * exp(p.temperature_per_K * (temperature_degC - p.reference_degC))

    def read_ohm(self, temperature_degC: float) -> float:
        """One reading, with noise."""
        resistance = self.true_resistance_ohm(temperature_degC)
        return resistance * self.random.lognormvariate(0.0, self.parameters.noise)
