"""A series of spectra, over cycles, pressure or temperature, fitted in one go.

Each spectrum is fitted from its neighbour's result, once from the first to the last and once back, and the better of
both is kept. Where the two do not meet, a search from the spectrum's own start values decides as well. So parameters
change along the series as the cell does, and arcs keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.impedance.circuit import Circuit
from station.analysis.impedance.fit import SAME, CircuitFit, Weights, fit_circuit
from station.analysis.impedance.named import circuit_of
from station.analysis.impedance.spectrum import ImpedanceSpectrum


@dataclass(frozen=True, eq=False)
class FittedSeries:
    """A fit for each spectrum; `over` says by what they are ordered ('cycle', 'pressure_Pa')."""

    circuit: Circuit
    over: str
    positions: tuple[float, ...]
    fits: tuple[CircuitFit, ...]

    def frame(self) -> pd.DataFrame:
        """A row for each spectrum: parameters with standard errors (`R2`, `R2 error`), and the reduced chi².

        Units are those of the parameters: ohm, S s^n, F, H, s.
        """
        rows = []
        for position, fit in zip(self.positions, self.fits, strict=True):
            row: dict[str, float] = {self.over: position}
            for each in fit.parameters:
                row[each.name] = each.value
                row[f"{each.name} error"] = each.standard_error
            rows.append({**row, "chi2 reduced": fit.chi2_reduced})
        return pd.DataFrame(rows)


def fit_series(
    spectra: Sequence[ImpedanceSpectrum],
    circuit: str | Circuit,
    positions: Sequence[float] | None = None,
    *,
    over: str = "number",
    weights: Weights = "modulus",
    bounds: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> FittedSeries:
    """Fit `circuit` to all `spectra`, which are in the order of `positions` (1, 2, 3 … unless given).

    Raises `AnalysisError` where there is no spectrum, or positions are not as many.
    """
    if not spectra:
        raise AnalysisError("there are no spectra to fit")
    places = tuple(float(each) for each in (positions if positions is not None else range(1, len(spectra) + 1)))
    if len(places) != len(spectra):
        raise AnalysisError(f"{len(spectra)} spectra need as many positions, not {len(places)}")
    parsed = circuit_of(circuit) if isinstance(circuit, str) else circuit

    def fitted(spectrum: ImpedanceSpectrum, start: Mapping[str, float] | None) -> CircuitFit:
        return fit_circuit(spectrum, parsed, weights=weights, bounds=bounds, fixed=fixed, start=start)

    def along(order: Iterable[int]) -> dict[int, CircuitFit]:
        found: dict[int, CircuitFit] = {}
        start: Mapping[str, float] | None = None
        for index in order:
            found[index] = fitted(spectra[index], start)
            start = found[index].values
        return found

    order = [int(index) for index in np.argsort(places, kind="stable")]
    forward, backward = along(order), along(reversed(order))
    fits = []
    for index, spectrum in enumerate(spectra):
        best, other = sorted((forward[index], backward[index]), key=lambda fit: fit.sum_of_squares)
        if other.sum_of_squares > best.sum_of_squares * (1 + SAME):
            best = min(best, fitted(spectrum, None), key=lambda fit: fit.sum_of_squares)
        fits.append(best)
    return FittedSeries(parsed, over, places, tuple(fits))
