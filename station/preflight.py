"""Where a program would meet a limit in force, found before a cell is touched."""

from __future__ import annotations

from protocols.abilities import stated_currents_A, stated_voltages_V
from protocols.document import Problem
from protocols.limits import Limits
from protocols.program import (
    ChamberTemperature,
    Marker,
    Program,
    StackPressure,
    Step,
)


def wants_trigger(program: Program) -> bool:
    """Whether a marker asks for a pulse on the channel's trigger line."""
    rules = (*program.markers, *(rule for step in program.steps() for rule in step.markers))
    passed = (operation for operation in program.operations if isinstance(operation, Marker))
    return any(rule.trigger for rule in rules) or any(marker.trigger for marker in passed)


# --- limits


def beyond_limits(program: Program, limits: Limits) -> tuple[Problem, ...]:
    """Steps that would meet a limit in force, of station or channel too: each would trip."""
    return tuple(
        Problem(step.file, step.line, step.column, f"step '{step.name}': {said}")
        for step in program.steps()
        if (said := _beyond(step, limits))
    )


def _beyond(step: Step, limits: Limits) -> str | None:
    if (current_A := max(map(abs, stated_currents_A(step)), default=0.0)) >= limits.current_max_A:
        return f"{current_A * 1e3:.4g} mA is not below the limit in force, {limits.current_max_A * 1e3:.4g} mA"
    for voltage_V in stated_voltages_V(step):
        if said := _outside(voltage_V, limits.voltage_min_V, limits.voltage_max_V, 1.0, "V"):
            return said
    match step.setpoint:
        case ChamberTemperature(degC):
            return _outside(degC, limits.temperature_min_degC, limits.temperature_max_degC, 1.0, "°C")
        case StackPressure(pascals):
            return _outside(pascals, limits.pressure_min_Pa, limits.pressure_max_Pa, 1e-3, "kPa")
    return None


def _outside(value: float, low: float, high: float, scale: float, unit: str) -> str | None:
    if low < value < high:
        return None
    between = f"{low * scale:g} {unit} and {high * scale:g} {unit}"
    return f"{value * scale:g} {unit} is not between the limits in force, {between}"
