"""LAND's exports as rows, and rows as readings and steps of a run."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.conversion import Pressed
from station.imported import readings_of
from station.land_export import ExportError, read_export
from station.pressure_log import PressureLog, nearest
from tests.station.land_files import BEGAN, ENGLISH, chinese, english, records


@pytest.mark.parametrize(
    "content",
    [
        english().encode(),
        b"\xef\xbb\xbf" + english().encode(),
        english().encode("utf-16"),
        english().replace(",", "\t").encode(),
        english().replace(",", ";").replace(".", ",").encode(),
        ("Test name: cell 7\nOperator: me\n\n" + english()).encode(),
        chinese().encode("gb18030"),
        chinese().encode(),
    ],
)
def test_each_way_of_writing_it_is_the_same_test(content: bytes) -> None:
    export = read_export(content)
    assert export.unread == ()
    rows = export.rows
    assert [row.test_time_s for row in rows] == [record[0] for record in records()]
    assert [row.step_time_s for row in rows] == [record[1] for record in records()]
    assert [row.current_A for row in rows] == pytest.approx([record[5] * 1e-3 for record in records()])
    assert rows[0].time == BEGAN
    assert [row.time - BEGAN for row in rows] == pytest.approx([record[0] for record in records()], abs=1e-6)
    assert rows[16].capacity_Ah == pytest.approx(1e-3 * 100 / 3600, rel=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "scale"),
    [
        ("Current/mA", "Current(uA)", 1e-6),
        ("Current/mA", "Current/A", 1.0),
        ("Current/mA", "电流/μA".replace("μ", "u"), 1e-6),
    ],
)
def test_the_unit_is_that_of_the_heading(old: str, new: str, scale: float) -> None:
    rows = read_export(english(heading=ENGLISH.replace(old, new)).encode()).rows
    assert rows[10].current_A == pytest.approx(scale)


def test_hours_are_hours() -> None:
    rows = read_export(english(heading=ENGLISH.replace("TestTime/Sec", "TestTime/h")).encode()).rows
    assert rows[1].test_time_s == 36000.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no line with the headings"),
        (b"alpha,beta\n1,2\n", "no line with the headings"),
        (b"PK\x03\x04 and so on", "an Excel workbook that cannot be read"),
        (b"\xd0\xcf\x11\xe0 and so on", "an Excel workbook of before 2007"),
        (ENGLISH.encode(), "no records"),
        (english(heading=ENGLISH.replace("SysTime", "Other")).encode(), "states no absolute time"),
        (english(heading=ENGLISH.replace("Current/mA", "Current/furlong")).encode(), "no line with the headings"),
    ],
)
def test_what_is_no_export_is_told(content: bytes, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        read_export(content)


def test_a_start_in_the_head_serves_where_records_have_no_time() -> None:
    text = "Start time: 2025-03-01 12:00:00\n" + english(heading=ENGLISH.replace("SysTime", "Other"))
    assert read_export(text.encode()).rows[3].time == BEGAN + 30.0


def test_summaries_between_the_records_are_no_records() -> None:
    """As newer programs write it: cycles, their steps and these' records, each under its own headings."""
    heading, *rows = english(heading=ENGLISH.replace("Step-State", "StepStatus")).splitlines()
    text = "\n".join(
        (
            "Cycle,CapC/mAh,CapD/mAh,Efficiency/%,EndVoltD/V",
            "1,0.0278,0.0278,100.0,3.4,2025-03-01 12:00:00,5,6,7,8,1,1,R",
            "Step,CycleNo,Mode,StartTime,Period,Capacity/mAh,AveVolt/V",
            "1,1,R,2025-03-01 12:00:00,00:00:50,0,3.5",
            heading,
            *rows[:6],
            "Step,CycleNo,Mode,StartTime,Period,Capacity/mAh,AveVolt/V",
            "2,60.0,10.0,1.0,0.5,0.5,3.9,0.1,2025-03-01 12:00:51,,1,2,RateC",
            heading,
            *rows[6:],
        )
    )
    assert read_export(text.encode()) == read_export(english().encode())


def test_a_workbook_is_read_as_the_text_is() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Cycle", "CapC/mAh", "CapD/mAh"])
    sheet = book.create_sheet("Record")
    for line in english().splitlines():
        cells = [float(cell) if cell.replace(".", "", 1).lstrip("-").isdigit() else cell for cell in line.split(",")]
        sheet.append([timedelta(seconds=cells[1]), *cells[2:]] if isinstance(cells[1], float) else cells[1:])
    content = io.BytesIO()
    book.save(content)
    found, expected = read_export(content.getvalue()).rows, read_export(english().encode()).rows
    assert [(row.time, row.test_time_s, row.voltage_V, row.current_A, row.capacity_Ah) for row in found] == [
        (row.time, row.test_time_s, row.voltage_V, row.current_A, row.capacity_Ah) for row in expected
    ]


def test_lines_that_cannot_be_read_are_named_and_a_cut_one_is_left_out() -> None:
    lines = english().splitlines()
    lines[5] = lines[5].replace("3.5", "x3.5")
    lines[-1] = lines[-1][:20]
    export = read_export("\n".join(lines).encode())
    assert export.unread == (6, len(lines))
    assert len(export.rows) == len(records()) - 2


def test_a_pause_of_the_test_shows_in_the_time_of_day() -> None:
    lines = english().splitlines()
    late = [line.replace(" 12:0", " 13:0") for line in lines[20:]]
    rows = read_export("\n".join((*lines[:20], *late)).encode()).rows
    assert rows[19].time - rows[18].time == pytest.approx(3610.0, abs=1.0)
    assert rows[19].test_time_s - rows[18].test_time_s == pytest.approx(10.0)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_anything_at_all_is_rows_or_an_error(content: bytes) -> None:
    try:
        assert read_export(ENGLISH.encode() + b"\n" + content).rows
    except ExportError:
        pass


# --- as a run


def test_steps_cycles_and_charge_are_the_testers_own() -> None:
    readings, steps = readings_of(read_export(english().encode()).rows, [], 0.0)
    assert [(s.step, s.step_name, s.kind, s.cycle) for s in steps] == [
        (1, "1 R", "rest", 1),
        (2, "2 RateC", "charge", 1),
        (3, "3 RateD", "discharge", 1),
    ], "the last step may go on"
    charge_Ah = 1e-3 * 100 / 3600
    assert [s.capacity_Ah for s in steps] == pytest.approx([0.0, charge_Ah, -charge_Ah], abs=1e-9)
    assert steps[1].energy_Wh == pytest.approx(charge_Ah * 3.6, rel=0.02)
    assert [s.end_time - s.start_time for s in steps] == pytest.approx([50.0, 100.0, 100.0])
    assert readings[-1].cycle == 2
    assert readings[-1].net_capacity_Ah == pytest.approx(charge_Ah / 2, rel=1e-3)
    assert [reading.sequence for reading in readings] == list(range(1, len(records()) + 1))


def test_without_the_testers_count_the_current_is_integrated() -> None:
    heading = (
        ENGLISH.replace("Capacity/mAh", "Other")
        .replace("Energy", "More")
        .replace("Step-", "No-")
        .replace("StepTime", "X")
    )
    readings, steps = readings_of(read_export(english(heading=heading).encode()).rows, [], 0.0)
    assert [s.kind for s in steps] == ["rest", "charge", "discharge"]
    assert steps[1].capacity_Ah == pytest.approx(1e-3 * 100 / 3600, rel=1e-6)
    assert readings[-1].step == 4


def test_pressures_are_those_of_the_time_by_the_stations_clock() -> None:
    """The tester's clock is 90 s ahead; the sensor's resistance says when it was read."""
    said = [Pressed(BEGAN - 90.0 + t, 1e5 + t, 5e5 + t, 1e4, "mfsr v1") for t in range(0, 200, 5)]
    readings, _ = readings_of(read_export(english().encode()).rows, said, 90.0)
    assert readings[0].time == BEGAN - 90.0
    for reading in readings[:10]:
        assert reading.pressure_Pa == pytest.approx(5e5 + reading.test_time_s, abs=5.0)
        assert reading.calibration == "mfsr v1"
    assert readings[-1].test_time_s > 270.0 and readings[-1].pressure_Pa is None, "too far from the last one"


def test_the_log_of_pressures_survives_a_cut_line_and_spans_days(tmp_path) -> None:
    log = PressureLog(tmp_path / "p")
    midnight = 1_740_873_600.0
    said = [Pressed(midnight + t, 1e5 + t, None if t > 0 else 5e5, None, None) for t in (-10.0, -5.0, 0.5, 5.0)]
    for one in said:
        log.keep(one)
    assert len(list((tmp_path / "p").iterdir())) == 2
    path = sorted((tmp_path / "p").iterdir())[0]
    path.write_text(path.read_text()[:-7])
    assert log.between(midnight - 100, midnight + 100) == [said[0], *said[2:]]
    assert log.between(midnight + 1000, midnight + 2000) == []
    assert nearest(said, midnight + 3.0, 60.0) == said[2]
    assert nearest(said, midnight - 20.0, 60.0) == said[0]
    assert nearest(said, midnight + 500.0, 60.0) is None
