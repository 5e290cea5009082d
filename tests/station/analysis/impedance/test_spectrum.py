"""Spectra from arrays, tables, the store and files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from station.analysis.errors import AnalysisError
from station.analysis.files import read_spectra
from station.analysis.impedance import from_arrays, from_frame, from_sweep
from station.readings import Spectrum


def test_arrays_are_put_in_order_and_cannot_be_changed() -> None:
    spectrum = from_arrays([1.0, 100.0, 10.0], [3, 1, 2], [-3, -1, -2])
    np.testing.assert_array_equal(spectrum.frequency_Hz, [100, 10, 1])
    np.testing.assert_array_equal(spectrum.impedance_ohm, [1 - 1j, 2 - 2j, 3 - 3j])
    assert len(spectrum) == 3
    with pytest.raises(ValueError, match="read-only"):
        spectrum.impedance_ohm[0] = 0


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (([1, 2], [1], [1]), "equal length"),
        (([], [], []), "no points"),
        (([1, 0], [1, 1], [1, 1]), "point 2 .* 0 Hz is not positive"),
        (([1, 2], [1, math.nan], [1, 1]), "point 2 .* real_ohm"),
        (([1, 2], [1, 0], [1, 0]), "point 2 .* zero"),
        ((["a"], [1], [1]), "arrays of numbers"),
        (([[1]], [[1]], [[1]]), "equal length"),
    ],
)
def test_what_is_no_spectrum_is_told(arrays: tuple[list[float], ...], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        from_arrays(*arrays)


def test_points_without_a_value_are_left_out_and_counted() -> None:
    sweep = Spectrum(1, 0.0, 0.0, 1, 1, None, 0.01, (100.0, 10.0, 1.0), (1.0, math.nan, 3.0), (-1.0, math.nan, -3.0))
    spectrum = from_sweep(sweep)
    assert (len(spectrum), spectrum.left_out) == (2, 1)
    empty = Spectrum(7, 0.0, 0.0, 1, 1, None, 0.01, (1.0,), (math.nan,), (math.nan,))
    with pytest.raises(AnalysisError, match="spectrum 7"):
        from_sweep(empty)


@pytest.mark.parametrize(
    ("headings", "factors"),
    [
        (("frequency_Hz", "real_ohm", "imaginary_ohm"), (1, 1, 1)),
        (("Frequency / Hz", "Re(Z)/Ohm", "-Im(Z)/Ohm"), (1, 1, -1)),
        (("freq (kHz)", "Z' (kOhm)", "−Z'' (kOhm)"), (1e-3, 1e-3, -1e-3)),
        (("f [MHz]", "Zreal [mΩ]", "Zimag [mΩ]"), (1e-6, 1e3, 1e3)),
        (("Frequency / Hz", "Real Impedance / ohm", "Imaginary Impedance / ohm"), (1, 1, 1)),
    ],
)
def test_headings_say_quantity_unit_and_sign(headings: tuple[str, ...], factors: tuple[float, ...]) -> None:
    values = np.array([[1e4, 1e2], [5.0, 8.0], [-1.0, -2.0]])
    frame = pd.DataFrame({name: row * by for name, row, by in zip(headings, values, factors, strict=True)})
    spectrum = from_frame(frame)
    np.testing.assert_allclose(spectrum.frequency_Hz, values[0])
    np.testing.assert_allclose(spectrum.impedance_ohm, values[1] + 1j * values[2])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(AnalysisError, match="no column is the imaginary"):
        from_frame(pd.DataFrame({"f": [1.0], "Re": [1.0], "phase": [1.0]}))
    with pytest.raises(AnalysisError, match="column 'Re'"):
        from_frame(pd.DataFrame({"f": [1.0], "Re": ["x"], "Im": [1.0]}))


def test_a_file_may_hold_one_spectrum_or_many(tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    one.write_text("# made by hand\nf/Hz;Re/ohm;Im/ohm\n10;1;-1\n1;2;-2\n", encoding="utf-8")
    (measured,) = read_spectra(one)
    assert (measured.source, measured.number, measured.cycle, len(measured.spectrum)) == ("one.csv", 1, None, 2)
    many = tmp_path / "many.csv"
    many.write_text(
        "Test Time / s,Cycle Count / 1,Frequency / Hz,Real Impedance / ohm,Imaginary Impedance / ohm\n"
        "5,1,10,1,-1\n5,1,1,2,-2\n900,10,10,3,-3\n900,10,1,4,-4\n",
        encoding="utf-8",
    )
    first, second = read_spectra(many)
    assert (first.cycle, second.cycle, second.number) == (1, 10, 2)
    assert second.spectrum.impedance_ohm[0] == 3 - 3j


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "no text"),
        (b"f/Hz,Re/ohm\n1,2\n", "no column is the imaginary"),
        (b"f/Hz,Re/ohm,Im/ohm\n", "no points"),
        (b"number,f/Hz,Re/ohm,Im/ohm\n1,1,1,1\n2,-1,1,1\n", "spectrum 2: point 1"),
        (b"number,f/Hz,Re/ohm,Im/ohm\n", "no rows"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(AnalysisError, match=words) as caught:
        read_spectra(path)
    assert "bad.csv" in str(caught.value)
