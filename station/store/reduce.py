"""Fewer rows of a long series, with every extreme kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def extremes(time_s: Floats, columns: Mapping[str, Floats], points: int) -> Indices:
    """Which rows to keep, rising: about `points` of them, and all where there are no more than that.

    Time is cut into equal buckets. Of each bucket those rows are kept where a column has its minimum and its
    maximum, so what is kept are rows as measured: values that were measured together stay together. The first
    and the last row are always kept. `time_s` and each column have shape (rows,), `time_s` rising; NaN is no value.
    """
    if len(time_s) <= points:
        return np.arange(len(time_s))
    buckets = max(1, points // (2 * max(1, len(columns))))
    edges = np.linspace(time_s[0], time_s[-1], buckets + 1)[1:-1]
    starts = np.unique(np.concatenate(([0], np.searchsorted(time_s, edges))))
    starts = starts[starts < len(time_s)]
    keep = [np.array([0, len(time_s) - 1])]
    if not columns:
        keep.append(starts)
    for values in columns.values():
        keep.append(_first_equal(values, np.fmin.reduceat(values, starts), starts))
        keep.append(_first_equal(values, np.fmax.reduceat(values, starts), starts))
    return np.unique(np.concatenate(keep))


def _first_equal(values: Floats, wanted: Floats, starts: Indices) -> Indices:
    """The first row of each bucket where `values` is that bucket's `wanted`; none where that is NaN."""
    lengths = np.diff(np.append(starts, len(values)))
    hits = np.flatnonzero(values == np.repeat(wanted, lengths))
    bucket = np.searchsorted(starts, hits, side="right")
    return hits[np.unique(bucket, return_index=True)[1]]
