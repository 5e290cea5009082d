"""Derivatives whose integrals and peaks are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.curves import NONE, Smoothing, dpdq, dpdv, dqdv, dqdv_by_levels, dvdq, half_curves
from station.analysis.errors import AnalysisError
from station.analysis.flow import Direction
from station.analysis.halfcycles import half_cycles
from station.analysis.peaks import peaks, track_peaks
from station.analysis.record import Record, record
from tests.station.analysis.records import ideal_cell

TOTAL_AH = 2e-3
STEPS_V = ((3.2, 0.015, 0.6), (3.5, 0.03, 0.4))  # where, how wide, share of the capacity


def two_plateaus(shift_V: float = 0.0, noise_V: float = 0.0, resolution_V: float = 0.0, rows: int = 4000) -> Record:
    """A charge at 1 mA and the discharge back; Q(V) is a sum of two steps (logistic) of known place and size."""
    level_V = np.linspace(2.9, 3.8, 20001)
    passed = sum(share / (1 + np.exp(-(level_V - at - shift_V) / width)) for at, width, share in STEPS_V)
    passed = (passed - passed[0]) / (passed[-1] - passed[0]) * TOTAL_AH
    seconds = TOTAL_AH * 3600 / 1e-3
    time_s = np.linspace(0, seconds, rows)
    up_V = np.interp(time_s * 1e-3 / 3600, passed, level_V)
    volts = np.concatenate((up_V, up_V[::-1]))
    volts = volts + np.random.default_rng(3).normal(0.0, noise_V, len(volts)) if noise_V else volts
    volts = np.round(volts / resolution_V) * resolution_V if resolution_V else volts
    amperes = np.repeat([1e-3, -1e-3], rows)
    pressure = 3e5 + 1e5 * np.concatenate((time_s, time_s[::-1])) / seconds
    return record(np.concatenate((time_s, time_s + seconds)), volts, amperes, pressure_Pa=pressure)


@given(
    st.sampled_from([0.0, 1e-4, 1e-3]),
    st.sampled_from([0.0, 3e-4, 1e-3]),
    st.sampled_from([1e-3, 2e-3, 5e-3, 0.0123]),
    st.sampled_from([NONE, Smoothing(), Smoothing(21, 3)]),
)
@settings(max_examples=30, deadline=None)
def test_the_integral_is_the_charge(noise_V: float, resolution_V: float, step_V: float, smoothing: Smoothing) -> None:
    data = two_plateaus(noise_V=noise_V, resolution_V=resolution_V)
    for curve, half in zip(half_curves(data), half_cycles(data), strict=True):
        sign = half.direction.sign
        assert dqdv(curve, step_V, smoothing).integral == pytest.approx(sign * half.capacity_Ah, rel=1e-9)
        assert dqdv_by_levels(curve, step_V, smoothing).integral == pytest.approx(sign * half.capacity_Ah, rel=1e-9)
        change_V = curve.voltage_V[-1] - curve.voltage_V[0]
        assert dvdq(curve, smoothing=smoothing).integral == pytest.approx(change_V, rel=1e-9, abs=1e-12)


def test_a_hold_has_no_place_in_a_derivative_by_voltage() -> None:
    data = ideal_cell(1, hold_s=1200.0)
    charge = half_cycles(data)[0]
    curve = next(half_curves(data))
    constant_Ah = charge.capacity_Ah - charge.hold_capacity_Ah
    assert dqdv(curve).integral == pytest.approx(constant_Ah, rel=1e-6)
    with_hold = next(half_curves(data, hold=True))
    assert with_hold.capacity_Ah[-1] == pytest.approx(charge.capacity_Ah, rel=1e-9)


def test_the_slope_of_an_ideal_cell() -> None:
    for curve in half_curves(ideal_cell(1)):
        sign = curve.direction.sign
        assert dqdv(curve).dydx == pytest.approx(sign * 2e-3, rel=1e-6)  # 1 V for 2 mAh
        assert dvdq(curve).dydx == pytest.approx(sign * 500.0, rel=1e-6)


@pytest.mark.parametrize("resolution_V", [0.0, 3e-4])
def test_peaks_stand_where_the_plateaus_are(resolution_V: float) -> None:
    data = two_plateaus(noise_V=2e-4, resolution_V=resolution_V)
    for curve in half_curves(data):
        for found in (dqdv(curve, 2e-3, Smoothing(21, 3)), dqdv_by_levels(curve, 3e-3, Smoothing(15, 3))):
            at = peaks(found, prominence=0.2)
            assert [peak.position for peak in at] == pytest.approx([3.2, 3.5], abs=3e-3)
            heights = [share * TOTAL_AH / (4 * width) for _, width, share in STEPS_V]
            expected = [curve.direction.sign * height for height in heights]
            assert [peak.height for peak in at] == pytest.approx(expected, rel=0.05)


def test_the_stated_uncertainty_is_the_scatter() -> None:
    clean = dqdv(next(half_curves(two_plateaus(rows=20000))), 4e-3)
    errors, stated = [], []
    noisy = dqdv(next(half_curves(two_plateaus(noise_V=3e-3, rows=20000))), 4e-3)
    errors = noisy.dydx - np.interp(noisy.x, clean.x, clean.dydx)
    stated = noisy.u
    assert stated is not None
    assert 0.3 < float(np.median(np.abs(errors))) / (0.67 * stated) < 3


def test_peaks_are_followed_over_cycles() -> None:
    curves = []
    for cycle in range(8):
        curve = next(half_curves(two_plateaus(shift_V=4e-3 * cycle)))
        found = dqdv(curve)
        curves.append(type(found)(**{**{n: getattr(found, n) for n in found.__slots__}, "cycle": cycle + 1}))
    low, high = track_peaks(curves, within=0.03, prominence=0.2)
    assert [peak.cycle for peak in low.peaks] == list(range(1, 9))
    moved = [peak.position for peak in high.peaks]
    assert np.polyfit(range(8), moved, 1)[0] == pytest.approx(4e-3, rel=0.05)


def test_pressure_over_capacity_and_voltage() -> None:
    charge, discharge = half_curves(two_plateaus())
    assert charge.direction is Direction.CHARGE
    assert dpdq(charge).dydx == pytest.approx(1e5 / TOTAL_AH, rel=1e-6)
    assert dpdq(discharge).dydx == pytest.approx(-1e5 / TOTAL_AH, rel=1e-6)
    assert dpdv(charge).integral == pytest.approx(1e5, rel=1e-6)
    assert dpdv(discharge).integral == pytest.approx(1e5, rel=1e-6)  # over rising voltage
    by_voltage = dpdv(charge, 2e-3)
    at = int(np.argmax(by_voltage.dydx))
    assert by_voltage.x[at] == pytest.approx(3.2, abs=5e-3)


def test_what_cannot_be_differentiated_says_why() -> None:
    curve = next(half_curves(ideal_cell(1)))
    with pytest.raises(AnalysisError, match="odd number above the order"):
        Smoothing(8, 2)
    with pytest.raises(AnalysisError, match=r"window of 9 steps is wider than the 2 steps"):
        dqdv(curve, step_V=0.5)
    with pytest.raises(AnalysisError, match="cycle 1, charge: no pressure was measured"):
        dpdq(curve)
    flat = record([0, 1, 2, 3], [3, 3, 3, 3], [1e-3] * 4)
    with pytest.raises(AnalysisError, match="nothing to differentiate"):
        dqdv(next(half_curves(flat)))
