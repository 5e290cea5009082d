"""Fewer points that look the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_POINTS = 4000  # a curve; beyond, redrawing costs more than a tenth of a second and no pixel changes


def thin(x: Array, *ys: Array, limit: int = MOST_POINTS) -> tuple[Array, ...]:
    """`x` and `ys` (equal lengths) cut to at most `limit` rows, with each `y`'s extremes in every bin kept."""
    count = len(x)
    if count <= limit:
        return (x, *ys)
    bins = max(1, limit // (2 * len(ys)))
    size = -(-count // bins)
    keep = np.zeros(count, dtype=bool)
    starts = np.arange(0, count, size)
    padding = size * len(starts) - count
    for y in ys:
        low = np.pad(np.where(np.isnan(y), np.inf, y), (0, padding), constant_values=np.inf)
        high = np.pad(np.where(np.isnan(y), -np.inf, y), (0, padding), constant_values=-np.inf)
        keep[starts + low.reshape(-1, size).argmin(axis=1)] = True
        keep[starts + high.reshape(-1, size).argmax(axis=1)] = True
    return (x[keep], *(y[keep] for y in ys))


def half_cycles(net_capacity_Ah: Array, current_A: Array, voltage_V: Array) -> tuple[Array, Array]:
    """Voltage over the charge (Ah, a magnitude) passed since the current last turned round.

    Rests belong to the half-cycle before them and are left out; a NaN stands between the halves, where no line is
    drawn.
    """
    flowing = current_A != 0.0
    net, sign, voltage = net_capacity_Ah[flowing], np.sign(current_A[flowing]), voltage_V[flowing]
    if len(net) == 0:
        return net, voltage
    turns = np.flatnonzero(np.diff(sign)) + 1
    starts = np.concatenate([[0], turns])
    begun_at = np.repeat(net[starts], np.diff(np.concatenate([starts, [len(net)]])))
    return np.insert(np.abs(net - begun_at), turns, np.nan), np.insert(voltage, turns, np.nan)


def notable(last: int) -> tuple[int, ...]:
    """Which of 1 … `last` to draw: 1, 2, 5, 10, 20, 50, … and the last three."""
    steps = [mantissa * 10**power for power in range(7) for mantissa in (1, 2, 5)]
    return tuple(sorted({n for n in [*steps, last - 2, last - 1, last] if 1 <= n <= last}))
