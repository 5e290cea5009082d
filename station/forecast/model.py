"""The simulated cell that stands for a cell file."""

from __future__ import annotations

from drivers.simulated.cell.chemistries import parameters_for

from drivers.simulated.cell.forecast import ForecastCell
from protocols.cell import Cell
from protocols.document import Document, DocumentError

ROOM_degC = 25.0


def simulated_cell(
    cell: Cell, document: Document, *, formed: bool = False, temperature_degC: float | None = None
) -> ForecastCell:
    """As built, or with its first cycle behind it (`formed`), at the temperature given, the cell's own or 25 °C.

    Raises `DocumentError` where the file does not say enough, or names a chemistry that is not simulated.
    """
    known_degC = (given for given in (temperature_degC, cell.temperature) if given is not None)
    try:
        parameters = parameters_for(
            chemistry=cell.chemistry,
            format=cell.format,
            capacity_Ah=cell.capacity_Ah,
            electrode_area_cm2=cell.electrode_area,
            active_mass_g=cell.active_mass,
            specific_capacity_Ah_g=cell.specific_capacity,
            cells_in_series=cell.cells_in_series,
            stack_pressure_Pa=cell.stack_pressure,
            formed=formed,
        )
        return ForecastCell(parameters, next(known_degC, ROOM_degC))
    except ValueError as error:
        raise DocumentError([document.problem(("chemistry",), f"cannot be simulated: {error}")]) from None
