"""NEWARE's .nda and .ndax, by NewareNDA (BSD, https://github.com/d-cogswell/NewareNDA).

Its `Time` begins anew with each step; the test's time is the sum over the steps, without the pauses between them. Some
versions of BTS do not record every time and capacity: NewareNDA interpolates these, and says so in its log.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.files.table import Table

SUFFIXES = (".nda", ".ndax")


def read(path: Path) -> Table:
    """Raises AnalysisError where the file cannot be read or the package is not there, and OSError."""
    path.stat()  # a file that is not there is told by its name
    try:
        import NewareNDA
    except ImportError as error:
        raise AnalysisError(
            f"{path}: NEWARE's files are read by NewareNDA: pip install 'cellstation[files]'"
        ) from error
    try:
        frame = NewareNDA.read(str(path), log_level="ERROR")
    except Exception as error:  # the package raises what it happens to meet in a damaged file
        raise AnalysisError(f"{path}: NewareNDA cannot read this file: {type(error).__name__}: {error}") from error
    if not isinstance(frame, pd.DataFrame) or not len(frame):
        raise AnalysisError(f"{path}: NewareNDA finds no readings in this file")
    return as_table(path, frame)


def as_table(path: Path, frame: pd.DataFrame) -> Table:
    """With the columns that the analysis knows, of the frame that NewareNDA gives."""
    step, step_time_s = frame["Step"].to_numpy(), frame["Time"].to_numpy(dtype=np.float64)
    begins = np.flatnonzero(np.diff(step)) + 1
    before_s = np.zeros(len(frame))
    before_s[begins] = step_time_s[begins - 1]
    known = pd.DataFrame(
        {
            "test_time_s": np.cumsum(before_s) + step_time_s,
            "voltage_V": frame["Voltage"].to_numpy(dtype=np.float64),
            "current_A": frame["Current(mA)"].to_numpy(dtype=np.float64) / 1e3,
            "cycle": frame["Cycle"].to_numpy(dtype=np.int64),
        }
    )
    return Table(path, known, 0, range(1, len(known) + 1))
