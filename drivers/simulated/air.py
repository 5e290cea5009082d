"""The air of a virtual climate chamber, and what all of them are made with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypedDict

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import VirtualInstrument

Follow: TypeAlias = Sequence[Callable[[float], None]]


class Air:
    """Air that goes to a goal exponentially with `time_constant_s`, and takes with it what is in the chamber.

    Each of `follow` (a simulated cell's surroundings, say) is told the temperature in °C when it has changed.
    """

    def __init__(self, clock: Clock, follow: Follow, *, time_constant_s: float, ambient_degC: float) -> None:
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


class ChamberOptions(TypedDict, total=False):
    """What the constructors of virtual chambers take besides their own."""

    time_constant_s: float
    ambient_degC: float
    host: str
    port: int


class VirtualChamber(VirtualInstrument, Air):
    """Air in a box that a server speaks for; comes before the kind of server among a class's bases."""

    def __init__(
        self,
        clock: Clock | None = None,
        follow: Follow = (),
        *,
        time_constant_s: float = 600.0,
        ambient_degC: float = 25.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        Air.__init__(self, clock or ScaledClock(), follow, time_constant_s=time_constant_s, ambient_degC=ambient_degC)
