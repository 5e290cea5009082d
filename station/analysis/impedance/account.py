"""All that is said of spectra at once, for `cellstation analyse impedance`: consistency, circuit, relaxation times."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from station.analysis.impedance.drt import DRT, distribution_of_relaxation_times
from station.analysis.impedance.drt import FEWEST_POINTS as FEWEST_RELAXING
from station.analysis.impedance.fit import CircuitFit
from station.analysis.impedance.kramers_kronig import FEWEST_POINTS as FEWEST_TESTED
from station.analysis.impedance.kramers_kronig import KramersKronig, kramers_kronig
from station.analysis.impedance.selection import Candidate, select_circuit
from station.analysis.impedance.series import fit_series
from station.analysis.impedance.spectrum import Measured


@dataclass(frozen=True, eq=False)
class Described:
    """One spectrum with its results; None for what needs more points."""

    measured: Measured
    test: KramersKronig | None
    fit: CircuitFit
    relaxation: DRT | None


@dataclass(frozen=True, eq=False)
class Account:
    """Spectra with their results; `ranking` is of the candidates where the circuit was chosen by the first spectrum."""

    spectra: tuple[Described, ...]
    ranking: tuple[Candidate, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON: units in the names, null for what is not known."""
        ranking = [
            {"circuit": each.fit.circuit.text, "parameters": each.fit.free, "BIC": each.bic, "AICc": each.aicc}
            for each in self.ranking
        ]
        circuit = self.spectra[0].fit.circuit.text
        result = {"circuit": circuit, "ranking": ranking, "spectra": [_plain(each) for each in self.spectra]}
        finite: dict[str, Any] = _finite(result)
        return finite


def account(measured: Sequence[Measured], circuit: str | None = None) -> Account:
    """Fit `circuit` to all spectra as a series; without one, what the first spectrum supports best."""
    ranking: tuple[Candidate, ...] = ()
    spectra = [each.spectrum for each in measured]
    if circuit is None:
        selection = select_circuit(spectra[0])
        ranking, circuit = selection.ranking, selection.chosen.circuit.text
    fits = fit_series(spectra, circuit).fits
    return Account(tuple(_described(each, fit) for each, fit in zip(measured, fits, strict=True)), ranking)


def _described(measured: Measured, fit: CircuitFit) -> Described:
    spectrum = measured.spectrum
    test = kramers_kronig(spectrum) if len(spectrum) >= FEWEST_TESTED else None
    relaxation = distribution_of_relaxation_times(spectrum) if len(spectrum) >= FEWEST_RELAXING else None
    return Described(measured, test, fit, relaxation)


def _plain(one: Described) -> dict[str, Any]:
    return {
        "source": one.measured.source,
        "number": one.measured.number,
        "cycle": one.measured.cycle,
        "points": len(one.measured.spectrum),
        "left_out": one.measured.spectrum.left_out,
        "kramers_kronig": None if one.test is None else _test(one.test),
        "fit": _fit(one.fit),
        "relaxation_times": None if one.relaxation is None else _relaxation(one.relaxation),
    }


def _test(test: KramersKronig) -> dict[str, Any]:
    return {
        "consistent": test.consistent,
        "verdict": test.verdict,
        "elements": test.elements,
        "mu": test.mu,
        "rms_real": test.rms[0],
        "rms_imaginary": test.rms[1],
        "inconsistent_Hz": test.spectrum.frequency_Hz[~test.consistent_points].tolist(),
    }


def _fit(fit: CircuitFit) -> dict[str, Any]:
    return {
        "circuit": fit.circuit.text,
        "weights": fit.weighting,
        "parameters": [dataclasses.asdict(each) for each in fit.parameters],
        "correlation": fit.correlation.tolist(),
        "sum_of_squares": fit.sum_of_squares,
        "chi2_reduced": fit.chi2_reduced,
        "flags": list(fit.flags),
        "arcs": [dataclasses.asdict(each) for each in fit.arcs],
    }


def _relaxation(relaxation: DRT) -> dict[str, Any]:
    return {
        "regularisation": relaxation.regularisation,
        "chosen_by": relaxation.chosen_by,
        "tail_Q": relaxation.tail_Q,
        "tail_exponent": relaxation.tail_exponent,
        "polarisation_ohm": dataclasses.asdict(relaxation.polarisation_ohm),
        "tail": relaxation.tail,
        "peaks": [dataclasses.asdict(each) for each in relaxation.peaks],
    }


def _finite(content: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
