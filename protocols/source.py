"""A protocol file as it was read: its parameters filled in, and the files that it draws on."""

from __future__ import annotations

import csv
import io
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols import library
from protocols.document import Document, DocumentError, Place, Problem
from protocols.language import ProtocolFile, Step
from protocols.program import CurrentProfile

_PARAMETER = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}")
_COLUMN = re.compile(r"\s*(time|current)\s*(?:/\s*|\[|\()\s*([^\])]+?)\s*[\])]?\s*", re.IGNORECASE)
_SCALES: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1.0, "min": 60.0, "h": 3600.0, "ms": 1e-3},
    "current": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "µA": 1e-6, "μA": 1e-6},
}
MOST_INCLUDED = 100
LARGEST_FILE = 50_000_000  # characters

Value = int | float | str


@dataclass(frozen=True)
class Source:
    """One file, well-formed, with the sources of its includes and profiles by the place of the step that names them."""

    document: Document
    content: ProtocolFile
    includes: Mapping[Place, Source] = field(default_factory=dict)
    profiles: Mapping[Place, CurrentProfile] = field(default_factory=dict)

    def states(self, key: str) -> bool:
        """Whether the file itself says `key`, which has a default."""
        return isinstance(self.document.data, dict) and key in self.document.data


@dataclass
class Files:
    """The texts that a protocol draws on, by their paths relative to it: given ones, or read from its folder."""

    given: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def text(self, key: str) -> str:
        """Raises `OSError`, `UnicodeDecodeError`, or `ValueError` for a file of absurd size."""
        if key not in self.given:
            self.given[key] = self._read(key)
        return self.given[key]

    def _read(self, key: str) -> str:
        path = self.folder / key if self.folder is not None else None
        if path is None or not path.is_file():
            name = posixpath.basename(key).removesuffix(".yaml")
            if name not in library.names():
                raise FileNotFoundError(2, "No such file", key)
            path = library.path(name)
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("is too large")
        return path.read_text(encoding="utf-8-sig")


def read_source(document: Document, given: Mapping[str, Any], files: Files) -> Source:
    """Raises `DocumentError` with every problem in the file and in those that it includes."""
    return _Reader(files).source(document, given, "", ())


@dataclass
class _Reader:
    files: Files
    included: int = 0

    def source(self, document: Document, given: Mapping[str, Any], key: str, chain: tuple[str, ...]) -> Source:
        content = _content(document, given)
        includes: dict[Place, Source] = {}
        profiles: dict[Place, CurrentProfile] = {}
        problems: list[Problem] = []
        for place, step in _walk(content.steps, ("steps",)):
            try:
                if step.include is not None:
                    name = _beside(key, step.include.file)
                    where = document.problem((*place, "include"), "")
                    includes[place] = self._include(name, step.include.set, where, (*chain, key))
                elif step.profile is not None:
                    where = document.problem((*place, "profile", "file"), "")
                    text = self._text(_beside(key, step.profile.file), where)
                    profiles[place] = read_profile(text, step.profile.file, step.profile.scale)
            except DocumentError as error:
                problems += error.problems
        if problems:
            raise DocumentError(problems)
        return Source(document, content, includes, profiles)

    def _include(self, name: str, given: Mapping[str, Value], where: Problem, chain: tuple[str, ...]) -> Source:
        self.included += 1
        if name in chain or self.included > MOST_INCLUDED:
            said = f"'{name}' includes itself" if name in chain else f"more than {MOST_INCLUDED} files are included"
            raise DocumentError([Problem(where.file, where.line, where.column, said)])
        return self.source(Document(self._text(name, where), name), given, name, chain)

    def _text(self, name: str, where: Problem) -> str:
        try:
            return self.files.text(name)
        except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
            why = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None)
            said = f"'{name}' cannot be read: {why or error}"
            raise DocumentError([Problem(where.file, where.line, where.column, said)]) from None


def _beside(key: str, name: str) -> str:
    """The path of a file that `key` names, relative to the protocol that all began with."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(key), name.replace("\\", "/")))


def _walk(steps: tuple[Step, ...], place: Place) -> Iterator[tuple[Place, Step]]:
    for index, step in enumerate(steps):
        yield (*place, index), step
        if step.steps is not None:
            yield from _walk(step.steps, (*place, index, "steps"))


def _content(document: Document, given: Mapping[str, Any]) -> ProtocolFile:
    data = document.data
    if not isinstance(data, dict):
        raise DocumentError([Problem(document.file, 1, 1, "is empty or not a mapping of keys to values")])
    declared = data.get("parameters") or {}
    if not isinstance(declared, dict):
        raise DocumentError([document.problem(("parameters",), "parameters are written {name: value}")])
    if unknown := [name for name in given if name not in declared]:
        known = ", ".join(declared) or "none"
        raise DocumentError(
            [document.problem(("parameters",), f"no parameter '{unknown[0]}' here; there are: {known}")]
        )
    problems: list[Problem] = []
    used: set[str] = set()
    filled = _fill(data, {**declared, **given}, (), document, problems, used)
    if problems:
        raise DocumentError(problems)
    content = document.as_model(ProtocolFile, filled)
    if unused := [name for name in declared if name not in used]:
        raise DocumentError([document.problem(("parameters", n), f"parameter '{n}' is used nowhere") for n in unused])
    return content


def _fill(
    node: Any, values: dict[str, Any], place: Place, document: Document, problems: list[Problem], used: set[str]
) -> Any:
    """`node` with each ${name} replaced; a text that is nothing but one keeps the value's type."""
    if isinstance(node, dict):
        return {key: _fill(value, values, (*place, key), document, problems, used) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values, (*place, i), document, problems, used) for i, value in enumerate(node)]
    if not isinstance(node, str):
        return node
    for name in _PARAMETER.findall(node):
        used.add(name)
        if name not in values:
            problems.append(document.problem(place, f"'${{{name}}}' is not among the parameters"))
            return node
    if whole := _PARAMETER.fullmatch(node.strip()):
        return values[whole[1]]
    return _PARAMETER.sub(lambda match: str(values[match[1]]), node)


# --- current profiles


def read_profile(text: str, file: str, scale: float = 1.0) -> CurrentProfile:
    """A CSV table with the columns 'time / s' (or min, h) and 'current / A' (or mA, uA); positive charges.

    Raises `DocumentError` that names line and column of each field that is wrong.
    """
    rows = csv.reader(io.StringIO(text))
    try:
        columns, factors = _header(next(rows, []), file)
        fields = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DocumentError([Problem(file, max(1, rows.line_num), 1, f"is not CSV: {error}")]) from None
    times: list[float] = []
    currents: list[float] = []
    problems: list[Problem] = []
    for line, row in fields:
        try:
            time, current = (_field(row, i, factor, file, line) for i, factor in zip(columns, factors, strict=True))
        except DocumentError as error:
            problems += error.problems
            continue
        if time <= (times[-1] if times else -math.inf):
            problems.append(Problem(file, line, _column(row, columns[0]), f"the time {time:g} s does not rise"))
        times.append(time)
        currents.append(current * scale)
    if times and times[0] != 0.0 and not problems:
        line, row = fields[0]
        said = f"the first time is {times[0]:g} s; it should be 0"
        problems.append(Problem(file, line, _column(row, columns[0]), said))
    if not problems and len(times) < 2:
        problems.append(Problem(file, 1, 1, "has fewer than two rows; the last one says when the profile ends"))
    if problems:
        raise DocumentError(problems[:20])
    return CurrentProfile(tuple(times), tuple(currents))


def _header(names: list[str], file: str) -> tuple[tuple[int, int], tuple[float, float]]:
    found: dict[str, tuple[int, float]] = {}
    for index, name in enumerate(names):
        match = _COLUMN.fullmatch(name)
        if match and (factor := _SCALES[match[1].lower()].get(match[2])) is not None:
            found.setdefault(match[1].lower(), (index, factor))
    if missing := [name for name in ("time", "current") if name not in found]:
        units = " or ".join(f"'{missing[0]} / {unit}'" for unit in _SCALES[missing[0]])
        raise DocumentError([Problem(file, 1, 1, f"has no column {units}")])
    (time, seconds), (current, amperes) = found["time"], found["current"]
    return (time, current), (seconds, amperes)


def _field(row: list[str], index: int, factor: float, file: str, line: int) -> float:
    text = row[index] if index < len(row) else ""
    try:
        value = float(text) * factor
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DocumentError([Problem(file, line, _column(row, index), f"'{text.strip()}' is not a number")])
    return value


def _column(row: list[str], index: int) -> int:
    """Of the file, where no field before has quotes around it."""
    return 1 + sum(len(field) + 1 for field in row[:index])
