"""Programs by hand, and a log of all that comes of one: for the tests of the sequencer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    Setpoint,
    Step,
    SweepPlan,
    Then,
)
from station import sequencer
from station.commands import Command, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, Rest
from station.readings import MarkerEvent, Reading, Spectrum, StepSummary
from station.sequencer import CHARGE_TOLERANCE, Outcome, Phase, Sample, State

T0 = 1_790_000_000.0
RULE = RecordRule(30.0, voltage_V=5e-3, pressure_Pa=2e3)
FILE = "test.yaml"
SWEEP = SweepPlan((1e3, 1.0), 0.01, None)


def program(*operations: Operation, rule: RecordRule = RULE, **more: Any) -> Program:
    return Program("test", FILE, operations, rule, Limits(), **more)


def ends(**values: float) -> tuple[End, ...]:
    """`time=5`, `voltage_above=2`, `current_below=1e-4`, ..."""
    found = []
    for key, value in values.items():
        name, _, way = key.partition("_")
        found.append(End((Condition(Quantity(name), way != "below", value),)))
    return tuple(found)


def rest(seconds: float) -> Step:
    return Step(Kind.REST, "rest", FILE, 1, ends=ends(time=seconds))


def charge(current_A: float = 1e-3, hold_V: float | None = None, **conditions: float) -> Step:
    return Step(Kind.CHARGE, "charge", FILE, 1, ConstantCurrent(current_A), hold_V, ends(**conditions))


def discharge(current_A: float = 1e-3, hold_V: float | None = None, **conditions: float) -> Step:
    return Step(Kind.DISCHARGE, "discharge", FILE, 1, ConstantCurrent(-current_A), hold_V, ends(**conditions))


def hold(voltage_V: float, current_max_A: float | None = None, **conditions: float) -> Step:
    return Step(Kind.HOLD, "hold", FILE, 1, ConstantVoltage(voltage_V, current_max_A), ends=ends(**conditions))


def does(kind: Kind, setpoint: Setpoint, *its_ends: End, **conditions: float) -> Step:
    return Step(kind, kind.value, FILE, 1, setpoint, ends=(*its_ends, *ends(**conditions)))


def end(*conditions: Condition, then: int | Then | None = None, for_s: float = 0.0) -> End:
    return End(conditions, then, for_s)


def above(quantity: Quantity, value: float, **more: Any) -> Condition:
    return Condition(quantity, True, value, **more)


def below(quantity: Quantity, value: float, **more: Any) -> Condition:
    return Condition(quantity, False, value, **more)


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
    markers: list[MarkerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.take(sequencer.begin(self.program, T0))

    def take(self, outcome: Outcome) -> Outcome:
        self.state = outcome.state
        self.commands += outcome.commands
        self.readings += outcome.readings
        self.steps += outcome.steps
        self.spectra += outcome.spectra
        self.markers += outcome.markers
        return outcome

    def sample(self, at: float, voltage_V: float = 1.0, current_A: float = 0.0, **more: float) -> Outcome:
        """`at` in s since the run began."""
        return self.take(sequencer.advance(self.program, self.state, Sample(T0 + at, voltage_V, current_A, **more)))

    def swept(self, at: float) -> Outcome:
        return self.take(sequencer.swept(self.program, self.state, spectrum(T0 + at), T0 + at))

    def confirm(self, at: float, answer: str = "") -> Outcome:
        return self.take(sequencer.confirm(self.program, self.state, T0 + at, answer))

    def skip(self, at: float) -> Outcome:
        return self.take(sequencer.skip(self.program, self.state, T0 + at))

    def pause(self, at: float) -> Outcome:
        return self.take(sequencer.pause(self.program, self.state, T0 + at))

    def resume(self, at: float) -> Outcome:
        return self.take(sequencer.resume(self.program, self.state, T0 + at))

    def restore(self, at: float, voltage_V: float, current_A: float, *, on: bool) -> Outcome:
        """The station died after the last sample and comes back."""
        state = sequencer.load(sequencer.dump(self.state))
        return self.take(sequencer.restore(self.program, state, Sample(T0 + at, voltage_V, current_A), on))

    def result(self) -> tuple[object, ...]:
        return self.state, self.commands, self.readings, self.steps, self.spectra, self.markers


@dataclass
class Capacitor:
    """Behind a resistor, driven as the sequencer commands; its pressure goes with its charge."""

    farads: float = 10.0
    ohms: float = 10.0
    open_V: float = 3.0
    source: Command = field(default_factory=OpenCircuit)
    told: list[tuple[float, Command]] = field(default_factory=list)  # with the time in s since the run began

    def follow(self, at: float, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, OpenCircuit | Rest | HoldCurrent | HoldVoltage | MeasureImpedance):
                self.source = command
                self.told.append((at, command))

    def current_A(self) -> float:
        match self.source:
            case HoldCurrent(current_A):
                return current_A
            case HoldVoltage(voltage_V, most_A):
                wanted_A = (voltage_V - self.open_V) / self.ohms
                return wanted_A if most_A is None else max(-most_A, min(most_A, wanted_A))
            case _:
                return 0.0

    def go_on(self, seconds: float) -> None:
        """A held voltage is approached as an exponential, exactly; with a limit, only nearly."""
        match self.source:
            case HoldVoltage(voltage_V, None):
                left = math.exp(-seconds / (self.ohms * self.farads))
                self.open_V = voltage_V + (self.open_V - voltage_V) * left
            case _:
                self.open_V += self.current_A() * seconds / self.farads

    def sample(self, time: float) -> Sample:
        current_A = self.current_A()
        pressure_Pa = 1e5 * self.open_V
        return Sample(time, self.open_V + current_A * self.ohms, current_A, pressure_Pa=pressure_Pa)


def simulate(log: Log, cell: Capacitor, until_s: float = math.inf, poll_s: float = 1.0, most: int = 100_000) -> None:
    """As a channel does it: a sample with each new set point, one at least each `poll_s`, and whenever one is due."""
    now = log.state.latest.time if log.state.latest is not None else T0
    if not cell.told:
        cell.follow(now - T0, log.commands)
    told = len(log.commands)
    for _ in range(most):
        if log.state.phase is not Phase.RUNNING or now >= T0 + until_s:
            return
        if isinstance(cell.source, MeasureImpedance):
            now += 60.0
            log.swept(now - T0)
        else:
            log.take(sequencer.advance(log.program, log.state, cell.sample(now)))
        new, told = log.commands[told:], len(log.commands)
        cell.follow(now - T0, new)
        if not new:
            due = max(1e-3, sequencer.next_due(log.program, log.state) - now)
            seconds = min(poll_s, due)
            cell.go_on(seconds)
            now += seconds
    raise AssertionError("the program does not come to its end")


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
