"""From one step of a compiled program to what the exchange formats can say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from protocols.interop.plan import Amount, Drive, Hold, PlanItem, Rest, Scan, Sweep, Unit
from protocols.interop.report import Report, Where
from protocols.program import (
    Condition,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    End,
    Kind,
    Marker,
    Program,
    Quantity,
    Step,
    SweepPlan,
    Then,
    VoltageRamp,
)


@dataclass(frozen=True, slots=True)
class Context:
    """The program that a step belongs to."""

    program: Program
    half: Program | None  # the same for half the capacity, where only currents differ
    has_cell: bool
    impedance: bool  # whether the other format knows spectra
    names: Mapping[tuple[str, int], str]  # of steps, by the file and line of their techniques
    report: Report


def where(operation: Step | Marker) -> Where:
    step = f"step {operation.name}" if isinstance(operation, Step) else f"marker '{operation.name}'"
    return Where(operation.file, operation.line, step)


def items_of(context: Context, index: int) -> list[PlanItem]:
    """What the step or marker at this index of the program comes to."""
    operation = context.program.operations[index]
    if isinstance(operation, Marker):
        context.report.left_out(where(operation), "the marker")
        return []
    assert isinstance(operation, Step)
    name = context.names.get((operation.file, operation.line), "")
    return OneStep(context, index, operation, where(operation), name).items()


@dataclass(frozen=True, slots=True)
class OneStep:
    """A step of the program on its way to the plan."""

    context: Context
    index: int
    step: Step
    where: Where
    name: str

    def items(self) -> list[PlanItem]:
        step, report = self.step, self.context.report
        if step.markers:
            report.left_out(self.where, "its markers")
        match step.kind, step.setpoint:
            case Kind.REST, _:
                return self._rest()
            case Kind.CHARGE | Kind.DISCHARGE, ConstantCurrent(current_A=current):
                return self._drive(self._amount(abs(current), self._current_at_half()))
            case Kind.CHARGE | Kind.DISCHARGE, ConstantPower(power_W=power):
                return self._drive(Amount(abs(power), Unit.WATT))
            case Kind.DISCHARGE, ConstantResistance(resistance_ohm=resistance):
                return self._drive(Amount(resistance, Unit.OHM))
            case Kind.HOLD, ConstantVoltage() as setpoint:
                return self._hold(setpoint)
            case Kind.RAMP, VoltageRamp() as ramp:
                return self._scan(ramp)
            case Kind.IMPEDANCE, SweepPlan() as sweep if self.context.impedance:
                return self._sweep(sweep)
            case ((Kind.CHARGE | Kind.DISCHARGE), _):
                report.refuse(self.where, "a current that an earlier step's measured capacity decides cannot be said")
            case Kind.PROFILE, _:
                report.refuse(self.where, "a profile of current cannot be said")
            case Kind.PROCEDURE, _:
                report.refuse(self.where, "what a procedure stored on a cycler does is not known here")
            case _:
                report.left_out(self.where, "the whole step: there is none like it")
        return []

    def _rest(self) -> list[PlanItem]:
        time_s, _, _ = self._ends()
        if time_s is None:
            self.context.report.refuse(self.where, "a rest needs a time there")
            return []
        return [Rest(time_s, where=self.where, name=self.name, every_s=self._every())]

    def _drive(self, amount: Amount) -> list[PlanItem]:
        step, where, report = self.step, self.where, self.context.report
        charge = step.kind is Kind.CHARGE
        time_s, voltage_V, current = self._ends()
        every_s = self._every()
        if step.hold_V is not None and (time_s is not None or current is not None):
            if time_s is not None:
                said = "the time is that of the constant current and of the hold, each on its own"
                report.approximated(where, said)
            if voltage_V is not None:
                report.left_out(where, f"its end at {voltage_V:g} V beside the hold at {step.hold_V:g} V")
            held = Hold(step.hold_V, current, time_s, amount, charge, where=where, every_s=every_s)
            driven = Drive(charge, amount, step.hold_V, time_s, where=where, name=self.name, every_s=every_s)
            return [driven, held]
        if step.hold_V is not None:
            report.refuse(where, "without its end by time or current the hold would not end")
        elif voltage_V is None and time_s is None:
            report.refuse(where, "no end is left that can be said: a voltage or a time")
        return [Drive(charge, amount, voltage_V, time_s, where=where, name=self.name, every_s=every_s)]

    def _hold(self, setpoint: ConstantVoltage) -> list[PlanItem]:
        time_s, _, current = self._ends()
        report = self.context.report
        if setpoint.above_rest:
            report.refuse(self.where, "a voltage against the open-circuit voltage cannot be said")
        if time_s is None and current is None:
            report.refuse(self.where, "no end is left that can be said: the hold would not end")
        limit = None
        if setpoint.current_max_A is not None:
            limit = self._amount(setpoint.current_max_A, self._limit_at_half())
        return [
            Hold(setpoint.voltage_V, current, time_s, limit, where=self.where, name=self.name, every_s=self._every())
        ]

    def _scan(self, ramp: VoltageRamp) -> list[PlanItem]:
        report = self.context.report
        for end in self.step.ends:
            report.left_out(self.where, f"its end at {end}")
        if ramp.current_max_A is not None:
            report.left_out(self.where, f"its largest current, {ramp.current_max_A * 1e3:g} mA")
        scan = Scan(ramp.start_V, ramp.end_V, ramp.rate_V_s, where=self.where, name=self.name, every_s=self._every())
        return [scan]

    def _sweep(self, sweep: SweepPlan) -> list[PlanItem]:
        if sweep.bias_V is not None:
            said = f"its bias of {sweep.bias_V:g} V: the spectrum is taken as the cell stands"
            self.context.report.left_out(self.where, said)
        if sweep.bias_A:
            self.context.report.left_out(self.where, f"its bias of {sweep.bias_A * 1e3:g} mA")
        first, last = sweep.frequencies_Hz[0], sweep.frequencies_Hz[-1]
        decades = abs(math.log10(first) - math.log10(last))
        per_decade = max(1, round((len(sweep.frequencies_Hz) - 1) / decades)) if decades else 1
        volts, amperes = sweep.amplitude_rms_V, sweep.amplitude_rms_A
        return [Sweep(first, last, per_decade, volts, amperes, where=self.where, name=self.name)]

    def _every(self) -> float | None:
        rule, own = self.step.record, self.context.program.record
        if rule is None or rule == own:
            return None
        if replace(rule, every_s=own.every_s) != own:
            self.context.report.left_out(self.where, "its own recording, but for the interval")
        return None if rule.every_s == own.every_s else rule.every_s

    # --- ends

    def _ends(self) -> tuple[float | None, float | None, Amount | None]:
        """Time in s, voltage in V and current that end the step; the rest is said to be left out."""
        time_s: float | None = None
        voltage_V: float | None = None
        current_A, current = 0.0, None
        for number, end in enumerate(self.step.ends):
            condition = end.conditions[0]
            if len(end.conditions) > 1 or not self._can_be_said(condition):
                if (seconds := self._time_of_charge(end)) is not None:
                    time_s = min(time_s or math.inf, seconds)
                else:
                    self.context.report.left_out(self.where, f"its end at {end}")
                continue
            self._remark_on(end)
            match condition.quantity:
                case Quantity.TIME:
                    time_s = min(time_s or math.inf, condition.value)
                case Quantity.VOLTAGE:
                    voltage_V = self._nearer(voltage_V, condition)
                case _ if condition.value > current_A:
                    current_A, current = condition.value, self._amount(condition.value, self._end_at_half(number))
        return time_s, voltage_V, current

    def _can_be_said(self, condition: Condition) -> bool:
        step = self.step
        match condition.quantity:
            case Quantity.TIME:
                return True
            case Quantity.VOLTAGE:
                return step.kind in (Kind.CHARGE, Kind.DISCHARGE) and condition.rising is (step.kind is Kind.CHARGE)
            case Quantity.CURRENT:
                return step.kind is Kind.HOLD or step.hold_V is not None
            case _:
                return False

    def _remark_on(self, end: End) -> None:
        report = self.context.report
        if end.for_s:
            report.approximated(self.where, f"its end at {end} ends it at once")
        if end.then is not None:
            then = f"'{end.then.value}'" if isinstance(end.then, Then) else "a jump"
            report.approximated(self.where, f"the next step follows its end at {end}, instead of {then}")

    def _nearer(self, voltage_V: float | None, condition: Condition) -> float:
        if voltage_V is None:
            return condition.value
        return min(voltage_V, condition.value) if condition.rising else max(voltage_V, condition.value)

    def _time_of_charge(self, end: End) -> float | None:
        """When a constant current has passed an amount of charge, in s."""
        condition, setpoint = end.conditions[0], self.step.setpoint
        if len(end.conditions) > 1 or condition.quantity is not Quantity.CAPACITY or self.step.hold_V is not None:
            return None
        if not isinstance(setpoint, ConstantCurrent) or setpoint.current_A == 0:
            return None
        amount = self._amount(abs(setpoint.current_A), self._current_at_half())
        if amount.unit is Unit.C_RATE and not self.context.has_cell:
            self.context.report.refuse(self.where, f"its end at {end} needs a cell, so that it can be said as a time")
            return None
        self._remark_on(end)
        self.context.report.note(self.where, f"its end at {end} is said as a time at this current")
        return 3600.0 * condition.value / abs(setpoint.current_A)

    # --- currents, and what they are at half the capacity

    def _amount(self, current_A: float, at_half: float | None) -> Amount:
        capacity = self.context.program.capacity_Ah
        if at_half is None or capacity is None or math.isclose(current_A, at_half):
            if not self.context.has_cell and at_half is None:
                self.context.report.refuse(self.where, "needs a cell, so that its current is known")
            return Amount(current_A, Unit.AMPERE)
        return Amount(_tidy(current_A / capacity), Unit.C_RATE)

    def _other(self) -> Step | None:
        other = self.context.half.operations[self.index] if self.context.half is not None else None
        return other if isinstance(other, Step) else None

    def _current_at_half(self) -> float | None:
        other = self._other()
        return abs(other.setpoint.current_A) if other and isinstance(other.setpoint, ConstantCurrent) else None

    def _limit_at_half(self) -> float | None:
        other = self._other()
        return other.setpoint.current_max_A if other and isinstance(other.setpoint, ConstantVoltage) else None

    def _end_at_half(self, number: int) -> float | None:
        other = self._other()
        return other.ends[number].conditions[0].value if other and number < len(other.ends) else None


def _tidy(rate: float) -> float:
    """Without the last digits, which a capacity leaves behind that it was multiplied with and divided by."""
    hours = round(1 / rate)
    return 1 / hours if hours and math.isclose(rate * hours, 1.0, rel_tol=1e-12) else float(f"{rate:.12g}")
