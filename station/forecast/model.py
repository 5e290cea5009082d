"""The simulated cell that stands for a cell file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from drivers.simulated.cell.chemistries import parameters_for
from drivers.simulated.cell.forecast import ForecastCell
from drivers.simulated.cell.materials import Chemistry
from protocols.cell import Cell
from protocols.document import Document, DocumentError

ROOM_degC = 25.0


def simulated_cell(
    cell: Cell, document: Document, *, formed: bool = False, temperature_degC: float | None = None
) -> ForecastCell:
    """As built, or with its first cycle behind it (`formed`), at the temperature given, the cell's own or 25 °C.

    Raises `DocumentError` for a chemistry, a format or a temperature that is not simulated.
    """
    with _problems_at(document, "chemistry"):
        Chemistry.parse(cell.chemistry)
    with _problems_at(document, "format"):
        parameters = parameters_for(
            cell.chemistry,
            format=cell.format,
            capacity_Ah=cell.capacity_Ah,
            electrode_area_cm2=cell.electrode_area,
            active_mass_g=cell.active_mass,
            specific_capacity_Ah_g=cell.specific_capacity,
            cells_in_series=cell.cells_in_series,
            stack_pressure_Pa=cell.stack_pressure,
            formed=formed,
        )
    known_degC = (given for given in (temperature_degC, cell.temperature) if given is not None)
    with _problems_at(document, "temperature"):
        return ForecastCell(parameters, next(known_degC, ROOM_degC))


@contextlib.contextmanager
def _problems_at(document: Document, key: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DocumentError([document.problem((key,), f"this cell cannot be simulated: {error}")]) from None
