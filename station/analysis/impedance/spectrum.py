"""The spectrum that analyses take: checked, in order of falling frequency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from station.analysis.errors import AnalysisError
from station.analysis.impedance.elements import Complexes, Floats
from station.readings import Spectrum, SpectrumView


@dataclass(frozen=True, eq=False)
class ImpedanceSpectrum:
    """Impedance over frequency, from the highest to the lowest; −Im Z is positive where the cell is capacitive."""

    frequency_Hz: Floats
    impedance_ohm: Complexes
    left_out: int = 0  # points without a value (an overload, say) that were left out

    def __len__(self) -> int:
        return self.frequency_Hz.size

    @property
    def modulus_ohm(self) -> Floats:
        return np.abs(self.impedance_ohm)


def from_arrays(frequency_Hz: ArrayLike, real_ohm: ArrayLike, imaginary_ohm: ArrayLike) -> ImpedanceSpectrum:
    """A spectrum of three arrays of equal length, in any order of frequency.

    `imaginary_ohm` is Im Z itself, negative where the cell is capacitive. Raises `AnalysisError` where the arrays
    differ in length, a value is not finite, a frequency is not positive, or an impedance is zero.
    """
    given = {"frequency_Hz": frequency_Hz, "real_ohm": real_ohm, "imaginary_ohm": imaginary_ohm}
    try:
        arrays = {name: np.asarray(values, dtype=float) for name, values in given.items()}
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"a spectrum needs three arrays of numbers: {error}") from None
    if any(array.ndim != 1 for array in arrays.values()) or len({array.size for array in arrays.values()}) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise AnalysisError(f"a spectrum needs three arrays of equal length, not {shapes}")
    for name, array in arrays.items():
        if not np.all(np.isfinite(array)):
            raise AnalysisError(f"point {_first(~np.isfinite(array))} of the spectrum: {name} is not a finite number")
    frequency = arrays["frequency_Hz"]
    impedance = arrays["real_ohm"] + 1j * arrays["imaginary_ohm"]
    if not frequency.size:
        raise AnalysisError("the spectrum has no points")
    if np.any(frequency <= 0):
        at = _first(frequency <= 0)
        raise AnalysisError(f"point {at} of the spectrum: a frequency of {frequency[at - 1]:g} Hz is not positive")
    if np.any(impedance == 0):
        raise AnalysisError(f"point {_first(impedance == 0)} of the spectrum: the impedance is zero")
    order = np.argsort(-frequency, kind="stable")
    frequency, impedance = frequency[order], impedance[order]
    frequency.flags.writeable = impedance.flags.writeable = False
    return ImpedanceSpectrum(frequency, impedance)


def from_sweep(sweep: Spectrum | SpectrumView) -> ImpedanceSpectrum:
    """A spectrum of the store or of the station's client; points without a value are left out, and counted."""
    values = np.array([sweep.frequency_Hz, sweep.real_ohm, sweep.imaginary_ohm], dtype=float)
    measured = np.all(np.isfinite(values), axis=0)
    if not measured.any():
        raise AnalysisError(f"spectrum {sweep.number} has no point with a value")
    spectrum = from_arrays(*values[:, measured])
    return ImpedanceSpectrum(spectrum.frequency_Hz, spectrum.impedance_ohm, int(np.sum(~measured)))


# Headings of columns, without spaces and in lower case: the quantity, and the sign by which the values are multiplied.
_FREQUENCY = ("frequency", "freq", "f")
_REAL = ("real", "realimpedance", "re(z)", "re", "z'", "zreal", "z_real", "zre", "re_z")
_IMAGINARY = ("imaginary", "imaginaryimpedance", "imag", "im(z)", "im", "z''", 'z"', "zimag", "z_imag", "zim", "im_z")
_UNITS = {
    "": 1.0,
    "hz": 1.0,
    "khz": 1e3,
    "mhz": 1e6,  # megahertz: nobody means a thousandth
    "ohm": 1.0,
    "ohms": 1.0,
    "ω": 1.0,
    "kohm": 1e3,
    "kω": 1e3,
    "mohm": 1e-3,
    "mω": 1e-3,
}


def from_frame(frame: pd.DataFrame) -> ImpedanceSpectrum:
    """A spectrum of a table whose headings say quantity and unit.

    `frequency_Hz`, `real_ohm`, `imaginary_ohm`; also 'Frequency / Hz', 'Re(Z)/Ohm', '-Im(Z)/Ohm', "Z'' (kOhm)". A minus
    in the heading says that the column holds −Im Z. Units are Hz, kHz, MHz; ohm, kohm, mohm. Raises `AnalysisError`
    that names what is missing.
    """
    frequency, real, imaginary = (_column(frame, names) for names in (_FREQUENCY, _REAL, _IMAGINARY))
    measured = np.isfinite(frequency) & np.isfinite(real) & np.isfinite(imaginary)
    spectrum = from_arrays(frequency[measured], real[measured], imaginary[measured])
    return ImpedanceSpectrum(spectrum.frequency_Hz, spectrum.impedance_ohm, int(np.sum(~measured)))


def _column(frame: pd.DataFrame, names: Iterable[str]) -> Floats:
    for heading in frame.columns:
        plain = str(heading).lower().replace(" ", "").replace("−", "-")
        sign = -1.0 if plain.startswith("-") else 1.0
        quantity, unit = _split(plain.lstrip("-"))
        if quantity in names and unit in _UNITS:
            try:
                values = np.asarray(pd.to_numeric(frame[heading]), dtype=float)
            except (TypeError, ValueError) as error:
                raise AnalysisError(f"column '{heading}': {error}") from None
            return sign * _UNITS[unit] * values
    headings = ", ".join(f"'{heading}'" for heading in frame.columns)
    wanted = next(iter(names))
    raise AnalysisError(
        f"no column is the {wanted} with a unit; there are {headings}. Wanted are frequency_Hz, real_ohm, imaginary_ohm"
    )


def _split(heading: str) -> tuple[str, str]:
    """Quantity and unit of 're(z)/ohm', 'z''(ohm)', 'frequency_hz'."""
    for unit in sorted(_UNITS, key=len, reverse=True):
        for ending in (f"/{unit}", f"_{unit}", f"({unit})", f"[{unit}]"):
            if unit and heading.endswith(ending):
                return heading.removesuffix(ending), unit
    return heading, ""


def _first(where: np.ndarray) -> int:
    """The number of the first point that is so, from 1."""
    return int(np.argmax(where)) + 1
