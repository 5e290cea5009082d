"""Spectra from CSV files: one or many in a file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.impedance.spectrum import ImpedanceSpectrum, from_frame

# Columns that say which spectrum of a file a row is of, the export's first.
_WHICH = ("Test Time / s", "spectrum", "number")
_CYCLE = ("Cycle Count / 1", "cycle")


@dataclass(frozen=True, eq=False)
class Measured:
    """A spectrum with where it is from; `cycle` where the file or the run says it."""

    source: str
    number: int  # within the source, from 1
    cycle: int | None
    spectrum: ImpedanceSpectrum


def read_csv(path: Path) -> tuple[Measured, ...]:
    """All spectra of a CSV file, in order: comma, semicolon or tab; the heading says quantities and units.

    Lines that begin with '#' are comments. A file of several spectra tells them apart by a column 'spectrum', 'number'
    or, as `cellstation export` writes it, 'Test Time / s'. Raises `AnalysisError` with the file's name, and `OSError`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise AnalysisError(f"{path} is no text in UTF-8") from None
    try:
        frame = pd.read_csv(io.StringIO(text), sep=_separator(text), comment="#", skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise AnalysisError(f"{path} is no table: {error}") from None
    which = next((column for column in _WHICH if column in frame.columns), None)
    cycle = next((column for column in _CYCLE if column in frame.columns), None)
    groups = [frame] if which is None else [group for _, group in frame.groupby(which, sort=False)]
    found = []
    for number, group in enumerate(groups, 1):
        try:
            spectrum = from_frame(group)
            of_cycle = None if cycle is None else int(group[cycle].iloc[0])
        except (AnalysisError, ValueError) as error:
            where = f"{path}, spectrum {number}" if len(groups) > 1 else str(path)
            raise AnalysisError(f"{where}: {error}") from None
        found.append(Measured(path.name, number, of_cycle, spectrum))
    if not found:
        raise AnalysisError(f"{path} has no rows")
    return tuple(found)


def _separator(text: str) -> str:
    heading = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return max((",", ";", "\t"), key=heading.count)
