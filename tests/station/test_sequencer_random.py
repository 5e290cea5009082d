"""Random protocols on a simple cell: followed as they are written, within their limits, and the same after any crash.

All that is asserted here is found out anew from the samples and the written tree, not by the sequencer's own means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from protocols.program import (
    SLOPES,
    Condition,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    CurrentProfile,
    End,
    Kind,
    Quantity,
    VoltageRamp,
)
from station import sequencer
from station.commands import Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, PulseTrigger, Trip
from station.sequencer import Outcome, Phase, Sample
from tests.station.sequences import T0, Capacitor, Log, assert_charge_balance
from tests.station.written import LIMIT_A, LONGEST_S, Leaf, Reader, Unending, Way, Written, random_protocol

JUDGED_ELSEWHERE = {*SLOPES, Quantity.SHORT_CIRCUIT}
"""Each has tests of its own; here it may end a step whenever it likes."""
MOST_SAMPLES = 150
LONGEST_POLL_S = 7.0
CLOCK_NOISE_AH = 1e-10  # a time since 1970 has 0.2 µs, and a pause adds it up anew


@dataclass
class Watch:
    """What has been seen of the present step."""

    began: float
    samples: list[tuple[float, Sample, bool]] = field(default_factory=list)  # step's clock; under a held voltage
    stood_s: float = 0.0
    since_s: dict[int, float] = field(default_factory=dict)  # ends that are met now, and for how long
    capacity_Ah: float = 0.0
    energy_Wh: float = 0.0

    @property
    def clock_s(self) -> float:
        return self.samples[-1][0]

    def see(self, sample: Sample, held: bool) -> tuple[float, float]:
        """Net and total charge in Ah since the last sample."""
        at = sample.time - self.began - self.stood_s
        net = total = 0.0
        if self.samples:
            before_s, before, _ = self.samples[-1]
            hours = (at - before_s) / 3600.0
            net = (before.current_A + sample.current_A) / 2 * hours
            total = (abs(before.current_A) + abs(sample.current_A)) / 2 * hours
            power_W = (before.current_A * before.voltage_V + sample.current_A * sample.voltage_V) / 2
            self.energy_Wh += power_W * hours
            self.capacity_Ah += net
        self.samples.append((at, sample, held))
        return net, total


@dataclass
class Bench:
    """Runs a protocol, and judges each outcome by the samples and the written tree. With `crash`, only what was
    written of the state outlives a sample."""

    written: Written
    random: Random
    crash: bool = False
    log: Log = field(init=False)
    cell: Capacitor = field(init=False)
    reader: Reader = field(init=False)
    watch: Watch = field(init=False)
    now: float = T0
    net_Ah: float = 0.0
    total_Ah: float = 0.0
    latest_V: float | None = None
    passed_Ah: dict[Leaf, float] = field(default_factory=dict)  # when last executed
    told: int = 0
    judged: Kind = Kind.REST
    ended: bool = False

    def __post_init__(self) -> None:
        self.cell = Capacitor(farads=0.1, open_V=2.5)
        self.reader = Reader(self.written, lambda: (self.net_Ah, self.total_Ah))
        self.watch = Watch(self.now)
        self.log = Log(self.written.program)
        self.poll_s = self.random.uniform(0.5, LONGEST_POLL_S)

    @property
    def leaf(self) -> Leaf:
        return self.written.names[sequencer.current_step(self.log.program, self.log.state).name]

    def run(self) -> Bench:
        self._arrive(self._follow(self.reader.begin), Outcome(self.log.state, tuple(self.log.commands)))
        for _ in range(MOST_SAMPLES):
            if not self.ended:
                self._happen()
            if self.crash:
                self.log.state = sequencer.load(sequencer.dump(self.log.state))
        if not self.ended:
            self._take(sequencer.stop(self.log.program, self.log.state, self.now, "enough"))
            assert self.log.state.phase is Phase.STOPPED
        self._look_back()
        return self

    # --- what happens

    def _happen(self) -> None:
        new, self.told = self.log.commands[self.told :], len(self.log.commands)
        self.cell.follow(self.now - T0, new)
        if not new:
            seconds = max(1e-3, sequencer.next_due(self.log.program, self.log.state) - self.now)
            seconds = min(seconds, self.poll_s * self.random.uniform(0.5, 1.0))
            self.cell.go_on(seconds)
            self.now += seconds
        if isinstance(self.cell.source, MeasureImpedance):
            self.now += 10.0
            self._left(self.log.swept(self.now - T0), None)
        elif self.random.random() < 0.02:
            self._pause()
        elif self.random.random() < 0.01:
            self._left(self.log.skip(self.now - T0), None)
        elif self.leaf.step.kind is Kind.PROMPT and self.random.random() < 0.2:
            self._left(self.log.confirm(self.now - T0, "yes"), None)
        else:
            self._sample()

    def _sample(self) -> None:
        sample = self.cell.sample(self.now)
        sample = replace(sample, temperature_degC=25.0 + 5.0 * math.sin(self.now / 20.0))
        if self.random.random() < 0.05:
            sample = replace(sample, pressure_Pa=None, temperature_degC=None)
        held = isinstance(self.cell.source, HoldVoltage)
        net_Ah, total_Ah = self.watch.see(sample, held)
        self.latest_V = sample.voltage_V
        self.net_Ah += net_Ah
        self.total_Ah += total_Ah
        assert self.watch.clock_s <= LONGEST_S + LONGEST_POLL_S, "a step goes on for ever"
        given = self.log.state
        kept = replace(given)
        outcome = self._take(sequencer.advance(self.log.program, given, sample))
        assert given == kept, "a state that was given away has changed"
        self._judge(outcome)

    def _pause(self) -> None:
        self._take(sequencer.pause(self.log.program, self.log.state, self.now))
        assert self.log.commands[-1] == OpenCircuit()
        stood_s = self.random.uniform(0.0, 100.0)
        self.now += stood_s
        self.watch.stood_s += stood_s
        self.watch.since_s.clear()
        outcome = self._take(sequencer.resume(self.log.program, self.log.state, self.now))
        if self.log.state.phase is Phase.PAUSED:
            self._cannot_be_set(outcome)

    def _take(self, outcome: Outcome) -> Outcome:
        assert all(abs(one.current_A) < LIMIT_A for one in outcome.commands if isinstance(one, HoldCurrent))
        pulses = [one.marker for one in outcome.commands if isinstance(one, PulseTrigger)]
        assert pulses == [marker.name for marker in outcome.markers if marker.triggered]
        return self.log.take(outcome)

    # --- whether a step is to end

    def _judge(self, outcome: Outcome) -> None:
        leaf, name = self.leaf, sequencer.current_step(self.log.program, self.log.state).name
        if outcome.steps:
            name = outcome.steps[0].step_name
            leaf = self.written.names[name]
        step = next(one for one in self.log.program.steps() if one.name == name)
        self.judged = step.kind
        possible, certain = self._possible_ends(step.ends)
        if outcome.steps:
            reason = outcome.steps[0].end_reason
            if isinstance(step.setpoint, VoltageRamp) and reason == f"reached {step.setpoint.end_V:g} V":
                assert not certain, "an end that is written comes before the ramp's own"
                self._left(outcome, None)
                return
            index = next((k for k in possible if str(step.ends[k]) == reason), None)
            assert index is not None, f"{name} ended by {reason}, which is not met"
            self._left(outcome, leaf.ways[index])
        elif self.log.state.phase is Phase.PAUSED:
            trip = outcome.commands[-1]
            assert isinstance(trip, Trip)
            trips = [k for k in possible if leaf.ways[k] is Way.TRIP and str(step.ends[k]) in trip.reason]
            if trips:
                self._skipped()
            else:
                assert not certain
                self._cannot_be_set(outcome)
        else:
            assert not certain, f"{name} goes on though an end is met: {[str(step.ends[k]) for k in possible]}"

    def _possible_ends(self, ends: tuple[End, ...]) -> tuple[list[int], bool]:
        """Those that may have ended the step, and whether one of them must have."""
        possible: list[int] = []
        certain = False
        for index, end in enumerate(ends):
            if any(condition.quantity in JUDGED_ELSEWHERE for condition in end.conditions):
                possible += [] if certain else [index]
                continue
            met = all(self._is_met(condition) for condition in end.conditions)
            if not met:
                self.watch.since_s.pop(index, None)
            since_s = self.watch.since_s.setdefault(index, self.watch.clock_s) if met else math.inf
            if met and self.watch.clock_s - since_s >= end.for_s - 1e-6 and not certain:
                possible.append(index)
                certain = True
        return possible, certain

    def _is_met(self, condition: Condition) -> bool:
        value = self._measured(condition)
        return value is not None and condition.met_by(value)

    def _measured(self, condition: Condition) -> float | None:
        at, sample, held = self.watch.samples[-1]
        program = self.log.program
        match condition.quantity:
            case Quantity.VOLTAGE:
                return sample.voltage_V
            case Quantity.CURRENT:
                return abs(sample.current_A) if held else None
            case Quantity.TIME:
                return at + 1e-6
            case Quantity.CAPACITY:
                return abs(self.watch.capacity_Ah)
            case Quantity.ENERGY:
                return abs(self.watch.energy_Wh)
            case Quantity.NET_CAPACITY:
                return self.net_Ah
            case Quantity.TOTAL_CAPACITY:
                return self.total_Ah
            case Quantity.STATE_OF_CHARGE:
                if program.state_of_charge is None or program.capacity_Ah is None:
                    return None
                return program.state_of_charge + self.net_Ah / program.capacity_Ah
            case Quantity.VOLTAGE_DROP:
                voltages = [one.voltage_V for _, one, _ in self.watch.samples]
                if self.judged is Kind.DISCHARGE:
                    return sample.voltage_V - min(voltages)
                return max(voltages) - sample.voltage_V
            case Quantity.PRESSURE:
                return sample.pressure_Pa
            case Quantity.PRESSURE_CHANGE:
                known = [one.pressure_Pa for _, one, _ in self.watch.samples if one.pressure_Pa is not None]
                return abs(sample.pressure_Pa - known[0]) if sample.pressure_Pa is not None else None
            case Quantity.TEMPERATURE:
                return sample.temperature_degC
            case Quantity.CYCLE:
                return len(self.reader.whole)
            case Quantity.EFFICIENCY:
                last = self.reader.whole[-1] if self.reader.whole else (0.0, 0.0)
                return last[1] / last[0] if last[0] > 0 else None
            case Quantity.RETENTION:
                whole, number = self.reader.whole, condition.reference_cycle
                reference = whole[number - 1][1] if number <= len(whole) else 0.0
                return whole[-1][1] / reference if reference > 0 else None
        raise AssertionError(condition)

    # --- whether the right step follows

    def _left(self, outcome: Outcome, way: Leaf | Way | None) -> None:
        (summary,) = outcome.steps
        assert summary.capacity_Ah == approx(self.watch.capacity_Ah, abs=CLOCK_NOISE_AH)
        assert summary.energy_Wh == approx(self.watch.energy_Wh, abs=10 * CLOCK_NOISE_AH)
        leaf = self.written.names[summary.step_name]
        self.passed_Ah[leaf] = summary.capacity_Ah
        self._arrive(self._follow(lambda: self.reader.leave(leaf, summary.capacity_Ah, way)), outcome)

    def _follow(self, follow: object) -> Leaf | Way | None:
        """None for loops that do nothing."""
        try:
            return follow()  # type: ignore[operator, no-any-return]
        except Unending:
            return None

    def _arrive(self, expected: Leaf | Way | None, outcome: Outcome) -> None:
        state = outcome.state
        match expected:
            case None:
                assert isinstance(trip := outcome.commands[-1], Trip) and "do nothing" in trip.reason
                self.ended = True
            case Way.FINISH:
                assert state.phase is Phase.FINISHED
                assert outcome.commands[0] == OpenCircuit() and outcome.commands[-1] == Finish()
                self.ended = True
            case Way.TRIP:
                assert state.phase is Phase.PAUSED and isinstance(outcome.commands[-1], Trip)
                self.now += 5.0
                go_on = self.random.choice([sequencer.resume, sequencer.skip])
                after = self._take(go_on(self.log.program, state, self.now))
                assert after.steps == ()
                self._arrive(self._follow(self.reader.go_on), after)
            case Leaf():
                assert self.leaf is expected
                assert (state.cycle, state.step_start_time) == (self.reader.cycle, self.now)
                self.watch = Watch(self.now)
                wanted_A = self._wanted_A(expected)
                assert (state.phase is Phase.PAUSED) is (wanted_A is not None and not abs(wanted_A) < LIMIT_A)
                if state.phase is Phase.PAUSED:
                    self._cannot_be_set(outcome)
                elif wanted_A:
                    assert isinstance(command := outcome.commands[0], HoldCurrent)
                    assert command.current_A == approx(wanted_A, rel=1e-9)
            case _:
                raise AssertionError(expected)

    def _wanted_A(self, leaf: Leaf) -> float | None:
        """The current that a step begins with; infinite where there is none that could be set."""
        if leaf.rate is not None:
            per_hour, of = leaf.rate
            charge_Ah = abs(self.passed_Ah.get(of, 0.0))
            return per_hour * charge_Ah if charge_Ah else math.inf
        match leaf.step.setpoint:
            case ConstantCurrent(current_A):
                return current_A
            case ConstantPower(power_W) if self.latest_V is not None:
                return power_W / self.latest_V if self.latest_V > 0 else math.inf
            case ConstantResistance(resistance_ohm) if self.latest_V is not None:
                return -self.latest_V / resistance_ohm
            case CurrentProfile(_, currents_A):
                return currents_A[0]
            case _:
                return None

    def _cannot_be_set(self, outcome: Outcome) -> None:
        opened, trip = outcome.commands[0], outcome.commands[-1]
        assert opened == OpenCircuit() and isinstance(trip, Trip)
        assert any(why in trip.reason for why in ("limit", "no current gives", "not executed", "passed no charge"))
        self._skipped()

    def _skipped(self) -> None:
        if len(self.log.steps) > 200:  # a circle of steps that cannot be set
            self.ended = True
            return
        self.now += 5.0
        self._left(self._take(sequencer.skip(self.log.program, self.log.state, self.now)), None)

    # --- when all is over

    def _look_back(self) -> None:
        log = self.log
        assert [one.step for one in log.steps] == list(range(1, len(log.steps) + 1))
        assert log.state.net_capacity_Ah == approx(self.net_Ah, abs=CLOCK_NOISE_AH)
        assert log.state.total_capacity_Ah == approx(self.total_Ah, abs=CLOCK_NOISE_AH)
        notes = [marker.name for marker in log.markers if marker.name.startswith("note")]
        assert notes == self.reader.notes[: len(notes)]
        if log.state.phase is Phase.FINISHED:
            assert notes == self.reader.notes
        assert_charge_balance(log)


def both_ways(program_seed: int, run_seed: int) -> None:
    written = random_protocol(Random(program_seed))
    one = Bench(written, Random(run_seed)).run()
    other = Bench(written, Random(run_seed), crash=True).run()
    assert one.log.result() == other.log.result()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_a_program_is_followed_as_it_is_written_and_a_crash_changes_nothing(one: int, other: int) -> None:
    both_ways(one, other)


@pytest.mark.parametrize("seed", range(50))
def test_seeded(seed: int) -> None:
    both_ways(seed, seed)
