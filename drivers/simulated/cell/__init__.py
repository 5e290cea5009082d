"""A battery cell with a pressure sensor inside, for virtual instruments and for forecasts."""

from drivers.simulated.cell.chemistries import parameters_for
from drivers.simulated.cell.forecast import ForecastCell
from drivers.simulated.cell.materials import known_chemistries
from drivers.simulated.cell.parameters import (
    CellParameters,
    Format,
    lithium_symmetric_cell,
    scattered,
    silicon_half_cell,
    silicon_lfp_cell,
)
from drivers.simulated.cell.sensor import SensorParameters
from drivers.simulated.cell.simulated_cell import CellState, SimulatedCell

__all__ = [
    "CellParameters",
    "CellState",
    "ForecastCell",
    "Format",
    "SensorParameters",
    "SimulatedCell",
    "known_chemistries",
    "lithium_symmetric_cell",
    "parameters_for",
    "scattered",
    "silicon_half_cell",
    "silicon_lfp_cell",
]
