"""The cell that the virtual instruments are wired to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from drivers.simulated.cell.interior import Interior
from drivers.simulated.cell.parameters import CellParameters
from drivers.simulated.cell.regulation import OperatingPoint, check, operate
from drivers.simulated.cell.sensor import Sensor
from drivers.simulated.clock import Clock
from drivers.simulated.wiring import Controller, Drive, OpenCircuit, WiredCell

SHORTEST_STEP_S = 0.05
LONGEST_STEP_S = 10.0
LONGEST_REST_S = 3600.0  # at open circuit, once the voltage hardly moves
STEP_V = 4e-3  # change of voltage that a step aims at


@dataclass(frozen=True, slots=True)
class CellState:
    """The truth inside a simulated cell, which no instrument sees. Charges are since the cell was built."""

    time_s: float
    voltage_V: float
    current_A: float
    open_circuit_V: float  # what the voltage would be without polarisation
    positive_lithium_C: float
    negative_lithium_C: float
    lost_lithium_C: float
    charge_passed_C: float  # net, positive on charge
    equivalent_cycles: float
    pressure_Pa: float


class SimulatedCell:
    """A `WiredCell` with open-circuit curves, hysteresis, impedance, pressure, a sensor and ageing.

    Time is taken from `clock`; every call first integrates up to its present, in steps that follow the
    voltage. With a `ManualClock` the same cell is a forecast in virtual time. All readings are free of
    noise but the sensor's, whose random numbers come from `seed`. `insertion` is the factor by which its
    resistance differs from the truth because of how it came to lie in this cell.

    A controller is called while the cell is held for its caller: it must return without waiting for
    another thread that may be calling this cell, and it may call the cell itself. What it raises reaches
    whoever asked the cell last.
    """

    def __init__(
        self,
        parameters: CellParameters,
        clock: Clock,
        seed: int = 0,
        temperature_degC: float = 25.0,
        *,
        insertion: float = 1.0,
    ) -> None:
        self.parameters = parameters
        self._clock = clock
        self._start_s = clock.now()
        self._elapsed_s = 0.0
        self._lock = threading.RLock()
        self._integrating = False
        self._controller: Controller | None = None
        self._controller_step_s = LONGEST_STEP_S
        self._drive: Drive = OpenCircuit()

        self._interior = Interior(parameters, temperature_degC)
        self._sensor = Sensor(parameters.sensor, Random(seed), self._interior.stack.pressure_Pa, factor=insertion)
        self._charge_C = 0.0
        self._point = OperatingPoint(0.0, 0.0, False)
        self._settle()

    # --- what the instruments see

    def drive(self, drive: Drive) -> None:
        """Connect a source. Raises `ValueError` for settings that no source has."""
        check(drive)
        with self._lock:
            self._catch_up()
            self._apply(drive)

    def terminals(self) -> tuple[float, float]:
        """Voltage (V) and current (A, positive on charge) now."""
        with self._lock:
            self._catch_up()
            return self._point.voltage_V, self._point.current_A

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        """Have `controller` called after each step, at least every `max_step_s`; None takes it away again."""
        if not max_step_s > 0.0:
            raise ValueError(f"max_step_s is {max_step_s}; it must be above zero")
        with self._lock:
            self._catch_up()
            self._controller = controller
            self._controller_step_s = max_step_s

    def impedance(self, frequency_Hz: float) -> complex:
        """Linear response in Ω at the present state; raises `ValueError` unless the frequency is above zero."""
        with self._lock:
            self._catch_up()
            return self._interior.impedance(frequency_Hz)

    def pressure_Pa(self) -> float:
        """True stack pressure."""
        with self._lock:
            self._catch_up()
            return self._interior.stack.pressure_Pa

    def sensor_resistance_ohm(self) -> float:
        """One reading of the MFSR, with creep, hysteresis and noise; `inf` when unloaded."""
        with self._lock:
            self._catch_up()
            return self._sensor.read_ohm(self._interior.temperature_degC)

    def temperature_degC(self) -> float:
        with self._lock:
            return self._interior.temperature_degC

    # --- what surrounds the cell, and what is true inside

    def set_temperature_degC(self, temperature_degC: float) -> None:
        """Put the cell into surroundings of this temperature, which it takes on at once."""
        with self._lock:
            self._catch_up()
            self._interior.set_temperature_degC(temperature_degC)
            self._settle()

    def state(self) -> CellState:
        """The truth, for tests and for judging what the instruments make of it."""
        with self._lock:
            self._catch_up()
            interior = self._interior
            positive, negative = interior.positive, interior.negative
            return CellState(
                time_s=self._start_s + self._elapsed_s,
                voltage_V=self._point.voltage_V,
                current_A=self._point.current_A,
                open_circuit_V=interior.open_circuit_after(0.0, 0.0),
                positive_lithium_C=positive.lithium_C,
                negative_lithium_C=negative.lithium_C,
                lost_lithium_C=positive.lost_C + negative.lost_C,
                charge_passed_C=self._charge_C,
                equivalent_cycles=interior.cycles(),
                pressure_Pa=interior.stack.pressure_Pa,
            )

    # --- integration; the lock is held

    def _trial(self, time_s: float) -> OperatingPoint:
        """The point after a step of `time_s` with a constant current that meets the drive at its end."""
        left, resistance = self._interior.outlook(time_s)
        open_circuit_after = self._interior.open_circuit_after

        def voltage_at(current_A: float) -> float:
            return open_circuit_after(current_A * time_s, time_s) + left + resistance * current_A

        return operate(self._drive, voltage_at, resistance, self._point.current_A)

    def _settle(self) -> None:
        """Go to the point right after something outside changed, before any time has passed."""
        self._next_step_s = SHORTEST_STEP_S
        self._point = self._trial(0.0)

    def _apply(self, drive: Drive) -> None:
        if drive != self._drive:
            self._drive = drive
            self._settle()

    def _catch_up(self) -> None:
        if self._integrating:  # a controller is asking; the present is the step that it was called for
            return
        self._integrating = True
        try:
            end_s = self._clock.now() - self._start_s
            while self._elapsed_s < end_s:
                self._step(end_s - self._elapsed_s)
                if self._controller is not None:
                    self._ask(self._controller)
        finally:
            self._integrating = False

    def _ask(self, controller: Controller) -> None:
        answer = controller(self._start_s + self._elapsed_s, self._point.voltage_V, self._point.current_A)
        if answer is not None:
            check(answer)
            self._apply(answer)

    def _longest_step_s(self) -> float:
        longest = LONGEST_REST_S if isinstance(self._drive, OpenCircuit) else LONGEST_STEP_S
        return longest if self._controller is None else min(LONGEST_STEP_S, self._controller_step_s)

    def _step(self, remaining_s: float) -> None:
        """Integrate one step of at most `remaining_s`: long where little happens, short where a limit is met."""
        step_s = min(self._next_step_s, self._longest_step_s(), remaining_s)
        while True:
            point = self._trial(step_s)
            change = self._change(point)
            if change <= 2.0 or step_s <= SHORTEST_STEP_S:
                break
            step_s = max(SHORTEST_STEP_S, step_s / max(2.0, change))
        self._accept(point, step_s)
        grown = step_s * min(2.0, max(0.5, 1.0 / max(change, 1e-6)))
        self._next_step_s = max(grown, self._next_step_s) if step_s == remaining_s and change <= 1.0 else grown

    def _change(self, point: OperatingPoint) -> float:
        """How much the point moved, in units of what one step should; more where a limit begins or ends."""
        voltage = abs(point.voltage_V - self._point.voltage_V)
        current = abs(point.current_A - self._point.current_A) * self.parameters.circuit.direct_current_ohm
        change = max(voltage, current) / STEP_V
        return max(4.0, change) if point.limited != self._point.limited else change

    def _accept(self, point: OperatingPoint, time_s: float) -> None:
        self._interior.pass_current(point.current_A, time_s)
        self._sensor.advance(self._interior.stack.pressure_Pa, time_s)
        self._charge_C += point.current_A * time_s
        self._elapsed_s += time_s
        self._point = point


if TYPE_CHECKING:
    _wired: type[WiredCell] = SimulatedCell
