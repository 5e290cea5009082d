"""Which circuit a spectrum supports.

With unknown noise, AICc = m·ln(S/m) + 2k + 2k(k + 1)/(m − k − 1) and BIC = m·ln(S/m) + k·ln m, where m = 2N real data,
S the weighted sum of squares and k the number of parameters with the noise. Lower is better; a difference of 10 is
decisive, one below 2 says nothing. K. P. Burnham and D. R. Anderson, Model Selection and Multimodel Inference, 2nd ed.
(2002), ch. 2.

Validity: the residuals are noise that is alike everywhere in the weights' terms. Where none of the candidates is right,
both criteria favour the larger circuit: look at the residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.impedance.fit import CircuitFit, Weights, fit_circuit
from station.analysis.impedance.named import circuit_of
from station.analysis.impedance.spectrum import ImpedanceSpectrum

CANDIDATES = (
    "L-R1-Q2",
    "L-R1-(Q2R2)",
    "L-R1-(Q2R2)-Q3",
    "L-R1-(Q2R2)-(Q3R3)",
    "L-R1-(Q2R2)-(Q3R3)-Q4",
    "L-R1-(Q2R2)-(Q3(R3-W3))",
    "L-R1-(Q2R2)-(Q3(R3-Wo3))",
    "L-R1-(Q2R2)-(Q3R3)-(Q4R4)-Q5",
)
CLOSE = 2.0  # difference of the criterion below which the simpler circuit is taken


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted circuit in a ranking; `difference` is its criterion less the best one."""

    fit: CircuitFit
    aicc: float
    bic: float
    difference: float


@dataclass(frozen=True, eq=False)
class Selection:
    """Candidates from the best to the worst, and which is chosen: of those about as good, that of fewest parameters."""

    ranking: tuple[Candidate, ...]
    criterion: str
    left_out: tuple[str, ...]  # circuits with too many parameters for the points

    @property
    def chosen(self) -> CircuitFit:
        close = [each.fit for each in self.ranking if each.difference < CLOSE]
        return min(close, key=lambda fit: fit.free)

    def frame(self) -> pd.DataFrame:
        """The ranking as a table."""
        rows = [
            (each.fit.circuit.text, each.fit.free, each.fit.chi2_reduced, each.aicc, each.bic, each.difference)
            for each in self.ranking
        ]
        return pd.DataFrame(rows, columns=["circuit", "parameters", "chi2 reduced", "AICc", "BIC", "difference"])


def select_circuit(
    spectrum: ImpedanceSpectrum,
    candidates: Sequence[str] = CANDIDATES,
    *,
    criterion: Literal["BIC", "AICc"] = "BIC",
    weights: Weights = "modulus",
) -> Selection:
    """Fit all `candidates` (names or circuit strings) and rank them; raises `AnalysisError` where none can be fitted.

    BIC is the default: with the many points of a spectrum AICc takes an element too many more often.
    """
    circuits = [circuit_of(each) for each in candidates]
    possible = [each for each in circuits if 2 * len(spectrum) - len(each.parameters) > 2]
    if not possible:
        raise AnalysisError(f"{len(spectrum)} points are too few for any of {', '.join(candidates) or 'no candidates'}")
    fits = [fit_circuit(spectrum, each, weights=weights) for each in possible]
    scores = {"AICc": [_aicc(fit) for fit in fits], "BIC": [_bic(fit) for fit in fits]}
    chosen = scores[criterion]
    ranking = tuple(
        Candidate(fits[at], scores["AICc"][at], scores["BIC"][at], chosen[at] - min(chosen))
        for at in np.argsort(chosen, kind="stable")
    )
    return Selection(ranking, criterion, tuple(each.text for each in circuits if each not in possible))


def _likelihood(fit: CircuitFit) -> tuple[int, int, float]:
    """Real data, parameters with the noise, and −2 ln of the likelihood but for a constant."""
    data = 2 * len(fit.spectrum)
    if fit.weighting == "sigma":
        return data, fit.free, fit.sum_of_squares
    return data, fit.free + 1, data * float(np.log(max(fit.sum_of_squares, 1e-300) / data))


def _aicc(fit: CircuitFit) -> float:
    data, k, deviance = _likelihood(fit)
    return deviance + 2 * k + 2 * k * (k + 1) / (data - k - 1)


def _bic(fit: CircuitFit) -> float:
    data, k, deviance = _likelihood(fit)
    return deviance + k * float(np.log(data))
