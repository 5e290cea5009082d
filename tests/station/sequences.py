"""Programs by hand, and a log of all that comes of one: for the tests of the sequencer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest import approx

from protocols.limits import Limits
from protocols.program import (
    Condition,
    ConstantCurrent,
    ConstantVoltage,
    End,
    Kind,
    Operation,
    Program,
    Quantity,
    RecordRule,
    Step,
    SweepPlan,
)
from station import sequencer
from station.commands import Command
from station.readings import Reading, Spectrum, StepSummary
from station.sequencer import CHARGE_TOLERANCE, Outcome, Sample, State

T0 = 1_790_000_000.0
RULE = RecordRule(30.0, voltage_V=5e-3, pressure_Pa=2e3)
SWEEP = SweepPlan((1e3, 1.0), 0.01, None)


def program(*operations: Operation, rule: RecordRule = RULE) -> Program:
    return Program("test", "test.yaml", operations, rule, Limits())


def ends(**values: float) -> tuple[End, ...]:
    """`time=5`, `voltage_above=2`, `current_below=1e-4`, ..."""
    found = []
    for key, value in values.items():
        name, _, way = key.partition("_")
        found.append(End((Condition(Quantity(name), way != "below", value),)))
    return tuple(found)


FILE = "test.yaml"


def rest(seconds: float) -> Step:
    return Step(Kind.REST, "rest", FILE, 1, ends=ends(time=seconds))


def charge(current_A: float = 1e-3, hold_V: float | None = None, **conditions: float) -> Step:
    return Step(Kind.CHARGE, "charge", FILE, 1, ConstantCurrent(current_A), hold_V, ends(**conditions))


def discharge(current_A: float = 1e-3, hold_V: float | None = None, **conditions: float) -> Step:
    return Step(Kind.DISCHARGE, "discharge", FILE, 1, ConstantCurrent(-current_A), hold_V, ends(**conditions))


def hold(voltage_V: float, current_max_A: float | None = None, **conditions: float) -> Step:
    return Step(Kind.HOLD, "hold", FILE, 1, ConstantVoltage(voltage_V, current_max_A), ends=ends(**conditions))


def impedance() -> Step:
    return Step(Kind.IMPEDANCE, "impedance", FILE, 1, SWEEP)


def spectrum(time: float) -> Spectrum:
    return Spectrum(0, time, time - T0, 0, 0, None, 0.01, (1e3, 1.0), (1.0, 2.0), (-1.0, -2.0))


@dataclass
class Log:
    """A run: its state, and all that came of it."""

    program: Program
    state: State = field(init=False)
    commands: list[Command] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    steps: list[StepSummary] = field(default_factory=list)
    spectra: list[Spectrum] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.take(sequencer.begin(self.program, T0))

    def take(self, outcome: Outcome) -> Outcome:
        self.state = outcome.state
        self.commands += outcome.commands
        self.readings += outcome.readings
        self.steps += outcome.steps
        self.spectra += outcome.spectra
        return outcome

    def sample(self, at: float, voltage_V: float = 1.0, current_A: float = 0.0, **more: float) -> Outcome:
        """`at` in s since the run began."""
        return self.take(sequencer.advance(self.program, self.state, Sample(T0 + at, voltage_V, current_A, **more)))

    def swept(self, at: float) -> Outcome:
        return self.take(sequencer.swept(self.program, self.state, spectrum(T0 + at), T0 + at))

    def pause(self, at: float) -> Outcome:
        return self.take(sequencer.pause(self.program, self.state, T0 + at))

    def resume(self, at: float) -> Outcome:
        return self.take(sequencer.resume(self.program, self.state, T0 + at))

    def restore(self, at: float, voltage_V: float, current_A: float, *, on: bool) -> Outcome:
        """The station died after the last sample and comes back."""
        state = sequencer.load(sequencer.dump(self.state))
        return self.take(sequencer.restore(self.program, state, Sample(T0 + at, voltage_V, current_A), on))

    def result(self) -> tuple[object, ...]:
        return self.state, self.commands, self.readings, self.steps, self.spectra


def trapezoid_Ah(rows: Sequence[Reading]) -> float:
    return sum(
        0.5 * (one.current_A + other.current_A) * (other.step_time_s - one.step_time_s) / 3600.0
        for one, other in itertools.pairwise(rows)
    )


def assert_charge_balance(log: Log) -> None:
    """The stored rows of each step give its stored charge, within the tolerance and the noise of floats."""
    for step, rows in itertools.groupby(log.readings, lambda row: row.step):
        own = list(rows)
        passed = own[-1].step_capacity_Ah - own[0].step_capacity_Ah
        largest = max(abs(row.step_capacity_Ah) for row in own)
        assert trapezoid_Ah(own) == approx(passed, abs=1.001 * CHARGE_TOLERANCE * largest + 1e-13), step
    assert [row.sequence for row in log.readings] == list(range(1, len(log.readings) + 1))
