import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated.cell.ocv import iron_phosphate, silicon_branches, silicon_first_lithiation


@pytest.mark.parametrize(
    ("filling", "lithiation_V", "delithiation_V"), [(0.1, 0.376, 0.737), (0.5, 0.191, 0.426), (0.9, 0.064, 0.250)]
)
def test_silicon_follows_verbrugges_branches(filling: float, lithiation_V: float, delithiation_V: float) -> None:
    assert silicon_branches(filling) == pytest.approx((lithiation_V, delithiation_V), abs=0.6e-3)


def test_silicon_reaches_both_ends_of_a_half_cells_window() -> None:
    assert silicon_branches(0.0)[0] > 2.0 and silicon_branches(0.0)[1] > 2.0
    assert silicon_branches(1.0)[0] < 0.0
    assert -0.05 < silicon_branches(1.2)[0] < 0.0 < silicon_branches(1.2)[1] < 0.05, "plating and stripping"


def test_first_lithiation_is_a_plateau_near_a_tenth_of_a_volt() -> None:
    plateau = [silicon_first_lithiation(s / 100) for s in range(25, 90)]
    assert min(plateau) > 0.07 and max(plateau) < 0.12


def test_iron_phosphate_is_flat_and_steep_at_its_ends() -> None:
    assert iron_phosphate(0.5) == pytest.approx(3.3976, abs=1e-4)
    assert iron_phosphate(0.2) - iron_phosphate(0.8) < 0.02
    assert iron_phosphate(-0.01) > 3.9 and iron_phosphate(1.01) < 2.5


fillings = st.floats(-1e6, 1e6) | st.floats(-0.05, 1.05)


@given(fillings, st.floats(0.0, 0.1))
def test_no_curve_rises_anywhere(filling: float, more: float) -> None:
    after = filling + more
    rounding = 1e-12
    for low, high in zip(silicon_branches(after), silicon_branches(filling), strict=True):
        assert low <= high + rounding
    assert silicon_first_lithiation(after) <= silicon_first_lithiation(filling) + rounding
    assert iron_phosphate(after) <= iron_phosphate(filling) + rounding


@given(fillings)
def test_curves_are_numbers_and_delithiation_lies_above_lithiation(filling: float) -> None:
    lithiation, delithiation = silicon_branches(filling)
    assert math.isfinite(lithiation) and math.isfinite(delithiation) and lithiation < delithiation
    assert silicon_first_lithiation(filling) < delithiation
