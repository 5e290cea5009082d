"""Impedance spectra by the kind of file: one or many in each.

Gamry .DTA (tables ZCURVE), ZPlot .z and the like, VersaStudio .par, EC-Lab .mpt and .mpr, CH Instruments' exports, and
every text with a heading of frequency, real and imaginary part (Parstat, the exports of Cellstation).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.files import biologic, chi
from station.analysis.files.origin import is_simulated
from station.analysis.files.table import Table, content_of, read_text_table, text_of
from station.analysis.impedance.spectrum import ImpedanceSpectrum, Measured, from_frame, is_heading, used_headings

# Columns that say which spectrum of a file a row is of, the export's first.
_WHICH = ("Test Time / s", "spectrum", "number", "cycle number")
_CYCLE = ("Cycle Count / 1", "cycle", "cycle number")
_CANONICAL = ("frequency_Hz", "real_ohm", "imaginary_ohm")


def read_spectra(path: Path) -> tuple[Measured, ...]:
    """All spectra of a file, in order. A file of several tells them apart by tables, or by a column.

    That is 'spectrum', 'number', EC-Lab's 'cycle number' or, as `cellstation export` writes it, 'Test Time / s'.
    Rows with a frequency of zero are of another technique and left out. Raises AnalysisError that names the file and
    the line or the spectrum, and OSError where it cannot be opened.
    """
    content = content_of(path)
    if content.startswith(biologic.MAGIC):
        return _of_table(biologic.read(path, content))
    if chi.is_chi(content):
        return _of_table(chi.impedance(path, content))
    suffix = path.suffix.lower()
    blocks = None
    if suffix == ".dta":
        blocks = list(_gamry(path, text_of(path, content).splitlines()))
    elif suffix == ".par":
        blocks = list(_versastudio(path, text_of(path, content).splitlines()))
    else:
        lines = text_of(path, content).splitlines()
        heading = _zplot(lines)
        if heading is not None:
            blocks = [_numbers(path, lines, heading + 1, (0, 4, 5), stop=lambda line: False)]
    if blocks is None:
        return _of_table(read_text_table(path, is_heading, content))
    if not blocks:
        raise AnalysisError(f"{path}: there is no impedance in this file")
    return tuple(
        Measured(path.name, number, None, _spectrum(path, number, len(blocks), block), is_simulated(path))
        for number, block in enumerate(blocks, 1)
    )


def _of_table(table: Table) -> tuple[Measured, ...]:
    frame = table.frame
    if not is_heading(table.headings):
        _spectrum(table.path, 1, 1, frame)  # says what is missing
    which = next((column for column in _WHICH if column in frame.columns), None)
    cycle = next((column for column in _CYCLE if column in frame.columns), None)
    numeric = _driven(_named(table))
    groups = [numeric] if which is None else [group for _, group in numeric.groupby(which, sort=False)]
    if which in (None, "cycle number"):
        groups = [sweep for group in groups for sweep in _sweeps(group)]
    found = []
    for number, group in enumerate(groups, 1):
        of_cycle = None if cycle is None or not len(group) else int(group[cycle].iloc[0])
        spectrum = _spectrum(table.path, number, len(groups), group)
        found.append(Measured(table.path.name, number, of_cycle, spectrum, is_simulated(table.path)))
    if not found:
        raise AnalysisError(f"{table.path} has no rows")
    return tuple(found)


def _sweeps(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """One after the other: a new one begins where the frequency leaps back over half of its range or more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(frame.iloc[:, 0].to_numpy(dtype=np.float64))
    steps = np.diff(decades)
    known = steps[np.isfinite(steps)]
    if not len(known):
        yield frame
        return
    back = -np.sign(np.median(known)) * steps > max(0.5 * float(np.ptp(decades[np.isfinite(decades)])), 0.1)
    edges = [0, *(np.flatnonzero(back) + 1).tolist(), len(frame)]
    for first, end in pairwise(edges):
        yield frame.iloc[first:end]


def _named(table: Table) -> pd.DataFrame:
    """The columns that are of use, as numbers."""
    columns = [*used_headings(table.headings), *(name for name in (*_WHICH, *_CYCLE) if name in table.headings)]
    return pd.DataFrame({name: table.numbers(name) for name in dict.fromkeys(columns)})


def _driven(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the rows with a frequency of zero, which files of several techniques have."""
    return frame[frame.iloc[:, 0] != 0]


def _spectrum(path: Path, number: int, of: int, frame: pd.DataFrame) -> ImpedanceSpectrum:
    where = f"{path}, spectrum {number}" if of > 1 else str(path)
    try:
        return from_frame(frame)
    except AnalysisError as error:
        raise AnalysisError(f"{where}: {error}") from None


# --- kinds of text


def _gamry(path: Path, lines: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Tables ZCURVE: a line of names, one of units, and rows that begin with a tab."""
    for place, line in enumerate(lines):
        if not line.startswith("ZCURVE") or place + 2 >= len(lines):
            continue
        names = [cell.strip() for cell in lines[place + 1].split("\t")]
        missing = [name for name in ("Freq", "Zreal", "Zimag") if name not in names]
        if missing:
            raise AnalysisError(f"{path}: line {place + 2}: the table ZCURVE has no column {missing[0]}")
        columns = (names.index("Freq"), names.index("Zreal"), names.index("Zimag"))
        yield _numbers(path, lines, place + 3, columns, stop=lambda row: not row.startswith("\t"), separator="\t")


def _zplot(lines: Sequence[str]) -> int | None:
    """Where the heading of a ZPlot file ends; its columns are Freq, Ampl, Bias, Time, Z', Z'' and others."""
    for place, line in enumerate(lines[:1000]):
        if line.strip() == "End Comments":
            return place
        plain = line.replace(" ", "").strip('"').lower()
        if plain.startswith("freq(hz)ampl"):
            return place + 1 if lines[place + 1 : place + 2] == ["End Comments"] else place
    return None


def _versastudio(path: Path, lines: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Segments with a line 'Definition=…' and rows below it, up to the segment's end."""
    for place, line in enumerate(lines):
        if not line.startswith("Definition="):
            continue
        names = [cell.strip() for cell in line.removeprefix("Definition=").split(",")]
        if not {"Frequency(Hz)", "Z Real", "Z Imag"} <= set(names):
            continue
        columns = (names.index("Frequency(Hz)"), names.index("Z Real"), names.index("Z Imag"))
        frame = _numbers(path, lines, place + 1, columns, stop=lambda row: row.startswith("<"), separator=",")
        if len(driven := _driven(frame)):
            yield driven


def _numbers(
    path: Path,
    lines: Sequence[str],
    first: int,
    columns: tuple[int, int, int],
    stop: Callable[[str], bool],
    separator: str | None = None,
) -> pd.DataFrame:
    """The three columns of rows from line `first` on (from 0), up to one that `stop` says or the file's end."""
    rows: list[list[float]] = []
    width = None
    for place in range(first, len(lines)):
        line = lines[place]
        if not line.strip():
            continue
        if stop(line):
            break
        by = separator or ("\t" if "\t" in line else ",")
        cells = next(csv.reader([line], delimiter=by), [])
        width = width or len(cells)
        try:
            if len(cells) != width:
                raise ValueError
            rows.append([float(cells[column]) for column in columns])
        except (ValueError, IndexError):
            raise AnalysisError(f"{path}: line {place + 1}: '{line.strip()[:60]}' is no point of a spectrum") from None
    return pd.DataFrame(rows, columns=list(_CANONICAL))
