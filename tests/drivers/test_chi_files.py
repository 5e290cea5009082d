"""CH Instruments' result files: their columns, signs and units, and what is no such file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chi_files import ChiFileError, is_chi, read_chi

CHI = """May 5, 2026   10:00:00
Amperometric i-t Curve
File: it.bin
Data Source: Experiment
Instrument Model:  CHI660F
Header:
Note:

Init E (V) = 0
Sample Interval (s) = 0.1

Time/sec, Current/A

0.000, 7.091e-8
0.100, -1.5e-7
"""


def test_a_chi_text_has_its_current_turned_round() -> None:
    found = read_chi(CHI.encode("cp1252"), "it.txt")
    assert found.technique == "Amperometric i-t Curve"
    assert found.columns == {"time_s": (0.0, 0.1), "current_A": (-7.091e-8, 1.5e-7)}
    assert (found.number("Init E (V)"), found.number("Sample Interval (s)"), found.number("Final E (V)")) == (
        0,
        0.1,
        None,
    )
    assert is_chi(CHI.encode())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", "no line with the columns' names"),
        (CHI.replace("0.100, -1.5e-7", "0.100").encode(), "line 15: 1 values for 2 columns"),
        (CHI.replace("-1.5e-7", "nan").encode(), "'nan' is no number"),
        (CHI.replace("-1.5e-7", "x").encode(), "line 15: 'x' is no number"),
        (CHI[: CHI.index("0.000, 7")].encode(), "there is no row below the columns' names"),
        (b"Z\"/ohm, Z''/ohm\n1, 2\n", "two of its columns mean the same"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(data: bytes, why: str) -> None:
    with pytest.raises(ChiFileError, match=why.replace(".", r"\.")):
        read_chi(data, "file")


@given(st.binary(max_size=200), st.sampled_from([b"", b"Time/sec, Current/A\n"]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    assert not is_chi(b"Time/sec, Current/A\n")
    try:
        read_chi(head + data, "file")
    except ChiFileError:
        pass
