"""The spectrum that analyses take: checked, in order of falling frequency."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, eq=False)
class Measured:
    """A spectrum with where it is from; `cycle` where the file or the run says it."""

    source: str
    number: int  # within the source, from 1
    cycle: int | None
    spectrum: ImpedanceSpectrum
    simulated: bool = False


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


def of_sweeps(source: str, sweeps: Sequence[Spectrum], simulated: bool = False) -> tuple[Measured, ...]:
    """The sweeps of a run."""
    return tuple(Measured(source, each.number, each.cycle, from_sweep(each), simulated) for each in sweeps)


# Headings of columns, without spaces and in lower case: the quantity, and the sign by which the values are multiplied.
_FREQUENCY = ("frequency", "freq", "f")
_REAL = ("real", "realimpedance", "re(z)", "re", "z'", "zreal", "z_real", "zre", "re_z", "z'(a)")
_IMAGINARY = (
    "imaginary",
    "imaginaryimpedance",
    "imag",
    "im(z)",
    "im",
    "z''",
    'z"',
    "zimag",
    "z_imag",
    "zim",
    "im_z",
    "zimg",
    "z''(b)",
)
_PARTS = (_FREQUENCY, _REAL, _IMAGINARY)
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


def is_heading(headings: Sequence[str]) -> bool:
    """Whether a line of a file names a frequency, a real and an imaginary part."""
    return len(used_headings(headings)) == len(_PARTS)


def used_headings(headings: Sequence[str]) -> tuple[str, ...]:
    """Those of the frequency, the real and the imaginary part, as far as they are there."""
    found = (next((heading for heading in headings if _sign_and_scale(heading, names)), None) for names in _PARTS)
    return tuple(heading for heading in found if heading is not None)


def from_frame(frame: pd.DataFrame) -> ImpedanceSpectrum:
    """A spectrum of a table whose headings say quantity and unit.

    `frequency_Hz`, `real_ohm`, `imaginary_ohm`; also 'Frequency / Hz', 'Re(Z)/Ohm', '-Im(Z)/Ohm', "Z'' (kOhm)". A minus
    in the heading says that the column holds −Im Z. Units are Hz, kHz, MHz; ohm, kohm, mohm. Raises `AnalysisError`
    that names what is missing.
    """
    frequency, real, imaginary = (_column(frame, names) for names in _PARTS)
    measured = np.isfinite(frequency) & np.isfinite(real) & np.isfinite(imaginary)
    spectrum = from_arrays(frequency[measured], real[measured], imaginary[measured])
    return ImpedanceSpectrum(spectrum.frequency_Hz, spectrum.impedance_ohm, int(np.sum(~measured)))


def _column(frame: pd.DataFrame, names: Sequence[str]) -> Floats:
    for heading in frame.columns:
        factor = _sign_and_scale(str(heading), names)
        if factor:
            try:
                values = np.asarray(pd.to_numeric(frame[heading]), dtype=float)
            except (TypeError, ValueError) as error:
                raise AnalysisError(f"column '{heading}': {error}") from None
            return factor * values
    headings = ", ".join(f"'{heading}'" for heading in frame.columns)
    raise AnalysisError(
        f"no column is the {names[0]} with a unit; there are {headings}. "
        "Wanted are frequency_Hz, real_ohm, imaginary_ohm"
    )


def _sign_and_scale(heading: str, names: Sequence[str]) -> float:
    """By what a column is multiplied; 0 where it is none of these quantities."""
    plain = heading.lower().replace(" ", "").replace("−", "-")
    quantity, unit = _split(plain.lstrip("-"))
    if quantity not in names or unit not in _UNITS:
        return 0.0
    return _UNITS[unit] * (-1.0 if plain.startswith("-") else 1.0)


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
