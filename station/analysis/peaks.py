"""Peaks of a derivative, and what becomes of them over cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks, peak_widths

from station.analysis.curves import Derivative

PROMINENCE = 0.05
"""Of the highest peak; less is taken for none."""


@dataclass(frozen=True, slots=True)
class Peak:
    """In the units of the derivative's x and values; `height` has the sign of the derivative."""

    cycle: int
    position: float
    position_u: float  # the grid's step as a rectangle: half of it over √3
    height: float
    width: float  # at half of its prominence


@dataclass(frozen=True, slots=True)
class PeakTrack:
    """One peak over cycles; a cycle in which it was not found is missing."""

    peaks: tuple[Peak, ...]


def peaks(curve: Derivative, prominence: float = PROMINENCE) -> tuple[Peak, ...]:
    """By rising x. The place of a peak is the top of the parabola through its three highest points.

    `prominence` is how far a peak stands out of its surroundings at least, as a share of the highest value.
    """
    sizes = np.concatenate(([0.0], np.abs(curve.dydx), [0.0]))  # a peak may stand at an end
    if not sizes.max() > 0:
        return ()
    places, _ = find_peaks(sizes, prominence=prominence * float(sizes.max()))
    widths = peak_widths(sizes, places)[0]
    found = []
    for place, width in zip(places.tolist(), widths.tolist(), strict=True):
        left, top, right = (float(value) for value in sizes[place - 1 : place + 2])
        bend = left - 2 * top + right
        inner = 1 < place < len(sizes) - 2 and bend < 0
        shift = 0.5 * (left - right) / bend if inner else 0.0
        sign = 1.0 if curve.dydx[place - 1] >= 0 else -1.0
        found.append(
            Peak(
                curve.cycle,
                float(curve.x[place - 1]) + shift * curve.step,
                curve.step / 12**0.5,
                sign * (top - 0.25 * (left - right) * shift),
                width * curve.step,
            )
        )
    return tuple(found)


def track_peaks(curves: Sequence[Derivative], within: float, prominence: float = PROMINENCE) -> tuple[PeakTrack, ...]:
    """Peaks of successive cycles that are one peak, by rising x of their first one.

    A peak goes on where the nearest one of a later cycle is no further than `within` (in units of x) from where it was
    last seen; nearest pairs first, each peak in one track only.
    """
    tracks: list[list[Peak]] = []
    for curve in curves:
        found = peaks(curve, prominence)
        pairs = sorted(
            (abs(peak.position - track[-1].position), number, index)
            for number, track in enumerate(tracks)
            for index, peak in enumerate(found)
        )
        extended: set[int] = set()
        taken: set[int] = set()
        for distance, number, index in pairs:
            if distance <= within and number not in extended and index not in taken:
                tracks[number].append(found[index])
                extended.add(number)
                taken.add(index)
        tracks += [[peak] for index, peak in enumerate(found) if index not in taken]
    tracks.sort(key=lambda track: track[0].position)
    return tuple(PeakTrack(tuple(track)) for track in tracks)
