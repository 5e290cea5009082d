"""Other programs' result files: their columns, signs and units, and what is no such file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.result_files import ResultFileError, read_chi, read_mpt

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

MPT = (
    "EC-Lab ASCII FILE\r\nNb header lines : 6                        \r\n\r\n"
    "Potentio Electrochemical Impedance Spectroscopy\r\n\r\n"
    "freq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\ttime/s\t<Ewe>/V\t<I>/mA\t\r\n"
    "1.0000000E+003\t1.0E+001\t2.0E+000\t0.5\t3.7\t-0.25\t\r\n"
    "1,0000000E+002\t1,1E+001\t4.0E+000\t1.5\t3.7\t0.25\t\r\n"
)


def test_a_chi_text_has_its_current_turned_round() -> None:
    found = read_chi(CHI.encode("cp1252"), "it.txt")
    assert found.technique == "Amperometric i-t Curve"
    assert found.columns == {"time_s": (0.0, 0.1), "current_A": (-7.091e-8, 1.5e-7)}
    assert "Init E (V) = 0" in found.header


def test_an_mpt_is_read_in_si_units() -> None:
    found = read_mpt(MPT.encode("cp1252"), "eis.mpt")
    assert found.technique == "Potentio Electrochemical Impedance Spectroscopy"
    assert found.columns["frequency_Hz"] == (1000.0, 100.0)
    assert found.columns["real_ohm"] == (10.0, 11.0)
    assert found.columns["imaginary_ohm"] == (-2.0, -4.0)
    assert found.columns["current_A"] == pytest.approx((-2.5e-4, 2.5e-4))


@pytest.mark.parametrize(
    ("read", "data", "why"),
    [
        (read_mpt, b"BIO-LOGIC MODULAR FILE\x1a", "a binary .mpr; export it in EC-Lab"),
        (read_mpt, b"hello", "should begin with 'EC-Lab ASCII FILE'"),
        (read_mpt, b"EC-Lab ASCII FILE\nNb header lines : 90\n", "line 2: 90 header lines, and the file has 2 lines"),
        (read_mpt, MPT.replace("3.7", "x", 1).encode(), "line 7: 'x' is no number"),
        (read_mpt, MPT.replace("\t-0.25", "").encode(), "line 7: 5 values for 6 columns"),
        (read_chi, b"hello", "no line with the columns' names"),
        (read_chi, CHI.replace("0.100, -1.5e-7", "0.100").encode(), "line 15: 1 values for 2 columns"),
        (read_chi, CHI.replace("-1.5e-7", "nan").encode(), "'nan' is no number"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(read, data: bytes, why: str) -> None:
    with pytest.raises(ResultFileError, match=why.replace(".", r"\.")):
        read(data, "file")


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"EC-Lab ASCII FILE\nNb header lines : 3\n", b"Time/sec, Current/A\n"]),
)
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    for read in (read_chi, read_mpt):
        try:
            read(head + data, "file")
        except ResultFileError:
            continue
