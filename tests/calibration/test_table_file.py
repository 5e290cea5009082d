"""Force and resistance from files as people write them: the same numbers in every dialect, clear words for bad ones."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import approx

from calibration.data import Area, DataError, Direction
from calibration.table_columns import Role, columns
from calibration.table_file import Divider, Table, read_table
from calibration.units import FACTORS, Kind

FORCES = (1.0, 2.0, 5.0, 10.0, 20.0)
KOHMS = (102.3, 60.45, 29.12, 15.04, 8.05)
G = 9.80665


def written(folder: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def table(folder: Path, text: str, **options: object) -> Table:
    return read_table(written(folder, text), **options)  # type: ignore[arg-type]


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(DataError) as caught:
        table(folder, text)
    return str(caught.value).splitlines()


def rows(heading: str, *columns_of: Sequence[object]) -> str:
    return "\n".join([heading, *(",".join(map(str, row)) for row in zip(*columns_of, strict=True))]) + "\n"


# --- headings


@pytest.mark.parametrize(
    ("heading", "role", "kind", "factor"),
    [
        ("Force / N", Role.LOAD, Kind.FORCE, 1.0),
        ("force_N", Role.LOAD, Kind.FORCE, 1.0),
        ("Force (N)", Role.LOAD, Kind.FORCE, 1.0),
        ("Force [kgf]", Role.LOAD, Kind.FORCE, G),
        ("Applied Load (lbf)", Role.LOAD, Kind.FORCE, 4.4482216152605),
        ("Weight (g)", Role.LOAD, Kind.FORCE, G / 1000),
        ("mass_kg", Role.LOAD, Kind.FORCE, G),
        ("F/gf", Role.LOAD, Kind.FORCE, G / 1000),
        ("Kraft, kN", Role.LOAD, Kind.FORCE, 1e3),
        ("Pressure_kPa", Role.LOAD, Kind.PRESSURE, 1e3),
        ("p / MPa", Role.LOAD, Kind.PRESSURE, 1e6),
        ("Pressure (psi)", Role.LOAD, Kind.PRESSURE, 6894.757293168),
        ("R/kΩ", Role.RESPONSE, Kind.RESISTANCE, 1e3),
        ("R / \u2126", Role.RESPONSE, Kind.RESISTANCE, 1.0),  # the ohm sign, not the letter omega
        ("Resistance_MOhm", Role.RESPONSE, Kind.RESISTANCE, 1e6),
        ("FSR Resistance (KOhm)", Role.RESPONSE, Kind.RESISTANCE, 1e3),
        ("R1 / kΩ", Role.RESPONSE, Kind.RESISTANCE, 1e3),
        ("Resistance_kOhm_2", Role.RESPONSE, Kind.RESISTANCE, 1e3),
        ("G/µS", Role.RESPONSE, Kind.CONDUCTANCE, 1e-6),
        ("G / \u03bcS", Role.RESPONSE, Kind.CONDUCTANCE, 1e-6),  # the letter mu, not the micro sign
        ("Conductance (uS)", Role.RESPONSE, Kind.CONDUCTANCE, 1e-6),
        ("Conductance [nS]", Role.RESPONSE, Kind.CONDUCTANCE, 1e-9),
        ("1/R (1/MΩ)", Role.RESPONSE, Kind.CONDUCTANCE, 1e-6),
        ("divider voltage / V", Role.RESPONSE, Kind.VOLTAGE, 1.0),
        ("Vout (mV)", Role.RESPONSE, Kind.VOLTAGE, 1e-3),
        ("Time (s)", Role.TIME, Kind.TIME, 1.0),
        ("T / °C", Role.TEMPERATURE, Kind.TEMPERATURE, 1.0),
        ("Resistance std (kΩ)", Role.OTHER, Kind.RESISTANCE, 1e3),
        ("fixed resistor / kΩ", Role.OTHER, Kind.RESISTANCE, 1e3),
    ],
)
def test_a_heading_says_what_its_column_is(heading: str, role: Role, kind: Kind, factor: float) -> None:
    (column,) = columns([heading])
    assert (column.role, column.kind) == (role, kind)
    assert column.factor == approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("heading", "role"),
    [
        ("Series", Role.SERIES),
        ("run", Role.SERIES),
        ("Trial #", Role.SERIES),
        ("Insertion", Role.INSERTION),
        ("position", Role.INSERTION),
        ("Direction", Role.DIRECTION),
        ("excluded", Role.EXCLUDED),
        ("comment", Role.OTHER),
    ],
)
def test_words_have_no_unit(heading: str, role: Role) -> None:
    assert columns([heading])[0].role is role


def test_milli_and_mega_are_not_mistaken() -> None:
    assert [columns([f"R / {unit}"])[0].factor for unit in ("mΩ", "MΩ", "mohm", "MOhm")] == [1e-3, 1e6, 1e-3, 1e6]
    assert columns(["Force / mN"])[0].factor == 1e-3
    assert columns(["Force / MN"])[0].factor == 1e6
    assert columns(["Force / KN"])[0].factor == 1e3  # another case where it can mean one thing only


# --- dialects


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.lists(st.tuples(st.floats(0.1, 900.0), st.floats(20.0, 5e7)), min_size=1, max_size=12),
    separator=st.sampled_from([",", ";", "\t"]),
    comma=st.booleans(),
    force_unit=st.sampled_from(["N", "mN", "kN", "kgf", "gf", "lbf", "g", "kPa", "MPa", "psi"]),
    ohm_unit=st.sampled_from(["Ω", "ohm", "kΩ", "kohm", "MΩ", "Mohm", "S", "mS", "µS", "uS", "nS"]),
    style=st.sampled_from(["{} / {}", "{} ({})", "{} [{}]", "{}_{}", "{}/{}", "{} in {}"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    comments=st.booleans(),
    trailing=st.booleans(),
)
def test_the_same_numbers_in_every_dialect(
    tmp_path: Path,
    data: list[tuple[float, float]],
    separator: str,
    comma: bool,
    force_unit: str,
    ohm_unit: str,
    style: str,
    encoding: str,
    ending: str,
    comments: bool,
    trailing: bool,
) -> None:
    area = Area(value_m2=1e-4, source="test")
    pressed = force_unit in FACTORS[Kind.PRESSURE]
    load = FACTORS[Kind.PRESSURE][force_unit] * area.value_m2 if pressed else FACTORS[Kind.FORCE][force_unit]
    conducting = ohm_unit in FACTORS[Kind.CONDUCTANCE]
    name = "Conductance" if conducting else "Resistance"
    lines = [separator.join((style.format("Load", force_unit), style.format(name, ohm_unit)))]
    for force, ohm in sorted(data):
        given_ohm = (
            1 / ohm / FACTORS[Kind.CONDUCTANCE][ohm_unit] if conducting else ohm / FACTORS[Kind.RESISTANCE][ohm_unit]
        )
        numbers = [repr(force / load), repr(given_ohm)]
        if comma:
            numbers = [number.replace(".", ",") for number in numbers]
        if comma and separator == ",":
            numbers = [f'"{number}"' for number in numbers]
        lines.append(separator.join(numbers))
    if trailing:
        lines = [line + separator for line in lines]
    if comments:
        lines = ["# a comment: with, commas; and more", "", *lines, ""]
    path = written(tmp_path, ending.join(lines) + ending, encoding=encoding)
    points = read_table(path, area=area).data.points
    read = [pair for point in points for pair in zip(point.forces_N, point.resistances_ohm, strict=True)]
    assert np.array(read) == approx(np.array(sorted(data)), rel=1e-12)


def test_excel_with_its_first_line_and_units_beneath(tmp_path: Path) -> None:
    text = "sep=;\r\nForce;Resistance;\r\nN;kΩ;\r\n1;102,3;\r\n2;60,45;\r\n"
    points = table(tmp_path, text).data.points
    assert [point.resistance_ohm for point in points] == approx([102300.0, 60450.0])
    assert points[0].place == "line 4"


def test_a_title_above_the_heading(tmp_path: Path) -> None:
    text = "Sensor 7, May\n\nForce / N,R / kΩ\n1,102.3\n"
    assert table(tmp_path, text).data.points[0].force_N == 1.0


def test_western_characters_without_utf_8(tmp_path: Path) -> None:
    path = written(tmp_path, "Kraft / N;Leitwert / µS;T / °C\n1,5;10,25;23,1\n", encoding="cp1252")
    (point,) = read_table(path).data.points
    assert (point.force_N, point.temperature_degC) == (1.5, 23.1)
    assert point.resistance_ohm == approx(1 / 10.25e-6, rel=1e-12)


# --- quantities


def test_a_divider_with_the_sensor_at_either_end(tmp_path: Path) -> None:
    ohm = np.array(KOHMS) * 1e3
    at_supply, at_ground = 5 * 1e4 / (ohm + 1e4), 5 * ohm / (ohm + 1e4)
    facts = "# supply: 5 V\n# fixed resistor: 10 kΩ\n"
    for volts in (at_supply, at_ground):
        text = facts + rows("Force / N,divider voltage / V", FORCES, volts)
        assert [p.resistance_ohm for p in table(tmp_path, text).data.points] == approx(list(ohm), rel=1e-12)
    text = rows("Force / N,Vout / V", FORCES, at_ground)
    told = table(tmp_path, text, divider=Divider(5.0, 1e4, sensor_to_supply=False))
    assert [p.resistance_ohm for p in told.data.points] == approx(list(ohm), rel=1e-12)


def test_a_divider_without_its_resistor(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, "# supply: 5 V\nForce / N,V / V\n1,2\n")
    assert "state its supply and its resistor" in said


def test_pressure_needs_an_area(tmp_path: Path) -> None:
    text = rows("p / kPa,R / kΩ", (52, 546), (2000, 288))
    (said,) = refused(tmp_path, text)
    assert "state the area" in said
    found = table(tmp_path, "# diameter: 14 mm\n" + text)
    assert [point.force_N for point in found.data.points] == approx([8.005, 84.05], abs=0.005)
    assert found.area is not None
    assert found.area.value_m2 == approx(153.938e-6, rel=1e-5)
    given_area = table(tmp_path, "# diameter: 10 mm\n" + text, area=Area(value_m2=1e-4, source="drawing"))
    assert given_area.data.points[0].force_N == approx(5.2)


def test_newtons_before_grams_and_resistance_before_voltage(tmp_path: Path) -> None:
    found = table(tmp_path, "mass (g),Force (N),Vout (V),R (kΩ)\n100,0.98,1.5,33\n")
    assert found.data.points[0].force_N == 0.98
    assert found.data.points[0].resistance_ohm == approx(33e3)
    assert any("not used: 'mass (g)', 'Vout (V)'" in note for note in found.notes)


def test_what_the_file_was_is_in_the_notes(tmp_path: Path) -> None:
    found = table(tmp_path, rows("Weight (g),R (ohm)", (100,), (6000,)))
    assert re.search(r"data\.csv, SHA-256 [0-9a-f]{64}", found.notes[0])
    assert any("weight is taken under g = 9.80665" in note for note in found.notes)


# --- series and directions


def order(found: Table) -> list[tuple[int, str, float]]:
    return [(point.series, point.direction.value, point.force_N) for point in found.data.points]


def falling_with(forces: Sequence[float]) -> list[float]:
    return [1e5 * force**-0.85 * (1 + 0.001 * place) for place, force in enumerate(forces)]


@pytest.mark.parametrize(
    ("forces", "expected"),
    [
        ([1, 2, 5, 10], "1u 1u 1u 1u"),
        ([10, 5, 2, 1], "1d 1d 1d 1d"),
        ([1, 2, 5, 10, 5, 2, 1], "1u 1u 1u 1u 1d 1d 1d"),
        ([1, 2, 5, 10, 10, 5, 2, 1], "1u 1u 1u 1u 1d 1d 1d 1d"),
        ([1, 2, 5, 10, 1, 2, 5, 10, 1, 2, 5, 10], "1u 1u 1u 1u 2u 2u 2u 2u 3u 3u 3u 3u"),
        ([1, 2, 5, 10, 5, 2, 1, 1, 2, 5, 10, 5, 2, 1], "1u 1u 1u 1u 1d 1d 1d 2u 2u 2u 2u 2d 2d 2d"),
        ([1, 2, 5, 10, 5, 2, 1, 2, 5, 10, 5, 2, 1], "1u 1u 1u 1u 1d 1d 1d 2u 2u 2u 2d 2d 2d"),
        ([0.2, 0.5, 1, 100, 1, 0.5, 0.2, 0.5, 1, 100], "1u 1u 1u 1u 1d 1d 1d 2u 2u 2u"),
    ],
)
def test_series_and_directions_from_the_order(tmp_path: Path, forces: list[float], expected: str) -> None:
    found = table(tmp_path, rows("Force / N,R / Ω", forces, falling_with(forces)))
    told = " ".join(f"{series}{way[0]}" for series, way, _ in order(found))
    assert told == expected
    assert any("turning points" in note for note in found.notes)


def test_zero_readings_stand_between_series(tmp_path: Path) -> None:
    forces = [0, 1, 2, 5, 2, 1, 0, 0, 1, 2, 5, 2, 1, 0]
    ohms = ["OL", 100, 60, 30, 58, 97, "inf", "9.9e37", 101, 61, 31, 59, 98, 2e4]
    found = table(tmp_path, rows("Force / N,R / kΩ", forces, ohms))
    assert [(zero.series, zero.before, zero.resistance_ohm) for zero in found.data.zeros] == [
        (1, True, None),
        (1, False, None),
        (2, True, None),
        (2, False, approx(2e7)),
    ]
    assert len(found.data.points) == 10


def test_the_zero_of_the_load_cell_is_kept(tmp_path: Path) -> None:
    found = table(tmp_path, "Force / N,R / kΩ\n0.001,OL\n1,100\n5,30\n20,9\n-0.002,OL\n")
    assert [(zero.before, zero.force_N) for zero in found.data.zeros] == [(True, 0.001), (False, -0.002)]


def test_forces_in_no_order_are_all_taken_as_increasing(tmp_path: Path) -> None:
    forces = [5, 1, 10, 2, 7, 3, 9, 0.5, 8]
    found = table(tmp_path, rows("Force / N,R / Ω", forces, falling_with(forces)))
    assert {(series, way) for series, way, _ in order(found)} == {(1, "up")}
    assert any("in no order" in note for note in found.notes)


def test_stated_columns_go_before_the_order(tmp_path: Path) -> None:
    text = (
        "run;insertion;direction;Force / N;R / kΩ;T / °C;excluded\n"
        "A;1;loading;1;100;23.5;\nA;1;loading;2;60;23.5;\nA;1;unloading;1;95;23.6;touched\n"
        "B;2;loading;1;103;24;\nB;2;unloading;2;58;24;no\n"
    )
    points = table(tmp_path, text).data.points
    assert [(p.series, p.insertion, p.direction.value, p.excluded) for p in points] == [
        (1, 1, "up", ""),
        (1, 1, "up", ""),
        (1, 1, "down", "touched"),
        (2, 2, "up", ""),
        (2, 2, "down", ""),
    ]
    assert points[0].temperature_degC == 23.5


def test_directions_alone_tell_series(tmp_path: Path) -> None:
    forces = [1, 2, 5, 2, 1, 1, 2, 5, 2, 1]
    ways = ["up", "up", "up", "down", "down"] * 2
    found = table(tmp_path, rows("Force / N,R / Ω,direction", forces, falling_with(forces), ways))
    assert [series for series, _, _ in order(found)] == [1] * 5 + [2] * 5


def test_a_column_that_numbers_the_rows_is_no_series(tmp_path: Path) -> None:
    found = table(tmp_path, rows("Trial,Force / N,R / kΩ", range(1, 6), FORCES, KOHMS))
    assert {series for series, _, _ in order(found)} == {1}


def test_several_resistances_beside_one_force(tmp_path: Path) -> None:
    text = "Force / N,R1 / kΩ,R2 / kΩ,mean R / kΩ\n1,100,104,102\n2,60,,60\n5,30,31,30.5\n"
    found = table(tmp_path, text)
    assert order(found) == [(1, "up", 1.0), (1, "up", 2.0), (1, "up", 5.0), (2, "up", 1.0), (2, "up", 5.0)]


def test_a_column_for_each_way(tmp_path: Path) -> None:
    text = "Force (N),Loading R (kΩ),Unloading R (kΩ)\n1,100,94\n2,60,57\n5,30,29\n"
    found = table(tmp_path, text)
    assert [(series, way) for series, way, _ in order(found)] == [(1, "up")] * 3 + [(1, "down")] * 3


# --- bursts and recordings


def test_rows_at_one_load_that_agree_are_a_burst(tmp_path: Path) -> None:
    text = "Force / N,R / kΩ\n1,100\n1.001,100.2\n0.999,99.9\n2,60\n2,60.1\n"
    points = table(tmp_path, text).data.points
    assert [len(point.forces_N) for point in points] == [3, 2]
    assert points[0].place == "lines 2 to 4"
    assert points[0].resistance_ohm == approx((100 * 100.2 * 99.9) ** (1 / 3) * 1e3, rel=1e-12)


def test_rows_at_one_load_that_scatter_are_points_of_their_own(tmp_path: Path) -> None:
    """The sensor was loaded anew in between; a mean would hide how well it repeats itself."""
    text = "Force / N,R / kΩ\n1,100\n1,112\n1,93\n2,60\n"
    assert [len(point.forces_N) for point in table(tmp_path, text).data.points] == [1, 1, 1, 1]


def test_a_pause_ends_a_burst_and_a_zero_starts_the_time_under_load(tmp_path: Path) -> None:
    text = "t / s,Force / N,R / kΩ\n0,0,OL\n10,1,100\n11,1,100.1\n200,1,100.2\n210,2,60\n"
    points = table(tmp_path, text).data.points
    assert [len(point.forces_N) for point in points] == [2, 1, 1]
    assert [point.under_load_s for point in points] == [10.0, 200.0, 210.0]
    assert points[0].time is None  # counted from the start of the recording, which is no date


def test_a_long_recording_is_summed_up(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    time = np.arange(60_000) * 0.01
    force = 50.5 - 49.5 * np.cos(2 * np.pi * time / 150) + generator.normal(0, 0.05, time.size)
    ohm = 2e5 * force**-0.85 * np.exp(generator.normal(0, 0.01, time.size))
    found = table(tmp_path, rows("t/s,F/N,R/ohm", time.round(2), force.round(4), ohm.round(1)))
    points = found.data.points
    assert len(points) < 1000
    assert {point.series for point in points} == {1, 2, 3, 4}
    assert {point.direction for point in points} == {Direction.UP, Direction.DOWN}
    assert max(len(point.forces_N) for point in points) <= 20
    forces = np.array([point.force_N for point in points])
    expected = 2e5 * forces**-0.85
    assert np.array([point.resistance_ohm for point in points]) == approx(expected, rel=0.03)
    assert any("60000 readings" in note for note in found.notes)


# --- what is wrong


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "Force / N,R / kΩ,T / °C\n1,100,20\n2,-50,20\n5,0,20\n10,OL,20\n20,9.9e37,x\nx,3,20\n50,1e2e3,20\n,5,20\n"
    said = refused(tmp_path, text)
    for expected in (
        "data.csv: line 3, column 'R / kΩ': -50 kΩ is not a resistance",
        "data.csv: line 4, column 'R / kΩ': 0 kΩ is not a resistance",
        "data.csv: line 5, column 'R / kΩ': overload (open circuit) under load",
        "data.csv: line 6, column 'R / kΩ': overload (open circuit) under load",
        "data.csv: line 6, column 'T / °C': 'x' is not a number",
        "data.csv: line 7, column 'Force / N': 'x' is not a number",
        "data.csv: line 8, column 'R / kΩ': '1e2e3' is not a number",
        "data.csv: line 9, column 'Force / N': a resistance without its force",
    ):
        assert any(line.startswith(expected) for line in said), (expected, said)


def test_an_overload_that_is_excluded_is_in_the_notes(tmp_path: Path) -> None:
    found = table(tmp_path, "Force / N,R / kΩ,excluded\n1,OL,no contact yet\n2,60,\n")
    assert [point.force_N for point in found.data.points] == [2.0]
    assert any("line 2: excluded (no contact yet)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no lines with data"),
        ("1,2\n3,4\n", "line 1: no heading has both a force and a resistance; found '1', '2'"),
        ("Force,Resistance\n1,2\n", "column 'Force': the heading has no unit; write it like 'Force / N'"),
        ("Force / N,R / foo\n1,2\n", "'foo' is no unit of resistance"),
        ("Force / N,temperature / °C\n1,2\n", "no heading has both"),
        ("Force / N,R / kΩ\n", "no rows beneath the heading"),
        ("Force / N,R / kΩ\n1,2,3\n", "line 2: more cells than the heading has (2)"),
        ("Force / N,R / kΩ\n0,5,12,3\n", "save the table with ';'"),
        ("Force / N,Force 2 / N,R / kΩ\n1,1,2\n", "2 columns of force"),
        ("Force / N,R / kΩ\n1,10 kΩ\n", "the unit belongs into the heading"),
        ('Force / N,R / kΩ\n1.5,"1,234"\n', "has the decimal sign ','"),
        ('Force / N,R / Ω\n1,"1,234"\n2,"1,100"\n', "may have a decimal comma or thousands"),
        ("Force / N;R / Ω\n1,5;1.234,5\n", "without separators of thousands"),
        ("Force / N,R / kΩ\n-50,10\n20,5\n", "line 2, column 'Force / N': -50 N is no pressing force"),
        ("Force / N,R / kΩ\n-5,10\n-20,5\n", "no force above zero; compression is positive"),
        ("Force / N,R / kΩ,direction\n1,10,sideways\n", "'sideways' is no direction; write 'up' or 'down'"),
        ('Force / N,R / kΩ\n1,"10\n2,5\n', "a quotation mark that is not closed"),
        ("# diameter: 14 kg\nForce / N,R / kΩ\n1,10\n", "line 1, 'diameter': 'kg' is no unit of length"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    lines = refused(tmp_path, text)
    assert any(said in line for line in lines), lines
    assert all(line.startswith("data.csv") for line in lines)


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"PK\x03\x04\x00\x00\x00")
    with pytest.raises(DataError, match="no text file; save the table as CSV"):
        read_table(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_many_wrong_cells_fill_no_screen(tmp_path: Path) -> None:
    text = "Force / N,R / kΩ\n" + "\n".join(f"{n},x" for n in range(1, 501))
    said = refused(tmp_path, text)
    assert len(said) == 11
    assert "490 more like these" in said[-1]


def test_swapped_columns_are_seen_by_their_numbers(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, rows("Force / N,R / kΩ", KOHMS, (1, 2, 5, 10, 20)))
    assert "look swapped" in said
    found = table(tmp_path, rows("Force / N,R / kΩ", FORCES, KOHMS))
    assert math.isclose(found.data.points[0].force_N, 1.0)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet='0123456789.,;-+eE\n\t "#NΩkxR/F%', max_size=120))
def test_any_text_is_read_or_refused_in_words(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "Force / N,R / kΩ\n" + text)
    try:
        found = read_table(path)
    except DataError as error:
        assert all(line.startswith("data.csv") for line in str(error).splitlines())
    else:
        assert all(point.force_N > 0 and point.resistance_ohm > 0 for point in found.data.points)
