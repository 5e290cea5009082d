"""Which way an electrode takes lithium up, by the cell's chemistry as its file writes it."""

from __future__ import annotations

from station.analysis.flow import Direction

_COUNTERS = frozenset({"li", "li metal", "lithium", "li-in", "liin", "in-li", "li/in", "na", "sodium"})


def lithiation(chemistry: str) -> Direction | None:
    """The discharge, for a half-cell such as 'Si | Li' or 'Li | LFP', whose working electrode has the higher potential.

    None for a full cell, where both electrodes change, and for a symmetric one.
    """
    sides = [side.strip().lower() for side in chemistry.split("|") if side.strip()]
    if len(sides) < 2:
        return None
    counters = sum(side in _COUNTERS for side in (sides[0], sides[-1]))
    return Direction.DISCHARGE if counters == 1 else None
