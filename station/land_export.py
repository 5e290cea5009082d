"""Text exports of LAND (Landt) testers: CSV, TXT, and the XLS files that are text inside. Pure: bytes in, rows out.

Column names: docs/instruments/land-exports.md. They differ by program version, language and chosen units, so a column
is known by its words, and its unit is read from its name.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    "state": ("stepstate", "state", "mode", "工步状态", "工作模式", "状态"),
}
NEEDED = ("current", "voltage", "test_time")
UNITS: Mapping[str, float] = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "秒": 1.0, "分": 60.0, "时": 3600.0, "v": 1.0, "mv": 1e-3, "a": 1.0, "ma": 1e-3, "ua": 1e-6, "µa": 1e-6, "na": 1e-9,
    "ah": 1.0, "mah": 1e-3, "uah": 1e-6, "µah": 1e-6, "wh": 1.0, "mwh": 1e-3, "uwh": 1e-6, "µwh": 1e-6,
}  # fmt: skip
START = re.compile(r"(?:start\s*time|开始时间|启动时间)\D{0,5}", re.IGNORECASE)
DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[ T]+(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)")
CLOCK = re.compile(r"(?:(\d+)[-d ]+)?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
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
    text = _decoded(content)
    lines = text.splitlines()
    number, separator, columns = _header(lines)
    start = next((found for line in lines[:number] if (found := _start(line)) is not None), None)
    if "system_time" not in columns and start is None:
        raise ExportError(
            "it states no absolute time, so that pressures cannot be put beside it; export the system time too"
        )
    rows: list[Row] = []
    unread: list[int] = []
    clock = _Clock(start)
    titles = lines[number].strip()
    for index, fields in _table(lines, number + 1, separator):
        if lines[index].strip() == titles or not any(any(c.isdigit() for c in field) for field in fields):
            continue  # the heading again, over the next cycle; an empty line
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
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ExportError("it is an Excel workbook: export it as text (CSV or TXT)")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030", errors="replace")  # what the maker's program writes on a Chinese system


def _header(lines: Sequence[str]) -> tuple[int, str, dict[str, Column]]:
    for number, line in enumerate(lines):
        for separator in ("\t", ";", ","):
            columns = _columns(next(csv.reader([line], delimiter=separator), []))
            if all(name in columns for name in NEEDED):
                return number, separator, columns
    wanted = "time of test, current and voltage"
    raise ExportError(f"it has no line with the headings of {wanted}: is it the export of the records?")


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


def _table(lines: Sequence[str], first: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    for index in range(first, len(lines)):
        yield index, next(csv.reader(io.StringIO(lines[index]), delimiter=separator), [])


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
