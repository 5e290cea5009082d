"""Result files of other programs: CH Instruments' text exports and EC-Lab's .mpt, as columns in SI units.

Current is positive on charge here: CH Instruments' cathodic current is positive, so its sign is turned round. EC-Lab's
binary .mpr is read by no library under a licence that fits this project: export it as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

CHI_COLUMNS = {
    "Time/sec": ("time_s", 1.0),
    "Potential/V": ("voltage_V", 1.0),
    "Current/A": ("current_A", -1.0),
    "Charge/C": ("charge_C", -1.0),
    "Freq/Hz": ("frequency_Hz", 1.0),
    "Z'/ohm": ("real_ohm", 1.0),
    'Z"/ohm': ("imaginary_ohm", 1.0),
    "Z''/ohm": ("imaginary_ohm", 1.0),
}
MPT_COLUMNS = {
    "time/s": ("time_s", 1.0),
    "Ewe/V": ("voltage_V", 1.0),
    "<Ewe>/V": ("voltage_V", 1.0),
    "Ecell/V": ("voltage_V", 1.0),
    "I/mA": ("current_A", 1e-3),
    "<I>/mA": ("current_A", 1e-3),
    "freq/Hz": ("frequency_Hz", 1.0),
    "Re(Z)/Ohm": ("real_ohm", 1.0),
    "-Im(Z)/Ohm": ("imaginary_ohm", -1.0),
    "cycle number": ("cycle", 1.0),
    "Ns": ("step", 1.0),
    "(Q-Qo)/mA.h": ("charge_Ah", 1e-3),
}
"""Name in the file: name here, and what its values are multiplied by."""


class ResultFileError(ValueError):
    """Says which file, which line, and what to do."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """All columns have the same length; those without a name here are left out. `header` has the lines before them."""

    technique: str
    columns: Mapping[str, tuple[float, ...]]
    header: tuple[str, ...]


def read_chi(data: bytes, file: str) -> ResultFile:
    """A text or CSV export. Raises `ResultFileError`."""
    lines = data.decode("cp1252", "replace").splitlines()
    for number, line in enumerate(lines):
        names = [name.strip() for name in line.split(",")]
        if len(names) > 1 and all("/" in name for name in names) and any(name in CHI_COLUMNS for name in names):
            header = tuple(lines[:number])
            technique = header[1].strip() if len(header) > 1 else ""
            rows = lines[number + 1 :]
            return ResultFile(technique, _columns(file, names, rows, number + 2, ",", CHI_COLUMNS), header)
    raise ResultFileError(f"{file}: no line with the columns' names: is it a text export of CH Instruments' program?")


def read_mpt(data: bytes, file: str) -> ResultFile:
    """EC-Lab's text export. Raises `ResultFileError`."""
    if data.startswith(b"BIO-LOGIC MODULAR FILE"):
        raise ResultFileError(f"{file}: a binary .mpr; export it in EC-Lab: Experiment, Export as text (.mpt)")
    lines = data.decode("cp1252", "replace").splitlines()
    count = re.fullmatch(r"Nb header lines\s*:\s*(\d+)\s*", lines[1]) if len(lines) > 1 else None
    if not lines or not lines[0].startswith("EC-Lab ASCII FILE") or count is None:
        raise ResultFileError(f"{file}: not an .mpt of EC-Lab: it should begin with 'EC-Lab ASCII FILE'")
    last = int(count[1])
    if not 2 < last <= len(lines):
        raise ResultFileError(f"{file}, line 2: {last} header lines, and the file has {len(lines)} lines")
    technique = next((line.strip() for line in lines[2:last] if line.strip()), "")
    names = [name.strip() for name in lines[last - 1].split("\t")]
    return ResultFile(
        technique, _columns(file, names, lines[last:], last + 1, "\t", MPT_COLUMNS), tuple(lines[: last - 1])
    )


def _columns(
    file: str, names: list[str], rows: list[str], first: int, separator: str, known: Mapping[str, tuple[str, float]]
) -> dict[str, tuple[float, ...]]:
    while names and not names[-1]:
        names.pop()
    values: dict[str, list[float]] = {}
    for number, row in enumerate(rows, start=first):
        if not row.strip():
            continue
        fields = [field.strip() for field in row.rstrip(separator + " \r").split(separator)]
        if len(fields) != len(names):
            raise ResultFileError(f"{file}, line {number}: {len(fields)} values for {len(names)} columns")
        for name, field in zip(names, fields, strict=True):
            if name in known:
                ours, factor = known[name]
                values.setdefault(ours, []).append(factor * _number(file, number, field))
    lengths = {len(column) for column in values.values()}
    if len(lengths) > 1:
        raise ResultFileError(f"{file}: two of its columns mean the same")
    return {name: tuple(column) for name, column in values.items()}


def _number(file: str, number: int, field: str) -> float:
    text = field.replace(",", ".") if field.count(",") == 1 and "." not in field else field
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ResultFileError(f"{file}, line {number}: {field[:40]!r} is no number")
    return value
