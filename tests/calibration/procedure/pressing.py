"""A press, a load cell and a sensor in a few lines, and a technician at them, for tests of the procedure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from calibration.procedure import (
    Deed,
    Doing,
    Plan,
    Reseat,
    Sample,
    Say,
    SetForce,
    Situation,
    Stability,
    State,
    Unload,
    act,
    advance,
    begin,
    situation,
)

QUICK = Plan(
    full_load_N=100.0,
    least_load_N=2.0,
    levels=5,
    conditioning_cycles=1,
    series_before=1,
    reinsertions=1,
    dwell_s=5.0,
    burst=3,
    burst_s=3.0,
    creep_s=60.0,
    stability=Stability(window_s=6.0, longest_wait_s=60.0),
    driven=True,
    reseats=True,
)
BY_HAND = QUICK.model_copy(update={"driven": False, "reseats": False})
EXPONENT, AT_1_N = 0.85, 12e6


@dataclass
class Bench:
    """Samples once a second; `scale` is what the press makes of what it is asked for."""

    plan: Plan
    seed: int = 1
    scale: float = 1.0
    offset_N: float = 1.3
    noise: float = 0.003
    threshold_N: float = 0.2
    time_s: float = 0.0
    force_N: float = 0.0
    goal_N: float = 0.0
    commands: list[object] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    obeys: bool = True

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.state: State = begin(self.plan, self.time_s)

    @property
    def now(self) -> Situation:
        return situation(self.plan, self.state)

    def sample(self) -> Sample:
        indication = self.force_N + self.offset_N + self.random.gauss(0.0, 0.002)
        resistance = None
        if self.force_N > self.threshold_N:
            resistance = AT_1_N * self.force_N**-EXPONENT * self.random.lognormvariate(0.0, self.noise)
        force = indication - self.state.zero_indication
        return Sample(self.time_s, indication, force, resistance, open=resistance is None)

    def tick(self, sample: Sample | None = None) -> None:
        """A second goes by; `sample` is what the instruments say of it instead of the truth."""
        self.time_s += 1.0
        self.force_N = self.goal_N + (self.force_N - self.goal_N) * math.exp(-1.0 / 2.0)
        self.state, commands = advance(self.plan, self.state, sample or self.sample())
        self.carry_out(commands)

    def carry_out(self, commands: tuple[object, ...]) -> None:
        for command in commands:
            self.commands.append(command)
            match command:
                case Say(text):
                    self.said.append(text)
                case SetForce(force) if self.obeys:
                    self.goal_N = force * self.scale
                case Unload() if self.obeys:
                    self.goal_N = 0.0
                case Reseat():
                    self.do(Deed.CONFIRM)

    def do(self, deed: Deed, **doing: object) -> None:
        self.state, commands = act(self.plan, self.state, deed, Doing(self.time_s, "tester", **doing))  # type: ignore[arg-type]
        self.carry_out(commands)

    def ticks(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    def until(self, reached: object, within_s: int = 3000) -> None:
        """Until `reached()`."""
        assert callable(reached)
        for _ in range(within_s):
            if reached():
                return
            self.tick()
        raise AssertionError(f"waited in vain: {self.now.title}: {self.now.instruction} {self.now.trouble}")

    def as_told(self) -> None:
        """One second in which a technician does what is asked for, by hand."""
        if Deed.CONFIRM in self.now.deeds and "confirm" in self.now.instruction and self.force_N < 0.1:
            self.do(Deed.CONFIRM)
        step = self.state.step
        shown = self.state.last.force_N
        if not self.plan.driven and step is not None and self.state.paused is None and not self.now.force_ok:
            short = step.nominal_N - shown if shown is not None and step.nominal_N else 0.0
            self.goal_N = max(0.0, self.force_N + short) if step.nominal_N else 0.0
        self.tick()

    def work(self, within_s: int = 5000) -> None:
        """To the review, as told."""
        for _ in range(within_s):
            if self.state.step is None:
                return
            self.as_told()
        raise AssertionError(f"never done: {self.now.title}: {self.now.instruction} {self.now.trouble}")
