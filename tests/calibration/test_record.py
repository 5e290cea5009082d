"""A calibration record: both ways, nothing outside its range, its hash, and records that make no sense."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pytest import approx

from calibration.data import TemperatureCoefficient
from calibration.record import Place, UnderLoad
from calibration.results import Creep
from tests.calibration.records import COIN_OHM, DISC, TODAY, B, record


def test_the_anchors_of_a_coin_and_a_pouch_cell() -> None:
    calibration = record()
    coin = calibration.pressure(COIN_OHM)
    assert coin is not None
    assert coin.value_Pa * DISC.value_m2 == approx(84.05, abs=0.005)
    assert coin.value_Pa == approx(546e3, rel=1e-9)
    assert coin.expanded_uncertainty_Pa == approx(0.08 * 546e3, rel=1e-9)
    assert (coin.low_Pa, coin.high_Pa) == approx((546e3 * math.exp(-0.08), 546e3 * math.exp(0.08)), rel=1e-9)
    pouch = calibration.pressure(COIN_OHM * (546 / 52) ** B)
    assert pouch is not None
    assert pouch.value_Pa == approx(52e3, rel=1e-9)


@given(st.floats(1.0, 400.0))
def test_the_inverse_gives_the_pressure_back(force: float) -> None:
    calibration = record()
    pressure = calibration.pressure(float(calibration.model.resistance_ohm(force)))
    assert pressure is not None
    assert pressure.value_Pa == approx(force / DISC.value_m2, rel=1e-9)


def test_nothing_is_extrapolated_and_the_edge_is_marked() -> None:
    calibration = record()
    ohm = calibration.model.resistance_ohm
    assert calibration.place(float(ohm(1.0))) == calibration.place(float(ohm(400.0))) == Place.INSIDE
    near, far = calibration.pressure(float(ohm(410.0))), calibration.pressure(float(ohm(500.0)))
    assert near is not None
    assert near.at_end
    assert far is None
    assert calibration.place(float(ohm(500.0))) == Place.ABOVE
    assert calibration.place(float(ohm(0.5))) == Place.BELOW


@pytest.mark.parametrize("ohm", [0.0, -0.0, -1e5, math.nan, math.inf, -math.inf])
def test_what_is_no_resistance_gives_no_pressure(ohm: float) -> None:
    assert record().pressure(ohm) is None
    assert record().place(ohm) == Place.NO_READING


def test_many_at_once_as_one_by_one() -> None:
    calibration = record()
    ohms = np.geomspace(1e3, 1e8, 57)
    many = calibration.pressures(ohms)
    for ohm, value, place in zip(ohms, many.value_Pa, many.place, strict=True):
        single = calibration.pressure(float(ohm))
        assert place == calibration.place(float(ohm))
        assert math.isnan(value) if single is None else single.value_Pa == value


def test_creep_since_the_dwell_is_taken_off() -> None:
    """5 % more conductance per decade: a tenfold time under load looks like more force until it is corrected."""
    creep = Creep(
        per_decade=0.05, standard_uncertainty=0.0, reference_s=60.0, force_N=84.0, longest_s=3600.0, residual=0.0
    )
    plain = record()
    calibration = record(evaluation=plain.evaluation.model_copy(update={"creep": creep}))
    crept = COIN_OHM / 1.05
    late = calibration.pressure(crept, UnderLoad.since(600.0))
    assert late is not None
    assert late.value_Pa == approx(546e3, rel=1e-9)
    uncorrected = calibration.pressure(crept)
    assert uncorrected is not None
    assert uncorrected.value_Pa == approx(546e3 * 1.05 ** (1 / B), rel=1e-9)


def test_warmth_is_taken_off() -> None:
    """−0.36 % of resistance per kelvin at 10 K above the calibration's temperature."""
    coefficient = TemperatureCoefficient(per_K=-0.0036, reference_degC=23.0)
    warm = record(temperature=coefficient).pressure(COIN_OHM * math.exp(-0.036), temperature_degC=33.0)
    assert warm is not None
    assert warm.value_Pa == approx(546e3, rel=1e-9)


def test_a_record_expires_after_its_day() -> None:
    assert not record().expired(datetime.date.max)
    calibration = record(expires=TODAY)
    assert not calibration.expired(TODAY)
    assert calibration.expired(TODAY + datetime.timedelta(days=1))
    assert calibration.id == "mfsr-1 v3"


def test_the_hash_is_of_the_content() -> None:
    sealed = record().sealed()
    assert len(sealed.sha256) == 64
    assert sealed.content_hash() == sealed.sha256 == record().content_hash()
    assert sealed.model_copy(update={"note": "later"}).content_hash() != sealed.sha256


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 0}, "greater than or equal to 1"),
        ({"sensor": "a/b"}, "match pattern"),
        ({"sensor": ""}, "match pattern"),
        ({"model": {"kind": "line"}}, "power"),
        ({"model": {"kind": "power", "a_ohm": math.nan, "b": 1.0}}, "finite number"),
        ({"offset": 1.0}, "Extra inputs"),
        ({"calibrated": "yesterday"}, "date"),
        ({"sha256": "abc"}, "match pattern"),
    ],
)
def test_a_record_that_makes_no_sense(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        record(**changes)


def test_a_range_that_is_none() -> None:
    whole = record()
    evaluation = whole.evaluation.model_copy(update={"force_min_N": 400.0})
    with pytest.raises(ValidationError, match="not below"):
        record(evaluation=evaluation)
