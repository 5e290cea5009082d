"""Electrochemical window of an electrolyte, from linear sweeps, by a stated threshold of the current density.

The limit is the potential from which on |j − j_background| stays above the threshold. It depends on the threshold, on
the scan rate and on the electrode's true area, which belong beside it; a threshold is a convention, not a property of
the electrolyte (Xu, Chem. Rev. 104 (2004) 4303). Thresholds of 10 to 100 µA cm⁻² are common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.lines import line
from station.analysis.record import Floats


class Reaction(StrEnum):
    OXIDATION = "oxidation"
    REDUCTION = "reduction"


@dataclass(frozen=True, slots=True)
class Limit:
    reaction: Reaction
    potential_V: Estimate
    threshold_mA_cm2: float
    background: tuple[float, float] | None  # V, the range by which a straight line was taken off
    reached_V: float  # where the sweep ended: no limit further away could be seen


@dataclass(frozen=True, slots=True)
class Window:
    oxidation: Limit
    reduction: Limit

    @property
    def width_V(self) -> Estimate:
        above, below = self.oxidation.potential_V, self.reduction.potential_V
        return Estimate(above.value - below.value, math.hypot(above.u or 0.0, below.u or 0.0))


def stability_limit(
    potential_V: Floats,
    current_A: Floats,
    area_cm2: float,
    threshold_mA_cm2: float,
    *,
    background: tuple[float, float] | None = None,
    lasting_V: float = 0.01,
) -> Limit:
    """Of one sweep, in the order taken: upwards for oxidation, downwards for reduction.

    `background` is a range of potential in which nothing but double layers is charged: the line through it is taken
    off. The density has to stay above the threshold for `lasting_V` more of the sweep, so that one noisy reading is no
    limit. Raises AnalysisError where the threshold is not reached, naming the largest density there was.
    """
    if not (area_cm2 > 0 and threshold_mA_cm2 > 0):
        raise AnalysisError(
            f"the area ({area_cm2:g} cm²) and the threshold ({threshold_mA_cm2:g} mA/cm²) are above zero"
        )
    if len(potential_V) < 5 or potential_V[-1] == potential_V[0]:
        raise AnalysisError("a sweep has five readings or more, and ends at another potential than it began at")
    sign = 1.0 if potential_V[-1] > potential_V[0] else -1.0
    reaction = Reaction.OXIDATION if sign > 0 else Reaction.REDUCTION
    x = np.maximum.accumulate(sign * potential_V)
    j = sign * current_A * 1e3 / area_cm2
    noise = 0.0
    if background is not None:
        within = (potential_V >= min(background)) & (potential_V <= max(background))
        fitted = line(potential_V[within], j[within])
        j = j - fitted.intercept.value - fitted.slope.value * potential_V
        noise = fitted.scatter
    row = _lasting(x, j > threshold_mA_cm2, lasting_V)
    if row is None:
        raise AnalysisError(
            f"the {reaction} current does not reach {threshold_mA_cm2:g} mA/cm² for {1e3 * lasting_V:g} mV of the "
            f"sweep up to {potential_V[-1]:.4g} V; the largest is {float(j.max()):.3g} mA/cm²"
        )
    at, u = _crossing(x, j, row, threshold_mA_cm2, noise)
    return Limit(reaction, Estimate(sign * at, u), threshold_mA_cm2, background, float(potential_V[-1]))


def window(anodic: Limit, cathodic: Limit) -> Window:
    """Raises AnalysisError where the two are not an oxidation and a reduction by one threshold."""
    if anodic.reaction is not Reaction.OXIDATION or cathodic.reaction is not Reaction.REDUCTION:
        raise AnalysisError("a window lies between an oxidation and a reduction; sweep up for one, down for the other")
    if anodic.threshold_mA_cm2 != cathodic.threshold_mA_cm2:
        raise AnalysisError("both limits of a window are told by one threshold")
    return Window(anodic, cathodic)


def _lasting(x: Floats, above: np.ndarray[tuple[int], np.dtype[np.bool_]], lasting_V: float) -> int | None:
    """The first row from which on all are above for so much of the sweep."""
    falls = np.flatnonzero(~above)
    for row in np.flatnonzero(above & np.concatenate(([True], ~above[:-1]))).tolist():
        later = falls[falls > row]
        end = int(later[0]) - 1 if len(later) else len(x) - 1
        if x[end] - x[row] >= lasting_V:
            return int(row)
    return None


def _crossing(x: Floats, j: Floats, row: int, threshold: float, noise: float) -> tuple[float, float]:
    """Where the line between two readings crosses; u of the readings' spacing and of the background's noise."""
    if row == 0:
        return float(x[0]), 0.0
    share = (threshold - j[row - 1]) / (j[row] - j[row - 1])
    gap = float(x[row] - x[row - 1])
    slope = float(j[row] - j[row - 1]) / gap if gap > 0 else math.inf
    return float(x[row - 1]) + share * gap, math.hypot(gap / 12**0.5, noise / slope)
