"""Tables of parameters: one protocol on many cells, a row for each run.

A CSV file with a header: `cell` (a cell file, relative to the table), `channel` where the runs are started from it, and
any of the protocol's parameters. An empty field leaves the protocol's own value.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from protocols.cell import Cell, read_cell
from protocols.compile import Protocol
from protocols.document import DocumentError, Problem
from protocols.program import Program

CELL, CHANNEL = "cell", "channel"
Value = int | float | str


@dataclass(frozen=True, slots=True)
class Field:
    """A text in a table, and the column of the file at which it begins."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Row:
    """One run: the fields that are not empty, by their column's name."""

    line: int
    fields: Mapping[str, Field]

    def text(self, name: str) -> str:
        return self.fields[name].text if name in self.fields else ""

    @property
    def parameters(self) -> dict[str, Value]:
        return {name: value_of(field.text) for name, field in self.fields.items() if name not in (CELL, CHANNEL)}


@dataclass(frozen=True)
class Table:
    """A table whose form is right: each row names a cell, and no channel twice."""

    path: Path
    header_line: int
    header: Mapping[str, Field]
    rows: tuple[Row, ...]

    def problem(self, line: int, field: Field | None, message: str) -> Problem:
        return Problem(str(self.path), line, field.column if field else 1, message)

    def cell_path(self, row: Row) -> Path:
        return self.path.parent / row.text(CELL)


@dataclass(frozen=True)
class Checked:
    """A row that can be run: what it compiles to, and for which cell."""

    row: Row
    cell: Cell
    protocol: Protocol
    program: Program


def value_of(text: str) -> Value:
    """A whole number, a number, or the text itself."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


# --- reading


def read_table(path: Path) -> Table:
    """Raises `DocumentError` with every problem of the table's form; `check_rows` looks at what it says."""
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise DocumentError([Problem(str(path), 1, 1, "is no CSV file; save the sheet as CSV (UTF-8)")])
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError([Problem(str(path), 1, 1, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise DocumentError([Problem(str(path), 1, 1, f"is not UTF-8 text (byte {error.start})")]) from None
    return parse_table(text, path)


def parse_table(text: str, path: Path) -> Table:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip("\r \t,;")]
    if not lines:
        raise DocumentError([Problem(str(path), 1, 1, "is empty; the first line names the columns: cell, …")])
    (first, head), *body = lines
    delimiter = next((one for one in (";", "\t") if one in head), ",")
    problems: list[Problem] = []
    names = list(_fields(head, delimiter, path, first))
    header = {field.text: field for field in names}
    for index, field in enumerate(names):
        if not field.text:
            problems.append(Problem(str(path), first, field.column, "a column without a name"))
        elif any(field.text == before.text for before in names[:index]):
            problems.append(Problem(str(path), first, field.column, f"there is a column '{field.text}' already"))
    if CELL not in header:
        problems.append(Problem(str(path), first, 1, "has no column 'cell', the cell file of each run"))
    if not body:
        problems.append(Problem(str(path), first, 1, "has no rows below its header"))
    if problems:
        raise DocumentError(problems)
    rows: list[Row] = []
    for number, line in body:
        try:
            rows.append(
                _row(list(_fields(line, delimiter, path, number)), [field.text for field in names], path, number)
            )
        except DocumentError as error:
            problems += error.problems
    problems += _channels_used_twice(rows, path)
    if problems:
        raise DocumentError(problems)
    return Table(path, first, header, tuple(rows))


def _fields(line: str, delimiter: str, path: Path, number: int) -> Iterator[Field]:
    """Of one line; a field in double quotes may hold the delimiter, and a quote as two of them."""
    pattern = re.compile(rf'[ ]*(?:"(?P<quoted>(?:[^"]|"")*)"[ ]*|(?P<plain>[^"{delimiter}]*))(?:{delimiter}|$)')
    line, at = line.rstrip("\r"), 0
    while True:
        match = pattern.match(line, at)
        if match is None:
            raise DocumentError(
                [Problem(str(path), number, at + 1, "a quote that is not closed, or in a field's middle")]
            )
        name = "plain" if match["quoted"] is None else "quoted"
        yield Field((match["plain"] or match["quoted"] or "").replace('""', '"').strip(), match.start(name) + 1)
        at = match.end()
        if at == len(line) and not match[0].endswith(delimiter):
            return


def _row(fields: list[Field], names: list[str], path: Path, line: int) -> Row:
    if len(fields) != len(names):
        said = f"{len(fields)} fields, and the header has {len(names)}; a comma inside a value needs quotes around it"
        raise DocumentError([Problem(str(path), line, fields[-1].column, said)])
    row = Row(line, {name: field for name, field in zip(names, fields, strict=True) if field.text})
    if CELL not in row.fields:
        raise DocumentError([Problem(str(path), line, fields[names.index(CELL)].column, "names no cell file")])
    return row


def _channels_used_twice(rows: list[Row], path: Path) -> Iterator[Problem]:
    taken: dict[str, int] = {}
    for row in rows:
        channel = row.text(CHANNEL)
        if channel in taken:
            said = f"channel '{channel}' is that of line {taken[channel]} already"
            yield Problem(str(path), row.line, row.fields[CHANNEL].column, said)
        elif channel:
            taken[channel] = row.line


# --- what the rows say

Read = Callable[[Mapping[str, Value]], Protocol]
"""The protocol with these parameters; raises `DocumentError`."""


def check_rows(table: Table, read: Read) -> tuple[Checked, ...]:
    """Every row compiled. Raises `DocumentError` that names the field which is wrong, wherever that shows."""
    declared = read({}).content.parameters
    known = ", ".join(declared) or "none"
    problems = [
        table.problem(table.header_line, field, f"the protocol has no parameter '{name}'; there are: {known}")
        for name, field in table.header.items()
        if name not in (CELL, CHANNEL, *declared)
    ]
    if problems:
        raise DocumentError(problems)
    checked: list[Checked] = []
    for row in table.rows:
        try:
            checked.append(_checked(table, row, read))
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return tuple(checked)


def _checked(table: Table, row: Row, read: Read) -> Checked:
    try:
        cell = read_cell(table.cell_path(row))
    except DocumentError as error:
        raise DocumentError(
            [table.problem(row.line, row.fields[CELL], f"cell: {problem}") for problem in error.problems]
        ) from None
    try:
        protocol = read(row.parameters)
        return Checked(row, cell, protocol, protocol.compile_for(cell))
    except DocumentError as error:
        raise DocumentError([_in_table(table, row, cell, read, problem) for problem in error.problems]) from None


def _in_table(table: Table, row: Row, cell: Cell, read: Read, problem: Problem) -> Problem:
    """The field that makes this problem: without it, the problem is gone. Where it is none of them, it is the cell."""
    for name in row.parameters:
        others = {other: value for other, value in row.parameters.items() if other != name}
        if problem not in _problems(others, cell, read):
            return table.problem(row.line, row.fields[name], f"{name}: {problem}")
    return table.problem(row.line, row.fields[CELL], f"{row.text(CELL)}: {problem}")


def _problems(parameters: Mapping[str, Value], cell: Cell, read: Read) -> tuple[Problem, ...]:
    try:
        read(parameters).compile_for(cell)
    except DocumentError as error:
        return error.problems
    return ()
