"""What is said of a pressure sensor before a run."""

from __future__ import annotations

import datetime

import pytest

from calibration.data import TemperatureCoefficient
from calibration.record import Calibration
from station import cautions
from station.conversion import Conversion
from tests.calibration_records import made_record

NEW_YEAR = datetime.date(2027, 1, 1)
LAST_DAY = datetime.date(2026, 12, 31)
CALIBRATION = made_record("mfsr-1", 2, expires=LAST_DAY, at_degC=23.0)
OLD_LOAD_CELL = made_record("mfsr-1", 2, reference_expires=datetime.date(2026, 6, 30))


@pytest.mark.parametrize(
    ("calibration", "today", "said"),
    [
        (None, "2026-06-01", ["sensor mfsr-1 has no calibration: resistance is stored, pressure is not known"]),
        (CALIBRATION, "2026-12-31", []),
        (CALIBRATION, "2027-01-01", ["the calibration mfsr-1 v2 expired on 2026-12-31"]),
        (OLD_LOAD_CELL, "2026-06-30", []),
        (
            OLD_LOAD_CELL,
            "2026-07-01",
            ["the certificate of load cell load cell 1, which mfsr-1 v2 rests on, expired on 2026-06-30"],
        ),
    ],
)
def test_what_stands_against_a_calibration(calibration: Calibration | None, today: str, said: list[str]) -> None:
    assert list(cautions.of_calibration("mfsr-1", calibration, datetime.date.fromisoformat(today))) == said


def test_a_certificate_that_had_expired_before_the_calibration_was_made() -> None:
    calibration = made_record(reference_expires=datetime.date(2025, 12, 1))
    (said,) = cautions.of_calibration("mfsr-1", calibration, LAST_DAY)
    assert said.endswith("expired on 2025-12-01 before it was made")


def before_run(
    calibration: Calibration | None, *degC: float, assembled: float | None = 0.0, today: datetime.date = LAST_DAY
) -> tuple[str, ...]:
    return cautions.before_run("mfsr-1", Conversion(calibration, assembled, 1.0), "cell-7", today, degC)


def test_before_a_run_all_is_said_at_once() -> None:
    said = before_run(CALIBRATION, 23.5, 45.0, 45.0, assembled=None, today=NEW_YEAR)
    assert len(said) == 3
    assert "expired on 2026-12-31" in said[0]
    assert "when cell cell-7 was assembled is not recorded" in said[1] and "30 days" in said[1]
    assert said[2] == "45.0 °C is not within 23 °C ± 3 K, that mfsr-1 v2 was made for: not corrected"


def test_before_a_run_nothing_is_said_where_all_is_well() -> None:
    assert before_run(CALIBRATION, 23.5) == ()
    assert before_run(made_record(), 90.0) == (), "the record does not say at which temperature it was made"


def test_without_a_calibration_the_rest_does_not_matter() -> None:
    assert len(before_run(None, 90.0, assembled=None)) == 1


def test_a_temperature_beyond_the_coefficients_range_is_said_though_it_is_corrected() -> None:
    coefficient = TemperatureCoefficient(per_K=-0.003, reference_degC=25.0, use_within_K=5.0)
    calibration = made_record(temperature=coefficient)
    assert before_run(calibration, 20.5, 29.5) == ()
    (said,) = before_run(calibration, 19.0)
    assert said.startswith("19.0 °C is not within 25 °C ± 5 K") and said.endswith("corrected with its coefficient")
