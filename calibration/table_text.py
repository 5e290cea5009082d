"""From a file to cells: its encoding, separator, decimal sign, comments and heading, each row with its line."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration import units
from calibration.data import DataError
from calibration.table_columns import Column, columns, meant

SEPARATORS = (";", "\t", ",", "|")
HEADING_WITHIN = 60  # lines
OVERLOAD = 9e36  # instruments write 9.9e37 for an overload
_OPEN = {
    "ol",
    "o.l",
    "o.l.",
    "0l",
    "0.l",
    "overload",
    "over",
    "overflow",
    "open",
    "inf",
    "+inf",
    "infinity",
    "∞",
    ">max",
}
_NOTHING = {"", "-", "--", "nan", "na", "n/a", "#n/a", "none", "null", "#value!", "#div/0!"}
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Cells:
    """A table as text. `rows` has a column for each of `columns`; `lines` are the rows' lines in the file."""

    name: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame
    lines: NDArray[np.int64]
    facts: dict[str, tuple[str, int]]  # of comment lines 'name: value', with their line
    decimal: str
    sha256: str
    encoding: str

    def where(self, row: int | np.integer[Any], column: Column | None = None) -> str:
        place = f"{self.name}: line {self.lines[row]}"
        return f"{place}, column '{column.heading}'" if column else place

    def text(self, column: Column) -> list[str]:
        return [str(cell).strip() for cell in self.rows[column.index].tolist()]


def read_cells(path: Path) -> Cells:
    """Raises `DataError` where there is no table of force and resistance."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    text, encoding = _decoded(content, path.name)
    facts: dict[str, tuple[str, int]] = {}
    kept: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip().strip('"')
        if bare.startswith("#"):
            _note(bare, number, facts)
        elif bare.strip(";,\t| ") and not bare.casefold().startswith("sep="):
            kept.append(line)
            numbers.append(number)
    if not kept:
        raise DataError(f"{path.name}: the file has no lines with data; a heading such as 'Force / N,R / kΩ' is wanted")
    at, separator, headings, with_units = _heading(kept, path.name, numbers)
    start = at + (2 if with_units else 1)
    rows = _rows(kept[start:], separator, len(headings), path.name, numbers[start:])
    found = columns(headings)
    return Cells(
        path.name,
        found,
        rows,
        np.asarray(numbers[start:], dtype=np.int64),
        facts,
        _decimal(rows, found, separator, path.name),
        hashlib.sha256(content).hexdigest(),
        encoding,
    )


def _decoded(content: bytes, name: str) -> tuple[str, str]:
    """UTF-8 or UTF-16 with its mark, else what Excel writes in the West."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    elif b"\x00" in content[:4096]:
        raise DataError(f"{name}: this is no text file; save the table as CSV")
    else:
        encodings = ("utf-8-sig", "cp1252", "latin-1")  # type: ignore[assignment]
    for encoding in encodings:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise DataError(f"{name}: its characters cannot be read; save it as UTF-8")


def _note(line: str, number: int, facts: dict[str, tuple[str, int]]) -> None:
    key, colon, value = line.lstrip("# ").partition(":")
    if colon and value.strip(" ;,\t"):
        facts[" ".join(re.split(r"[\s_-]+", key.strip().casefold()))] = (value.strip(" ;,\t"), number)


def _heading(lines: list[str], name: str, numbers: list[int]) -> tuple[int, str, list[str], bool]:
    """Its index, the separator, the headings, and whether the units stand in the line beneath."""
    best: tuple[int, str, list[str]] | None = None
    for index, line in enumerate(lines[:HEADING_WITHIN]):
        for separator in SEPARATORS:
            cells = _cells(line, separator)
            if len(cells) < 2:
                continue
            if meant(cells):
                beneath = _cells(lines[index + 1], separator) if index + 1 < len(lines) else []
                joined = _joined(cells, beneath)
                return index, separator, joined or cells, joined is not None
            if best is None or (best[0] == index and len(cells) > len(best[2])):
                best = (index, separator, cells)
    found = ", ".join(f"'{cell}'" for cell in best[2] if cell) if best else f"'{lines[0].strip()[:60]}'"
    line_number = numbers[best[0]] if best else numbers[0]
    raise DataError(
        f"{name}: line {line_number}: no heading has both a force and a resistance; found {found}. "
        "Name the columns with their units, such as 'Force / N' and 'R / kΩ' (or a conductance, or a divider voltage)"
    )


def _joined(headings: list[str], beneath: list[str]) -> list[str] | None:
    """Headings and their units where these stand in the next line, as some programs write them."""
    if not beneath or any(re.search(r"\d", cell) and not cell.startswith("1/") for cell in beneath):
        return None
    both = [f"{name} / {unit.strip('()[] ')}" if unit else name for name, unit in zip(headings, beneath, strict=False)]
    both += headings[len(beneath) :]
    before, after = columns(headings), columns(both)
    better = sum(bool(c.kind) for c in after) > sum(bool(c.kind) for c in before)
    return both if better else None


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _rows(lines: list[str], separator: str, width: int, name: str, numbers: list[int]) -> pd.DataFrame:
    """As text; raises `DataError` where a row has more cells than there are headings."""
    if not lines:
        raise DataError(f"{name}: no rows beneath the heading")
    most = max(line.count(separator) for line in lines) + 1
    wide = max(width, most)
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=separator,
            header=None,
            names=range(wide),
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=False,
            index_col=False,
            skipinitialspace=True,
            engine="c",
        )
    except pd.errors.ParserError as error:
        if "EOF inside string" not in str(error):
            raise DataError(f"{name}: the rows cannot be read: {error}") from None
        frame = pd.DataFrame()
    if len(frame) != len(lines):
        raise DataError(f"{name}: a quotation mark that is not closed, or a line break within a cell")
    frame = frame.fillna("")
    if wide > width:
        beyond = (frame[list(range(width, wide))].map(str.strip) != "").any(axis=1).to_numpy()
        problems = [
            f"{name}: line {numbers[row]}: more cells than the heading has ({width}); where commas are both the "
            "separator and the decimal sign, save the table with ';' between the cells"
            for row in np.flatnonzero(beyond)[:5]
        ]
        if problems:
            raise DataError("\n".join(problems))
    return frame[list(range(width))]


def _decimal(rows: pd.DataFrame, found: tuple[Column, ...], separator: str, name: str) -> str:
    """',' where numbers have commas and none has a point."""
    numbers = [rows[column.index] for column in found if column.kind is not None]
    if not numbers:
        return "."
    cells = pd.concat(numbers).str.strip()
    with_comma = cells[cells.str.contains(",", regex=False)]
    if with_comma.empty or cells.str.contains(r"^[-+]?\d*\.\d", regex=True).any():
        return "."
    if separator == "," and with_comma.str.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+").all():
        raise DataError(
            f"{name}: '{with_comma.iat[0]}' may have a decimal comma or thousands; write numbers like 1234.5"
        )
    return ","


def numbers_of(cells: Cells, column: Column) -> tuple[NDArray[np.float64], list[str]]:
    """As they stand there, without the unit: NaN where there is none, infinity for an overload; with the problems."""
    text = cells.rows[column.index].str.replace(r"[\s\u00a0\u2009\u202f']", "", regex=True)
    text = text.str.replace("\u2212", "-", regex=False)
    plain = text.str.replace(",", ".", regex=False) if cells.decimal == "," else text
    values = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    lowered = text.str.casefold()
    is_open = lowered.isin(_OPEN).to_numpy()
    values[is_open | (values >= OVERLOAD)] = np.inf
    nothing = lowered.isin(_NOTHING).to_numpy()
    wrong = np.flatnonzero((np.isnan(values) & ~is_open & ~nothing) | np.isneginf(values) | (values <= -OVERLOAD))
    found = ((int(row), str(text.iat[int(row)])) for row in wrong)
    return values, listed([f"{cells.where(row, column)}: {_why_not(cell, cells.decimal)}" for row, cell in found])


def _why_not(text: str, decimal: str) -> str:
    other = "," if decimal == "." else "."
    if text.count(",") + text.count(".") > 1:
        return f"'{text}' is not a number; write it without separators of thousands"
    if _NUMBER.fullmatch(text) and other in text:
        return f"'{text}' has the decimal sign '{other}', and other numbers of this file have '{decimal}'; use one"
    if re.match(r"[-+]?[\d.,]+.*[^\W\d_]", text):
        return f"'{text}' is not a number; the unit belongs into the heading"
    return f"'{text}' is not a number"


def listed(problems: list[str], most: int = 10) -> list[str]:
    """So that a column of wrong numbers fills no screen."""
    left = len(problems) - most
    return problems if left <= 0 else [*problems[:most], f"{problems[most].split(': line')[0]}: {left} more like these"]


def fact(cells: Cells, names: tuple[str, ...], kind: units.Kind) -> tuple[float | None, list[str]]:
    """What a comment line says, in SI."""
    for name in names:
        if name in cells.facts:
            text, line = cells.facts[name]
            try:
                return units.quantity(text, kind), []
            except units.UnitError as error:
                return None, [f"{cells.name}: line {line}, '{name}': {error}"]
    return None, []
