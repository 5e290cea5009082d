"""The air of a virtual climate chamber."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from drivers.simulated.clock import Clock


class Air:
    """Air that goes to a goal exponentially with `time_constant_s`, and takes with it what is in the chamber.

    Each of `follow` (a simulated cell's surroundings, say) is told the temperature in °C when it has changed.
    """

    def __init__(
        self, clock: Clock, follow: Sequence[Callable[[float], None]], *, time_constant_s: float, ambient_degC: float
    ) -> None:
        self.clock, self.follow = clock, tuple(follow)
        self.time_constant_s, self.ambient_degC = time_constant_s, ambient_degC
        self.temperature_degC = ambient_degC
        self._told_degC: float | None = None
        self._at = clock.now()

    def go_on(self, goal_degC: float | None) -> None:
        """To the present, towards `goal_degC` (None: the room's temperature)."""
        now, goal = self.clock.now(), self.ambient_degC if goal_degC is None else goal_degC
        left = math.exp(-max(0.0, now - self._at) / self.time_constant_s)
        self.temperature_degC = goal + (self.temperature_degC - goal) * left
        self._at = now
        if self._told_degC is None or abs(self.temperature_degC - self._told_degC) >= 0.01:
            self._told_degC = self.temperature_degC
            for told in self.follow:
                told(self.temperature_degC)
