"""The sequencer over any program and any samples: the order of steps, the charge in the rows, a crash anywhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from protocols.program import DIRECTIONS, Kind, Only, Operation, RecordRule, Repeat, Step
from station import sequencer
from station.commands import Command, Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, Rest
from station.sequencer import CHARGE_TOLERANCE, Phase
from tests.station.sequences import (
    T0,
    Log,
    assert_charge_balance,
    charge,
    discharge,
    ends,
    hold,
    impedance,
    program,
    rest,
    trapezoid_Ah,
)

currents = st.floats(1e-6, 1e-2)
intervals = st.floats(0.01, 500.0)
rules = st.builds(
    RecordRule,
    st.floats(0.5, 5000.0),
    voltage_V=st.one_of(st.none(), st.floats(1e-4, 0.1)),
    pressure_Pa=st.one_of(st.none(), st.floats(100.0, 1e4)),
)
samples = st.lists(st.tuples(intervals, st.floats(0.0, 4.0), currents, st.floats(1e5, 1e6)), min_size=1, max_size=60)


@given(samples, rules, st.sampled_from([1, -1]))
def test_the_recorded_rows_give_the_charge_back_whatever_the_rule(
    given_samples: list[tuple[float, float, float, float]], rule: RecordRule, sign: int
) -> None:
    log = Log(program(charge(time=1e9) if sign > 0 else discharge(time=1e9), rule=rule))
    at, exact, before = 0.0, 0.0, 0.0
    for interval, voltage, current, pressure in given_samples:
        exact += 0.5 * (before + current) * interval / 3600.0 if log.state.previous else 0.0
        at, before = at + interval, current
        log.sample(at, voltage, sign * current, pressure_Pa=pressure)
    log.take(sequencer.stop(log.program, log.state, T0 + at, "enough"))
    assert log.steps[0].capacity_Ah == approx(sign * exact, rel=1e-9, abs=1e-12)  # a time has 0.2 µs since 1970
    assert log.readings[-1].step_capacity_Ah == log.steps[0].capacity_Ah
    assert log.state.net_capacity_Ah == log.steps[0].capacity_Ah
    assert_charge_balance(log)


@given(samples, rules, st.data())
def test_the_rows_give_the_charge_back_with_pauses_and_gaps_too(
    given_samples: list[tuple[float, float, float, float]], rule: RecordRule, data: st.DataObject
) -> None:
    log = Log(program(charge(time=1e9), rule=rule))
    at = 0.0
    for interval, voltage, current, pressure in given_samples:
        at += interval
        match data.draw(st.sampled_from(["sample"] * 6 + ["pause", "off", "on"])):
            case "pause":
                log.pause(at)
                at += data.draw(intervals) * 100
                log.resume(at)
            case "off":
                log.restore(at, voltage, 0.0, on=False)
            case "on":
                # Of a current that fell in the gap, the stored charge is the exponential's, not the straight line's.
                flowed = log.state.previous.current_A if log.state.previous else 1e-3
                log.restore(at, voltage, flowed, on=True)
            case _:
                log.sample(at, voltage, current, pressure_Pa=pressure)
    log.take(sequencer.stop(log.program, log.state, T0 + at, "enough"))
    if log.readings:
        assert_charge_balance(log)


# --- random programs on a toy cell

times = st.floats(0.5, 30.0)
conditions = st.one_of(
    st.builds(lambda t: ends(time=t), times),
    st.builds(lambda t, v: ends(time=t, voltage_above=v), times, st.floats(1.5, 3.0)),
    st.builds(lambda t, v: ends(voltage_below=v, time=t), times, st.floats(1.5, 3.0)),
    st.builds(lambda t, q: ends(capacity=q, time=t), times, st.floats(1e-7, 1e-5)),
    st.builds(lambda t, p: ends(time=t, pressure_above=p), times, st.floats(1e5, 1e6)),
)
amperes = st.floats(1e-4, 1e-2)
steps = st.one_of(
    st.builds(rest, times),
    st.builds(lambda i, e: replace(charge(i), ends=e), amperes, conditions),
    st.builds(lambda i, e: replace(discharge(i), ends=e), amperes, conditions),
    st.builds(lambda i, v, t: charge(i, v, current_below=i / 10, time=t), amperes, st.floats(1.5, 3.0), times),
    st.builds(lambda i, v, t: discharge(i, v, current_below=i / 10, time=t), amperes, st.floats(1.5, 3.0), times),
    st.builds(
        lambda i, v, e: replace(hold(v, i), ends=e), st.one_of(st.none(), amperes), st.floats(1.5, 3.0), conditions
    ),
    st.just(impedance()),
)
Tree = Step | tuple[Step, int] | tuple[int, list["Tree"]]
"""A step, one that comes in each so many cycles, or a loop."""
trees = st.lists(
    st.recursive(
        st.one_of(steps, st.tuples(steps, st.integers(1, 3))),
        lambda inner: st.tuples(st.integers(1, 3), st.lists(inner, min_size=1, max_size=3)),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


def flat(tree: Sequence[Tree], start: int = 0) -> list[Operation]:
    """As the compiler makes it: a loop's steps, then the jump."""
    found: list[Operation] = []
    for node in tree:
        here = start + len(found)
        match node:
            case Step():
                found.append(replace(node, name=f"{here} {node.kind}"))
            case Step() as step, int(every):
                found += [Only(here + 2, every), replace(step, name=f"{here + 1} {step.kind}")]
            case int(count), list(body):
                found += flat(body, here)
                found.append(Repeat(here, count))
    return found


@dataclass
class Naive:
    """Goes through the written protocol as a person reads it; counts cycles as the user's guide says."""

    operations: list[Operation]
    cycle: int = 1
    first: int = 0
    last: int = 0

    def walk(self, tree: Sequence[Tree], start: int = 0) -> Iterator[tuple[str, int]]:
        index = start
        for node in tree:
            match node:
                case Step():
                    yield self._done(index)
                case Step(), int(every):
                    if self.cycle % every == 0:
                        yield self._done(index + 1)
                case int(count), list(body):
                    for _ in range(count):
                        yield from self.walk(body, index)
            index += len(flat([node]))

    def _done(self, index: int) -> tuple[str, int]:
        step = self.operations[index]
        assert isinstance(step, Step)
        self._count(DIRECTIONS.get(step.kind, 0))
        return step.name, self.cycle

    def _count(self, direction: int) -> None:
        if direction:
            self.first = self.first or direction
            self.cycle += direction == self.first and self.last == -self.first
            self.last = direction


@dataclass
class ToyCell:
    """A capacitor with a resistor, driven by the last command."""

    command: Command = field(default_factory=Rest)
    charge_C: float = 0.0

    def go_on(self, seconds: float) -> tuple[float, float]:
        """Voltage and current after `seconds`."""
        ocv = 2.0 + 10.0 * self.charge_C
        match self.command:
            case HoldCurrent(current):
                amps = current
            case HoldVoltage(voltage, limit):
                most = limit if limit is not None else 0.05
                amps = max(-most, min(most, (voltage - ocv) / 50.0))
            case _:
                amps = 0.0
        self.charge_C += amps * seconds
        return 2.0 + 10.0 * self.charge_C + 50.0 * amps, amps


def run(log: Log, data: st.DataObject, *, crash: bool = False) -> None:
    """Sample at random intervals until the program is done; with `crash`, only the written state survives a sample."""
    cell, at, taken = ToyCell(), 0.0, 0
    interval = data.draw(st.floats(0.5, 7.0))
    while log.state.phase is Phase.RUNNING:
        new, taken = log.commands[taken:], len(log.commands)
        for command in new:
            cell.command = command
        at += interval * (0.5 + (taken * 7919 % 97) / 97)
        if isinstance(cell.command, MeasureImpedance):
            log.swept(at)
        else:
            voltage, current = cell.go_on(interval)
            log.sample(at, voltage, current, pressure_Pa=3e5 + 1e7 * cell.charge_C)
        if crash:
            log.state = sequencer.load(sequencer.dump(log.state))
        assert len(log.steps) < 2000


@settings(max_examples=80, deadline=None)
@given(trees, rules, st.data())
def test_steps_are_executed_as_a_naive_interpreter_reads_them(
    tree: list[Tree], rule: RecordRule, data: st.DataObject
) -> None:
    operations = flat(tree)
    log = Log(program(*operations, rule=rule))
    run(log, data)
    expected = list(Naive(operations).walk(tree))
    assert [(one.step_name, one.cycle) for one in log.steps] == expected
    assert [one.step for one in log.steps] == list(range(1, len(expected) + 1))
    assert log.commands[-2:] == [OpenCircuit(), Finish()]
    held = sum(isinstance(one, HoldVoltage) for one in log.commands) - sum(one.kind == Kind.HOLD for one in log.steps)
    assert held >= 0  # constant current that went over to constant voltage is told once more
    assert len(log.commands) == len(log.steps) + held + 2
    assert math.isfinite(log.state.net_capacity_Ah)
    assert log.state.net_capacity_Ah == approx(sum(one.capacity_Ah for one in log.steps), rel=1e-9, abs=1e-15)
    if any(one.kind in DIRECTIONS for one in log.steps) and not any(isinstance(one, Only) for one in operations):
        assert log.program.cycles_planned == expected[-1][1]
    assert [one.number for one in log.spectra] == list(range(1, len(log.spectra) + 1))
    if log.readings:
        for step, rows in itertools.groupby(log.readings, lambda row: row.step):
            summary = log.steps[step - 1]
            own = list(rows)
            assert own[-1].step_capacity_Ah == summary.capacity_Ah
            assert {row.step_name for row in own} == {summary.step_name}
            if summary.kind not in (Kind.REST, Kind.IMPEDANCE):
                largest = max(abs(row.step_capacity_Ah) for row in own)
                slack = 1.001 * CHARGE_TOLERANCE * largest + 1e-13
                assert trapezoid_Ah(own) == approx(summary.capacity_Ah, abs=slack)
        assert [row.sequence for row in log.readings] == list(range(1, len(log.readings) + 1))


@settings(max_examples=30, deadline=None)
@given(trees, rules, st.data())
def test_a_crash_after_any_sample_changes_nothing(tree: list[Tree], rule: RecordRule, data: st.DataObject) -> None:
    one, other = (Log(program(*flat(tree), rule=rule)) for _ in range(2))
    fixed = data.draw(st.floats(0.5, 7.0))
    run(one, _Fixed(fixed))
    run(other, _Fixed(fixed), crash=True)
    assert one.result() == other.result()


class _Fixed:
    """Stands in for hypothesis' data where both runs must draw the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def draw(self, _: object) -> float:
        return self.value
