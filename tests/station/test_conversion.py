"""From resistance to pressure in a cell: creep since assembly, temperature, the ends of the range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest import approx

from calibration.data import TemperatureCoefficient
from station.conversion import LONGEST_BEFORE_A_RUN_S, Conversion, Mark, marks
from tests.calibration_records import made_record

MINUTE, DAY = 60.0, 86400.0
COEFFICIENT = TemperatureCoefficient(per_K=-0.003, standard_uncertainty_per_K=0.0005, reference_degC=25.0)
CREEPING = made_record(creep_per_decade=0.03, creep_u=0.002, dwell_s=MINUTE, temperature=COEFFICIENT)
BEGAN = 1e9


def test_creep_is_corrected_since_the_assembly() -> None:
    """A day is 3.16 decades after the calibration's minute: the conductance has risen by 0.03 of each."""
    decades = math.log10(DAY / MINUTE)
    true_ohm = 2e5  # 50 N on 1 cm²: 500 kPa
    crept_ohm = true_ohm / (1 + 0.03 * decades)
    pressed = Conversion(CREEPING, assembled=BEGAN - DAY, began=BEGAN).pressed(BEGAN, crept_ohm)
    assert pressed.pressure_Pa == approx(500e3, rel=1e-9)
    assert pressed.calibration == "mfsr-1 v1"
    # U: 0.1 of the table, and twice the slope's standard uncertainty times the decades (b = 1)
    assert pressed.pressure_U_Pa == approx(500e3 * math.hypot(0.1, 2 * 0.002 * decades), rel=1e-6)


def test_without_the_assembly_the_pressure_is_less_certain_by_what_is_not_known() -> None:
    known = Conversion(CREEPING, assembled=BEGAN, began=BEGAN).pressed(BEGAN + 3600, 2e5)
    unknown = Conversion(CREEPING, began=BEGAN).pressed(BEGAN + 3600, 2e5)
    assert known.pressure_U_Pa is not None and unknown.pressure_U_Pa is not None
    least, most = math.log10(3600 / MINUTE), math.log10((3600 + LONGEST_BEFORE_A_RUN_S) / MINUTE)
    middle, half = (least + most) / 2, (most - least) / 2
    assert unknown.pressure_Pa == approx(500e3 / (1 + 0.03 * middle), rel=1e-9)
    extra = math.hypot(0.002 * middle, 0.03 * half / math.sqrt(3))
    assert unknown.pressure_U_Pa / unknown.pressure_Pa == approx(math.hypot(0.1, 2 * extra), rel=1e-6)
    assert unknown.pressure_U_Pa > known.pressure_U_Pa


def test_a_reading_before_the_assembly_is_taken_at_it() -> None:
    early = Conversion(CREEPING, assembled=BEGAN).pressed(BEGAN - DAY, 2e5)
    assert early.pressure_Pa == Conversion(CREEPING, assembled=BEGAN).pressed(BEGAN, 2e5).pressure_Pa


def test_temperature_is_corrected_where_it_is_known() -> None:
    conversion = Conversion(CREEPING, assembled=BEGAN - MINUTE)
    warm = conversion.pressed(BEGAN, 2e5 * math.exp(-0.003 * 20), 45.0)
    assert warm.pressure_Pa == approx(500e3, rel=1e-9)
    assert warm.pressure_U_Pa == approx(500e3 * math.hypot(0.1, 2 * 0.0005 * 20), rel=1e-6)
    assert conversion.pressed(BEGAN, 2e5, None).pressure_Pa == approx(500e3, rel=1e-9)


@pytest.mark.parametrize(
    ("force_N", "mark", "known"),
    [
        (8.9, Mark.BELOW, False),
        (9.5, Mark.AT_END, True),
        (10.001, None, True),
        (99.999, None, True),
        (109.0, Mark.AT_END, True),
        (112.0, Mark.ABOVE, False),
    ],
)
def test_what_lies_beyond_the_range_is_marked(force_N: float, mark: Mark | None, known: bool) -> None:
    pressed = Conversion(made_record()).pressed(0.0, 1e7 / force_N)
    assert pressed.mark == mark
    assert (pressed.pressure_Pa is not None, pressed.calibration is not None) == (known, known)
    assert pressed.resistance_ohm == approx(1e7 / force_N)


def test_many_at_once_are_what_they_are_one_by_one() -> None:
    conversion = Conversion(CREEPING, began=BEGAN)
    time = BEGAN + np.geomspace(1.0, 1e6, 40)
    ohm = np.geomspace(5e4, 5e6, 40)
    ohm[7] = np.nan
    degC = np.where(np.arange(40) % 3 == 0, np.nan, 30.0)
    found = conversion.pressures(time, ohm, degC)
    words = marks(found.place)
    for row in range(40):
        if np.isnan(ohm[row]):
            assert np.isnan(found.value_Pa[row]) and words[row] is None
            continue
        one = conversion.pressed(time[row], ohm[row], None if np.isnan(degC[row]) else float(degC[row]))
        assert words[row] == one.mark
        value = math.nan if one.pressure_Pa is None else one.pressure_Pa
        assert found.value_Pa[row] == approx(value, rel=1e-12, nan_ok=True)
    past = [(float(t), None if np.isnan(r) else float(r), None) for t, r in zip(time, ohm, strict=True)]
    again = conversion.again(past)
    assert [one.time for one in again] == time.tolist()
    assert again[7].resistance_ohm is None and again[7].pressure_Pa is None
    assert again[20].pressure_Pa == approx(conversion.pressed(time[20], ohm[20]).pressure_Pa)


def test_without_a_calibration_there_is_no_pressure() -> None:
    assert Conversion().pressed(1.0, 2e5).pressure_Pa is None
    assert Conversion().again([(1.0, 2e5, None)])[0].resistance_ohm == 2e5
    with pytest.raises(ValueError, match="no calibration"):
        Conversion().pressures(np.zeros(1), np.ones(1), np.zeros(1))
