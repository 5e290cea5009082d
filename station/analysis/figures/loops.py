"""Pressure over capacity: a loop for each cycle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from station.analysis.cycles import Cycle
from station.analysis.errors import AnalysisError
from station.analysis.figures.cycling import AS_FAR, SOME_CYCLES, chosen
from station.analysis.figures.page import Figure, Size, blank, finished, in_style, legend_above
from station.analysis.figures.palette import GREY, Order, key
from station.analysis.figures.sample import Sample, said_of_cut
from station.analysis.figures.scales import largest, prefix_scale
from station.analysis.pressure import Loop, pressure_loop


@in_style
def pressure_loops(sample: Sample, numbers: Sequence[int] | None = None, *, size: Size = Size.SINGLE) -> Figure:
    """Pressure on charge (solid) and discharge (broken) over the charge in the cell, from the end of discharge on.

    Columns: cycle, capacity, charge_Pa, discharge_Pa. Cycles without both halves or a pressure are left out. Raises
    AnalysisError where none is left.
    """
    loops = list(_loops(sample, chosen(sample, numbers, SOME_CYCLES)))
    if not loops:
        raise AnalysisError(f"{sample.name}: no cycle has a charge, a discharge and a pressure")
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "cycle": loop.cycle,
                    sample.capacity.column: loop.capacity_Ah * sample.capacity.per_Ah,
                    "charge_Pa": loop.charge_Pa,
                    "discharge_Pa": loop.discharge_Pa,
                }
            )
            for loop in loops
        ],
        ignore_index=True,
    )
    scale = prefix_scale(max(largest(table["charge_Pa"]), largest(table["discharge_Pa"])), "Pa")
    drawing = blank(size, 64.0 if size is Size.SINGLE else 78.0)
    axes = drawing.subplots()
    order = Order(table["cycle"].unique().tolist())
    for cycle, rows in table.groupby("cycle", sort=False):
        for column, line in (("charge_Pa", "-"), ("discharge_Pa", "--")):
            y = rows[column] * scale.factor
            axes.plot(rows[sample.capacity.column], y, line, color=order.colour(float(str(cycle))), linewidth=0.9)
    axes.set(xlabel=sample.capacity.label, ylabel=f"Pressure / {scale.unit}")
    handles = [key(color=GREY, linestyle=line, label=way) for way, line in WAYS]
    if order.few:
        handles = [key(color=order.colour(n), label=f"cycle {n:g}") for n in order.numbers] + handles
    else:
        order.bar(drawing, axes, "Cycle")
    legend_above(drawing, handles)
    caption = "Pressure over the charge in the cell, from the end of discharge. Solid: charge; broken: discharge."
    caption += said_of_cut([sample], AS_FAR, table["cycle"])
    return finished("pressure-loops", drawing, table, caption, simulated=sample.simulated)


WAYS = (("charge", "-"), ("discharge", "--"))


def _loops(sample: Sample, cycles: Sequence[Cycle]) -> Iterator[Loop]:
    for cycle in cycles:
        try:
            yield pressure_loop(sample.record, cycle)
        except AnalysisError:
            continue  # a half or its pressure is missing; the docstring says so
