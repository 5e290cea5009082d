"""What may be done to a simulated cell, for tests of any sequence of it."""

from __future__ import annotations

from drivers.simulated.cell import ForecastCell


def do(cell: ForecastCell, kind: str, value: float, limit: float) -> None:
    match kind:
        case "current":
            cell.set_current(value)
        case "voltage":
            cell.set_voltage(value, limit)
        case "temperature":
            cell.set_temperature(value)
        case "pressure":
            cell.set_stack_pressure(value)
        case _:
            raise ValueError(f"nothing called '{kind}' is done to a cell")
