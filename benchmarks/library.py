"""Each library protocol as published, on its simulated cell: what it comes to, and how long the forecast takes."""

from __future__ import annotations

import time

from benchmarks.table import show
from protocols import library
from protocols.cell import Cell
from protocols.compile import read_protocol
from protocols.document import Document
from station.forecast import Forecast, forecast
from station.forecast.model import simulated_cell
from station.run import Request, Run


def simulated(name: str) -> Forecast:
    protocol = read_protocol(library.path(name))
    document = Document.read(library.cell_path(protocol.content.cell))
    cell = document.as_model(Cell)
    request = Request(protocol.document.text, protocol.document.file, document.text, document.file)
    run = Run("benchmark", "benchmark", cell, request, protocol.compile_for(cell), protocol.title, started=0.0)
    return forecast(run, simulated_cell(cell, document)).forecast


def main() -> None:
    rows = []
    for name in library.names():
        began = time.perf_counter()
        found = simulated(name)
        took_s = time.perf_counter() - began
        whole = [1e3 * c.discharge_capacity_Ah for c in found.cycles if c.coulombic_efficiency is not None]
        capacity = f"{whole[0]:.3g} … {whole[-1]:.3g}" if whole else ""
        cycles = f"{found.cycles_whole} of {found.cycles_planned}"
        days = f"{found.duration_s / 86400:.1f}"
        rows.append((name, found.ending, cycles, days, capacity, f"{took_s:.1f}"))
    headings = ("protocol", "ending", "cycles", "days", "discharge / mAh, first … last", "forecast took / s")
    show("The library in full, simulated", headings, rows)
