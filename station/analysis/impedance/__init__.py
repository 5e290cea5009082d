"""Impedance: circuits and their fits, the Kramers–Kronig test, relaxation times, conductivity.

    from station.analysis.impedance import fit_circuit, from_arrays

    spectrum = from_arrays(frequency_Hz, real_ohm, imaginary_ohm)
    fit = fit_circuit(spectrum, "L-R1-(Q2R2)-(Q3R3)-Q4")
    fit["R3"], fit.parameter("R3").standard_error, fit.arcs, fit.flags

Every function takes arrays or a spectrum and returns a frozen result; none reads a file, a clock or a database. Im Z is
negative where a cell is capacitive; conventions and circuits are in docs/impedance.md.
"""

from station.analysis.estimate import Estimate
from station.analysis.impedance.arcs import Arc
from station.analysis.impedance.circuit import Circuit, Parameter, parse_circuit
from station.analysis.impedance.conductivity import (
    VTF,
    Arrhenius,
    conductivity_S_per_m,
    fit_arrhenius,
    fit_vtf,
    high_frequency_intercept_ohm,
)
from station.analysis.impedance.drt import DRT, Peak, distribution_of_relaxation_times
from station.analysis.impedance.elements import ELEMENTS
from station.analysis.impedance.fit import CircuitFit, FittedParameter, fit_circuit
from station.analysis.impedance.grammar import CircuitError
from station.analysis.impedance.kramers_kronig import KramersKronig, kramers_kronig
from station.analysis.impedance.named import NAMED, NamedCircuit, circuit_of
from station.analysis.impedance.pores import PoreResistance, pore_resistance
from station.analysis.impedance.selection import Candidate, Selection, select_circuit
from station.analysis.impedance.series import FittedSeries, fit_series
from station.analysis.impedance.spectrum import ImpedanceSpectrum, from_arrays, from_frame, from_sweep

__all__ = [
    "DRT",
    "ELEMENTS",
    "NAMED",
    "VTF",
    "Arc",
    "Arrhenius",
    "Candidate",
    "Circuit",
    "CircuitError",
    "CircuitFit",
    "Estimate",
    "FittedParameter",
    "FittedSeries",
    "ImpedanceSpectrum",
    "KramersKronig",
    "NamedCircuit",
    "Parameter",
    "Peak",
    "PoreResistance",
    "Selection",
    "circuit_of",
    "conductivity_S_per_m",
    "distribution_of_relaxation_times",
    "fit_arrhenius",
    "fit_circuit",
    "fit_series",
    "fit_vtf",
    "from_arrays",
    "from_frame",
    "from_sweep",
    "high_frequency_intercept_ohm",
    "kramers_kronig",
    "parse_circuit",
    "pore_resistance",
    "select_circuit",
]
