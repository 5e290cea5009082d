"""Open-circuit curves as uniform tables: a step of a cell then costs no exponentials and no polynomials.

The nodes are close enough (1.25e-4 of the filling) for a linear interpolation to stay within 0.1 mV of every curve
here; between monotonic nodes it is monotonic. Outside the table the curve itself is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TypeAlias

from drivers.simulated.cell.ocv import silicon_branches, silicon_first_lithiation

EMPTIED = -0.02  # the first node: below this filling the electrolyte is oxidised instead, at the potential it has there
NODES_PER_FILLING = 8000.0
INTERVALS = 8760  # up to a filling of 1.075

Curve: TypeAlias = Callable[[float], float]
Row: TypeAlias = tuple[float, float]  # value at the node, and its change to the next


@cache
def tabulated(curve: Curve) -> list[Row]:
    """`curve` at the nodes; kept for the next cell, so `curve` has to be a function of a module, not a lambda."""
    values = [curve(EMPTIED + i / NODES_PER_FILLING) for i in range(INTERVALS + 1)]
    return [(low, high - low) for low, high in pairwise(values)]


def silicon_middle(filling: float) -> float:
    """The mean of silicon's two branches."""
    lithiation, delithiation = silicon_branches(filling)
    return 0.5 * (lithiation + delithiation)


def silicon_half_gap(filling: float) -> float:
    """How far each of silicon's branches is from their mean."""
    lithiation, delithiation = silicon_branches(filling)
    return 0.5 * (delithiation - lithiation)


def silicon_virgin_excess(filling: float) -> float:
    """What the first lithiation's curve adds to the lithiation branch."""
    return silicon_first_lithiation(filling) - silicon_branches(filling)[0]


@cache
def silicon_table() -> list[tuple[float, float, float, float]]:
    """`silicon_middle` and `silicon_half_gap` in one: value, change, value, change."""
    return [(*middle, *gap) for middle, gap in zip(tabulated(silicon_middle), tabulated(silicon_half_gap), strict=True)]
