"""Ionic resistance in the pores of an electrode, and its tortuosity.

A porous electrode without charge transfer is a transmission line: Z = √(R_ion·ζ)·coth √(R_ion/ζ), ζ = 1/(Q(jω)^n). Two
alike in series, as in a symmetric cell, are a line of twice the resistance. At high frequency it is a line of 45°, at
low frequency R_ion/3 before a blocking tail. Tortuosity τ = R_ion·A·κ·ε/d (J. Landesfeind, J. Hattendorff, A. Ehrl,
W. A. Wall, H. A. Gasteiger, J. Electrochem. Soc. 163 (2016) A1373; MacMullin number τ/ε).

Validity: no charge transfer (electrode at a potential where it takes no lithium, or an electrolyte without it), the
electronic resistance far below the ionic, and frequencies that show both the slope and the tail.
"""

from __future__ import annotations

from dataclasses import dataclass

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.impedance.fit import CircuitFit, fit_circuit
from station.analysis.impedance.spectrum import ImpedanceSpectrum


@dataclass(frozen=True, eq=False)
class PoreResistance:
    """R_ion of one electrode, and the fit that it is from."""

    ionic_ohm: Estimate
    electrodes: int
    fit: CircuitFit

    def tortuosity(self, area_m2: float, electrolyte_S_per_m: float, porosity: float, thickness_m: float) -> Estimate:
        """τ = R_ion·A·κ·ε/d of an electrode; raises `AnalysisError` where a value is out of its range."""
        for name, value in (("area", area_m2), ("conductivity", electrolyte_S_per_m), ("thickness", thickness_m)):
            if not value > 0:
                raise AnalysisError(f"a tortuosity needs a positive {name}, not {value:g}")
        if not 0 < porosity < 1:
            raise AnalysisError(f"a porosity is between 0 and 1, not {porosity:g}")
        factor = area_m2 * electrolyte_S_per_m * porosity / thickness_m
        return Estimate(self.ionic_ohm.value * factor, (self.ionic_ohm.u or 0.0) * factor)


def pore_resistance(spectrum: ImpedanceSpectrum, *, electrodes: int = 2, reacting: bool = False) -> PoreResistance:
    """Fit `L-R1-TLMQ2`, or with charge transfer in the pores `L-R1-TLMR2`, to a cell of one or two such electrodes."""
    if electrodes not in (1, 2):
        raise AnalysisError(f"a cell has one or two porous electrodes, not {electrodes}")
    name = "TLMR2" if reacting else "TLMQ2"
    fit = fit_circuit(spectrum, f"L-R1-{name}")
    found = fit.parameter(f"{name}.R_ion")
    return PoreResistance(Estimate(found.value / electrodes, found.standard_error / electrodes), electrodes, fit)
