"""What people type with a unit: read exactly, or refused with a word on what is wanted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from protocols.quantities import Basis, Charge, QuantityError, Rate, charge, number, rate

UNITS = {"V": "a voltage", "A": "a current", "s": "a time", "Pa": "a pressure", "degC": "a temperature", "g": "a mass"}
FACTORS = [("V", "mV", 1e-3), ("V", "kV", 1e3), ("A", "uA", 1e-6), ("A", "µA", 1e-6), ("A", "nA", 1e-9)]
FACTORS += [("s", "min", 60.0), ("s", "h", 3600.0), ("s", "days", 86400.0), ("Pa", "MPa", 1e6), ("Pa", "bar", 1e5)]
FACTORS += [("cm^2", "mm^2", 1e-2), ("cm^2", "mm²", 1e-2), ("cm^2", "m**2", 1e4), ("Ah", "mAh", 1e-3)]
FACTORS += [("Ah/g", "mAh/g", 1e-3), ("Hz", "MHz", 1e6), ("g", "mg", 1e-3), ("N", "kN", 1e3), ("degC", "°C", 1.0)]


@pytest.mark.parametrize(("unit", "written", "factor"), FACTORS)
def test_a_number_is_read_in_the_unit_that_is_wanted(unit: str, written: str, factor: float) -> None:
    assert number(f"2.5 {written}", unit, "it") == approx(2.5 * factor, rel=1e-12)
    assert number(f" -2.5e1{written} ", unit, "it") == approx(-25 * factor, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "degC"), [("25 °C", 25.0), ("25 degC", 25.0), ("298.15 K", 25.0), ("77 degF", 25.0), ("-20 °C", -20.0)]
)
def test_temperatures_have_an_offset(text: str, degC: float) -> None:
    assert number(text, "degC", "a temperature") == approx(degC, abs=1e-9)


@given(st.floats(-1e12, 1e12), st.sampled_from(FACTORS))
def test_what_is_written_out_is_read_back(value: float, factor: tuple[str, str, float]) -> None:
    unit, written, scale = factor
    assert number(f"{value!r} {written}", unit, "it") == approx(value * scale, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", "'5' has no unit; write it like '5 V'"),
        ("5 A", "'5 A' is not a voltage; a unit like V is wanted"),
        ("5 mv", "'mv' in '5 mv' is not a unit"),
        ("5,5 V", "is not a unit"),
        ("1 000 V", "is not a unit"),
        ("V", "'V' is not a voltage; write it like '1 V'"),
        ("", "is not a voltage"),
        ("nan V", "is not a voltage"),
        ("inf V", "is not a voltage"),
        ("1e999 V", "too large"),
        ("1e308 GV", "too large"),
        ("1 V/0", "is not a unit"),
        ("1 V # note", "is not a unit"),
        ("1 V*9**9**9", "is not a unit"),
        ("1 V" + "(" * 200, "is not a unit"),
        ("1 __import__('os')", "is not a unit"),
        ("1 lambda", "is not a voltage"),
        ("1 C/5", "is not a unit"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(QuantityError) as caught:
        number(text, "V", "a voltage")
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [5, 5.0, math.nan])
def test_a_bare_number_has_no_unit(value: float) -> None:
    with pytest.raises(QuantityError, match="has no unit"):
        number(value, "V", "a voltage")


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}])
def test_what_is_no_text_is_no_quantity(value: object) -> None:
    with pytest.raises(QuantityError, match="is not a voltage"):
        number(value, "V", "a voltage")
    with pytest.raises(QuantityError):
        rate(value)
    with pytest.raises(QuantityError):
        charge(value)


@given(st.text(max_size=40), st.sampled_from(sorted(UNITS)))
def test_any_text_is_a_finite_number_or_refused(text: str, unit: str) -> None:
    for read in (lambda t: number(t, unit, UNITS[unit]), rate, charge):
        for candidate in (text, f"1 {text}", f"1 {unit}{text}", f"C/{text}"):
            try:
                found = read(candidate)
            except QuantityError:
                continue
            assert math.isfinite(found.value if isinstance(found, Rate | Charge) else found)


# --- rates and charges


@pytest.mark.parametrize(
    ("text", "value", "basis"),
    [
        ("1 mA", 1e-3, Basis.ABSOLUTE),
        ("0.5 mA/cm^2", 0.5e-3, Basis.AREA),
        ("0.5 mA/cm²", 0.5e-3, Basis.AREA),
        ("5 A/m^2", 0.5e-3, Basis.AREA),
        ("1 mA·cm⁻²", 1e-3, Basis.AREA),
        ("175 mA/g", 0.175, Basis.MASS),
        ("175 A/kg", 0.175, Basis.MASS),
        ("0.2 C", 0.2, Basis.CAPACITY),
        ("0.2C", 0.2, Basis.CAPACITY),
        (".2 C", 0.2, Basis.CAPACITY),
        ("5e-2 C", 0.05, Basis.CAPACITY),
        ("C/5", 0.2, Basis.CAPACITY),
        (" C / 5 ", 0.2, Basis.CAPACITY),
        ("2C/5", 0.4, Basis.CAPACITY),
        ("C", 1.0, Basis.CAPACITY),
        ("1 C", 1.0, Basis.CAPACITY),
    ],
)
def test_a_rate_has_a_basis(text: str, value: float, basis: Basis) -> None:
    found = rate(text)
    assert (found.value, found.basis, found.text) == (approx(value, rel=1e-12), basis, text.strip())


@pytest.mark.parametrize(
    "text", ["C/0", "0.2 C/0.0", "1e999 C", "0.2 c", "-0.2 C", "5 V", "5", "mA", "1 mA/g/cm^2", "C5"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a"):
        rate(text)


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1e3))
def test_c_rates_are_read_back(multiple: float, hours: float) -> None:
    assert rate(f"{multiple!r} C").value == multiple
    assert rate(f"C/{hours!r}").value == approx(1.0 / hours, rel=1e-15)
    assert rate(f"{multiple!r} C/{hours!r}").value == approx(multiple / hours, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "value", "basis"),
    [
        ("3 mAh", 3e-3, Basis.ABSOLUTE),
        ("2 mAh/cm^2", 2e-3, Basis.AREA),
        ("1000 mAh/g", 1.0, Basis.MASS),
        ("3.6 coulomb", 1e-3, Basis.ABSOLUTE),
    ],
)
def test_a_charge_has_a_basis(text: str, value: float, basis: Basis) -> None:
    found = charge(text)
    assert (found.value, found.basis) == (approx(value, rel=1e-12), basis)


def test_a_charge_in_c_is_ambiguous() -> None:
    with pytest.raises(QuantityError, match="coulombs or a part of the capacity"):
        charge("0.5 C")
