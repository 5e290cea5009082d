"""A calibration record: the power law both ways, nothing outside its range, and records that cannot be used."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pytest import approx

from calibration.record import Calibration, CalibrationError, newest, read_calibration

DISC_M2 = math.pi / 4 * 14e-3**2  # a sensor of 14 mm
B = 0.85
ANCHOR_PA, ANCHOR_OHM = 546e3, 0.288e6  # a coin cell's preload and the resistance that belongs to it
TODAY = datetime.date(2026, 9, 21)


def record(**changes: object) -> Calibration:
    values: dict[str, object] = {
        "sensor": "mfsr-1",
        "version": 3,
        "model": "power",
        "a": ANCHOR_OHM * (ANCHOR_PA * DISC_M2) ** B,
        "b": B,
        "area_m2": DISC_M2,
        "force_min_N": 1.0,
        "force_max_N": 400.0,
        "relative_uncertainty": 0.08,
        "calibrated": TODAY,
    }
    return Calibration.model_validate({**values, **changes})


def test_the_anchors_of_a_coin_and_a_pouch_cell() -> None:
    calibration = record()
    assert calibration.force_N(ANCHOR_OHM) == approx(84.05, abs=0.005)
    coin = calibration.pressure(0.288e6)
    assert coin is not None
    assert coin.value_Pa == approx(546e3, rel=1e-9)
    assert coin.expanded_uncertainty_Pa == approx(0.08 * 546e3, rel=1e-9)
    assert calibration.resistance_ohm(52e3 * DISC_M2) == approx(0.288e6 * (546 / 52) ** 0.85, rel=1e-9)
    pouch = calibration.pressure(0.288e6 * (546 / 52) ** 0.85)
    assert pouch is not None
    assert pouch.value_Pa == approx(52e3, rel=1e-9)
    assert calibration.force_N(calibration.resistance_ohm(8.005)) == approx(8.005, rel=1e-9)


forces = st.floats(1e-2, 1e4)


@given(st.floats(1e2, 1e9), st.floats(0.2, 3.0), st.floats(1e-6, 1e-2), forces, forces, st.floats(0.0, 1.0))
def test_the_inverse_gives_the_pressure_back(
    a: float, b: float, area_m2: float, low: float, high: float, share: float
) -> None:
    assume(low < high)
    calibration = record(a=a, b=b, area_m2=area_m2, force_min_N=low, force_max_N=high)
    force = min(high, low + share * (high - low))
    pressure = calibration.pressure(a * force**-b)
    assert pressure is not None
    assert pressure.value_Pa == approx(force / area_m2, rel=1e-9)
    assert pressure.expanded_uncertainty_Pa == approx(0.08 * pressure.value_Pa, rel=1e-12)


def test_nothing_is_extrapolated() -> None:
    calibration = record()
    softest, hardest = calibration.resistance_ohm(1.0), calibration.resistance_ohm(400.0)
    assert calibration.pressure(softest) is not None  # the ends belong to the range
    assert calibration.pressure(hardest) is not None
    assert calibration.pressure(math.nextafter(softest, math.inf)) is None
    assert calibration.pressure(math.nextafter(hardest, 0)) is None


@pytest.mark.parametrize("ohm", [0.0, -0.0, -1e5, 1e-300, 1e300, math.nan, math.inf, -math.inf])
def test_what_is_no_resistance_gives_no_pressure(ohm: float) -> None:
    assert record().pressure(ohm) is None
    assert record(b=0.01).pressure(ohm) is None


def test_less_resistance_is_more_pressure() -> None:
    values = [record().pressure(ohm) for ohm in (1e5, 2e5, 5e5, 1e6)]
    pressures = [value.value_Pa for value in values if value is not None]
    assert len(pressures) == 4
    assert pressures == sorted(pressures, reverse=True)


def test_a_record_expires_after_its_day() -> None:
    assert not record().expired(datetime.date.max)
    calibration = record(expires=TODAY)
    assert not calibration.expired(TODAY)
    assert calibration.expired(TODAY + datetime.timedelta(days=1))
    assert calibration.id == "mfsr-1 v3"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"b": 0.0}, "greater than 0"),
        ({"a": math.nan}, "finite number"),
        ({"a": math.inf}, "finite number"),
        ({"area_m2": -1.0}, "greater than 0"),
        ({"relative_uncertainty": 0.0}, "greater than 0"),
        ({"version": 0}, "greater than or equal to 1"),
        ({"model": "line"}, "'power'"),
        ({"force_min_N": 400.0}, "not below"),
        ({"force_min_N": 500.0}, "not below"),
        ({"force_min_N": 1e-300, "b": 10.0}, "too large"),
        ({"offset": 1.0}, "Extra inputs"),
        ({"calibrated": "yesterday"}, "date"),
    ],
)
def test_a_record_that_makes_no_sense(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        record(**changes)


def write(folder: Path, name: str, **changes: object) -> Path:
    path = folder / name
    path.write_text(record(**changes).model_dump_json(), encoding="utf-8")
    return path


def test_a_record_is_read_back_as_written(tmp_path: Path) -> None:
    assert read_calibration(write(tmp_path, "a.json", expires=TODAY)) == record(expires=TODAY)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file: Invalid JSON"),
        (b"\xff\xfe", "the file: Invalid JSON"),
        (b"[]", "the file: "),
        (b"{}", "sensor: Field required"),
        (
            json.dumps({**json.loads(record().model_dump_json()), "b": "x"}).encode(),
            "b: Input should be a valid number",
        ),
        (record().model_dump_json().replace(f'"b":{B}', '"b":NaN').encode(), "b: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(CalibrationError) as caught:
        read_calibration(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")


def test_the_newest_record_of_the_sensor(tmp_path: Path) -> None:
    for name, changes in {
        "a.json": {"version": 2},
        "b.json": {"version": 10},
        "c.json": {"version": 9},
        "d.json": {"sensor": "mfsr-2", "version": 99},
    }.items():
        write(tmp_path, name, **changes)
    found = newest(tmp_path, "mfsr-1")
    assert found is not None
    assert found.version == 10
    assert newest(tmp_path, "mfsr-3") is None
    assert newest(tmp_path / "none", "mfsr-1") is None


def test_two_records_of_one_version_are_not_chosen_between(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    write(tmp_path, "b.json", b=0.9)
    with pytest.raises(CalibrationError, match="2 records are version 3 of sensor 'mfsr-1'"):
        newest(tmp_path, "mfsr-1")
