"""Readings from a CSV file whose header states what each column is, and its unit.

'Voltage / V', 'Ecell/mV', 'I (mA)', 'Test Time [h]', 'current_A' and the like. Files that `cellstation export` writes
are among them, and frames of readings that were saved with their names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from protocols.quantities import QuantityError, number
from station.analysis.errors import AnalysisError
from station.analysis.record import Record, as_record

_NAMES = {
    "time": ("test_time_s", "s", ("time", "t", "test time", "elapsed time", "time elapsed", "total time")),
    "voltage": (
        "voltage_V",
        "V",
        ("voltage", "u", "v", "e", "ewe", "ecell", "potential", "cell voltage", "working electrode potential"),
    ),
    "current": ("current_A", "A", ("current", "i")),
    "cycle": ("cycle", "", ("cycle", "cycle count", "cycle number", "cycle index", "cycle id")),
    "pressure": ("pressure_Pa", "Pa", ("pressure", "applied pressure", "surface pressure")),
    "uncertainty": ("pressure_U_Pa", "Pa", ("pressure u", "pressure expanded uncertainty", "expanded uncertainty")),
    "temperature": ("temperature_degC", "degC", ("temperature", "ambient temperature", "surface temperature")),
}
_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:/\s*(?P<a>[^/()\[\]]+)|\((?P<b>[^()]+)\)|\[(?P<c>[^\[\]]+)\])\s*$")
_UNDERSCORE = re.compile(r"^(?P<name>.+)_(?P<unit>[A-Za-zµ°]+)$")
_NO_UNITS = ("", "1", "-")


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    field: str  # of `Record`
    scale: float
    offset: float


def read_csv(path: Path) -> Record:
    """Raises AnalysisError that names the file and the line, and OSError where it cannot be opened.

    Current is taken as positive on charge. Separators may be commas, semicolons or tabs.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = max(",;\t", key=first.count)
            headings = next(csv.reader([first], delimiter=separator), [])
            columns = _columns(path, [heading.strip() for heading in headings])
            file.seek(0)
            frame = pd.read_csv(file, sep=separator, skipinitialspace=True, low_memory=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise AnalysisError(f"{path}: this is no CSV file with a header: {error}") from error
    frame.columns = [str(heading).strip() for heading in frame.columns]
    values = {column.field: _numbers(path, frame, column) for column in columns}
    try:
        return as_record(pd.DataFrame(values))
    except AnalysisError as error:
        raise AnalysisError(f"{path}: {error}") from error


def _columns(path: Path, headings: list[str]) -> list[_Column]:
    if not headings:
        raise AnalysisError(f"{path}: the file is empty")
    known = Record.__dataclass_fields__.keys() - {"left_out", "time_s"} | {"test_time_s"}
    found = {heading: _Column(heading, heading, 1.0, 0.0) for heading in headings if heading in known}
    for heading in headings:
        column = None if heading in known else _column(path, heading, found)
        if column is not None:
            found[column.field] = column
    for field, what in (
        ("test_time_s", "time, such as 'Time / s'"),
        ("voltage_V", "voltage"),
        ("current_A", "current"),
    ):
        if field not in found:
            raise AnalysisError(f"{path}: line 1: no column of {what}; there are: {', '.join(headings)}")
    return list(found.values())


def _column(path: Path, heading: str, found: Collection[str]) -> _Column | None:
    """None for what is of no use here, or was found before."""
    name, unit = _split(heading)
    plain = re.sub(r"[\s_]+", " ", name).strip().lower()
    for field, base, names in _NAMES.values():
        if plain in names and field not in found:
            scale, offset = _conversion(path, heading, unit, base)
            return _Column(heading, field, scale, offset)
    return None


def _split(heading: str) -> tuple[str, str]:
    if match := _UNIT.match(heading):
        return match["name"], (match["a"] or match["b"] or match["c"]).strip()
    if match := _UNDERSCORE.match(heading):
        return match["name"], match["unit"]
    return heading, ""


def _conversion(path: Path, heading: str, unit: str, base: str) -> tuple[float, float]:
    if not base:
        return 1.0, 0.0
    if unit in _NO_UNITS:
        raise AnalysisError(f"{path}: line 1: '{heading}' states no unit; write it like '{heading.strip()} / {base}'")
    unit = {"°C": "degC", "C": "degC"}.get(unit, unit) if base == "degC" else unit
    try:
        offset = number(f"0 {unit}", base, "a column")
        return number(f"1 {unit}", base, "a column") - offset, offset
    except QuantityError as error:
        raise AnalysisError(f"{path}: line 1: '{heading}': {error}") from error


def _numbers(path: Path, frame: pd.DataFrame, column: _Column) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    given = frame[column.heading]
    values = pd.to_numeric(given, errors="coerce")
    wrong = values.isna() & given.notna()
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        said = given.iloc[row]
        hint = "; write decimals with a point" if isinstance(said, str) and re.fullmatch(r"[-+]?\d+,\d+", said) else ""
        raise AnalysisError(f"{path}: line {row + 2}: '{said}' in '{column.heading}' is not a number{hint}")
    return np.asarray(values.to_numpy(dtype=np.float64), dtype=np.float64) * column.scale + column.offset
