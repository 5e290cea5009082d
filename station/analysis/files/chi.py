"""CH Instruments' exports, with what their columns leave out and their parameters say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from drivers.chi_files import ChiFile, ChiFileError, is_chi, read_chi
from station.analysis.errors import AnalysisError
from station.analysis.files.table import Table

__all__ = ["cycling", "impedance", "is_chi"]


def cycling(path: Path, content: bytes) -> Table:
    """Time, voltage and current of a technique that drives the cell, or leaves it open. Raises AnalysisError."""
    found = _read(path, content)
    columns = {name: np.array(values) for name, values in found.columns.items()}
    if "time_s" not in columns and {"voltage_V", "current_A"} <= columns.keys():
        steps_V = np.abs(np.diff(columns["voltage_V"], prepend=columns["voltage_V"][0]))
        columns["time_s"] = np.cumsum(steps_V) / _said(path, found, "Scan Rate (V/s)")
    count = len(next(iter(columns.values())))
    if "voltage_V" not in columns and {"time_s", "current_A"} <= columns.keys():
        columns["voltage_V"] = np.full(count, _said(path, found, "Init E (V)"))
    if "current_A" not in columns and {"time_s", "voltage_V"} <= columns.keys():
        columns["current_A"] = np.full(count, _current_A(path, found))
    return Table(path, pd.DataFrame(columns), 0, range(1, count + 1))


def impedance(path: Path, content: bytes) -> Table:
    """Raises AnalysisError."""
    columns = _read(path, content).columns
    return Table(path, pd.DataFrame(columns), 0, range(1, len(next(iter(columns.values()))) + 1))


def _read(path: Path, content: bytes) -> ChiFile:
    try:
        return read_chi(content, str(path))
    except ChiFileError as error:
        raise AnalysisError(str(error)) from None


def _said(path: Path, found: ChiFile, name: str) -> float:
    value = found.number(name)
    if value is None:
        raise AnalysisError(f"{path}: there is no '{name}' among its parameters, which says what its columns do not")
    return value


def _current_A(path: Path, found: ChiFile) -> float:
    """Of chronopotentiometry with one segment, or of an open circuit; positive on charge."""
    if found.technique.startswith("Open Circuit Potential"):
        return 0.0
    if not found.technique.startswith("Chronopotentiometry"):
        raise AnalysisError(f"{path}: no column of current, and '{found.technique}' does not say it")
    if found.number("Segment") != 1:
        raise AnalysisError(
            f"{path}: which rows are of the anodic and which of the cathodic current is not in this file; "
            "export a run with one segment"
        )
    if found.parameters.get("Init P/N", "").upper().startswith("P"):
        return _said(path, found, "Anodic Current (A)")
    return -_said(path, found, "Cathodic Current (A)")  # a negative one is anodic
