"""What a plan asks for: the loads over time, and how long it takes. An estimate for the technician's day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gui.reduce import Array
from station.calibration_views import PlanOrder, Stage

TURN_S = 15.0  # to bring the force from one level to the next, by hand
CYCLE_S = 40.0  # a conditioning cycle: up, a hold, and back
REINSERT_S = 180.0  # out, in, and back to the press
ZERO_S = 30.0


@dataclass(frozen=True)
class Planned:
    """Corners of the staircase; `spans` are the stages with their beginnings and ends."""

    time_s: Array
    load_N: Array
    spans: tuple[tuple[Stage, str, float, float], ...]
    readings: int  # load steps at which a reading is taken

    @property
    def duration_s(self) -> float:
        return float(self.time_s[-1])


def levels_N(plan: PlanOrder) -> Array:
    """Evenly spaced in ln F."""
    least = plan.full_load_N / 50 if plan.least_load_N is None else plan.least_load_N
    return np.geomspace(least, plan.full_load_N, plan.levels)


def planned(plan: PlanOrder) -> Planned:
    stairs = _Stairs(plan)
    stairs.zero()
    stairs.condition()
    for number in range(plan.series_before):
        stairs.series(f"series {number + 1}")
    for number in range(plan.reinsertions):
        stairs.stay(Stage.REINSERTION, "out and in", 0.0, REINSERT_S)
        stairs.series(f"series {plan.series_before + number + 1}")
    if plan.creep_s:
        stairs.stay(Stage.CREEP, "creep", plan.creep_share * plan.full_load_N, plan.creep_s)
        stairs.to(0.0)
    return Planned(np.array(stairs.t), np.array(stairs.load), tuple(stairs.spans), stairs.readings)


class _Stairs:
    """Grows step by step."""

    def __init__(self, plan: PlanOrder) -> None:
        self._plan = plan
        self._at_level_s = max(plan.dwell_s, plan.stability.window_s) + plan.burst_s
        self.t, self.load = [0.0], [0.0]
        self.spans: list[tuple[Stage, str, float, float]] = []
        self.readings = 0

    def to(self, load_N: float, within_s: float = TURN_S) -> None:
        self.t.append(self.t[-1] + within_s)
        self.load.append(load_N)

    def hold(self, seconds: float) -> None:
        self.to(self.load[-1], seconds)

    def stay(self, stage: Stage, name: str, load_N: float, seconds: float) -> None:
        begin = self.t[-1]
        if load_N != self.load[-1]:
            self.to(load_N)
        self.hold(seconds)
        self.spans.append((stage, name, begin, self.t[-1]))

    def zero(self) -> None:
        self.stay(Stage.ZERO, "zero", 0.0, ZERO_S)

    def condition(self) -> None:
        begin = self.t[-1]
        for _ in range(self._plan.conditioning_cycles):
            self.to(self._plan.conditioning_share * self._plan.full_load_N, CYCLE_S / 4)
            self.hold(CYCLE_S / 4)
            self.to(0.0, CYCLE_S / 4)
            self.hold(CYCLE_S / 4)
        if self._plan.conditioning_cycles:
            self.spans.append((Stage.CONDITIONING, "conditioning", begin, self.t[-1]))

    def series(self, name: str) -> None:
        """Up to the full load and down again; the full load is read once."""
        begin = self.t[-1]
        up = levels_N(self._plan)
        for load in (*up, *up[-2::-1]):
            self.to(float(load))
            self.hold(self._at_level_s)
            self.readings += 1
        self.to(0.0)
        self.spans.append((Stage.SERIES, name, begin, self.t[-1]))
        self.hold(ZERO_S)
