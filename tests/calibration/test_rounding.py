"""Two digits of the uncertainty, the value to its place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from calibration.certificate.rounding import (
    Scale,
    degrees,
    rounded,
    shares,
    significant,
    to_the_place_of,
    uncertainty,
    with_uncertainty,
)


@pytest.mark.parametrize(
    ("value", "expanded", "stated", "spread"),
    [
        (12.346, 0.678, "12.35", "0.68"),
        (546.03, 34.4, "546", "34"),
        (0.0123456, 0.000996, "0.0123", "0.0010"),  # 0.000996 has two digits as 0.0010
        (1234.5, 123.0, "1230", "120"),
        (-0.4321, 0.05, "−0.432", "0.050"),
        (9.9996, 0.0101, "10.000", "0.010"),
    ],
)
def test_a_value_is_stated_to_the_place_of_its_uncertainty(
    value: float, expanded: float, stated: str, spread: str
) -> None:
    assert to_the_place_of(value, expanded) == stated
    assert uncertainty(expanded) == spread


@given(st.floats(1e-3, 1e4))
def test_rounding_takes_less_than_a_twentieth_of_an_uncertainty(value: float) -> None:
    assert float(uncertainty(value)) == approx(value, rel=0.05)


@given(st.floats(1e-12, 1e15), st.integers(2, 7))
def test_so_many_digits_are_kept(value: float, digits: int) -> None:
    text = significant(value, digits)
    mantissa, _, power = text.partition("·10")
    exponent = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))) if power else 0
    assert float(mantissa) * 10.0**exponent == approx(value, rel=0.5 * 10.0 ** (1 - digits) * (1 + 1e-9))
    assert len(text) < 16


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=20).filter(lambda parts: math.fsum(parts) > 1e-6))
def test_shares_add_up_as_they_are_printed(parts: list[float]) -> None:
    found = shares(parts)
    assert round(sum(round(10 * share) for share in found)) == 1000
    whole = math.fsum(parts)
    assert all(share == approx(100 * part / whole, abs=0.1 + 1e-6) for share, part in zip(found, parts, strict=True))


def test_a_parameter_and_its_uncertainty_share_the_power_of_ten() -> None:
    assert with_uncertainty(1.249177e7, 2.1e4, 7) == ("1.249177·10⁷", "0.0021·10⁷")
    assert with_uncertainty(0.849565, 0.00059, 7) == ("0.8495650", "0.00059")
    assert with_uncertainty(12.0, 0.0, 3) == ("12.0", "")


def test_prefixes_degrees_and_signs() -> None:
    assert Scale.of(0.288e6, "Ω") == Scale("kΩ", 1e-3)
    assert Scale.of(1e6, "Ω").unit == "MΩ"
    assert Scale.of(3.5e-6, "S").unit == "µS"
    assert Scale.of(0.0, "Pa").unit == "Pa"
    assert [degrees(value) for value in (None, 8.9, 0.5, 1e9)] == ["∞", "8", "0.5", "∞"]
    assert rounded(-0.0001, 2) == "0.00"
