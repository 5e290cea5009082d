"""Exports of LAND (Landt) testers: CSV, TXT, XLS files that are text inside, and XLSX. Pure: bytes in, rows out.

Column names: docs/instruments/land-exports.md. They differ by program version, language and chosen units, so a column
is known by its words, and its unit is read from its name. Newer programs put the summary of each cycle and step, under
headings of its own, between the records.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "system_time": ("systime", "systemtime", "absolutetime", "realtime", "datetime", "系统时间", "绝对时间"),
    "test_time": ("testtime", "totaltime", "测试时间"),
    "step_time": ("steptime", "relativetime", "步骤时间", "工步时间"),
    "current": ("current", "cur", "电流"),
    "voltage": ("voltage", "volt", "电压"),
    "capacity": ("capacity", "容量"),
    "energy": ("energy", "能量"),
    "cycle": ("cycleindex", "cycleno", "cycle", "循环序号", "循环"),
    "step": ("stepindex", "stepno", "step", "工步序号", "步骤序号"),
    "state": ("stepstate", "stepstatus", "state", "mode", "工步状态", "工作模式", "状态"),
}
NEEDED = ("current", "voltage", "test_time")
UNITS: Mapping[str, float] = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "秒": 1.0, "分": 60.0, "时": 3600.0, "v": 1.0, "mv": 1e-3, "a": 1.0, "ma": 1e-3, "ua": 1e-6, "µa": 1e-6, "na": 1e-9,
    "ah": 1.0, "mah": 1e-3, "uah": 1e-6, "µah": 1e-6, "wh": 1.0, "mwh": 1e-3, "uwh": 1e-6, "µwh": 1e-6,
}  # fmt: skip
START = re.compile(r"(?:start\s*time|开始时间|启动时间)\D{0,5}", re.IGNORECASE)
DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[ T]+(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)")
CLOCK = re.compile(r"(?:(\d+)[-d. ]+)?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
CLOCK_STEP_S = 2.0
"""The tester's clock has whole seconds: its time of test is finer, until the two part by more (a pause)."""


class ExportError(ValueError):
    """A file that is no export, or lacks what a run needs; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `time` by the tester's clock, s since the Unix epoch; capacity and energy as magnitudes."""

    time: float
    test_time_s: float
    step_time_s: float | None
    step: str  # number and state as the tester names them; "" where it does not
    cycle: str
    direction: int  # of the state: +1 charge, -1 discharge, 0 neither or unknown
    voltage_V: float
    current_A: float  # positive on charge
    capacity_Ah: float | None
    energy_Wh: float | None


@dataclass(frozen=True, slots=True)
class Export:
    rows: tuple[Row, ...]
    unread: tuple[int, ...]  # numbers of lines that look like data and could not be read


def read_export(content: bytes) -> Export:
    """Raises `ExportError` where there is no table with current, voltage and time, or no absolute time."""
    lines = _sheet_lines(content) if content.startswith(b"PK\x03\x04") else _text_lines(_decoded(content))
    first, columns = _first_records(lines)
    start = next((found for line in lines[:first] if (found := _start(" ".join(line))) is not None), None)
    if "system_time" not in columns and start is None:
        raise ExportError(
            "it states no absolute time, so that pressures cannot be put beside it; export the system time too"
        )
    rows: list[Row] = []
    unread: list[int] = []
    clock, in_records = _Clock(start), True
    for index, fields in enumerate(lines[first + 1 :], start=first + 1):
        if _is_heading(fields):  # of the records again, over the next cycle, or of what sums up a cycle or a step
            in_records = _is_of_records(fields)
            columns = _columns(fields) if in_records else columns
        elif in_records and any(any(c.isdigit() for c in field) for field in fields):
            if len(fields) == 1 and index + 1 < len(lines):
                continue  # a caption
            try:
                rows.append(_row(fields, columns, clock))
            except (ValueError, IndexError):
                unread.append(index + 1)
    if not rows:
        raise ExportError("it has no records")
    return Export(tuple(rows), tuple(unread))


# --- finding the table


@dataclass(frozen=True, slots=True)
class Column:
    index: int
    scale: float


def _decoded(content: bytes) -> str:
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise ExportError("it is an Excel workbook of before 2007: export it as .xlsx or as text (CSV or TXT)")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030", errors="replace")  # what the maker's program writes on a Chinese system


def _text_lines(text: str) -> list[list[str]]:
    """Split by whichever separator shows the records' headings."""
    lines = text.splitlines()
    for line in lines:
        for separator in ("\t", ";", ","):
            if _is_of_records(next(csv.reader([line], delimiter=separator), [])):
                return [next(csv.reader(io.StringIO(each), delimiter=separator), []) for each in lines]
    return [[line] for line in lines]


def _sheet_lines(content: bytes) -> list[list[str]]:
    """Of all sheets of a workbook, one below the other."""
    import pandas as pd  # takes a second to load, and few files need it

    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, header=None, dtype=object)
    except ImportError:
        raise ExportError("it is an Excel workbook, which openpyxl reads: pip install 'cellstation[files]'") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(f"it is an Excel workbook that cannot be read: {error}") from None
    return [["" if pd.isna(c) else _cell(c) for c in row] for sheet in sheets.values() for row in sheet.to_numpy()]


def _cell(value: object) -> str:
    if isinstance(value, timedelta):  # a duration that the workbook has as such
        minutes, seconds = divmod(value.total_seconds(), 60)
        return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{seconds:06.3f}"
    return str(value)


def _first_records(lines: Sequence[Sequence[str]]) -> tuple[int, dict[str, Column]]:
    for number, fields in enumerate(lines):
        if _is_of_records(fields):
            return number, _columns(fields)
    wanted = "time of test, current and voltage"
    raise ExportError(f"it has no line with the headings of {wanted}: is it the export of the records?")


def _is_of_records(fields: Sequence[str]) -> bool:
    return all(name in _columns(fields) for name in NEEDED)


def _is_heading(fields: Sequence[str]) -> bool:
    """Words alone, of several columns."""
    words = [field.strip() for field in fields if field.strip()]
    return len(words) > 2 and all(word[0].isalpha() for word in words)


def _columns(titles: Sequence[str]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for index, title in enumerate(titles):
        words, _, unit = title.strip().strip('"').replace("(", "/").rstrip(")").partition("/")
        word = re.sub(r"[\s_\-#]+", "", words).lower()
        scale = UNITS.get(unit.strip().lower().rstrip("."))
        for name, known in HEADINGS.items():
            if word in known and scale is not None and name not in found:
                found[name] = Column(index, scale)
    return found


def _start(line: str) -> float | None:
    return _date(line[match.end() :]) if (match := START.search(line)) else None


# --- one record


@dataclass
class _Clock:
    """Puts the fine time of test beside the coarse time of day."""

    anchor: float | None

    def at(self, test_time_s: float, system_time: float | None) -> float:
        if system_time is not None and (
            self.anchor is None or abs(system_time - self.anchor - test_time_s) > CLOCK_STEP_S
        ):
            self.anchor = system_time - test_time_s
        if self.anchor is None:
            raise ValueError("no time")
        return self.anchor + test_time_s


def _row(fields: Sequence[str], columns: Mapping[str, Column], clock: _Clock) -> Row:
    def text(name: str) -> str:
        return fields[columns[name].index].strip() if name in columns else ""

    def value(name: str, read: Callable[[str], float] = _number) -> float | None:
        said = text(name)
        return None if said in ("", "-", "--") else read(said) * (columns[name].scale if ":" not in said else 1.0)

    voltage_V, current_A, test_time_s = value("voltage"), value("current"), value("test_time", _duration)
    if voltage_V is None or current_A is None or test_time_s is None:
        raise ValueError("incomplete")
    said = text("system_time")
    system_time = _date(said) if said not in ("", "-", "--") else None
    if said and system_time is None and "system_time" in columns and said not in ("-", "--"):
        raise ValueError("no date")
    direction = _direction(text("state"))
    capacity_Ah, energy_Wh = value("capacity"), value("energy")
    return Row(
        time=clock.at(test_time_s, system_time),
        test_time_s=test_time_s,
        step_time_s=value("step_time", _duration),
        step=" ".join(part for part in (text("step"), text("state")) if part),
        cycle=text("cycle"),
        direction=direction,
        voltage_V=voltage_V,
        current_A=direction * abs(current_A) if direction else current_A,
        capacity_Ah=None if capacity_Ah is None else abs(capacity_Ah),
        energy_Wh=None if energy_Wh is None else abs(energy_Wh),
    )


def _number(text: str) -> float:
    value = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _duration(text: str) -> float:
    """A number in the column's unit, or h:min:s with days before it."""
    if ":" not in text:
        return _number(text)
    if (match := CLOCK.fullmatch(text)) is None:
        raise ValueError(text)
    days, hours, minutes, seconds = match.groups()
    return (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + float(seconds)


def _date(text: str) -> float | None:
    """Of this computer's time zone, as the tester's."""
    if (match := DATE.search(text)) is None:
        return None
    year, month, day, hour, minute = map(int, match.groups()[:5])
    seconds = float(match[6])
    try:
        return datetime(year, month, day, hour, minute, int(seconds)).timestamp() + seconds % 1
    except (ValueError, OverflowError, OSError):
        return None


def _direction(state: str) -> int:
    """Of the tester's words: RateC, CCC and CVC charge, RateD, CCD and CVD discharge, R rests."""
    word = state.strip().lower()
    if "放电" in word or "dis" in word or "dchg" in word or re.fullmatch(r"(rate|cc|cv|cp|cr|l)?d(_.*)?", word):
        return -1
    if "充电" in word or "cha" in word or "chg" in word or re.fullmatch(r"(rate|cc|cv|cp|cccv)?c(_.*)?", word):
        return 1
    return 0
