"""The simulated cell in virtual time: a thousand cycles of it take seconds."""

from __future__ import annotations

from math import expm1, inf, isfinite

from drivers.simulated.cell.electrodes import DEPLETION_WIDTH, SLOWEST
from drivers.simulated.cell.interior import Interior
from drivers.simulated.cell.parameters import CellParameters
from drivers.simulated.cell.regulation import current_for

SHORTEST_STEP_S = 1e-3  # never divided further
LONGEST_STEP_S = 3600.0
STEP_V = 10e-3  # change of polarisation beyond which a step is divided
DEPLETION_V = 50e-3  # the same where silicon is emptied, and the curve is steep anyway
# So far from an end, in voltage and in as many steps' change of it, `step_within` makes small steps without looking.
NEAR_V, NEAR_STEPS, NEAR_FILLING = 50e-3, 10.0, 0.006
STEP_FILLING = 0.02  # of the smaller electrode, likewise


class ForecastCell:
    """One cell of `CellParameters` for one thread, whose time passes in `step` alone.

    It is made of the same electrodes, circuit and stack as `SimulatedCell`, without its clock, locks,
    controllers and sensor. Current is positive on charge. The attributes are what stands right now: after
    `set_current` and `set_voltage` the point before any time has passed.
    """

    voltage_V: float
    current_A: float
    pressure_Pa: float  # of the stack, as a sensor without errors would see it
    temperature_degC: float

    def __init__(self, parameters: CellParameters, temperature_degC: float = 25.0) -> None:
        self.parameters = parameters
        self._interior = Interior(parameters, temperature_degC)
        self._most_C = STEP_FILLING * self._interior.least_capacity_C
        self._diffusion_ohm = parameters.circuit.diffusion.resistance_ohm / parameters.cells_in_series
        self._direct_ohm = parameters.circuit.direct_current_ohm / parameters.cells_in_series
        self._longest_s = LONGEST_STEP_S  # with the current held
        self._target_V: float | None = None  # of a voltage hold
        self._most_A = inf  # in a voltage hold, in both directions
        self._limited = False  # the current limit holds, not the voltage
        self._pace_V_s = inf  # how fast the voltage moved in the last `step_within`
        self.temperature_degC = temperature_degC
        self.pressure_Pa = self._interior.stack.pressure_Pa
        self.set_current(0.0)

    # --- what is done to it

    def set_current(self, amperes: float) -> None:
        """Hold a current from now on; 0 is a rest. Raises `ValueError` unless it is finite."""
        if not isfinite(amperes):
            raise ValueError(f"the current is {amperes} A; it must be finite")
        self._target_V, self._limited = None, False
        self.current_A = amperes
        charging_s = self._most_C / abs(amperes) if amperes else inf
        self._longest_s = max(SHORTEST_STEP_S, min(LONGEST_STEP_S, charging_s))
        self._show_present()

    def set_voltage(self, volts: float, current_max_A: float) -> None:
        """Hold a voltage from now on, with at most `current_max_A` (may be infinite) in either direction.

        Raises `ValueError` unless the voltage is finite and the limit not negative.
        """
        if not isfinite(volts) or not current_max_A >= 0.0:
            raise ValueError(f"{volts} V with at most {current_max_A} A: the first must be finite, the second >= 0")
        self._target_V, self._most_A, self._limited = volts, current_max_A, False
        self._show_present()

    def set_temperature(self, degC: float) -> None:
        """Surroundings that the cell takes on at once; raises `ValueError` outside -60 to 150 °C."""
        self._interior.set_temperature_degC(degC)
        self.temperature_degC = degC
        self._show_present()

    def set_stack_pressure(self, pascals: float) -> None:
        """Press the stack to this pressure once; it breathes from there. Raises `ValueError` if it is negative."""
        if not (pascals >= 0.0 and isfinite(pascals)):
            raise ValueError(f"the stack's pressure is {pascals} Pa; it must be finite and not negative")
        self._interior.press(pascals)
        self.pressure_Pa = pascals
        self._show_present()

    def step(self, seconds: float) -> None:
        """Let time pass; raises `ValueError` unless `seconds` is finite and above zero."""
        if not 0.0 < seconds < inf:
            raise ValueError(f"a step of {seconds} s: it must be finite and above zero")
        if self._target_V is None:
            self._hold_current(seconds)
        else:
            self._hold_voltage(seconds)

    def step_within(self, seconds: float, low_V: float, high_V: float) -> float:
        """Let time pass until the voltage leaves `low_V` … `high_V`, `seconds` at the most; returns how much did.

        The end is found to within a millisecond or 1/4096 of the step, whichever is longer. At least that much passes,
        also where the voltage is outside already.
        """
        if not 0.0 < seconds < inf:
            raise ValueError(f"a step of {seconds} s: it must be finite and above zero")
        before_V = self.voltage_V
        margin_V = NEAR_V + NEAR_STEPS * self._pace_V_s * seconds
        small = abs(self.current_A) * seconds < NEAR_FILLING * self._interior.least_capacity_C
        if small and low_V + margin_V < before_V < high_V - margin_V:
            self.step(seconds)
            passed = seconds
        else:
            passed = self._within(seconds, low_V, high_V, max(SHORTEST_STEP_S, seconds / 4096.0))
        self._pace_V_s = abs(self.voltage_V - before_V) / passed
        return passed

    def _within(self, time_s: float, low_V: float, high_V: float, finest_s: float) -> float:
        if time_s <= finest_s or low_V <= self._voltage_after(time_s) <= high_V:
            self.step(time_s)
            return time_s
        passed = self._within(0.5 * time_s, low_V, high_V, finest_s)
        if passed < 0.5 * time_s or not low_V <= self.voltage_V <= high_V:
            return passed
        return passed + self._within(0.5 * time_s, low_V, high_V, finest_s)

    # --- what it answers

    def open_circuit_V(self) -> float:
        """The voltage without polarisation."""
        return self._interior.open_circuit_after(0.0, 0.0)

    def impedance(self, frequency_Hz: float) -> complex:
        """Linear response in Ω at the present state; raises `ValueError` unless the frequency is above zero."""
        return self._interior.impedance(frequency_Hz)

    # --- integration: a step that is too long is made in two halves, each of which may be halved again

    def _hold_current(self, time_s: float) -> None:
        """Exact for the circuit and for the charge, whatever the length; only depletion changes along the way."""
        interior, current = self._interior, self.current_A
        if time_s > self._longest_s or (1.0 < interior.slowness < 0.98 * SLOWEST and self._depletes(current, time_s)):
            self._hold_current(0.5 * time_s)
            self._hold_current(0.5 * time_s)
            return
        self.voltage_V = interior.pass_current(current, time_s)
        self.pressure_Pa = interior.stack.pressure_Pa

    def _depletes(self, current_A: float, time_s: float) -> bool:
        """Whether the diffusion resistance would change by too much in one step."""
        if time_s <= SHORTEST_STEP_S:
            return False
        widths = abs(current_A) * time_s / (DEPLETION_WIDTH * self._interior.least_capacity_C)
        change = (self._interior.slowness - 1.0) * expm1(widths)
        return change * self._diffusion_ohm * abs(current_A) > DEPLETION_V

    def _hold_voltage(self, time_s: float) -> None:
        """Implicit in the current, so stable whatever the length."""
        current, limited = self._current_after(time_s)
        changed = limited != self._limited or abs(current - self.current_A) * self._direct_ohm > STEP_V
        if (changed or abs(current) * time_s > self._most_C or time_s > LONGEST_STEP_S) and time_s > SHORTEST_STEP_S:
            self._hold_voltage(0.5 * time_s)
            self._hold_voltage(0.5 * time_s)
            return
        self.current_A, self._limited = current, limited
        self.voltage_V = self._interior.pass_current(current, time_s)
        self.pressure_Pa = self._interior.stack.pressure_Pa

    def _current_after(self, time_s: float) -> tuple[float, bool]:
        """The constant current that leads to the voltage held in this time, or the limit and True; changes nothing."""
        interior, most, target = self._interior, self._most_A, self._target_V
        assert target is not None
        open_circuit_after = interior.open_circuit_after
        left, resistance = interior.outlook(time_s)

        def voltage_at(current_A: float) -> float:
            return open_circuit_after(current_A * time_s, time_s) + left + resistance * current_A

        if self._limited:
            limit = most if self.current_A > 0.0 else -most
            if (voltage_at(limit) - target) * limit <= 0.0:
                return limit, True
        current = current_for(target, voltage_at, resistance, self.current_A)
        if -most <= current <= most:
            return current, False
        return (most if current > 0.0 else -most), True

    def _voltage_after(self, time_s: float) -> float:
        """Were it a single step; changes nothing."""
        current = self.current_A if self._target_V is None else self._current_after(time_s)[0]
        left, resistance = self._interior.outlook(time_s)
        return self._interior.open_circuit_after(current * time_s, time_s) + left + resistance * current

    def _show_present(self) -> None:
        """The point right after something outside changed."""
        self._pace_V_s = inf
        if self._target_V is not None:
            self.current_A, self._limited = self._current_after(0.0)
        self.voltage_V = self._voltage_after(0.0)
