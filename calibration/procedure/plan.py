"""What is to be measured: the plan, and the list of steps that it makes.

Levels are evenly spaced in ln F and conditioning goes to 110 % of full load (Tekscan FlexiForce user manual: load to
110 % of the test weight four or five times before a calibration). After each reinsertion the sensor is loaded once
before its series, as ISO 376:2011 preloads a force transducer once at each new position.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from calibration.data import Direction, Frozen, NotNegative, Positive
from calibration.procedure.stages import Stage

OVERLOAD = 1.15  # of full load: beyond it the sensor may be changed by it
LEAST_SHARE = 1 / 50  # of full load, where no least load is given
FLOOR_SHARE = 2e-4  # of full load: what a load cell and its indicator tell apart at best
HAND_S, PRESS_S, REINSERT_S = 20.0, 12.0, 90.0  # how long getting to a load takes, for the estimate


class Kind(StrEnum):
    """What one step asks for."""

    ZERO = "zero"  # no load; a burst of force and resistance
    LOAD = "load"  # to a force and stay there; nothing is kept but that it was done
    UNLOAD = "unload"
    POINT = "point"  # to a force; a burst
    REINSERT = "reinsert"
    CREEP = "creep"  # to a force; readings over the logarithm of time


class Step(Frozen):
    """One thing to do. `series` counts as the plan does; a repeated series keeps this number."""

    kind: Kind
    stage: Stage
    series: int = 0
    insertion: int = 1
    direction: Direction = Direction.UP
    nominal_N: float = 0.0
    before: bool = True  # of a zero: before its series, or after it
    extra: bool = False  # repeats a single load; `series` is then the number in the data set


class Stability(Frozen):
    """When a reading has come to rest: the straight line through the last `window_s` changes by less than this share.

    The line and not the span between extremes, for the noise of such a sensor (0.2 to 1 % a reading) would never
    let the span come below what a drift is allowed.
    """

    window_s: Positive = 20.0
    force_within: Positive = 0.005
    resistance_within: Positive = 0.01
    longest_wait_s: Positive = 300.0


class Plan(Frozen):
    """The procedure; forces in N. `driven`: a press goes to the forces by itself; `reseats`: it reinserts too."""

    full_load_N: Positive
    least_load_N: Positive
    levels: int = Field(10, ge=5, le=30)
    conditioning_cycles: int = Field(4, ge=0, le=20)
    conditioning_share: Positive = 1.1
    series_before: int = Field(2, ge=1, le=10)
    reinsertions: int = Field(3, ge=0, le=10)
    dwell_s: NotNegative = 30.0
    burst: int = Field(10, ge=1, le=200)
    burst_s: NotNegative = 10.0
    creep_s: NotNegative = 3600.0
    creep_share: float = Field(0.8, gt=0, le=1)
    tolerance: float = Field(0.03, gt=0, lt=0.5)
    stability: Stability = Stability()
    driven: bool = False
    reseats: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.least_load_N < self.full_load_N:
            raise ValueError(f"the least load, {self.least_load_N:g} N, is not below the full load")
        apart = (self.full_load_N / self.least_load_N) ** (1 / (self.levels - 1))
        if apart < (1 + self.tolerance) / (1 - self.tolerance):
            raise ValueError(
                f"{self.levels} loads from {self.least_load_N:g} N to {self.full_load_N:g} N are nearer to each other "
                f"than the tolerance of {self.tolerance:.1%}: take fewer, or a smaller tolerance"
            )
        if self.conditioning_cycles and self.conditioning_share * (1 + self.tolerance) > OVERLOAD:
            raise ValueError(
                f"conditioning at {self.conditioning_share:.0%} of full load, within {self.tolerance:.1%}, passes "
                f"{OVERLOAD:.0%}, where a force is an overload: condition at less"
            )
        return self

    @property
    def limit_N(self) -> float:
        """No more force than this, ever."""
        return OVERLOAD * self.full_load_N

    @property
    def floor_N(self) -> float:
        """Forces are not told apart more finely than this."""
        return FLOOR_SHARE * self.full_load_N

    @property
    def unloaded_N(self) -> float:
        """Below it the sensor counts as without load."""
        return self.least_load_N / 4

    def within_N(self, target_N: float) -> float:
        """How near to a force is near enough."""
        return max(self.tolerance * target_N, self.floor_N)

    @property
    def forces_N(self) -> tuple[float, ...]:
        """The levels, from the least to full load."""
        ratio = math.log(self.full_load_N / self.least_load_N) / (self.levels - 1)
        inner = [self.least_load_N * math.exp(ratio * number) for number in range(1, self.levels - 1)]
        return (self.least_load_N, *(float(f"{force:.3g}") for force in inner), self.full_load_N)

    @property
    def series(self) -> int:
        return self.series_before + self.reinsertions

    def insertion_of(self, series: int) -> int:
        return 1 + max(0, series - self.series_before)

    def steps(self) -> tuple[Step, ...]:
        """All of it, in order."""
        steps = [Step(kind=Kind.ZERO, stage=Stage.ZERO)]
        for _ in range(self.conditioning_cycles):
            steps += self._loading(1)
        for series in range(1, self.series + 1):
            if series > self.series_before:
                insertion = self.insertion_of(series)
                steps.append(
                    Step(kind=Kind.REINSERT, stage=Stage.REINSERTION, series=series, insertion=insertion),
                )
                steps += self._loading(insertion) if self.conditioning_cycles else []
            steps += self.series_steps(series)
        if self.creep_s > 0:
            held = {"series": self.series, "insertion": self.insertion_of(self.series)}
            force = self.creep_share * self.full_load_N
            steps.append(Step(kind=Kind.CREEP, stage=Stage.CREEP, nominal_N=force, **held))
        return tuple(steps)

    def series_steps(self, series: int) -> tuple[Step, ...]:
        """One series from zero to zero."""
        place = {"stage": Stage.SERIES, "series": series, "insertion": self.insertion_of(series)}
        up = (Step(kind=Kind.POINT, nominal_N=force, **place) for force in self.forces_N)
        down = (
            Step(kind=Kind.POINT, nominal_N=force, direction=Direction.DOWN, **place)
            for force in reversed(self.forces_N[:-1])
        )
        zeros = [Step(kind=Kind.ZERO, before=before, **place) for before in (True, False)]
        return (zeros[0], *up, *down, zeros[1])

    def again(self, direction: Direction, nominal_N: float, series: int, insertion: int) -> tuple[Step, ...]:
        """One load of a series once more, from the side that it was reached from: from no load, or from full load.

        `series` is its number in the data set.
        """
        place = {"stage": Stage.SERIES, "series": series, "insertion": insertion, "extra": True}
        steps = [Step(kind=Kind.UNLOAD, **place)]
        if direction is Direction.DOWN:
            steps.append(Step(kind=Kind.LOAD, nominal_N=self.full_load_N, **place))
        steps.append(Step(kind=Kind.POINT, nominal_N=nominal_N, direction=direction, **place))
        return (*steps, Step(kind=Kind.UNLOAD, **place))

    def creep_times_s(self) -> tuple[float, ...]:
        """When to read while the force is held: ten readings a decade, from a tenth of a minute on."""
        first = min(6.0, self.creep_s / 10)
        count = max(8, math.ceil(10 * math.log10(self.creep_s / first)))
        return tuple(first * (self.creep_s / first) ** (number / count) for number in range(count + 1))

    def expected_s(self, step: Step) -> float:
        """About how long a step takes."""
        approach = PRESS_S if self.driven else HAND_S
        rest = self.stability.window_s
        match step.kind:
            case Kind.ZERO:
                return approach + rest + self.burst_s
            case Kind.LOAD:
                return approach + self.dwell_s
            case Kind.UNLOAD:
                return approach
            case Kind.POINT:
                return approach + max(rest, self.dwell_s) + self.burst_s
            case Kind.REINSERT:
                return approach + (approach if self.reseats else REINSERT_S)
            case Kind.CREEP:
                return approach + self.creep_s

    def _loading(self, insertion: int) -> list[Step]:
        force = self.conditioning_share * self.full_load_N
        place = {"stage": Stage.CONDITIONING, "insertion": insertion}
        return [Step(kind=Kind.LOAD, nominal_N=force, **place), Step(kind=Kind.UNLOAD, **place)]
