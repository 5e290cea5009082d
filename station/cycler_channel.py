"""A channel of a cycler that runs the whole program alone: the station sends it, follows it, and watches."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from drivers.interface import (
    CyclerProgram,
    CyclerRecord,
    CyclerState,
    CyclerStatus,
    ImpedanceSource,
    InstrumentError,
    ProgramCycler,
    Protection,
    Refused,
)
from protocols.abilities import Abilities
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import Program, Step, SweepPlan
from station import follower, sequencer
from station.alone_channel import LONGEST_START_S, AloneChannel, as_sample
from station.channel import ChannelError, Progress, Surroundings
from station.cycler_feed import CyclerFeed
from station.cycler_parts import Part, cut, different
from station.cycler_program import for_cycler, largest_current_A
from station.environment import NOTHING, Environment
from station.follower import Doing, FollowState
from station.handover import Handover
from station.readings import ChannelState, Level, Reading, RunState, StepSummary
from station.run import Run
from station.sensors import Sensor
from station.sequencer import Sample
from station.sweeping import Sweeper, Swept
from station.workers import Worker

DRIVING = (CyclerState.RUNNING, CyclerState.PAUSED)
OPEN = (CyclerState.FINISHED, CyclerState.STOPPED, CyclerState.PROTECTED)


class CyclerChannel(AloneChannel[ProgramCycler, CyclerStatus]):
    """Sends the program, takes up every record once, and stops the test where a limit of the host's is met.

    Where the channel has an impedance instrument, a program is cut at its sweeps: each part between them is a test of
    its own on the cycler, whose end leaves the cell at open circuit for the sweep.
    """

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed[ProgramCycler, CyclerStatus],
        position: str,
        environment: Environment = NOTHING,
        impedance: Worker[ImpedanceSource] | None = None,
        handover: Handover | None = None,
    ) -> None:
        super().__init__(name, around, limits, sensor, feed, position, environment)
        self._sweeper = Sweeper(name, around, impedance, handover, self.say) if impedance else None
        self._handover = handover
        self._parts: tuple[Part, ...] = ()
        self._state: FollowState | None = None
        self._restored_at = -math.inf  # on the monotonic clock
        self._must_restore = False

    # --- before a run

    def check(self, run: Run) -> None:
        super().check(run)
        for part in different(self._parts_of(run)):
            if isinstance(part, Program):
                self._told(run, part)

    @property
    def _abilities(self) -> Abilities:
        """What else it lacks is the step file's to say: it names more, and in its own words."""
        watched = super()._abilities
        return Abilities(has_pressure=watched.has_pressure, has_temperature=watched.has_temperature)

    async def check_ranges(self, run: Run) -> None:
        if self._handover is not None:
            try:
                await self._handover.check()
            except InstrumentError as error:
                raise ChannelError(f"channel {self.name}: {error}") from error
        for part in different(self._parts_of(run)):
            await self._check_part(run, part)

    async def _check_part(self, run: Run, part: Part) -> None:
        try:
            if isinstance(part, Program):
                told = self._told(run, part)
                await self._call(lambda cycler: cycler.check_program(told))
            elif self._sweeper is not None:
                await self._sweeper.check(_plan(part), self._protection(run))
        except InstrumentError as error:
            line, column = (1, 1) if isinstance(part, Program) else (part.line, part.column)
            raise DocumentError([Problem(part.file, line, column, str(error))]) from None

    def _parts_of(self, run: Run) -> tuple[Part, ...]:
        return cut(run.program, measures_impedance=self._measures_impedance)

    def _told(self, run: Run, part: Program) -> CyclerProgram:
        """A part in the cycler's own terms."""
        capacity = run.cell.capacity_Ah
        if capacity is None:
            raise ChannelError(
                f"channel {self.name}: cell '{run.cell.cell}' states no capacity, and the cycler's own limit "
                "of charge needs it"
            )
        limits = self.limits_for(run).limits
        most_A = 1.2 * largest_current_A(run.program) or math.inf  # a program of rests states no current
        tightened = replace(limits, current_max_A=min(limits.current_max_A, most_A))
        return for_cycler(part, tightened, capacity)

    def _protection(self, run: Run) -> Protection:
        limits = self.limits_for(run).limits
        return Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A)

    # --- commands

    async def _start(self, run: Run) -> None:
        """What is about to be started is written down first, so that a station that dies meanwhile finds it."""
        self._parts = self._parts_of(run)
        status = self._feed.latest.statuses.get(self._position)
        before = status.test_id if status and status.test_id else 0
        self._state = FollowState(test_id=before, start_time=self.around.clock.now())
        try:
            if isinstance(self._parts[0], Step) and (status is None or status.state not in OPEN):
                raise Refused(f"channel {self._position} is {status.state.value if status else 'silent'}, not idle")
            await self._begin_part(0)
        except InstrumentError as error:
            self.say(Level.ALARM, f"the cycler did not start: {error}")
            await self._leave_cell()
            await self._end(RunState.STOPPED, f"not started: {error}")
            raise ChannelError(f"channel {self.name} did not start: {error}") from error

    async def _skip(self, reason: str) -> None:
        """To the next step of the cycler's test, or past what the station measures, or to the next part."""
        assert self._state is not None
        part, status = self._parts[self._state.part], self._feed.latest.statuses.get(self._position)
        present = status.step if status and status.step else (self._state.last_key or (0, 0))[0]
        if isinstance(part, Program) and present < len(part.operations):
            await self._command(lambda cycler: cycler.go_to_step(self._position, present + 1))
            return
        if self._state.part + 1 == len(self._parts):
            raise ChannelError(f"channel {self.name} is in the last step; stop it instead")
        await self._open_circuit()
        await self._end_part(reason)

    async def _pause(self) -> None:
        """In a sweep alone: the cycler's own tests go on by themselves."""
        if self._state is None or self._state.doing is not Doing.SWEEPING:
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

    async def _stop(self, reason: str) -> None:
        await self._open_circuit()
        with contextlib.suppress(InstrumentError):  # the last records; the stop itself is confirmed
            await self._take_up()
        self._store_last_step(reason)

    async def _open_circuit(self) -> None:
        """Of the cycler, of the impedance instrument where a sweep is on, and then of the switch."""
        self._halt()
        try:
            await super()._open_circuit()
            if self._sweeper is not None:
                await self._sweeper.cancel()
                await self._sweeper.make_safe()
        finally:
            if self._sweeper is not None:
                await self._sweeper.cancel()
            if self._handover is not None:
                await self._handover.open()

    async def _leave_cell(self) -> None:
        if self._handover is None:
            return
        try:
            await self._handover.open()
        except InstrumentError as error:
            self.say(Level.WARNING, f"the cell may still be at the cycler, whose circuit is open: {error}")

    def _halt(self) -> None:
        if self._sweeper is not None:
            self._sweeper.interrupt()

    async def shut_down(self) -> None:
        """The cycler goes on alone; what the station itself does is broken off, to be done again at the next start."""
        async with self._lock:
            if self._state is not None and self._state.doing is Doing.SWEEPING and self.run is not None:
                self.say(Level.WARNING, "shut down: the sweep is broken off; it is measured at the next start")
                await self._make_safe()
                return
        await super().shut_down()

    def _restore(self, run: Run, state: str | None) -> None:
        self._parts = self._parts_of(run)
        self._state = follower.load(state) if state else FollowState(0, run.started, doing=Doing.STARTING)
        if self._state.doing is Doing.WAITING and self.state is ChannelState.RUNNING:
            self.state, self.reason = ChannelState.PAUSED, "paused"
        self._restored_at = time.monotonic()
        self._must_restore = True

    def _state_json(self) -> str | None:
        return follower.dump(self._state) if self._state is not None else None

    # --- from part to part

    async def _begin_part(self, index: int) -> None:
        """Raises `InstrumentError` where the cycler did not start, or where that is not known."""
        assert self.run is not None and self._state is not None
        part = self._parts[index]
        if isinstance(part, Step):
            self._state = follower.sweeping(self._state, index, self.around.clock.now())
            self._sweep(part)
            return
        self._state = follower.starting(self._state, index)
        await self._start_test(part)

    async def _begin_again(self) -> None:
        """The present part, after a person looked into what stopped it."""
        assert self._state is not None
        part = self._parts[self._state.part]
        if isinstance(part, Step):
            self._state = replace(self._state, doing=Doing.SWEEPING)
            self._sweep(part)
        else:
            self._state = follower.starting(self._state, self._state.part)
            await self._start_test(part)

    async def _start_test(self, part: Program) -> None:
        assert self.run is not None and self._state is not None
        self.store()
        await self._committed(1.0)
        told, label = self._told(self.run, part), self.run.cell.cell
        if self._handover is not None:
            await self._handover.to_source()
        test_id = await self._command(lambda cycler: cycler.start(self._position, told, label))
        self._state = follower.started(self._state, test_id, self.around.clock.now())
        self.store()
        await self._committed(1.0)

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
            await self._trip(f"the cycler did not go on after '{_name(part)}': {error}")

    def _sweep(self, part: Step) -> None:
        assert self._sweeper is not None and self.run is not None and self._state is not None
        self.store()
        self._sweeper.begin(_plan(part), self._protection(self.run), self._make_way, self._swept, self._sweep_failed)

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

    # --- the loop

    async def _tick(self, status: CyclerStatus) -> None:
        self._heard(status)
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
            case Doing.SWEEPING | Doing.WAITING:
                await self._look_between_tests(status)
            case Doing.FOLLOWING:
                await self._look(status)

    async def _look(self, status: CyclerStatus) -> None:
        if self.state is ChannelState.RUNNING and (trip := self._check_now(status)):
            await self._trip(trip.reason)
            return
        await self._take_up()
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge_test(status)

    async def _look_between_tests(self, status: CyclerStatus) -> None:
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

    def _watch(self, part: Step, status: CyclerStatus) -> None:
        """Record the cell as the cycler shows it, or what is around it while the impedance instrument has it."""
        assert self.run is not None and self._state is not None and self._sweeper is not None
        shown = None if self._sweeper.has_cell else status.measurement
        voltage_V, current_A = (shown.voltage_V, shown.current_A) if shown else (math.nan, math.nan)
        seen = self._surrounded(Sample(self.around.clock.now(), voltage_V, current_A))
        self.latest = seen if shown else None
        if shown is None and seen.resistance_ohm is None and seen.pressure_Pa is None and seen.temperature_degC is None:
            return
        self._state, readings = follower.watched(self._state, part, self.run.program.record, seen)
        if readings:
            self.store(readings)

    async def _find_cell(self, status: CyclerStatus) -> bool:
        """After a restart: what the station did itself is undone, and the switch asked; False where it tripped."""
        if self._sweeper is not None:
            self._sweeper.left_polarised()
            await self._sweeper.make_safe()
        at_cycler = self._handover is None or await self._handover.find()
        self._must_restore = False
        if status.state in DRIVING and not at_cycler:
            await self._trip("the cycler's test goes on, and the switch has its cell elsewhere")
            return False
        return True

    async def _find_test(self, status: CyclerStatus) -> None:
        """The station died between starting a test and writing that down: only the cycler knows."""
        assert self.run is not None and self._state is not None
        known, part = (None, self._state.test_id), self._parts[self._state.part]
        if status.state is CyclerState.RUNNING and status.label == self.run.cell.cell and status.test_id not in known:
            assert status.test_id is not None
            began = self.run.started if self._state.step == 0 else self.around.clock.now()
            self._state = follower.started(self._state, status.test_id, began)
            self.say(
                Level.WARNING, f"the cycler runs test {status.test_id} of this cell: taken up from its first record"
            )
            self.store()
            return
        if time.monotonic() - self._restored_at < LONGEST_START_S:
            return  # it may have been told, and not show it yet
        if self._state.step == 0 or status.state not in OPEN or status.test_id != self._state.test_id:
            self.say(Level.ALARM, "the station died before the cycler had started; start the run again")
            await self._end(RunState.STOPPED, "never started by the cycler")
            return
        self.say(Level.WARNING, "the station died before the cycler had started the next part: it is started now")
        assert isinstance(part, Program)
        try:
            await self._start_test(part)
        except InstrumentError as error:
            await self._trip(f"the cycler did not go on: {error}")

    async def _take_up(self) -> None:
        """Every record of the part's test that the cycler has and the store does not."""
        assert self.run is not None and self._state is not None
        part = self._parts[self._state.part]
        while isinstance(part, Program) and self._state.doing is Doing.FOLLOWING:
            records = await self._next_records(self._state)
            if not records:
                return
            readings: list[Reading] = []
            steps: list[StepSummary] = []
            unknown = ""
            for record in records:
                try:
                    self._state, reading, summary = follower.follow(part, self._state, record)
                except ValueError as error:  # what came before it is kept
                    unknown = str(error)
                    break
                readings.append(self._with_surroundings(reading))
                if summary is not None:
                    steps.append(summary)
            self.store(tuple(readings), tuple(steps))
            if readings:
                self.latest = as_sample(readings[-1])  # finer than the live values, which are rounded
            if unknown:
                await self._trip(unknown)
                return
            for reading in readings:
                if trip := self.limits.check(as_sample(reading)):
                    await self._trip(trip.reason)
                    return

    async def _next_records(self, state: FollowState) -> Sequence[CyclerRecord]:
        return await self._call(lambda cycler: cycler.records(self._position, state.test_id, state.last_record))

    async def _judge_test(self, status: CyclerStatus) -> None:
        if self._state is not None and status.test_id is not None and status.test_id != self._state.test_id:
            self._store_last_step("another test was started")
            self.say(Level.ALARM, f"someone started test {status.test_id} on this channel from another program")
            await self._end(RunState.STOPPED, "another test was started on this channel")
            return
        await self._judge(status.state)

    def _store_last_step(self, reason: str) -> None:
        if self.run is None or self._state is None:
            return
        part, now = self._parts[self._state.part], self.around.clock.now()
        if isinstance(part, Program):
            summary = follower.last_step(part, self._state, reason)
            self.store(steps=(summary,) if summary else ())
        else:
            self.store(steps=(follower.swept(self._state, part, now, reason),))

    async def _finished(self) -> None:
        await self._end_part("end of the program")

    def _heard(self, status: CyclerStatus) -> None:
        """What the cycler shows while the cell is off it is not the cell's voltage."""
        super()._heard(status)
        following = self._state is not None and self._state.doing is Doing.FOLLOWING and self.run is not None
        if self._handover is not None and not self._handover.at_source and not following:
            self.latest = None

    def _progress(self) -> Progress | None:
        state = self._state
        if state is None:
            return None
        last, part = state.last, self._parts[state.part]
        if state.doing is Doing.SWEEPING and isinstance(part, Step):
            test_time_s = self.around.clock.now() - state.start_time
            return Progress(part.name, state.cycle, test_time_s, test_time_s - state.part_began_s, 0.0)
        if last is None:
            return None
        return Progress(last.step_name, last.cycle, last.test_time_s, last.step_time_s, last.step_capacity_Ah)

    @property
    def _measures_impedance(self) -> bool:
        return self._sweeper is not None

    @property
    def _instruments(self) -> tuple[str, ...]:
        return (*super()._instruments, *(one.name for one in (self._sweeper, self._handover) if one))


def _plan(step: Step) -> SweepPlan:
    assert isinstance(step.setpoint, SweepPlan)
    return step.setpoint


def _name(part: Part) -> str:
    return part.name if isinstance(part, Step) else part.steps()[-1].name
