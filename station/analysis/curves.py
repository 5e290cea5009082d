"""Curves of one half-cycle, and their derivatives: dQ/dV, dV/dQ, dP/dQ, dP/dV.

A derivative is made of differences over an even grid, then smoothed by a Savitzky–Golay kernel that is reflected at the
ends: it neither makes nor loses anything, so that the integral of dQ/dV is the charge, and that of dV/dQ the change of
voltage, to rounding. Where the grid is one of voltage, voltage is made monotone by isotonic regression before. What
passes in a closing hold at constant voltage has no place in dQ/dV and is left out.

Bloom et al., J. Power Sources 139 (2005) 295 (dV/dQ); Savitzky and Golay, Anal. Chem. 36 (1964) 1627; level counting:
Feng et al., eTransportation 3 (2020) 100051 (LEAN).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import convolve1d
from scipy.optimize import isotonic_regression
from scipy.signal import savgol_coeffs

from station.analysis.errors import AnalysisError
from station.analysis.flow import Direction, flow_of_rows, resting_A
from station.analysis.halfcycles import HalfCycle, half_cycles
from station.analysis.record import Floats, Record, as_record

if TYPE_CHECKING:
    import pandas as pd

STEP_V = 2e-3
GRID = 500
"""Steps of a grid over capacity."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """A Savitzky–Golay kernel of `window` grid steps (odd) and a polynomial of `order`."""

    window: int = 9
    order: int = 2

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0 or (self.window > 1 and not 0 <= self.order < self.window):
            raise AnalysisError(
                f"a window of {self.window} grid steps with a polynomial of order {self.order} cannot smooth; "
                "the window is an odd number above the order"
            )

    def kernel(self) -> Floats:
        if self.window == 1:
            return np.ones(1)
        return np.asarray(savgol_coeffs(self.window, self.order), dtype=np.float64)


SMOOTH = Smoothing()
NONE = Smoothing(1, 0)


@dataclass(frozen=True, slots=True, eq=False)
class HalfCurve:
    """Rows with current, in the order taken; capacity counts from 0 in either direction."""

    cycle: int
    direction: Direction
    time_s: Floats
    capacity_Ah: Floats
    voltage_V: Floats
    pressure_Pa: Floats | None = None
    pressure_U_Pa: Floats | None = None  # expanded, k = 2


@dataclass(frozen=True, slots=True, eq=False)
class Derivative:
    """dy/dx at the centres of an even grid of rising x.

    `u` is the standard uncertainty of a value by the scatter about the smooth curve; None where nothing was smoothed.
    """

    what: str  # 'dQ/dV'
    cycle: int
    direction: Direction
    x: Floats
    dydx: Floats
    step: float
    smoothing: str
    u: float | None

    @property
    def integral(self) -> float:
        """∫(dy/dx)dx over rising x."""
        return float(self.dydx.sum() * self.step)


def half_curves(
    data: Record | pd.DataFrame,
    halves: Sequence[HalfCycle] | None = None,
    *,
    rest_current_A: float | None = None,
    hold: bool = False,
) -> Iterator[HalfCurve]:
    """The curves of these half-cycles of the record, all by default; with its closing hold where asked for."""
    record = as_record(data)
    rest_A = resting_A(record, rest_current_A)
    for half in half_cycles(record, rest_current_A=rest_A) if halves is None else halves:
        yield _half_curve(record, half, rest_A, hold)


def _half_curve(record: Record, half: HalfCycle, rest_A: float, hold: bool) -> HalfCurve:
    sign = half.direction.sign
    passed = flow_of_rows(record, half.first_row, half.end_row, rest_A)
    part = record.rows(half.first_row, half.end_row)
    charge_Ah = np.where(passed.direction == sign, sign * passed.charge_Ah, 0.0)
    charge_Ah[0] = charge_Ah[0] if _begins_a_step(record, half.first_row) else 0.0
    capacity_Ah = np.cumsum(charge_Ah)
    on = sign * part.current_A > rest_A
    if not hold:
        on &= capacity_Ah <= half.capacity_Ah - half.hold_capacity_Ah + 1e-9 * half.capacity_Ah
    return HalfCurve(
        half.cycle,
        half.direction,
        part.time_s[on],
        capacity_Ah[on],
        part.voltage_V[on],
        None if part.pressure_Pa is None else part.pressure_Pa[on],
        None if part.pressure_U_Pa is None else part.pressure_U_Pa[on],
    )


def _begins_a_step(record: Record, row: int) -> bool:
    """What passed until this row is then of the same step."""
    return (
        record.integrated and record.step is not None and (row == 0 or bool(record.step[row - 1] != record.step[row]))
    )


# --- derivatives


def dqdv(curve: HalfCurve, step_V: float | None = None, smoothing: Smoothing = SMOOTH) -> Derivative:
    """dQ/dV in Ah V⁻¹ over voltage: positive on charge, negative on discharge, where the voltage falls.

    The grid step is fitted into the range of voltage; by default it is `STEP_V`, or twice the resolution of the
    voltage where that is coarser.
    """
    volts, capacity_Ah = _monotone(curve)
    step = step_V if step_V is not None else max(STEP_V, 2 * resolution(curve.voltage_V))
    found = _derivative("dQ/dV", curve, volts, capacity_Ah, step, smoothing)
    return _by_voltage(found, curve.direction)


def dqdv_by_levels(
    curve: HalfCurve,
    level_V: float | None = None,
    smoothing: Smoothing = NONE,
) -> Derivative:
    """dQ/dV in Ah V⁻¹ by counting the charge that passed at each level of voltage (LEAN), signs as of `dqdv`.

    Each reading counts with the charge that passed around it, so that readings need not be evenly spaced. A level is
    a multiple of the voltage's resolution, by default the smallest one above 1 mV.
    """
    if level_V is None:
        least_V = resolution(curve.voltage_V)
        level_V = max(1, math.ceil(1e-3 / least_V)) * least_V if least_V > 0 else 1e-3
    if len(curve.capacity_Ah) < 3:
        raise _too_short(curve)
    passed = np.diff(curve.capacity_Ah)
    weights = np.concatenate((passed, [0.0])) / 2 + np.concatenate(([0.0], passed)) / 2
    levels = np.round(curve.voltage_V / level_V).astype(np.int64)
    lowest = int(levels.min())
    counted = np.bincount(levels - lowest, weights).astype(np.float64)
    smooth = _smooth(counted, smoothing)
    sign = curve.direction.sign
    return Derivative(
        "dQ/dV",
        curve.cycle,
        curve.direction,
        np.arange(lowest, lowest + len(counted), dtype=np.float64) * level_V,
        sign * smooth / level_V,
        level_V,
        f"charge counted at levels of {1e3 * level_V:.4g} mV{_said(smoothing)}",
        _scatter(counted, smooth, smoothing, level_V),
    )


def dvdq(curve: HalfCurve, step_Ah: float | None = None, smoothing: Smoothing = SMOOTH) -> Derivative:
    """dV/dQ in V Ah⁻¹ over capacity; negative on discharge."""
    step = step_Ah if step_Ah is not None else _range(curve.capacity_Ah) / GRID
    return _derivative("dV/dQ", curve, curve.capacity_Ah, curve.voltage_V, step, smoothing)


def dpdq(curve: HalfCurve, step_Ah: float | None = None, smoothing: Smoothing = SMOOTH) -> Derivative:
    """dP/dQ in Pa Ah⁻¹ over capacity, which counts from 0 in either direction.

    A scale error of the pressure sensor is one of the derivative: its relative uncertainty comes on top of `u`.
    """
    step = step_Ah if step_Ah is not None else _range(curve.capacity_Ah) / GRID
    curve = _with_pressure(curve)
    assert curve.pressure_Pa is not None
    return _derivative("dP/dQ", curve, curve.capacity_Ah, curve.pressure_Pa, step, smoothing)


def dpdv(curve: HalfCurve, step_V: float | None = None, smoothing: Smoothing = SMOOTH) -> Derivative:
    """dP/dV in Pa V⁻¹ over voltage, as `dqdv` is: where the voltage hardly changes, it is large and uncertain."""
    curve = _with_pressure(curve)
    assert curve.pressure_Pa is not None
    volts, _ = _monotone(curve)
    step = step_V if step_V is not None else max(STEP_V, 2 * resolution(curve.voltage_V))
    found = _derivative("dP/dV", curve, volts, curve.pressure_Pa, step, smoothing)
    return _by_voltage(found, curve.direction)


def resolution(values: Floats) -> float:
    """The smallest difference between two values, 0 where there is none: of a converter's steps."""
    levels = np.unique(values)
    differences = np.diff(levels)
    real = differences[differences > 1e-9 * max(1.0, float(np.abs(levels).max()))]
    return float(real.min()) if len(real) else 0.0


def _monotone(curve: HalfCurve) -> tuple[Floats, Floats]:
    """Voltage, made to rise (on discharge its negative), with the capacity."""
    if len(curve.voltage_V) < 3:
        raise _too_short(curve)
    rising = isotonic_regression(curve.direction.sign * curve.voltage_V).x
    return np.asarray(rising, dtype=np.float64), curve.capacity_Ah


def _by_voltage(found: Derivative, direction: Direction) -> Derivative:
    if direction is Direction.CHARGE:
        return found
    return replace(found, x=-found.x[::-1], dydx=-found.dydx[::-1])


def _derivative(what: str, curve: HalfCurve, x: Floats, y: Floats, step: float, smoothing: Smoothing) -> Derivative:
    """`x` does not fall; `step` is fitted into its range."""
    if len(x) < 3 or not x[-1] > x[0]:
        raise _too_short(curve)
    steps = max(1, round((x[-1] - x[0]) / step))
    edges = np.linspace(x[0], x[-1], steps + 1)
    width = float(x[-1] - x[0]) / steps
    differences = np.diff(np.interp(edges, x, y))
    differences += (
        y[-1] - y[0] - differences.sum()
    ) / steps  # rounding, and what a level at an end begins or ends with
    if smoothing.window > steps:
        raise AnalysisError(
            f"{what} of cycle {curve.cycle}, {curve.direction}: a window of {smoothing.window} steps is wider than the "
            f"{steps} steps of {width:.3g} there are; take smaller steps or a smaller window"
        )
    smooth = _smooth(differences, smoothing)
    return Derivative(
        what,
        curve.cycle,
        curve.direction,
        (edges[1:] + edges[:-1]) / 2,
        smooth / width,
        width,
        f"differences over steps of {width:.4g}{_said(smoothing)}",
        _scatter(differences, smooth, smoothing, width),
    )


def _smooth(values: Floats, smoothing: Smoothing) -> Floats:
    return np.asarray(convolve1d(values, smoothing.kernel(), mode="reflect"), dtype=np.float64)


def _said(smoothing: Smoothing) -> str:
    if smoothing.window == 1:
        return ", not smoothed"
    return f", Savitzky–Golay over {smoothing.window} steps, order {smoothing.order}"


def _scatter(raw: Floats, smooth: Floats, smoothing: Smoothing, width: float) -> float | None:
    """Of a smoothed value, for noise without correlation; by the median, so that peaks do not count as noise."""
    if smoothing.window == 1:
        return None
    kernel = smoothing.kernel()
    of_residual = 1 - 2 * kernel[len(kernel) // 2] + float(kernel @ kernel)
    spread = 1.4826 * float(np.median(np.abs(raw - smooth)))
    return spread * math.sqrt(float(kernel @ kernel) / of_residual) / width


def _range(values: Floats) -> float:
    return float(values[-1] - values[0]) if len(values) > 1 else 0.0


def _with_pressure(curve: HalfCurve) -> HalfCurve:
    """Only the rows that have a pressure."""
    if curve.pressure_Pa is None or not (known := np.isfinite(curve.pressure_Pa)).any():
        raise AnalysisError(f"cycle {curve.cycle}, {curve.direction}: no pressure was measured")
    return replace(
        curve,
        time_s=curve.time_s[known],
        capacity_Ah=curve.capacity_Ah[known],
        voltage_V=curve.voltage_V[known],
        pressure_Pa=curve.pressure_Pa[known],
        pressure_U_Pa=None if curve.pressure_U_Pa is None else curve.pressure_U_Pa[known],
    )


def _too_short(curve: HalfCurve) -> AnalysisError:
    return AnalysisError(
        f"cycle {curve.cycle}, {curve.direction}: {len(curve.capacity_Ah)} readings before the voltage is held, or no "
        "change between them; there is nothing to differentiate"
    )
