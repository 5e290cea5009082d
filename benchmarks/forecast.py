"""How soon a thousand cycles are forecast, beside a bare loop over as many samples in the same minute.

The time of a loop that does nothing but integrate a charge says how fast the machine is just now; the ratio of the
two is what may be compared between machines.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.table import show
from protocols import library
from protocols.cell import Cell
from protocols.compile import read_protocol
from protocols.document import Document
from station.forecast import forecast
from station.forecast.model import simulated_cell
from station.run import Request, Run

PROTOCOL = "si-half-cell-long-term"
PARAMETERS: dict[str, int | float | str] = {"cycles_at_0_2C": 500, "cycles_at_0_4C": 499}
TARGET_S = 20.0
BARE_LOOPS = 5


def prepared() -> tuple[Run, Document]:
    protocol = read_protocol(library.path(PROTOCOL), PARAMETERS)
    document = Document.read(library.cell_path(protocol.content.cell))
    cell = document.as_model(Cell)
    request = Request(protocol.document.text, protocol.document.file, document.text, document.file, PARAMETERS)
    return Run("benchmark", "benchmark", cell, request, protocol.compile_for(cell), protocol.title, 0.0), document


def bare_loop_s(samples: int) -> float:
    """The median time of a loop that integrates as many samples, and keeps them in a list."""
    times = []
    for _ in range(BARE_LOOPS):
        began = time.perf_counter()
        charge_Ah, kept = 0.0, []
        for number in range(samples):
            charge_Ah += 1e-3 * 30.0 / 3600.0
            kept.append((number * 30.0, 3.0 + 0.1 * charge_Ah))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    run, document = prepared()
    cell = simulated_cell(run.cell, document)
    began = time.perf_counter()
    simulation = forecast(run, cell)
    took_s = time.perf_counter() - began
    samples = simulation.forecast.samples
    bare_s = bare_loop_s(samples)

    given = [f"--set={name}={value}" for name, value in PARAMETERS.items()]
    began = time.perf_counter()
    command = [sys.executable, "-m", "station.cli", "simulate", PROTOCOL, *given, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole_s = time.perf_counter() - began

    rows = [
        (name, f"{samples}", f"{seconds:.1f}", f"{1e6 * seconds / samples:.1f}", f"{seconds / bare_s:.0f}", target)
        for name, seconds, target in (
            (f"forecast of {simulation.forecast.cycles_whole} cycles", took_s, ""),
            ("the whole command, as typed", whole_s, f"< {TARGET_S:.0f} s"),
            ("a bare loop", bare_s, ""),
        )
    ]
    days = simulation.forecast.duration_s / 86400
    show(
        f"Forecast of {days:.0f} days of cycling, a sample each 30 s at least",
        ("", "samples", "time / s", "µs / sample", "bare loops", "target"),
        rows,
    )


if __name__ == "__main__":
    main()
