"""Files of other programs, written here by hand from public descriptions of their formats."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.analysis.cycles import cycles
from station.analysis.errors import AnalysisError
from station.analysis.files import is_simulated, neware, read_cycling, read_spectra

HOUR = 3600.0


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


# --- text of cyclers

MACCOR = (
    "Today's Date 09/01/2020  Date of Test:\t12/16/2019\t Filename:\tC:\\cell.034 Procedure: form.000\n"
    "Rec#\tCyc#\tStep\tTest (Sec)\tStep (Sec)\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time\n"
    "1\t0\t1\t0.0\t0.0\t0.0\t0.0\t0.0\t3.0\tR\t0\t12/16/2019 14:03:25\n"
    "2\t0\t2\t3600.0\t0.0\t0.0\t0.0\t0.5\t3.2\tC\t1\t12/16/2019 15:03:25\n"
    "3\t0\t2\t7200.0\t3600.0\t0.5\t1.6\t0.5\t3.4\tC\t1\t12/16/2019 16:03:25\n"
    "4\t0\t3\t10800.0\t3600.0\t0.25\t0.8\t0.25\t3.1\tD\t1\t12/16/2019 17:03:25\n"
)
LAND = (
    "Index,TestTime,StepTime/Sec.,Voltage/V,Current/mA,Capacity/mAh,State\n"
    "1,00:00:00,0,3.0,0,0,R\n"
    "2,1-00:00:00.5,0,3.2,1.5,0,C_CC\n"
    "3,1-01:00:00.5,3600,3.1,1.5,1.5,D_CC\n"
)
ARBIN = (
    "Data_Point,Test_Time(s),Date_Time,Step_Time(s),Step_Index,Cycle_Index,Current(A),Voltage(V),Charge_Capacity(Ah)\n"
    "1,30.0,2011-01-03 10:38:25,30.0,1,1,0.0,4.13,0\n"
    "2,60.0,2011-01-03 10:38:55,60.0,2,1,-1.1,4.05,0\n"
)
NEWARE = (
    "Record ID,Cycle ID,Step ID,Step Type,Time(h:min:s.ms),Total Time(h:min:s.ms),Current(mA),Voltage(V)\n"
    "1,1,1,Rest,00:00:00.000,00:00:00.000,0,3.0\n"
    "2,1,2,CC Chg,00:00:00.000,00:01:00.000,2,3.1\n"
    "3,1,3,CC DChg,00:00:00.000,00:02:00.500,2,3.0\n"
)


@pytest.mark.parametrize(
    ("name", "text", "time_s", "voltage_V", "current_A"),
    [
        ("cell.034", MACCOR, [0, HOUR, 2 * HOUR, 3 * HOUR], [3.0, 3.2, 3.4, 3.1], [0, 0.5, 0.5, -0.25]),
        ("land.csv", LAND, [0, 86400.5, 90000.5], [3.0, 3.2, 3.1], [0, 1.5e-3, -1.5e-3]),
        ("arbin.csv", ARBIN, [30, 60], [4.13, 4.05], [0, -1.1]),
        ("neware.txt", NEWARE, [0, 60, 120.5], [3.0, 3.1, 3.0], [0, 2e-3, -2e-3]),
    ],
)
def test_exports_of_cyclers(
    tmp_path: Path, name: str, text: str, time_s: list[float], voltage_V: list[float], current_A: list[float]
) -> None:
    found = read_cycling(written(tmp_path / name, text))
    assert found.time_s.tolist() == pytest.approx(time_s)
    assert found.voltage_V.tolist() == pytest.approx(voltage_V)
    assert found.current_A.tolist() == pytest.approx(current_A)


def test_the_cycle_and_the_capacity_of_a_maccor_file(tmp_path: Path) -> None:
    (cycle,) = cycles(read_cycling(written(tmp_path / "cell.034", MACCOR)))
    assert cycle.number == 0
    assert cycle.charge is not None and cycle.charge.capacity_Ah == pytest.approx(0.25 + 0.5 + 1 / 6)


MPT = (
    "EC-Lab ASCII FILE\r\nNb header lines : 5\r\n\r\nGalvanostatic Cycling with Potential Limitation\r\n"
    "mode\tox/red\ttime/s\t<Ewe/V>\t<I>/mA\tdq/mA.h\tcycle number\tQ/µA.h\r\n"
    "1\t1\t0,0\t3,10\t0,0\t0\t0\t0\r\n1\t1\t10,5\t3,25\t-1,5E+0\t0\t0\t0\r\n"
)


def test_ec_lab_text_with_decimal_commas_in_its_own_encoding(tmp_path: Path) -> None:
    found = read_cycling(written(tmp_path / "a.mpt", MPT, "cp1252"))
    assert found.time_s.tolist() == [0.0, 10.5]
    assert found.voltage_V.tolist() == [3.10, 3.25]
    assert found.current_A.tolist() == [0.0, -1.5e-3]


def test_bdf_as_text_packed_and_as_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Test Time / s": [0.0, 1.0], "Voltage / V": [3.0, 3.1], "Current / A": [0.0, 1e-3]})
    frame.to_parquet(tmp_path / "a.bdf.parquet")
    (tmp_path / "a.bdf.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    for name in ("a.bdf.parquet", "a.bdf.gz", "a.xlsx"):
        found = read_cycling(tmp_path / name)
        assert found.current_A.tolist() == [0.0, 1e-3], name


def test_neware_times_are_summed_over_its_steps() -> None:
    frame = pd.DataFrame(
        {
            "Step": [1, 1, 2, 2, 3],
            "Time": [0.0, 10.0, 0.0, 5.0, 0.0],
            "Voltage": [3.0, 3.0, 3.1, 3.2, 3.1],
            "Current(mA)": [0.0, 0.0, 2.0, 2.0, -2.0],
            "Cycle": [1, 1, 1, 1, 1],
        }
    )
    table = neware.as_table(Path("a.nda"), frame)
    assert table.frame["test_time_s"].tolist() == [0, 10, 10, 15, 15]
    assert table.frame["current_A"].tolist() == [0, 0, 2e-3, 2e-3, -2e-3]


# --- CH Instruments

CHI_HEAD = (
    "May 5, 2026   10:00:00\r\n{}\r\nFile: a.bin\r\nData Source:  Experiment\r\nInstrument Model:  CHI660E\r\n"
    "Header: \r\nNote: \r\n\r\n{}\r\n\r\n"
)
IT = CHI_HEAD.format("Amperometric i-t Curve", "Init E (V) = 3.7\r\nSample Interval (s) = 1") + (
    "Time/sec, Current/A\r\n\r\n0.000, -2e-3\r\n1.000, -1e-3\r\n"
)
CP = CHI_HEAD.format(
    "Chronopotentiometry", "Cathodic Current (A) = -0.001\r\nAnodic Current (A) = 0\r\nInit P/N = N\r\nSegment = 1"
) + ("Time/sec, Potential/V\r\n\r\n0.000, 3.7\r\n1.000, 3.8\r\n")
LSV = CHI_HEAD.format("Linear Sweep Voltammetry", "Init E (V) = 3\r\nScan Rate (V/s) = 0.01") + (
    "Potential/V, Current/A\r\n\r\n3.000, -1e-6\r\n3.010, -2e-6\r\n3.020, -4e-6\r\n"
)
OCPT = CHI_HEAD.format("Open Circuit Potential - Time", "Run Time (sec) = 2") + (
    "Time/sec, Potential/V\r\n\r\n0.0, 3.3\r\n2.0, 3.2\r\n"
)


@pytest.mark.parametrize(
    ("text", "time_s", "voltage_V", "current_A"),
    [
        (IT, [0, 1], [3.7, 3.7], [2e-3, 1e-3]),
        (CP, [0, 1], [3.7, 3.8], [1e-3, 1e-3]),
        (
            CP.replace("Init P/N = N", "Init P/N = P").replace("(A) = 0\r", "(A) = 0.002\r"),
            [0, 1],
            [3.7, 3.8],
            [2e-3] * 2,
        ),
        (CP.replace("= -0.001", "= 0.001"), [0, 1], [3.7, 3.8], [-1e-3, -1e-3]),
        (LSV, [0, 1, 2], [3.0, 3.01, 3.02], [1e-6, 2e-6, 4e-6]),
        (OCPT, [0, 2], [3.3, 3.2], [0, 0]),
    ],
)
def test_what_the_columns_of_ch_instruments_leave_out_is_in_their_parameters(
    tmp_path: Path, text: str, time_s: list[float], voltage_V: list[float], current_A: list[float]
) -> None:
    found = read_cycling(written(tmp_path / "a.txt", text))
    assert found.time_s.tolist() == pytest.approx(time_s)
    assert found.voltage_V.tolist() == pytest.approx(voltage_V)
    assert found.current_A.tolist() == pytest.approx(current_A)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (IT.replace("Init E", "High E"), r"a\.txt: there is no 'Init E \(V\)' among its parameters"),
        (LSV.replace("Scan Rate", "Rate"), r"a\.txt: there is no 'Scan Rate \(V/s\)'"),
        (CP.replace("Segment = 1", "Segment = 2"), r"a\.txt: which rows are of the anodic"),
        (CP.replace("Chronop", "P"), r"a\.txt: no column of current, and 'Potentiometry' does not say it"),
        (IT.replace("-2e-3", "x"), r"a\.txt, line 14: 'x' is no number"),
    ],
)
def test_what_is_missing_in_a_file_of_ch_instruments_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        read_cycling(written(tmp_path / "a.txt", text))


# --- EC-Lab's binary files

TYPES = {4: "d", 6: "f", 7: "d", 8: "f", 24: "d", 32: "f", 35: "f", 36: "f", 37: "f", 38: "f", 39: "H", 9999: "I"}


def mpr(ids: list[int], rows: list[list[float]], *, version: int = 3, long: bool = False) -> bytes:
    """A file with a module of data: flags are ids 1 to 3, in one byte."""
    points_at = {2: 405, 3: 406, 10: 1007}[version]
    form = "<" + "B" * any(i in (1, 2, 3) for i in ids) + "".join(TYPES[i] for i in ids if i not in (1, 2, 3))
    head = struct.pack("<IB", len(rows), len(ids)) + struct.pack((">" if version == 10 else "<") + "H" * len(ids), *ids)
    data = head.ljust(points_at, b"\0") + b"".join(struct.pack(form, *row) for row in rows)

    def module(name: bytes, content: bytes, of: int) -> bytes:
        length = struct.pack("<IIII", 0xFFFFFFFF, len(content), 0, of) if long else struct.pack("<II", len(content), of)
        return b"MODULE" + name.ljust(10) + name.ljust(25) + length + b"01/02/24" + content

    magic = b"BIO-LOGIC MODULAR FILE\x1a".ljust(48) + b"\0" * 4
    return magic + module(b"VMP Set", b"settings", 0) + module(b"VMP data", data, version)


@pytest.mark.parametrize(("version", "long"), [(2, False), (3, False), (10, True)])
def test_binary_cycling(tmp_path: Path, version: int, long: bool) -> None:
    rows = [[5, 0.0, 3.0, 1.5, 0.0], [5, 60.0, 3.25, -1.5, 1.0]]
    (tmp_path / "a.mpr").write_bytes(mpr([1, 2, 3, 4, 6, 8, 24], rows, version=version, long=long))
    found = read_cycling(tmp_path / "a.mpr")
    assert found.time_s.tolist() == [0.0, 60.0]
    assert found.voltage_V.tolist() == [3.0, 3.25]
    assert found.current_A.tolist() == [1.5e-3, -1.5e-3]
    assert found.cycle is not None and found.cycle.tolist() == [0, 1]


def test_a_file_of_the_open_circuit_has_a_current_of_nothing(tmp_path: Path) -> None:
    binary = mpr([4, 6], [[0.0, 3.0], [60.0, 3.25]])
    (tmp_path / "a.mpr").write_bytes(binary.replace(b"settings", b"\x0bettings"))
    text = (
        "EC-Lab ASCII FILE\nNb header lines : 7      \n\nOpen Circuit Voltage\n\nRun on channel : 1\n"
        "mode\terror\ttime/s\t<Ewe/V>\t\n3\t0\t0,0\t3,0\t\n3\t0\t60,0\t3,25\t\n"
    )
    for path in (tmp_path / "a.mpr", written(tmp_path / "a.mpt", text, "cp1252")):
        found = read_cycling(path)
        assert found.voltage_V.tolist() == [3.0, 3.25]
        assert found.current_A.tolist() == [0.0, 0.0]
    (tmp_path / "b.mpr").write_bytes(binary)
    for path in (tmp_path / "b.mpr", written(tmp_path / "b.mpt", text.replace("Open Circuit Voltage", "Wait"))):
        with pytest.raises(AnalysisError, match="no column of current"):
            read_cycling(path)


def test_currents_are_those_of_the_charges_where_ec_lab_stores_no_others(tmp_path: Path) -> None:
    (tmp_path / "a.mpr").write_bytes(mpr([4, 7, 6], [[0.0, 0.0, 3.0], [60.0, 0.1, 3.1], [90.0, -0.1, 3.0]]))
    assert read_cycling(tmp_path / "a.mpr").current_A.tolist() == pytest.approx([0.0, 6e-3, -12e-3])


def test_one_column_that_is_not_known_is_skipped_and_two_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mpr").write_bytes(mpr([4, 9999, 6, 8], [[0.0, 7, 3.0, 1.0], [1.0, 7, 3.5, 1.0]]))
    assert read_cycling(tmp_path / "a.mpr").voltage_V.tolist() == [3.0, 3.5]
    (tmp_path / "b.mpr").write_bytes(mpr([9999, 9999, 4, 6, 8], [[7, 7, 0.0, 3.0, 1.0]] * 2))
    with pytest.raises(AnalysisError, match=r"b\.mpr: .*9999.* not known; export it as text"):
        read_cycling(tmp_path / "b.mpr")


def test_binary_spectra_by_parts_or_by_modulus_and_phase(tmp_path: Path) -> None:
    (tmp_path / "a.mpr").write_bytes(mpr([32, 37, 38, 24], [[10.0, 1.0, 2.0, 1], [1.0, 3.0, 4.0, 1]]))
    (one,) = read_spectra(tmp_path / "a.mpr")
    assert one.spectrum.impedance_ohm.tolist() == [1 - 2j, 3 - 4j]
    sweeps = [[10.0, 5.0, -90.0], [1.0, 5.0, 0.0], [0.0, 0.0, 0.0], [10.0, 6.0, 0.0], [1.0, 7.0, 0.0]]
    (tmp_path / "b.mpr").write_bytes(mpr([32, 36, 35], sweeps))
    first, second = read_spectra(tmp_path / "b.mpr")
    assert first.spectrum.impedance_ohm == pytest.approx(np.array([-5j, 5]), abs=1e-5)
    assert second.spectrum.impedance_ohm == pytest.approx(np.array([6, 7]))


WHOLE = mpr([4, 6, 8], [[0.0, 3.0, 1.0], [1.0, 3.1, 1.0]])


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_binary_file_is_told_and_never_a_traceback(place: int, byte: int) -> None:
    from station.analysis.files import biologic

    for content in (WHOLE[:place], WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]):
        if content.startswith(biologic.MAGIC):
            try:
                biologic.read(Path("a.mpr"), content)
            except AnalysisError as error:
                assert "a.mpr" in str(error)


# --- text of impedance

GAMRY = (
    "EXPLAIN\nTAG\tEISPOT\nOCVCURVE\tTABLE\t1\n\tPt\tT\tVf\n\t#\ts\tV\n\t0\t0.1\t1.2\nZCURVE\tTABLE\n"
    "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\n\t#\ts\tHz\tohm\tohm\tV\n"
    "\t0\t1\t1000\t5.0\t-1.0\t1\n\t1\t2\t100\t6.0\t-2.0\t1\nEXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted\n"
)
ZPLOT = (
    "ZPLOT2 ASCII\n  Freq-Initial: 1000\n"
    "  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\tErr\tRange\nEnd Comments\n"
    "1.0E+03\t1E-02\t0\t2.6\t5.0\t-1.0\t0\t0\t3\n1.0E+02\t1E-02\t0\t3.3\t6.0\t-2.0\t0\t0\t3\n"
)
Z60W = (
    '"Z60W Data File: Version 1.1"\n""\n0,2,0,1,0.1,1000\n2\n"  Freq (Hz)    Ampl     Bias   Time(Sec)   Z\'(a)  "\n'
    "1000,0,0,0,5,-1,0,0,0\n100,0,0,0,6,-2,0,0,0\n"
)
VERSASTUDIO = (
    "<Application>\nName=VersaStudio\n</Application>\n<Segment1>\nType=2\n"
    "Definition=Segment #, Point #, E(V), I(A), Frequency(Hz), Z Real, Z Imag, 0\n"
    "0,0,0,0,1000,5,-1,0\n0,1,0,0,100,6,-2,0\n</Segment1>\n"
)
CHI = (
    "Feb. 20, 2020   15:55:08\nA.C. Impedance\nHigh Frequency (Hz) = 1e+3\n\n"
    "Freq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n"
    "1e+3, 5.0e+0, -1.0e+0, 5.1e+0, -11\n1e+2, 6.0e+0, -2.0e+0, 6.3e+0, -18\n"
)
EC_LAB = (
    "EC-Lab ASCII FILE\nNb header lines : 4\n\nfreq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\t|Z|/Ohm\tcycle number\n"
    "1,0E+03\t5,0\t1,0\t5,1\t1,0\n1,0E+02\t6,0\t2,0\t6,3\t1,0\n0\t0\t0\t0\t1,0\n"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.DTA", GAMRY),
        ("a.z", ZPLOT),
        ("a.txt", Z60W),
        ("a.par", VERSASTUDIO),
        ("b.txt", CHI),
        ("a.mpt", EC_LAB),
    ],
)
def test_text_of_impedance_analysers(tmp_path: Path, name: str, text: str) -> None:
    (one,) = read_spectra(written(tmp_path / name, text))
    assert one.source == name
    assert one.spectrum.frequency_Hz.tolist() == [1000.0, 100.0]
    assert one.spectrum.impedance_ohm.tolist() == [5 - 1j, 6 - 2j]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.DTA", GAMRY.replace("6.0\t-2.0", "6.0\tx"), r"a\.DTA: line 11: '1\t2\t100\t6.0\tx\t1' is no point"),
        ("a.DTA", "EXPLAIN\n", r"a\.DTA: there is no impedance"),
        ("a.DTA", GAMRY.replace("Zimag", "Zi"), r"a\.DTA: line 8: the table ZCURVE has no column Zimag"),
        ("a.z", ZPLOT.replace("6.0\t-2.0", "6.0"), r"a\.z: line 6: .* is no point"),
        ("a.mpt", EC_LAB.replace("freq/Hz\t", "").replace("1,0E+03\t", ""), r"a\.mpt: no column is the frequency"),
    ],
)
def test_mistakes_in_spectra_name_the_file_and_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        read_spectra(written(tmp_path / name, text))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.034", MACCOR.replace("3.4\tC", "3.4x\tC"), r"a\.034: line 5: '3.4x' in 'Volts' is not a number"),
        ("a.csv", LAND.replace("1-01:00:00.5", "soon"), r"a\.csv: line 4: 'soon' in 'TestTime' is no duration"),
        ("a.csv", ARBIN.replace("Current(A),", "").replace("0.0,4.13", "4.13"), "line 1: no column of current"),
        ("a.csv", ARBIN.replace("4.05,0", "4.05,0,7"), "line 3: there are 10 cells below 9 headings"),
        ("a.xls", "", r"save it as \.xlsx or \.csv"),
        ("a.nda", "no nda file", r"a\.nda: NewareNDA cannot read this file"),
        ("a.csv", "", r"a\.csv: the file is empty"),
    ],
)
def test_mistakes_in_cycling_name_the_file_and_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        read_cycling(written(tmp_path / name, text))


def test_what_is_simulated_is_known_from_what_the_export_says(tmp_path: Path) -> None:
    path = written(tmp_path / "run.bdf.csv", "Test Time / s,Voltage / V,Current / A\n0,3,0\n1,3,0\n")
    assert not is_simulated(path)
    (tmp_path / "run.json").write_text(json.dumps({"simulated": True}), encoding="utf-8")
    assert is_simulated(path)
    assert is_simulated(written(tmp_path / "other.csv", "x,origin\n1,SIMULATED\n"))
