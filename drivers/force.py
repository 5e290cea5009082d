"""What force gauges have in common: units, and when a number is no force any more."""

from __future__ import annotations

import math

from drivers.interface import NoReading

STANDARD_GRAVITY_m_s2 = 9.80665
NEWTONS = {
    "N": 1.0,
    "kN": 1e3,
    "mN": 1e-3,
    "gf": 9.80665e-3,
    "kgf": 9.80665,
    "lbf": 4.4482216152605,
}
"""Each unit of force in N."""
KILOGRAMS = {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1e3, "lb": 0.45359237, "oz": 0.028349523125}
"""Each unit of mass in kg, as balances write it."""
OVERLOAD_FACTOR = 1.5  # of the cell's capacity: beyond it the number means nothing


def within_capacity(force_N: float, capacity_N: float) -> float | NoReading:
    """The force, or overload where it is beyond what the load cell can mean."""
    return force_N if abs(force_N) <= OVERLOAD_FACTOR * capacity_N else NoReading.OVERLOAD


def faults_of_scale(capacity_N: float, scale: float, offset: float) -> list[str]:
    """What is wrong with these settings, in words."""
    faults = {
        f"capacity_N {capacity_N}: a force above 0": not 0 < capacity_N < math.inf,
        f"scale {scale}: a number, not 0": not math.isfinite(scale) or scale == 0,
        f"offset {offset}: a number": not math.isfinite(offset),
    }
    return [fault for fault, wrong in faults.items() if wrong]
