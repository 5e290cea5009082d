"""The quantities of ISO 376:2011 for a force-proving instrument, such as the reference load cell.

Those of a pressure sensor are in `calibration.sensor_quantities`. Series: X1, X2 rising without the instrument being
moved; X3, X5 rising after it was turned; X4', X6' falling, after X3 and X5. In per cent, at each force:

* reproducibility b = 100 · (Xmax − Xmin) / X̄r of X1, X3, X5; repeatability b' = 100 · |X2 − X1| / X̄wr
* interpolation fc = 100 · (X̄r − Xa) / Xa, Xa by the curve
* reversibility v = mean of 100 · |X4' − X3| / X3 and 100 · |X6' − X5| / X5
* zero f0 = 100 · (if − i0) / XN; creep c = 100 · (i300 − i30) / XN, XN at the largest force

The limits of the classes are as commonly tabulated; they are to be checked against the purchased standard before a
class is stated on a certificate. Uncertainty components: ISO 376 annex C, EURAMET cg-4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.results import LevelQuantities, Quantities

Floats = NDArray[np.float64]
UNCHECKED = "limits as commonly tabulated, to be checked against ISO 376 itself"


@dataclass(frozen=True, slots=True)
class Series:
    """Deflections at the levels, NaN where there is none; `position` changes when it was turned or put back."""

    position: int
    rising: bool
    deflections: Floats


@dataclass(frozen=True, slots=True)
class ZeroDrift:
    """Deflections without load, before and after."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class CreepPair:
    """Deflections 30 s and 300 s after the largest force was applied (or taken away)."""

    at_30_s: float
    at_300_s: float


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """In per cent."""

    name: str
    reproducibility: float
    repeatability: float
    interpolation: float
    zero: float
    reversibility: float
    creep: float


CLASSES = (
    ClassLimits("00", 0.05, 0.025, 0.025, 0.012, 0.07, 0.025),
    ClassLimits("0.5", 0.10, 0.05, 0.05, 0.025, 0.15, 0.05),
    ClassLimits("1", 0.20, 0.10, 0.10, 0.050, 0.30, 0.10),
    ClassLimits("2", 0.40, 0.20, 0.20, 0.10, 0.50, 0.20),
)


@dataclass(frozen=True, slots=True)
class StepUncertainty:
    """Standard uncertainties at one force in N, and the expanded relative one (k = 2) in per cent."""

    force_N: float
    applied_force: float  # u1
    reproducibility: float  # u2
    repeatability: float  # u3
    resolution: float  # u4
    creep: float  # u5
    zero: float  # u6
    temperature: float  # u7
    interpolation: float  # u8

    @property
    def combined_N(self) -> float:
        parts = (
            self.applied_force,
            self.reproducibility,
            self.repeatability,
            self.resolution,
            self.creep,
            self.zero,
            self.temperature,
            self.interpolation,
        )
        return math.hypot(*parts)

    @property
    def expanded_percent(self) -> float:
        return 200.0 * self.combined_N / self.force_N


def quantities_of_series(
    of: str,
    forces_N: ArrayLike,
    series: Sequence[Series],
    interpolated: ArrayLike,
    *,
    zeros: Sequence[ZeroDrift] = (),
    creep: CreepPair | None = None,
) -> Quantities:
    """`interpolated` are the deflections that the curve gives at `forces_N`; f0 and c have the sign that is largest."""
    forces = np.asarray(forces_N, dtype=np.float64)
    curve = np.asarray(interpolated, dtype=np.float64)
    first = _first_rising(series)
    largest = _nanmean([one.deflections[-1] for one in first]) if first else None
    columns = (_reproducibility(first), _repeatability(series), _interpolation(first, curve), _reversibility(series))
    levels = tuple(
        LevelQuantities(
            force_N=float(force),
            reproducibility=_known(columns[0], i),
            repeatability=_known(columns[1], i),
            interpolation=_known(columns[2], i),
            reversibility=_known(columns[3], i),
        )
        for i, force in enumerate(forces)
    )
    drifts = [100.0 * (zero.after - zero.before) / largest for zero in zeros] if largest else []
    f0 = max(drifts, key=abs) if drifts else None
    c = 100.0 * (creep.at_300_s - creep.at_30_s) / largest if creep and largest else None
    return Quantities(of=of, levels=levels, zero=f0, creep=c, classification=classification(levels, f0, c))


def classification(levels: Sequence[LevelQuantities], zero: float | None, creep: float | None) -> str:
    """The best class that all quantities keep; reversibility or creep, one of the two, is needed."""
    b, repeat, fc, v = (
        [getattr(level, name) for level in levels]
        for name in ("reproducibility", "repeatability", "interpolation", "reversibility")
    )
    missing = [
        name
        for name, values in (("b", b), ("b'", repeat), ("fc", fc), ("f0", [zero]))
        if not values or any(value is None for value in values)
    ]
    has_v = bool(v) and all(value is not None for value in v)
    if not has_v and creep is None:
        missing.append("v or c")
    if missing:
        return f"unclassified: {', '.join(missing)} not known"
    for limits in CLASSES:
        kept = (
            (b, limits.reproducibility),
            (repeat, limits.repeatability),
            (fc, limits.interpolation),
            ([zero], limits.zero),
            (v if has_v else [], limits.reversibility),
            ([creep] if creep is not None else [], limits.creep),
        )
        if all(abs(value or 0.0) <= limit * (1 + 1e-9) for values, limit in kept for value in values):
            return f"class {limits.name} ({UNCHECKED})"
    return f"unclassified: outside class 2 ({UNCHECKED})"


def uncertainties(
    forces_N: ArrayLike,
    series: Sequence[Series],
    quantities: Quantities,
    *,
    applied_relative: float,
    resolution: float,
    temperature_per_K: float = 0.0,
    temperature_range_K: float = 0.0,
) -> tuple[StepUncertainty, ...]:
    """u1 to u8 at each force.

    `applied_relative` is the relative standard uncertainty of the force that was applied, `resolution` the
    indicator's in the deflection's unit. What was not measured counts as nothing; the classification says what that is.
    """
    forces = np.asarray(forces_N, dtype=np.float64)
    readings = np.array([one.deflections for one in _first_rising(series)])
    mean = np.nanmean(readings, axis=0)
    squares = np.nansum((readings - mean) ** 2, axis=0)
    found = []
    for i, (force, level) in enumerate(zip(forces, quantities.levels, strict=True)):
        per_percent = force / 100.0
        found.append(
            StepUncertainty(
                force_N=float(force),
                applied_force=float(force * applied_relative),
                reproducibility=float(abs(force / mean[i]) * math.sqrt(squares[i] / 6.0)),
                repeatability=float(per_percent * (level.repeatability or 0.0) / math.sqrt(3.0)),
                resolution=float(force * resolution / (abs(mean[i]) * math.sqrt(6.0))),
                creep=float(per_percent * abs(quantities.creep or 0.0) / math.sqrt(3.0)),
                zero=float(per_percent * abs(quantities.zero or 0.0)),
                temperature=float(force * temperature_per_K * temperature_range_K / 2.0 / math.sqrt(3.0)),
                interpolation=float(per_percent * abs(level.interpolation or 0.0)),
            )
        )
    return tuple(found)


# --- each quantity


def _first_rising(series: Sequence[Series]) -> list[Series]:
    """X1, X3, X5: the first rising series at each position."""
    found: dict[int, Series] = {}
    for one in series:
        if one.rising:
            found.setdefault(one.position, one)
    return list(found.values())


def _reproducibility(first: Sequence[Series]) -> Floats | None:
    if len(first) < 2:
        return None
    readings = np.array([one.deflections for one in first])
    return np.asarray(100.0 * (readings.max(axis=0) - readings.min(axis=0)) / readings.mean(axis=0))


def _repeatability(series: Sequence[Series]) -> Floats | None:
    """Of the first position that has two rising series."""
    for position in dict.fromkeys(one.position for one in series):
        rising = [one.deflections for one in series if one.position == position and one.rising]
        if len(rising) >= 2:
            return np.asarray(100.0 * np.abs(rising[1] - rising[0]) / ((rising[0] + rising[1]) / 2.0))
    return None


def _interpolation(first: Sequence[Series], curve: Floats) -> Floats | None:
    if not first:
        return None
    readings = np.array([one.deflections for one in first])
    known = np.isfinite(readings)
    mean = np.where(known, readings, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return np.asarray(100.0 * (mean - curve) / curve)


def _reversibility(series: Sequence[Series]) -> Floats | None:
    """Each falling series against the rising one before it; the mean of those that know the level."""
    found, rising = [], None
    for one in series:
        if one.rising:
            rising = one
        elif rising is not None and rising.position == one.position:
            found.append(100.0 * np.abs(one.deflections - rising.deflections) / rising.deflections)
    if not found:
        return None
    values = np.array(found)
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan))


def _known(column: Floats | None, level: int) -> float | None:
    return float(column[level]) if column is not None and np.isfinite(column[level]) else None


def _nanmean(values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None
