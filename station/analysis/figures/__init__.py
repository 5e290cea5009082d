"""Figures for papers and reports, each with the data that it draws.

    from station.analysis.figures import Sample, Size, capacities, save

    figure = capacities([Sample("cell 7", record, cycles(record))], size=Size.SINGLE)
    save(figure, Path("figure-3"))          # figure-3.svg, .pdf, .png and .csv

Every function takes results of the analysis and returns a `Figure`; `figure.data` is the table that was drawn.
"""

from station.analysis.figures.cycling import capacities, dqdv_map, rates, spread, voltage_capacity
from station.analysis.figures.loops import pressure_loops
from station.analysis.figures.overtime import pressure_and_voltage, voltage_and_current
from station.analysis.figures.page import SIMULATED, Figure, Format, Size, save
from station.analysis.figures.relaxation import relaxation_times
from station.analysis.figures.sample import CapacityUnit, Sample
from station.analysis.figures.spectra import Drawn, bode, consistency, impedance, nyquist
from station.analysis.figures.temperature import Conductivity, conductivity

__all__ = [
    "SIMULATED",
    "CapacityUnit",
    "Conductivity",
    "Drawn",
    "Figure",
    "Format",
    "Sample",
    "Size",
    "bode",
    "capacities",
    "conductivity",
    "consistency",
    "dqdv_map",
    "impedance",
    "nyquist",
    "pressure_and_voltage",
    "pressure_loops",
    "rates",
    "relaxation_times",
    "save",
    "spread",
    "voltage_and_current",
    "voltage_capacity",
]
