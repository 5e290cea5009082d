"""What the source is to do for a step, as the time and the voltage go on."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from protocols.program import (
    ChamberTemperature,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    CurrentProfile,
    MeasuredRate,
    Program,
    Question,
    StackPressure,
    Step,
    SweepPlan,
    VoltageRamp,
)
from station.commands import (
    Ask,
    Command,
    HoldCurrent,
    HoldVoltage,
    MeasureImpedance,
    Rest,
    SetStackPressure,
    SetTemperature,
)
from station.sequencer.conditions import GRACE_S
from station.sequencer.plan import Plan, plan_of
from station.sequencer.state import State

CURRENT_DEADBAND = 1e-3
"""Constant power and resistance: a current is set anew where it is off by more than this share."""


class CannotBeSet(Exception):
    """A set point that is known only as the run goes on turns out to be none; says why."""


def drive(program: Program, state: State) -> Command:
    """The command that carries out the present step, as it stands."""
    plan = plan_of(program, state)
    step = plan.step
    if isinstance(step.setpoint, SweepPlan):
        return MeasureImpedance(step.setpoint)
    if state.holding and step.hold_V is not None and state.set_A is not None:
        return HoldVoltage(step.hold_V, abs(state.set_A))
    if state.set_A:
        return HoldCurrent(state.set_A, plan.until_V)
    if state.set_V is not None and isinstance(step.setpoint, ConstantVoltage | VoltageRamp):
        return HoldVoltage(state.set_V, step.setpoint.current_max_A)
    return Rest()


def drive_all(program: Program, state: State) -> tuple[Command, ...]:
    """The source's command, and what goes to others at the beginning of the step or after an interruption."""
    source = drive(program, state)
    match plan_of(program, state).step.setpoint:
        case ChamberTemperature(temperature_degC):
            return source, SetTemperature(temperature_degC)
        case StackPressure(pressure_Pa):
            return source, SetStackPressure(pressure_Pa)
        case Question(text):
            return source, Ask(text)
        case _:
            return (source,)


def settle(program: Program, plan: Plan, state: State) -> bool:
    """Bring the set point up to the latest sample; whether it changed.

    While a voltage is needed and none is known yet, there is no set point, and the cell rests. Raises `CannotBeSet`.
    """
    before = state.set_A, state.set_V
    match plan.step.setpoint:
        case ConstantCurrent(current_A):
            state.set_A = current_A
        case MeasuredRate() as rate:
            state.set_A = _measured_current_A(program, state, rate)
        case ConstantPower(power_W):
            state.set_A = _kept(state.set_A, _current_for_power_A(power_W, state))
        case ConstantResistance(resistance_ohm):
            voltage_V = _latest_V(state)
            state.set_A = None if voltage_V is None else _kept(state.set_A, -voltage_V / resistance_ohm)
        case CurrentProfile(times_s, currents_A):
            index = bisect.bisect_right(times_s, _clock_s(state) + GRACE_S) - 1
            state.set_A = currents_A[index] if index >= 0 else None
        case ConstantVoltage(voltage_V, above_rest=above_rest):
            state.set_V = voltage_V if not above_rest else _above_origin_V(voltage_V, state)
        case VoltageRamp() as ramp:
            _climb(ramp, state)
        case _:
            pass
    if state.set_A is not None and not abs(state.set_A) < program.current_max_A:
        limit_mA = program.current_max_A * 1e3
        raise CannotBeSet(f"a current of {state.set_A * 1e3:.6g} mA would meet the limit of {limit_mA:.6g} mA")
    return (state.set_A, state.set_V) != before


def _clock_s(state: State) -> float:
    return state.step_time_s - state.delay_s


def _latest_V(state: State) -> float | None:
    return state.latest.voltage_V if state.latest is not None else None


def _origin_V(state: State) -> float | None:
    """The voltage at the step's beginning; where none was known yet, the set point begins with the first one."""
    if state.origin_V is None and state.latest is not None:
        state.origin_V = state.latest.voltage_V
        state.delay_s = state.step_time_s
    return state.origin_V


def _above_origin_V(voltage_V: float, state: State) -> float | None:
    origin_V = _origin_V(state)
    return None if origin_V is None else origin_V + voltage_V


def _measured_current_A(program: Program, state: State, rate: MeasuredRate) -> float:
    charge_Ah = state.measured_Ah[program.measured_steps.index(rate.of_step)]
    step = program.operations[rate.of_step]
    name = step.name if isinstance(step, Step) else f"operation {rate.of_step}"
    if charge_Ah is None:
        raise CannotBeSet(f"its rate refers to step {name}, which was not executed")
    if not charge_Ah:
        raise CannotBeSet(f"its rate refers to step {name}, which passed no charge")
    return rate.per_hour * charge_Ah


def _current_for_power_A(power_W: float, state: State) -> float | None:
    voltage_V = _latest_V(state)
    if voltage_V is None:
        return None
    if voltage_V <= 0:
        raise CannotBeSet(f"no current gives {power_W * 1e3:.6g} mW at {voltage_V:.6g} V")
    return power_W / voltage_V


def _kept(set_A: float | None, wanted_A: float | None) -> float | None:
    """The current that is set, while it is near enough to the wanted one."""
    if set_A is None or wanted_A is None:
        return wanted_A
    return set_A if abs(wanted_A - set_A) <= CURRENT_DEADBAND * abs(wanted_A) else wanted_A


# --- ramps of voltage


@dataclass(frozen=True, slots=True)
class Stairs:
    """Of a ramp: the first one is its start, the last one its end."""

    start_V: float
    end_V: float
    height_V: float  # signed
    each_s: float
    last: int  # counted from 0

    @classmethod
    def of(cls, ramp: VoltageRamp, start_V: float) -> Stairs:
        span_V = ramp.end_V - start_V
        last = math.ceil(abs(span_V) / ramp.stair_V - 1e-9)
        return cls(start_V, ramp.end_V, math.copysign(ramp.stair_V, span_V), ramp.stair_V / ramp.rate_V_s, last)

    def voltage_V(self, stair: int) -> float:
        return self.end_V if stair >= self.last else self.start_V + stair * self.height_V

    def at(self, clock_s: float) -> int:
        return max(0, min(self.last, int((clock_s + GRACE_S) / self.each_s)))


def stairs(ramp: VoltageRamp, state: State) -> Stairs | None:
    """None while the voltage that the ramp begins at is not known."""
    start_V = ramp.start_V if ramp.start_V is not None else _origin_V(state)
    return None if start_V is None else Stairs.of(ramp, start_V)


def _climb(ramp: VoltageRamp, state: State) -> None:
    flight = stairs(ramp, state)
    if flight is None:
        return
    stair = flight.at(_clock_s(state))
    if state.set_V is None or stair > state.stair:
        state.stair, state.stair_began_s = stair, _clock_s(state)
        state.set_V = flight.voltage_V(stair)


def done(plan: Plan, state: State) -> str | None:
    """Why a step ends by itself, where its set point has come to an end."""
    ramp = plan.step.setpoint
    if not isinstance(ramp, VoltageRamp) or state.set_V is None or (flight := stairs(ramp, state)) is None:
        return None
    held_s = _clock_s(state) - state.stair_began_s
    return f"reached {ramp.end_V:g} V" if state.stair == flight.last and held_s >= flight.each_s - GRACE_S else None


def currents_around(profile: CurrentProfile, state: State, within_s: float) -> tuple[float, ...]:
    """Those that the profile sets from so long ago until so long ahead."""
    first = bisect.bisect_right(profile.times_s, _clock_s(state) - within_s) - 1
    return profile.currents_A[max(0, first) : bisect.bisect_right(profile.times_s, _clock_s(state) + within_s)]


def next_change_s(plan: Plan, state: State) -> float:
    """When the set point changes by its clock, by the step's clock; infinite where it does not."""
    match plan.step.setpoint:
        case CurrentProfile(times_s):
            index = bisect.bisect_right(times_s, _clock_s(state) + GRACE_S)
            return state.delay_s + times_s[index] if index < len(times_s) else math.inf
        case VoltageRamp() as ramp if state.set_V is not None and (flight := stairs(ramp, state)) is not None:
            if state.stair < flight.last:
                return state.delay_s + (state.stair + 1) * flight.each_s
            return state.delay_s + state.stair_began_s + flight.each_s
        case _:
            return math.inf
