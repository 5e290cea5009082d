"""Stack pressure from a change of thickness in a casing that gives way.

The free change of thickness ΔL is taken up by the layers' own compliance Σ L/E and by the casing's, A/k, in
series: ΔP = ΔL / (Σ L/E + A/k). A part of the stress relaxes with time (a spring beside a Maxwell element:
separator and binder creep). A stack that shrinks out of contact has no pressure, never a negative one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp


@dataclass(frozen=True, slots=True)
class Casing:
    """What holds the stack together."""

    preload_Pa: float  # of the new cell, after it settled
    area_m2: float  # that the pressure acts on
    stiffness_N_m: float  # of casing and spring, or of the clamp
    stack_compliance_m_Pa: float = 7.3e-13  # 25 µm separator, two 70 µm electrodes, 0.2 mm sensor
    relaxing_share: float = 0.08
    relaxation_s: float = 2.5 * 3600.0

    @property
    def pressure_per_thickness_Pa_m(self) -> float:
        return 1.0 / (self.stack_compliance_m_Pa + self.area_m2 / self.stiffness_N_m)


@dataclass(slots=True)
class Stack:
    """The pressure on a stack whose free thickness changes."""

    casing: Casing
    pressure_Pa: float = 0.0
    _elastic_Pa: float = 0.0  # change since the start, with nothing relaxed
    _relaxed_Pa: float = 0.0
    _preload_Pa: float = field(init=False)
    _stiffness_Pa_m: float = field(init=False)
    _decay: tuple[float, float] = (0.0, 1.0)  # of the last step's length

    def __post_init__(self) -> None:
        self.pressure_Pa = self._preload_Pa = self.casing.preload_Pa
        self._stiffness_Pa_m = self.casing.pressure_per_thickness_Pa_m

    def advance(self, thickness_m: float, time_s: float) -> None:
        """Take the change of thickness since the cell was built, reached evenly over `time_s`."""
        casing = self.casing
        before = self._elastic_Pa
        self._elastic_Pa = after = thickness_m * self._stiffness_Pa_m
        if time_s != self._decay[0]:
            self._decay = time_s, exp(-time_s / casing.relaxation_s)
        goal = casing.relaxing_share * 0.5 * (before + after)
        self._relaxed_Pa = relaxed = goal + (self._relaxed_Pa - goal) * self._decay[1]
        pressure = self._preload_Pa + after - relaxed
        self.pressure_Pa = pressure if pressure > 0.0 else 0.0

    def press(self, pressure_Pa: float) -> None:
        """Bring the stack to this pressure from outside; from here on it breathes as before."""
        self._preload_Pa = pressure_Pa - self._elastic_Pa + self._relaxed_Pa
        self.pressure_Pa = pressure_Pa
