"""Tables in text, workbooks and Parquet: where the heading is, what separates, which line a row stands on."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.record import Floats

Recognised: TypeAlias = Callable[[Sequence[str]], bool]

HEADING_WITHIN = 1000
"""Lines among which the heading is looked for."""
SEPARATORS = "\t;,"
_EC_LAB = re.compile(r"Nb header lines\s*:\s*(\d+)")
_RAGGED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")  # as pandas says it
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of a file by their headings; `lines` says on which line of the file each row stands."""

    path: Path
    frame: pd.DataFrame
    heading_line: int
    lines: Sequence[int]
    decimal_commas: bool = False  # whether '3,1' may be 3.1: not where commas separate

    @property
    def headings(self) -> list[str]:
        return [str(heading) for heading in self.frame.columns]

    def numbers(self, heading: str) -> Floats:
        """A column as numbers, NaN where a cell is empty. Raises AnalysisError that names file and line."""
        given = self.frame[heading]
        values = pd.to_numeric(given, errors="coerce")
        wrong = (values.isna() & given.notna()).to_numpy()
        if wrong.any() and self.decimal_commas:
            commas = np.array([bool(_DECIMAL_COMMA.fullmatch(str(cell))) for cell in given[wrong]])
            if commas.all() and not given.astype(str).str.contains(".", regex=False).any():
                return np.asarray(pd.to_numeric(given.astype(str).str.replace(",", ".", regex=False)), np.float64)
        if wrong.any():
            row = int(np.argmax(wrong))
            said = str(given.iloc[row])
            hint = "; write decimals with a point" if _DECIMAL_COMMA.fullmatch(said) else ""
            raise AnalysisError(f"{self.path}: line {self.lines[row]}: '{said}' in '{heading}' is not a number{hint}")
        return np.asarray(values.to_numpy(dtype=np.float64), dtype=np.float64)


def content_of(path: Path) -> bytes:
    """The file's bytes, unpacked where it is a .gz."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise AnalysisError(f"{path}: the packed file is damaged: {error}") from error


def text_of(path: Path, content: bytes | None = None) -> str:
    """UTF-8, UTF-16 by its mark, or else Windows-1252, which instruments' programs write."""
    content = content_of(path) if content is None else content
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\x00" in text:
        raise AnalysisError(f"{path} is no text, and no kind of file that is known")
    if not text.strip():
        raise AnalysisError(f"{path}: the file is empty")
    return text


def read_text_table(path: Path, recognised: Recognised, content: bytes | None = None) -> Table:
    """The table whose heading is recognised, or that of the first line. Raises AnalysisError and OSError."""
    text = text_of(path, content)
    lines = text.splitlines()
    place, separator = _heading(lines, recognised)
    headings = _split(lines[place], separator)
    if not recognised(headings):  # whoever asked says which column is missing
        return Table(path, pd.DataFrame({name: [] for name in _unique(headings)}), place + 1, [])
    rows = "\n".join(lines[place + 1 :])
    try:
        frame = pd.read_csv(
            io.StringIO(rows),
            sep=separator,
            names=_unique(headings),
            header=None,
            index_col=False,
            skipinitialspace=True,
            skip_blank_lines=False,
            on_bad_lines="error",
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame({heading: [] for heading in _unique(headings)})
    except (pd.errors.ParserError, ValueError) as error:
        if (at := _RAGGED.search(str(error))) is None:
            raise AnalysisError(f"{path}: below its heading on line {place + 1} this is no table: {error}") from error
        line = place + 1 + int(at[2])
        raise AnalysisError(f"{path}: line {line}: there are {at[3]} cells below {at[1]} headings") from error
    filled = ~frame.isna().all(axis=1).to_numpy()
    numbers = (np.flatnonzero(filled) + place + 2).tolist()
    return Table(path, frame[filled].reset_index(drop=True), place + 1, numbers, separator != ",")


def _heading(lines: Sequence[str], recognised: Recognised) -> tuple[int, str]:
    """Its place and its separator; where none is recognised, what EC-Lab's second line says, or the first line."""
    first: tuple[int, str] | None = None
    if len(lines) > 1 and (stated := _EC_LAB.match(lines[1])):
        first = min(int(stated[1]), len(lines)) - 1, "\t"
    for place, line in enumerate(lines[:HEADING_WITHIN]):
        if not line.strip():
            continue
        by_count = sorted(SEPARATORS, key=line.count, reverse=True)
        for separator in by_count:
            if line.count(separator) and recognised(_split(line, separator)):
                return place, separator
        if first is None and not line.startswith("#"):
            first = place, by_count[0]
    return first if first is not None else (0, ",")


def _split(line: str, separator: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=separator), [])
    return [cell.strip() for cell in cells]


def _unique(headings: Sequence[str]) -> list[str]:
    """A heading that comes again gets a number; a separator at the end of a line makes no column of its own."""
    seen: dict[str, int] = {}
    names = []
    for place, heading in enumerate(headings):
        name = heading or f"column {place + 1}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def read_workbook(path: Path, recognised: Recognised) -> Table:
    """The sheets of an .xlsx whose heading is recognised, one below the other. Raises AnalysisError and OSError."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
    except ImportError as error:
        raise AnalysisError(f"{path}: workbooks are read by openpyxl: pip install 'cellstation[files]'") from error
    except (ValueError, KeyError) as error:
        raise AnalysisError(f"{path} is no workbook that can be read: {error}; save it as .xlsx or .csv") from error
    parts: list[pd.DataFrame] = []
    lines: list[int] = []
    heading_line = 1
    for sheet in sheets.values():
        for place in range(min(len(sheet), 100)):
            headings = ["" if pd.isna(cell) else str(cell).strip() for cell in sheet.iloc[place]]
            if not recognised(headings):
                continue
            part = sheet.iloc[place + 1 :].set_axis(_unique(headings), axis=1).dropna(how="all")
            if parts and list(part.columns) != list(parts[0].columns):
                break
            parts.append(part)
            lines += [int(row) + 1 for row in part.index]
            heading_line = place + 1
            break
    if not parts:
        raise AnalysisError(f"{path}: no sheet has a heading with a time, a voltage and a current")
    return Table(path, pd.concat(parts, ignore_index=True), heading_line, lines)


def read_parquet(path: Path, content: bytes) -> Table:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: this is no Parquet file that can be read: {error}") from error
    return Table(path, frame, 0, range(1, len(frame) + 1))
