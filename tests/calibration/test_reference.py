"""Certificates of load cells: three kinds of statement, their ranges and uncertainties, and files that are wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from calibration.data import DataError
from calibration.load_cell import LoadCellCertificate
from calibration.record import CalibrationError
from calibration.reference import certificate_named, certificates, read_certificate

IDENTITY = """\
name = "press-200N"
serial = "A17"
certificate = "DKD-K-2026-17"
laboratory = "Force laboratory"
calibrated = 2026-01-10
expires = 2028-03-10
"""
TABLE = (
    IDENTITY
    + """\
resolution = "0.01 N"
[table]
indication = [0, 20.02, 50.01, 100.0, 200.1]
force = [0, 20, 50, 100, 200]
expanded_uncertainty = [0.02, 0.024, 0.04, 0.08, 0.16]
k = 2
"""
)


def certificate(folder: Path, text: str) -> LoadCellCertificate:
    path = folder / "cell.toml"
    path.write_text(text, encoding="utf-8")
    return read_certificate(path)


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(CalibrationError) as caught:
        certificate(folder, text)
    prefix = f"{folder / 'cell.toml'}: "
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def test_a_table_is_interpolated(tmp_path: Path) -> None:
    cell = certificate(tmp_path, TABLE)
    assert cell.force_N([20.02, 75.005, 200.1]) == approx([20.0, 75.0, 200.0], rel=1e-12)
    assert cell.force_of_indicated_N(100.0) == 100.0
    reference = cell.reference()
    assert (reference.name, reference.serial, reference.expires) == ("press-200N", "A17", datetime.date(2028, 3, 10))
    assert reference.resolution_N == approx(0.01 * 200 / 200.1)
    # 0.08 % expanded with a floor of 0.02 N: half of each as standard uncertainties, and every entry is covered.
    for force, expanded in zip((0, 20, 50, 100, 200), (0.02, 0.024, 0.04, 0.08, 0.16), strict=True):
        stated = np.hypot(reference.relative_standard_uncertainty * force, reference.standard_uncertainty_N)
        assert expanded / 2 * (1 - 1e-9) <= stated <= 1.25 * expanded / 2


def test_nothing_is_extrapolated(tmp_path: Path) -> None:
    cell = certificate(tmp_path, TABLE)
    for outside in (-0.001, 200.11, float("nan"), float("inf")):
        with pytest.raises(DataError, match=r"press-200N: .* outside its certificate \(0 to 200.1 N\)"):
            cell.force_N([100.0, outside])
    assert cell.estimate_of_indicated_N(-0.1001) == approx(-0.1, rel=1e-2)  # for the display alone


def test_a_polynomial_in_its_own_unit(tmp_path: Path) -> None:
    text = (
        IDENTITY + 'unit = "mV/V"\nresolution = "0.00001 mV/V"\n[polynomial]\ncoefficients = [0.05, 99.9, 0.02]\n'
        'range = [0.02, 2.0]\nexpanded_uncertainty = ["0.05 %", "0.02 N"]\nk = 2\n'
    )
    cell = certificate(tmp_path, text)
    assert float(cell.force_N(1.5)) == approx(0.05 + 99.9 * 1.5 + 0.02 * 2.25)
    reference = cell.reference()
    assert reference.relative_standard_uncertainty == approx(2.5e-4)
    assert reference.standard_uncertainty_N == approx(0.01)
    assert reference.resolution_N == approx(1e-5 * (99.9 + 0.02 * 2.02))
    with pytest.raises(DataError, match="an output in mV/V, not for a force"):
        cell.force_of_indicated_N(50.0)


def test_a_sensitivity(tmp_path: Path) -> None:
    text = IDENTITY + (
        '[sensitivity]\ncapacity = "20 kgf"\noutput = "-2.0012 mV/V"\nzero = "0.0102 mV/V"\n'
        'expanded_uncertainty = "0.1 %"\n'
    )
    cell = certificate(tmp_path, text)
    assert cell.unit == "mV/V"
    assert cell.force_N([0.0102, 0.0102 - 2.0012 / 2]) == approx([0.0, 10 * 9.80665], abs=1e-9)
    assert cell.reference().relative_standard_uncertainty == approx(5e-4)


@pytest.mark.parametrize(("unit", "newtons"), [("kN", 1e3), ("kgf", 9.80665), ("lbf", 4.4482216152605)])
def test_an_indication_in_another_unit(tmp_path: Path, unit: str, newtons: float) -> None:
    text = f'unit = "{unit}"\n[table]\nindication = [0, 1]\nforce = [0, 1.01]\nforce_unit = "{unit}"\n'
    cell = certificate(tmp_path, text + 'expanded_uncertainty = "0.1 %"\n')
    assert cell.name == "cell"
    assert float(cell.force_N(0.5)) == approx(0.505 * newtons)
    assert cell.force_of_indicated_N(0.5 * newtons) == approx(0.505 * newtons)


@given(st.lists(st.floats(0.5, 50.0), min_size=2, max_size=12), st.floats(0.0, 1.0))
def test_a_table_rises_between_its_entries(steps: list[float], share: float) -> None:
    forces = np.cumsum(steps)
    cell = LoadCellCertificate.model_validate(
        {
            "name": "x",
            "statement": {
                "kind": "table",
                "indications": tuple(1.02 * forces),
                "forces_N": tuple(forces),
                "relative_standard_uncertainty": 0.001,
                "standard_uncertainty_N": 0.0,
            },
        }
    )
    low, high = cell.statement.range
    inside = min(high, low + share * (high - low))
    assert float(cell.force_N(inside)) == approx(inside / 1.02, rel=1e-12)


def test_it_expires_after_its_day(tmp_path: Path) -> None:
    cell = certificate(tmp_path, TABLE)
    assert not cell.expired(datetime.date(2028, 3, 10))
    assert cell.expired(datetime.date(2028, 3, 11))


def test_the_quantities_of_its_series(tmp_path: Path) -> None:
    text = TABLE + (
        "[series]\nforce = [20, 50, 100, 200]\nx1 = [20.02, 50.01, 100.0, 200.1]\n"
        "x2 = [20.021, 50.012, 100.005, 200.11]\nx3 = [20.024, 50.015, 100.01, 200.12]\n"
        "x4 = [20.03, 50.03, 100.04, 200.12]\nx5 = [20.02, 50.01, 100.0, 200.1]\nx6 = [20.03, 50.03, 100.03, 200.1]\n"
        "zero = [0.0, 0.01]\n"
    )
    found = certificate(tmp_path, text).quantities()
    assert found is not None
    assert found.levels[0].reproducibility == approx(100 * 0.004 / ((20.02 + 20.024 + 20.02) / 3), rel=1e-6)
    assert found.levels[0].reversibility == approx(50 * (0.006 / 20.024 + 0.01 / 20.02), rel=1e-6)
    assert found.zero == approx(100 * 0.01 / ((200.1 + 200.12 + 200.1) / 3), rel=1e-6)
    assert found.classification.startswith("class 00 (limits as commonly tabulated")
    assert certificate(tmp_path, TABLE).quantities() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE.replace("k = 2", "k = 0"), "line 12, 'table.k': the coverage factor is a number above zero"),
        (
            TABLE.replace("[0, 20, 50, 100, 200]", "[0, 20, 50, 100]"),
            "line 11, 'table.expanded_uncertainty': 5 values at 4 forces",
        ),
        (TABLE.replace("[0, 20.02, 50.01, 100.0", "[0, 20.02, 50.01, 40.0"), "rise from entry to entry"),
        (TABLE.replace("force = ", "froce = "), "line 10, 'table.froce': is not known here"),
        (TABLE.replace("force = ", "froce = "), "'table.force': is missing"),
        (TABLE.replace("expanded_uncertainty = [0.02, ", "expanded_uncertainty = ["), "4 values at 5 forces"),
        (TABLE.replace('"0.01 N"', '"0.01"'), "line 7, 'resolution': '0.01' has no unit"),
        (TABLE.replace('"0.01 N"', '"0.01 V"'), "'V' is no unit of force"),
        (TABLE.replace("2028-03-10", '"soon"'), "line 6, 'expires': "),
        (TABLE + "[polynomial]\nrange = [0, 1]\n", "there is [table] and [polynomial]"),
        (IDENTITY, "one of [table], [polynomial] and [sensitivity] is wanted; there is none"),
        ('unit = "V"\n' + TABLE, "line 1, 'unit': 'V' is no unit of an indication"),
        (TABLE + "[series]\nforce = [20]\nx1 = [20, 30]\n", "'x1' has 2 readings at 1 forces"),
        (TABLE.replace("[table]", "[table"), "line 8"),
        (TABLE.replace("[0, 20, 50, 100, 200]", '"many"'), "'table.force': a list of numbers is wanted"),
    ],
)
def test_a_certificate_that_is_wrong_is_named_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    lines = refused(tmp_path, text)
    assert any(said in line for line in lines), lines


def test_by_name_from_the_folder(tmp_path: Path) -> None:
    assert certificates(tmp_path / "none") == ()
    (tmp_path / "a.toml").write_text(TABLE, encoding="utf-8")
    assert certificates(tmp_path) == ("a",)
    assert certificate_named(tmp_path, "a").serial == "A17"
    with pytest.raises(CalibrationError, match="no certificate 'b' of a load cell; there are: a"):
        certificate_named(tmp_path, "b")
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_certificate(tmp_path / "c.toml")
