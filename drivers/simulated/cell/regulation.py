"""What a source makes of a cell: the current that meets a drive, its clamps and its limits."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, isnan
from typing import NamedTuple

from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit

TOLERANCE_V = 1e-10


class OperatingPoint(NamedTuple):
    current_A: float
    voltage_V: float
    limited: bool  # a clamp or the current limit holds, not the set point


def check(drive: Drive) -> None:
    """Raise `ValueError` where no source could be set like this."""
    match drive:
        case DriveCurrent(current, low, high):
            if not isfinite(current) or isnan(low) or isnan(high) or not low < high:
                raise ValueError(f"{drive}: the current must be finite and the lower clamp below the upper one")
        case DriveVoltage(voltage):
            least_A, most_A = drive.currents_A
            if not isfinite(voltage) or not least_A <= 0.0 <= most_A:
                raise ValueError(f"{drive}: the voltage must be finite and the current limit not negative")


def operate(
    drive: Drive, voltage_at: Callable[[float], float], least_slope_ohm: float, guess_A: float
) -> OperatingPoint:
    """The point on the cell's curve V(I) where `drive` leads.

    `voltage_at` gives V in V for I in A, and rises by at least `least_slope_ohm` > 0 per ampere.
    """
    match drive:
        case OpenCircuit():
            return OperatingPoint(0.0, voltage_at(0.0), False)
        case DriveCurrent(current, low, high):
            voltage = voltage_at(current)
            if low <= voltage <= high:
                return OperatingPoint(current, voltage, False)
            held = min(max(voltage, low), high)
            return OperatingPoint(current_for(held, voltage_at, least_slope_ohm, guess_A), held, True)
        case DriveVoltage(target):
            least_A, most_A = drive.currents_A
            current = current_for(target, voltage_at, least_slope_ohm, guess_A)
            if least_A <= current <= most_A:
                return OperatingPoint(current, target, False)
            current = min(max(current, least_A), most_A)
            return OperatingPoint(current, voltage_at(current), True)


def current_for(target_V: float, voltage_at: Callable[[float], float], least_slope_ohm: float, guess_A: float) -> float:
    """The current at which a rising V(I) meets `target_V`: false position (Illinois) in a sure bracket."""
    a, error_a = guess_A, voltage_at(guess_A) - target_V
    if abs(error_a) < TOLERANCE_V:
        return a
    reach = -error_a / least_slope_ohm
    b, error_b = a + reach, voltage_at(a + reach) - target_V
    while error_a * error_b > 0.0:  # only where rounding, or silicon's activation, spoils the slope
        reach *= 2.0
        b, error_b = a + reach, voltage_at(a + reach) - target_V
    for _ in range(100):
        if abs(error_b) < TOLERANCE_V or a == b:
            break
        c = b - error_b * (b - a) / (error_b - error_a)
        error_c = voltage_at(c) - target_V
        if error_c * error_b < 0.0:
            a, error_a = b, error_b
        else:
            error_a *= 0.5
        b, error_b = c, error_c
    return b
