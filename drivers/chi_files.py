"""Result files of CH Instruments' programs: text and CSV exports, as columns in SI units.

Layout as public exports have it: lines of what was done, 'Name (unit) = value' for its parameters, a line of columns
and rows. Current is positive on charge here: cathodic current is positive there, so its sign is turned round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

COLUMNS = {
    "Time/sec": ("time_s", 1.0),
    "Potential/V": ("voltage_V", 1.0),
    "Current/A": ("current_A", -1.0),
    "Charge/C": ("charge_C", -1.0),
    "Freq/Hz": ("frequency_Hz", 1.0),
    "Z'/ohm": ("real_ohm", 1.0),
    'Z"/ohm': ("imaginary_ohm", 1.0),
    "Z''/ohm": ("imaginary_ohm", 1.0),
}
"""Name in the file: name here, and what its values are multiplied by."""

_MODEL = re.compile(rb"^Instrument Model:\s*CHI", re.MULTILINE)
_BEGINNING = 4096  # bytes in which the model stands


class ChiFileError(ValueError):
    """Says which file, which line, and what to do."""


@dataclass(frozen=True, slots=True)
class ChiFile:
    """All columns have the same length; those without a name here are left out. `parameters` are as in the file."""

    technique: str
    columns: Mapping[str, tuple[float, ...]]
    parameters: Mapping[str, str]

    def number(self, name: str) -> float | None:
        """A parameter, such as 'Init E (V)'; None where the file has none, or no number."""
        try:
            value = float(self.parameters[name])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None


def is_chi(data: bytes) -> bool:
    return _MODEL.search(data[:_BEGINNING]) is not None


def read_chi(data: bytes, file: str) -> ChiFile:
    """Raises `ChiFileError`."""
    lines = data.decode("cp1252", "replace").splitlines()
    for number, line in enumerate(lines):
        names = [name.strip() for name in line.split(",")]
        if len(names) > 1 and all("/" in name for name in names) and any(name in COLUMNS for name in names):
            header = lines[:number]
            said = [text.partition(" = ") for text in header]
            parameters = {name.strip(): value.strip() for name, equals, value in said if equals}
            technique = header[1].strip() if len(header) > 1 else ""
            return ChiFile(technique, _columns(file, names, lines[number + 1 :], number + 2), parameters)
    raise ChiFileError(f"{file}: no line with the columns' names: is it a text export of CH Instruments' program?")


def _columns(file: str, names: list[str], rows: list[str], first: int) -> dict[str, tuple[float, ...]]:
    known = [COLUMNS[name][0] for name in names if name in COLUMNS]
    if len(set(known)) != len(known):
        raise ChiFileError(f"{file}: two of its columns mean the same")
    values: dict[str, list[float]] = {name: [] for name in known}
    for number, row in enumerate(rows, start=first):
        if not row.strip():
            continue
        fields = [field.strip() for field in row.rstrip(", \r").split(",")]
        if len(fields) != len(names):
            raise ChiFileError(f"{file}, line {number}: {len(fields)} values for {len(names)} columns")
        for name, field in zip(names, fields, strict=True):
            if name in COLUMNS:
                ours, factor = COLUMNS[name]
                values[ours].append(factor * _number(file, number, field))
    if not values[known[0]]:
        raise ChiFileError(f"{file}: there is no row below the columns' names")
    return {name: tuple(column) for name, column in values.items()}


def _number(file: str, number: int, field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ChiFileError(f"{file}, line {number}: {field[:40]!r} is no number")
    return value
