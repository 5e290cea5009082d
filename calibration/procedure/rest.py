"""Whether force and resistance have come to rest: the straight line through the last readings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.procedure.plan import Plan
from calibration.procedure.state import Reading

LEAST_READINGS = 5


@dataclass(frozen=True, slots=True)
class Rest:
    """Change over the window, as a share; None while there are too few readings for it."""

    force: float | None
    resistance: float | None
    force_stable: bool
    resistance_stable: bool

    @property
    def both(self) -> bool:
        return self.force_stable and self.resistance_stable


def rest_of(plan: Plan, window: Sequence[Reading]) -> Rest:
    """Of the newest readings; a reading that is missing within the window leaves it without an answer."""
    force = _change(plan, [(each.time, each.force_N) for each in window])
    logs = [(each.time, None if each.resistance_ohm is None else math.log(each.resistance_ohm)) for each in window]
    resistance = _change(plan, logs)
    forces = [each.force_N for each in window if each.force_N is not None]
    middle = math.fsum(forces) / len(forces) if forces else 0.0
    allowed_N = max(plan.stability.force_within * abs(middle), plan.floor_N)
    share = abs(force) / max(abs(middle), plan.floor_N) if force is not None else None
    return Rest(
        share,
        abs(resistance) if resistance is not None else None,
        force is not None and abs(force) <= allowed_N,
        resistance is not None and abs(resistance) <= plan.stability.resistance_within,
    )


def kept(plan: Plan, window: Sequence[Reading], reading: Reading) -> tuple[Reading, ...]:
    """The window with one more reading: what reaches back over its length, and never fewer than it needs."""
    readings = (*window, reading)
    begin = reading.time - plan.stability.window_s
    late = next((number for number, each in enumerate(readings) if each.time > begin), len(readings))
    first = min(max(0, late - 1), max(0, len(readings) - LEAST_READINGS))
    return readings[first:]


def _change(plan: Plan, values: Sequence[tuple[float, float | None]]) -> float | None:
    """Slope of the least-squares line, times the length of the window."""
    good = [(time, value) for time, value in values if value is not None]
    if len(good) < max(LEAST_READINGS, len(values)):
        return None
    if good[-1][0] - good[0][0] < plan.stability.window_s * (1 - 1e-9):
        return None
    middle = math.fsum(time for time, _ in good) / len(good)
    spread = math.fsum((time - middle) ** 2 for time, _ in good)
    slope = math.fsum((time - middle) * value for time, value in good) / spread
    return slope * plan.stability.window_s
