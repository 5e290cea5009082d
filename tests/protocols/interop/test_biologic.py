"""EC-Lab settings. `golden/unicycler.mps` is what unicycler 0.4.6 makes of `cycling.json`."""

from __future__ import annotations

import pytest

from protocols import interop
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from tests.protocols.interop.helpers import CELL, GOLDEN, remarks, written


def _rows(text: str) -> dict[str, list[str]]:
    lines = text.split("Modulo Bat\n", 1)[1].splitlines()
    return {line[:20].rstrip(): [line[i : i + 20].rstrip() for i in range(20, len(line), 20)] for line in lines}


def test_the_same_file_as_unicycler_writes() -> None:
    """But for the delay of the limits, which EC-Lab cuts to 1 s, and for a third record that it has no rows for."""
    converted = interop.read((GOLDEN / "cycling.json").read_bytes(), "unicycler", "cycling.json")
    ours = interop.write(parse_protocol(converted.text), "biologic", CELL)
    theirs = (GOLDEN / "unicycler.mps").read_bytes().decode("cp1252").replace("\r\n", "\n")
    expected, found = theirs.split("\n"), ours.text.split("\n")
    delay, records = [(a, b) for a, b in zip(expected, found, strict=True) if a != b]
    assert delay == ("\tfor t > 10000.0 ms", "\tfor t > 100 ms")
    assert [
        (n, a, b) for n, (a, b) in enumerate(zip(records[0].split(), records[1].split(), strict=True)) if a != b
    ] == [(13, "3", "2")]


def test_the_bytes_are_cp1252_with_crlf() -> None:
    data = written("- charge: {at: 5 uA, until: {voltage: 4.2 V}}", "biologic").data
    assert data.startswith(b"EC-LAB SETTING FILE\r\n\r\nNumber of linked techniques : 1\r\n")
    assert b"I Range             10 \xb5A" in data and b"\n" not in data.replace(b"\r\n", b"")


def test_columns() -> None:
    steps = """
- rest: {for: 1 h}
- repeat: 3
  steps:
    - discharge: {at: 0.5 mA, for: 2 h, until: {voltage: 0.02 V}}
    - charge: {at: C/5, hold: 2 V, until: {current: 0.4 uA}}
- impedance: {from: 1 MHz, to: 10 mHz, amplitude: 10 mV, points_per_decade: 6}
- impedance: {from: 5 kHz, to: 1 Hz, amplitude: 1 mA}
"""
    rows = _rows(written(steps, "biologic").text)
    assert rows["ctrl_type"] == ["Rest", "CC", "CC", "CV", "Loop", "PEIS", "GEIS"]
    assert rows["ctrl1_val"] == ["", "-500.000", "9.000", "2.000", "", "14.142", "1.414"]
    assert rows["ctrl1_val_unit"] == ["", "uA", "mA", "V", "", "mV", "mA"]
    assert rows["ctrl1_val_vs"] == ["", "<None>", "<None>", "Ref", "", "", ""]
    assert rows["ctrl2_val"][5:] == ["1000.000", "5.000"] and rows["ctrl2_val_unit"][5:] == ["kHz", "kHz"]
    assert rows["ctrl3_val"][5:] == ["10.000", "1.000"] and rows["ctrl3_val_unit"][5:] == ["mHz", "Hz"]
    assert (rows["ctrl_seq"][4], rows["ctrl_repeat"][4]) == ("1", "2")  # from 0, and how often it goes back
    assert rows["lim_nb"] == ["1", "2", "1", "1", "0", "0", "0"]
    assert rows["lim1_type"][:4] == ["Time", "Time", "Ewe", "|I|"]
    assert rows["lim1_comp"][:4] == [">", ">", ">", "<"]
    assert rows["lim1_value"][:4] == ["3600.000", "7200.000", "2.000", "0.400"]
    assert rows["lim1_value_unit"][:4] == ["s", "s", "V", "uA"]  # 0.4 uA in mA would be nothing in three decimals
    assert (rows["lim2_type"][1], rows["lim2_comp"][1], rows["lim2_value"][1]) == ("Ewe", "<", "0.020")
    assert rows["I Range"] == ["Auto", "1 mA", "10 mA", "10 mA", "Auto", "Auto", "10 mA"]


@pytest.mark.parametrize(
    ("limits", "low", "high"),
    [("[0.5 V, 4.3 V]", "0.00", "5.00"), ("[-0.05 V, 2.2 V]", "-2.50", "2.50"), ("[-0.1 V, 9 V]", "-10.00", "10.00")],
)
def test_the_control_range_holds_the_limits(limits: str, low: str, high: str) -> None:
    text = written("- rest: {for: 1 h}", "biologic", head=f"limits: {{voltage: {limits}}}\n").text
    assert f"Ewe ctrl range : min = {low} V, max = {high} V" in text


def test_beyond_every_range() -> None:
    with pytest.raises(DocumentError, match=r"12 V is outside the widest range"):
        written("- charge: {at: 1 mA, until: {voltage: 12 V}}", "biologic")
    with pytest.raises(DocumentError, match=r"2 A is above the largest current range"):
        written("- charge: {at: 2 A, until: {voltage: 4 V}}", "biologic")


def test_an_end_that_the_decimals_make_nothing_of_is_refused() -> None:
    with pytest.raises(DocumentError, match="is nothing in the three decimals"):
        written("- charge: {at: 1 mA, hold: 4 V, until: {current: 0.1 nA}}", "biologic")
    converted = written("- charge: {at: 1 mA, until: {voltage: 0.0123 V}}", "biologic")
    assert remarks(converted)[-1] == "3: approximated: its voltage, 0.0123 V, is written as 0.012 V"


def test_a_title_that_cp1252_does_not_have() -> None:
    assert "Comments : a test" in written("- rest: {for: 1 h}", "biologic").text
    text = "protocol: Li⁺ | Si\nsteps:\n  - rest: {for: 1 h}\n"
    assert b"Comments : Li? | Si\r\n" in interop.write(parse_protocol(text), "biologic").data


def test_power_is_refused() -> None:
    with pytest.raises(DocumentError, match="constant power and resistance are not written"):
        written("- discharge: {power: 1 mW, until: {voltage: 2.5 V}}", "biologic")
