"""What a virtual instrument sees of the simulated cell that it is wired to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """No current flows."""


@dataclass(frozen=True, slots=True)
class DriveCurrent:
    """A current source with voltage clamps: it holds a clamp's voltage where the cell would pass it."""

    current_A: float
    voltage_min_V: float
    voltage_max_V: float


@dataclass(frozen=True, slots=True)
class DriveVoltage:
    """A voltage source with a current limit: it gives the limit's current until the cell reaches the voltage."""

    voltage_V: float
    current_max_A: float  # magnitude, both directions
    discharge_max_A: float | None = None  # magnitude, where that of a discharge is another

    @property
    def currents_A(self) -> tuple[float, float]:
        """The least and the greatest, positive on charge."""
        return -(self.current_max_A if self.discharge_max_A is None else self.discharge_max_A), self.current_max_A


Drive: TypeAlias = OpenCircuit | DriveCurrent | DriveVoltage

Controller: TypeAlias = Callable[[float, float, float], "Drive | None"]
"""A tester's own firmware, called in the cell's time after each integration step with time (s),
voltage (V) and current (A); it may return a new drive, which takes effect at once."""


class WiredCell(Protocol):
    """A cell on a virtual bench. Each call first brings the cell to the clock's present; thread-safe."""

    def drive(self, drive: Drive) -> None: ...

    def terminals(self) -> tuple[float, float]:
        """Voltage (V) and current (A, positive on charge) now."""
        ...

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        """Put a tester's firmware in charge of the drive, called at least every `max_step_s`."""
        ...

    def impedance(self, frequency_Hz: float) -> complex:
        """Complex impedance in Ω at the present state, without the meter's noise."""
        ...

    def pressure_Pa(self) -> float:
        """True stack pressure."""
        ...

    def sensor_resistance_ohm(self) -> float:
        """The MFSR's resistance with its creep, hysteresis and noise; `inf` when unloaded."""
        ...

    def temperature_degC(self) -> float: ...


@dataclass
class FixedCell:
    """A resistor with an electromotive force: the simplest thing to wire a virtual instrument to in a test."""

    emf_V: float = 3.0
    resistance_ohm: float = 10.0
    sensor_ohm: float = 288e3
    stack_Pa: float = 546e3
    _drive: Drive = OpenCircuit()

    def drive(self, drive: Drive) -> None:
        self._drive = drive

    def terminals(self) -> tuple[float, float]:
        match self._drive:
            case OpenCircuit():
                return self.emf_V, 0.0
            case DriveCurrent(current, low, high):
                wanted = self.emf_V + current * self.resistance_ohm
                held = min(max(wanted, low), high)
                return held, current if held == wanted else (held - self.emf_V) / self.resistance_ohm
            case DriveVoltage(voltage) as held:
                least_A, most_A = held.currents_A
                current = min(max((voltage - self.emf_V) / self.resistance_ohm, least_A), most_A)
                return self.emf_V + current * self.resistance_ohm, current

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        raise NotImplementedError("a FixedCell does not integrate; wire a SimulatedCell to a tester")

    def impedance(self, frequency_Hz: float) -> complex:
        return complex(self.resistance_ohm)

    def pressure_Pa(self) -> float:
        return self.stack_Pa

    def sensor_resistance_ohm(self) -> float:
        return self.sensor_ohm

    def temperature_degC(self) -> float:
        return 25.0
