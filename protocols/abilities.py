"""What one channel can do, and what of a program is beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.checks import in_order, problem_at
from protocols.document import Problem
from protocols.program import (
    ConstantCurrent,
    ConstantVoltage,
    CurrentProfile,
    Kind,
    Program,
    Quantity,
    RecordRule,
    Step,
    SweepPlan,
    VoltageRamp,
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is known of a channel; None is unknown, and nothing is said of it. Ranges are (lowest, highest)."""

    shortest_period_s: float | None = None
    current_range_A: tuple[float, float] | None = None
    voltage_range_V: tuple[float, float] | None = None
    frequency_range_Hz: tuple[float, float] | None = None
    has_impedance: bool | None = None
    has_galvanostatic_impedance: bool | None = None
    has_pressure: bool | None = None
    has_temperature: bool | None = None
    has_chamber: bool | None = None
    has_frame: bool | None = None
    has_procedures: bool | None = None


def check_channel(program: Program, abilities: Abilities) -> tuple[Problem, ...]:
    """Steps that the channel cannot carry out, as far as it is known without asking its instruments."""
    found: list[Problem] = [Problem(program.file, 1, 1, said) for said in _beyond_program(program, abilities)]
    for step in program.steps():
        found += [problem_at(step, said) for said in _beyond_abilities(step, abilities)]
    return in_order(found)


def _beyond_program(program: Program, abilities: Abilities) -> Iterator[str]:
    yield from _too_fast(program.record, abilities)
    if program.limits.watches_pressure() and abilities.has_pressure is False:
        yield "a limit of pressure is set, and the channel has no pressure sensor; bind one, or leave out the limit"
    if program.limits.watches_temperature() and abilities.has_temperature is False:
        yield "a limit of temperature is set, and the channel has no thermometer; bind one, or leave out the limit"


def _beyond_abilities(step: Step, abilities: Abilities) -> Iterator[str]:
    if step.record is not None:
        yield from _too_fast(step.record, abilities)
    yield from _missing_instruments(step, abilities)
    for current_A in stated_currents_A(step):
        yield from _outside(current_A, abilities.current_range_A, 1e3, "mA", "current")
    for voltage_V in (*stated_voltages_V(step), *_sweep_voltages_V(step)):
        yield from _outside(voltage_V, abilities.voltage_range_V, 1.0, "V", "voltage")
    if isinstance(step.setpoint, SweepPlan):
        for frequency_Hz in (min(step.setpoint.frequencies_Hz), max(step.setpoint.frequencies_Hz)):
            yield from _outside(frequency_Hz, abilities.frequency_range_Hz, 1.0, "Hz", "frequency")


def _too_fast(rule: RecordRule, abilities: Abilities) -> Iterator[str]:
    shortest = abilities.shortest_period_s
    for every_s in (rule.every_s, rule.burst_every_s):
        if shortest is not None and every_s is not None and every_s < shortest:
            yield (
                f"a sample each {every_s:g} s is more than the channel can take; "
                f"it takes one each {shortest:g} s: record 'every: {shortest:g} s' or more slowly"
            )


def _missing_instruments(step: Step, abilities: Abilities) -> Iterator[str]:
    measured = {c.quantity for end in step.ends for c in end.conditions}
    if isinstance(step.setpoint, SweepPlan):
        if abilities.has_impedance is False:
            yield "the channel has no impedance instrument; bind one ('impedance' in station.toml), or leave it out"
        elif step.setpoint.amplitude_rms_A is not None and abilities.has_galvanostatic_impedance is False:
            yield "the channel's impedance instrument drives no current (GEIS); give an amplitude in mV"
    if step.kind is Kind.TEMPERATURE and abilities.has_chamber is False:
        yield "the channel has no chamber to set; bind one, or ask for it with a 'prompt'"
    if step.kind is Kind.STACK_PRESSURE and abilities.has_frame is False:
        yield "the channel has no driven frame to set; bind one, or ask for it with a 'prompt'"
    if step.kind is Kind.PROCEDURE and abilities.has_procedures is False:
        yield "the channel has no cycler that runs stored procedures; write the steps themselves"
    pressures = (Quantity.PRESSURE, Quantity.PRESSURE_CHANGE, Quantity.PRESSURE_SLOPE)
    if measured.intersection(pressures) and abilities.has_pressure is False and step.kind is not Kind.STACK_PRESSURE:
        yield "the channel has no pressure sensor for this end; bind one ('sensor' in station.toml), or end by a time"
    if Quantity.TEMPERATURE in measured and abilities.has_temperature is False and step.kind is not Kind.TEMPERATURE:
        yield "the channel has no thermometer for this end; bind one, or end by a time"


def stated_currents_A(step: Step) -> Iterator[float]:
    """Signed, as far as they are known beforehand: of what depends on the cell, the sequencer keeps below the limit."""
    match step.setpoint:
        case ConstantCurrent(current_A):
            yield current_A
        case CurrentProfile(_, currents_A):
            yield from (min(currents_A), max(currents_A))
        case SweepPlan(amplitude_rms_A=float() as amplitude_A, bias_A=bias_A):
            peak_A = math.sqrt(2.0) * amplitude_A
            yield from (bias_A - peak_A, bias_A + peak_A)


def stated_voltages_V(step: Step) -> Iterator[float]:
    """That the step ends at, holds or ramps between; without those of an impedance sweep."""
    yield from (c.value for end in step.ends for c in end.conditions if c.quantity is Quantity.VOLTAGE)
    if step.hold_V is not None:
        yield step.hold_V
    match step.setpoint:
        case ConstantVoltage(voltage_V, above_rest=False):
            yield voltage_V
        case VoltageRamp(start_V, end_V):
            yield from (end_V,) if start_V is None else (end_V, start_V)


def _sweep_voltages_V(step: Step) -> Iterator[float]:
    match step.setpoint:
        case SweepPlan(amplitude_rms_V=float() as amplitude_V, bias_V=float() as bias_V):
            peak_V = math.sqrt(2.0) * amplitude_V
            yield from (bias_V - peak_V, bias_V + peak_V)


def _outside(value: float, within: tuple[float, float] | None, scale: float, unit: str, name: str) -> Iterator[str]:
    if within is not None and not within[0] <= value <= within[1]:
        low, high = within[0] * scale, within[1] * scale
        yield f"a {name} of {value * scale:.6g} {unit} is outside the instrument's {low:.6g} to {high:.6g} {unit}"
