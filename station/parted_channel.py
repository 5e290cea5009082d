"""A channel whose cycler runs alone, and where the station has something to do between two of its tests.

A run is done in parts: tests of the cycler's, sweeps for which the cell is handed to an impedance instrument, and steps
that the station does by its sequencer while the cycler rests. What a test is started with and what is made of its
records is the subclass's.
"""

from __future__ import annotations

import abc
import math
import time
from dataclasses import replace
from typing import Generic, TypeVar

from drivers.interface import (
    CyclerState,
    ImpedanceSource,
    InstrumentError,
    Protection,
    Refused,
)
from protocols.checks import problem_at
from protocols.document import DocumentError
from protocols.limits import Limits
from protocols.program import ChamberTemperature, Program, Question, StackPressure, Step, SweepPlan
from station import part_state, sequencer
from station.alone_channel import AloneChannel, C, S
from station.channel import ChannelError, Progress, Surroundings
from station.commands import Ask, Finish, PulseTrigger, SetStackPressure, SetTemperature, Trip
from station.cycler_feed import CyclerFeed
from station.cycler_parts import Own, Part, different
from station.environment import NOTHING, Environment
from station.handover import Handover
from station.part_state import Doing, PartState
from station.readings import ChannelState, Level, RunState
from station.run import Run
from station.sensors import Sensor
from station.sequencer import Outcome, Phase, Sample
from station.setting import Setter
from station.sweeping import Sweeper, Swept
from station.workers import Worker

P = TypeVar("P", bound=PartState)
DRIVING = (CyclerState.RUNNING, CyclerState.PAUSED)
OPEN = (CyclerState.FINISHED, CyclerState.STOPPED, CyclerState.PROTECTED)


class PartedChannel(AloneChannel[C, S], Generic[C, S, P]):
    """Goes from part to part. Between two tests the cell is at open circuit, and a switch may hand it over."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed[C, S],
        position: str,
        environment: Environment = NOTHING,
        impedance: Worker[ImpedanceSource] | None = None,
        handover: Handover | None = None,
    ) -> None:
        super().__init__(name, around, limits, sensor, feed, position, environment)
        self._sweeper = Sweeper(name, around, impedance, handover, self.say) if impedance else None
        self._handover = handover
        self._setter = Setter(environment, self.say, self._not_set)
        self._parts: tuple[Part, ...] = ()
        self._cut_last: tuple[Program, tuple[Part, ...]] | None = None
        self._state: P | None = None
        self._restored_at = -math.inf  # on the monotonic clock
        self._must_restore = self._must_restore_own = False

    # --- for subclasses

    @abc.abstractmethod
    def _cut(self, program: Program) -> tuple[Part, ...]:
        """Raises `DocumentError` where a step is for neither the cycler nor the station."""

    @abc.abstractmethod
    async def _check_test(self, run: Run, part: Program) -> None:
        """Raises `InstrumentError` where the cycler would not take it."""

    @abc.abstractmethod
    def _first_state(self, run: Run, status: S | None) -> P:
        """Before the first part."""

    @abc.abstractmethod
    def _loaded(self, run: Run, state: str | None) -> P: ...

    @abc.abstractmethod
    async def _start_test(self, part: Program) -> None:
        """Write down what is about to be started, start it, and write that down. Raises `InstrumentError`."""

    @abc.abstractmethod
    async def _find_test(self, status: S) -> None:
        """The station died while a test was started: only the cycler knows what became of it."""

    @abc.abstractmethod
    async def _look(self, status: S) -> None:
        """Follow the test that is on."""

    @abc.abstractmethod
    def _store_last_test_step(self, part: Program, reason: str) -> None: ...

    # --- before a run

    def _parts_of(self, run: Run) -> tuple[Part, ...]:
        """Cut once: a long program takes a moment, in which nobody else is looked at."""
        if self._cut_last is None or self._cut_last[0] is not run.program:
            self._cut_last = (run.program, self._cut(run.program))
        return self._cut_last[1]

    async def check_ranges(self, run: Run) -> None:
        if self._handover is not None:
            try:
                await self._handover.check()
            except InstrumentError as error:
                raise ChannelError(f"channel {self.name}: {error}") from error
        for part in different(self._parts_of(run)):
            try:
                await self._check_part(run, part)
            except InstrumentError as error:
                raise DocumentError([problem_at(steps_of(part)[0], str(error))]) from None

    async def _check_part(self, run: Run, part: Part) -> None:
        match part:
            case Program():
                await self._check_test(run, part)
            case Own(Step(setpoint=ChamberTemperature(degC))) if self.environment.chamber is not None:
                await self.environment.chamber.call(lambda chamber: chamber.check_temperature(degC))
            case Own(Step(setpoint=StackPressure(pascals))) if self.environment.frame is not None:
                await self.environment.frame.call(lambda frame: frame.check_pressure(pascals))
            case Step(setpoint=SweepPlan() as plan) if self._sweeper is not None:
                await self._sweeper.check(plan, self._protection(run))

    def _protection(self, run: Run) -> Protection:
        limits = self.limits_for(run).limits
        return Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A)

    # --- commands

    async def _start(self, run: Run) -> None:
        self._parts = self._parts_of(run)
        status = self._feed.latest.statuses.get(self._position)
        self._state = self._first_state(run, status)
        try:
            if not isinstance(self._parts[0], Program) and (status is None or status.state not in OPEN):
                raise Refused(f"channel {self._position} is {status.state.value if status else 'silent'}, not idle")
            await self._begin_part(0)
        except InstrumentError as error:
            self.say(Level.ALARM, f"the cycler did not start: {error}")
            await self._leave_cell()
            await self._end(RunState.STOPPED, f"not started: {error}")
            raise ChannelError(f"channel {self.name} did not start: {error}") from error

    async def _skip(self, reason: str) -> None:
        """Past the present part, whose circuit is opened."""
        assert self._state is not None
        part = self._parts[self._state.part]
        if isinstance(part, Own):
            assert self._state.own is not None
            await self._setter.cancel()
            await self._follow(sequencer.skip(part.program, self._state.own, self.around.clock.now(), reason))
            return
        if self._state.part + 1 == len(self._parts):
            raise ChannelError(f"channel {self.name} is in the last step; stop it instead")
        if isinstance(part, Program):
            await self._open_circuit()
        elif self._sweeper is not None:
            await self._sweeper.cancel()
            await self._sweeper.make_safe()
        await self._end_part(reason)

    async def _pause(self) -> None:
        """Of what the station does itself: the cycler's own tests go on."""
        if self._state is None or self._state.doing not in (Doing.SWEEPING, Doing.OWN):
            await super()._pause()
            return
        await self._open_circuit()
        self._state = replace(self._state, doing=Doing.WAITING)

    async def _resume(self) -> None:
        if self._state is None or self._state.doing is not Doing.WAITING:
            await super()._resume()
            return
        try:
            await self._begin_again()
        except InstrumentError as error:
            await self._trip(f"the cycler did not go on: {error}")

    async def _cleared(self, who: str) -> None:
        """Between two tests the run can go on; a test that was stopped cannot be taken up again."""
        if self._state is None or self._state.doing is Doing.FOLLOWING:
            await super()._cleared(who)
            return
        self._state = replace(self._state, doing=Doing.WAITING)
        self._set(ChannelState.PAUSED, RunState.PAUSED, f"trip cleared by {who}")

    async def _open_circuit(self) -> None:
        """Of the cycler, of the impedance instrument where a sweep is on, and then of the switch."""
        self._halt()
        try:
            await super()._open_circuit()
        finally:
            await self._setter.cancel()
            if self._sweeper is not None:
                await self._sweeper.leave()

    async def _leave_cell(self) -> None:
        if self._handover is None:
            return
        try:
            await self._handover.open()
        except InstrumentError as error:
            self.say(Level.WARNING, f"the cell may still be at the cycler, whose circuit is open: {error}")

    def _halt(self) -> None:
        """The clock of a step of the station's own stands."""
        self._setter.interrupt()
        if self._sweeper is not None:
            self._sweeper.interrupt()
        state = self._state if self.run is not None else None
        if state is not None and state.doing is Doing.OWN and state.own is not None:
            part = self._parts[state.part]
            assert isinstance(part, Own)
            self._keep_own(sequencer.pause(part.program, state.own, self.around.clock.now()))

    async def _not_set(self, why: str) -> None:
        async with self._lock:
            if self.state is ChannelState.RUNNING:
                await self._trip(why)

    async def shut_down(self) -> None:
        """The cycler goes on alone; what the station itself does is broken off, to be done again at the next start."""
        async with self._lock:
            if self._state is not None and self._state.doing is Doing.SWEEPING and self.run is not None:
                self.say(Level.WARNING, "shut down: the sweep is broken off; it is measured at the next start")
                await self._make_safe()
                return
            if self._state is not None and self._state.doing is Doing.OWN and self.run is not None:
                self.say(Level.INFO, "shut down: the cycler rests; the step goes on at the next start")
                await self._setter.cancel()
                return
        await super().shut_down()

    def _restore(self, run: Run, state: str | None) -> None:
        self._parts = self._parts_of(run)
        self._state = self._loaded(run, state)
        if self._state.doing is Doing.WAITING and self.state is ChannelState.RUNNING:
            self.state, self.reason = ChannelState.PAUSED, "paused"
        if self._sweeper is not None and self._state.doing is Doing.SWEEPING:
            self._sweeper.left_polarised()
        self._restored_at = time.monotonic()
        self._must_restore = True

    # --- from part to part

    async def _begin_part(self, index: int) -> None:
        """Raises `InstrumentError` where the cycler did not start, or where that is not known."""
        assert self.run is not None and self._state is not None
        part, now = self._parts[index], self.around.clock.now()
        match part:
            case Step():
                self._state = part_state.sweeping(self._state, index, now)
                self.store()
                await self._committed(1.0)  # before another program could find the cell at the impedance instrument
                self._sweep(part)
            case Own():
                await self._to_cycler()
                self._state, outcome = part_state.own_begun(self._state, index, part.program, now)
                await self._follow(outcome)
            case Program():
                self._state = part_state.starting(self._state, index)
                await self._start_test(part)

    async def _begin_again(self) -> None:
        """The present part, after a person looked into what stopped it."""
        assert self._state is not None
        match self._parts[self._state.part]:
            case Step() as part:
                self._state = replace(self._state, doing=Doing.SWEEPING)
                self._sweep(part)
            case Own() as part:
                own = self._state.own
                assert own is not None
                await self._to_cycler()
                self._state = replace(self._state, doing=Doing.OWN)
                await self._follow(sequencer.resume(part.program, own, self.around.clock.now()))
            case Program() as part:
                self._state = part_state.starting(self._state, self._state.part)
                await self._start_test(part)

    async def _to_cycler(self) -> None:
        """Where the cycler, which rests, shows the cell's voltage."""
        if self._handover is not None:
            await self._handover.to_source()

    async def _end_part(self, reason: str) -> None:
        """The part is over, and the circuit open: go on with the next one, or finish."""
        assert self._state is not None
        part = self._parts[self._state.part]
        if isinstance(part, Program):
            await self._take_up()
        self._store_last_step(reason)
        if self.run is None or self.state is not ChannelState.RUNNING:
            return  # the last records held something that tripped
        if self._state.part + 1 == len(self._parts):
            await self._leave_cell()
            self.say(Level.INFO, "finished: the circuit is open")
            await self._end(RunState.FINISHED, "finished")
            return
        try:
            await self._begin_part(self._state.part + 1)
        except InstrumentError as error:
            await self._trip(f"the cycler did not go on after '{steps_of(part)[-1].name}': {error}")

    # --- steps of the station's own

    async def _follow(self, outcome: Outcome) -> None:
        """What the sequencer made of a step that it does itself, while the circuit is open."""
        self._keep_own(outcome)
        if outcome.commands:
            self._setter.give_up()
        for command in outcome.commands:
            match command:
                case PulseTrigger() | SetTemperature() | SetStackPressure() | Ask():
                    self._setter.carry_out(command)
                case Trip(reason):
                    await self._trip(reason)
                case Finish():
                    await self._end_part("")

    def _keep_own(self, outcome: Outcome) -> None:
        assert self._state is not None
        self._state = part_state.own_taken(self._state, outcome)
        self.store(outcome.readings, outcome.steps, markers=outcome.markers)

    async def _look_at_own(self, part: Own, status: S) -> None:
        """Between two tests, with the cell at the cycler, which shows its voltage."""
        assert self._state is not None and self._state.own is not None
        if status.state in DRIVING:
            await self._trip(f"the cycler is {status.state.value}, and not by this station")
            return
        if status.measurement is None:
            return
        now, shown = self.around.clock.now(), status.measurement
        sample = self._surrounded(Sample(now, shown.voltage_V, shown.current_A))
        self.latest = sample
        if trip := self._check(sample):
            await self._trip(trip.reason)
        elif self._must_restore_own:
            self._must_restore_own = False
            await self._follow(sequencer.restore(part.program, self._state.own, sample, output_is_on=True))
        else:
            await self._follow(sequencer.advance(part.program, self._state.own, sample))

    @property
    def _question(self) -> str | None:
        if self._state is None or self._state.doing is not Doing.OWN:
            return None
        (step,) = steps_of(self._parts[self._state.part])
        return step.setpoint.text if isinstance(step.setpoint, Question) else None

    async def _confirm(self, answer: str) -> None:
        assert self._state is not None and self._state.own is not None
        part = self._parts[self._state.part]
        assert isinstance(part, Own)
        await self._follow(sequencer.confirm(part.program, self._state.own, self.around.clock.now(), answer))

    # --- sweeps

    def _sweep(self, part: Step) -> None:
        assert self._sweeper is not None and self.run is not None and self._state is not None
        self.store()
        self._sweeper.begin(plan_of(part), self._protection(self.run), self._make_way, self._swept, self._sweep_failed)

    async def _make_way(self) -> float | None:
        """The cycler's circuit is open already."""
        last = self._state.last if self._state else None
        return last.voltage_V if last else None

    async def _swept(self, swept: Swept) -> None:
        async with self._lock:
            state = self._state
            if self.state is not ChannelState.RUNNING or state is None or state.doing is not Doing.SWEEPING:
                return
            spectrum = swept.spectrum(state.start_time, state.step, state.cycle)
            self._state = replace(state, spectra=state.spectra + 1)
            self.store(spectra=(replace(spectrum, number=self._state.spectra),))
            await self._end_part(sequencer.measured_in_words(spectrum, swept.waited_s))

    async def _sweep_failed(self, error: InstrumentError) -> None:
        async with self._lock:
            await self._trip(f"impedance sweep failed: {error}")

    def _store_last_step(self, reason: str) -> None:
        if self.run is None or self._state is None:
            return
        part, now = self._parts[self._state.part], self.around.clock.now()
        match part:
            case Program():
                self._store_last_test_step(part, reason)
            case Step():
                self.store(steps=(part_state.swept(self._state, part, now, reason),))
            case Own(program=program) if (own := self._state.own) is not None and own.phase is not Phase.FINISHED:
                self._keep_own(sequencer.stop(program, own, now, reason))

    async def _finished(self) -> None:
        await self._end_part("end of the program")

    # --- the loop

    async def _tick(self, status: S) -> None:
        self._heard(status)
        self._setter.raise_unforeseen()
        if self._sweeper is not None:
            self._sweeper.raise_unforeseen()
        if self.state is ChannelState.TRIPPED:
            if not self._open_circuit_confirmed:
                await self._make_safe()
            if self.run is not None and self._state is not None and self._state.doing is Doing.FOLLOWING:
                await self._take_up()  # up to the very last one before the stop
            return
        if self.run is None or self._state is None:
            return
        if self._must_restore and not await self._find_cell(status):
            return
        match self._state.doing:
            case Doing.STARTING:
                await self._find_test(status)
            case Doing.OWN if self.state is ChannelState.RUNNING:
                part = self._parts[self._state.part]
                assert isinstance(part, Own)
                await self._look_at_own(part, status)
            case Doing.SWEEPING | Doing.WAITING | Doing.OWN:
                await self._look_between_tests(status)
            case Doing.FOLLOWING:
                await self._look(status)

    async def _look_between_tests(self, status: S) -> None:
        """The cycler must not drive the cell, which is at the impedance instrument or open; the sensors are heeded."""
        assert self._state is not None
        part = self._parts[self._state.part]
        if status.state in DRIVING:
            await self._trip(f"the cycler is {status.state.value}, and not by this station")
        elif trip := self._check_open():
            await self._trip(trip.reason)
        elif self._state.doing is Doing.SWEEPING and self._sweeper is not None and not self._sweeper.busy:
            assert isinstance(part, Step)
            self.say(Level.WARNING, "the sweep that the station's end broke off is measured anew")
            self._sweep(part)
        elif isinstance(part, Step) and self.state is ChannelState.RUNNING:
            self._watch(part, status)

    def _watch(self, part: Step, status: S) -> None:
        """Record the cell as the cycler shows it, or what is around it while the impedance instrument has it."""
        assert self.run is not None and self._state is not None and self._sweeper is not None
        shown = None if self._sweeper.has_cell else status.measurement
        voltage_V, current_A = (shown.voltage_V, shown.current_A) if shown else (math.nan, math.nan)
        seen = self._surrounded(Sample(self.around.clock.now(), voltage_V, current_A))
        self.latest = seen if shown else None
        if shown is None and not seen.has_surroundings:
            return
        self._state, readings = part_state.watched(self._state, part, self.run.program.record, seen)
        if readings:
            self.store(readings)

    async def _find_cell(self, status: S) -> bool:
        """After a restart: what the station did itself is undone, and the switch asked; False where it tripped."""
        assert self._state is not None
        if self._sweeper is not None and self._state.doing is Doing.SWEEPING:
            await self._sweeper.leave()
        at_cycler = self._handover is None or await self._handover.find()
        self._must_restore, self._must_restore_own = False, self._state.doing is Doing.OWN
        if self._must_restore_own:
            await self._to_cycler()
        if status.state in DRIVING and not at_cycler:
            await self._trip("the cycler's test goes on, and the switch has its cell elsewhere")
            return False
        return True

    def _heard(self, status: S) -> None:
        """What the cycler shows while the cell is off it is not the cell's voltage."""
        super()._heard(status)
        at_cycler = (Doing.FOLLOWING, Doing.OWN)
        following = self._state is not None and self._state.doing in at_cycler and self.run is not None
        if self._handover is not None and not self._handover.at_source and not following:
            self.latest = None

    def _progress(self) -> Progress | None:
        state = self._state
        if state is None:
            return None
        last, part = state.last, self._parts[state.part]
        if not isinstance(part, Program):
            test_time_s = self.around.clock.now() - state.start_time
            return Progress(steps_of(part)[0].name, state.cycle, test_time_s, test_time_s - state.part_began_s, 0.0)
        if last is None:
            return None
        return Progress(last.step_name, last.cycle, last.test_time_s, last.step_time_s, last.step_capacity_Ah)

    @property
    def _measures_impedance(self) -> bool:
        return self._sweeper is not None

    @property
    def _instruments(self) -> tuple[str, ...]:
        return (*super()._instruments, *(one.name for one in (self._sweeper, self._handover) if one))


def plan_of(step: Step) -> SweepPlan:
    assert isinstance(step.setpoint, SweepPlan)
    return step.setpoint


def steps_of(part: Part) -> tuple[Step, ...]:
    match part:
        case Step():
            return (part,)
        case Own(step):
            return (step,)
        case Program():
            return part.steps()
