"""Conductivities over temperature from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.impedance.elements import Floats


def read_temperatures(path: Path, thickness_m: float | None, area_m2: float | None) -> tuple[Floats, Floats]:
    """Temperatures in K and conductivities in S/m.

    Columns: `temperature_K` or `temperature_degC`; `conductivity_S_per_m`, `conductivity_S_per_cm`, or
    `resistance_ohm`, which needs thickness and area. Raises `AnalysisError` with the file's name, and `OSError`.
    """
    try:
        frame = pd.read_csv(path, sep=None, engine="python", comment="#", encoding="utf-8-sig")
        columns = {str(name).strip(): frame[name].to_numpy(dtype=float) for name in frame.columns}
    except ValueError as error:
        raise AnalysisError(f"{path} is no table of numbers: {error}") from None
    if "temperature_K" in columns:
        temperature = columns["temperature_K"]
    elif "temperature_degC" in columns:
        temperature = columns["temperature_degC"] + 273.15
    else:
        raise AnalysisError(f"{path} has no column temperature_K or temperature_degC; it has {', '.join(columns)}")
    if "conductivity_S_per_m" in columns:
        return temperature, columns["conductivity_S_per_m"]
    if "conductivity_S_per_cm" in columns:
        return temperature, 100 * columns["conductivity_S_per_cm"]
    if "resistance_ohm" not in columns:
        raise AnalysisError(
            f"{path} has no column conductivity_S_per_cm or resistance_ohm; it has {', '.join(columns)}"
        )
    if thickness_m is None or area_m2 is None:
        raise AnalysisError(f"{path} has resistances: thickness and area are needed for conductivities")
    return temperature, thickness_m / (columns["resistance_ohm"] * area_m2)
