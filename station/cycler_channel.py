"""A channel of a cycler that runs the whole program alone: the station sends it, follows it, and watches."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from drivers.interface import CyclerProgram, CyclerRecord, CyclerState, CyclerStatus, InstrumentError, ProgramCycler
from protocols.abilities import Abilities
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from station import follower
from station.alone_channel import LONGEST_START_S, AloneChannel, as_sample
from station.channel import ChannelError, Progress, Surroundings
from station.cycler_feed import CyclerFeed
from station.cycler_program import for_cycler, largest_current_A
from station.environment import NOTHING, Environment
from station.follower import FollowState
from station.readings import ChannelState, Level, Reading, RunState, StepSummary
from station.run import Run
from station.sensors import Sensor


class CyclerChannel(AloneChannel[ProgramCycler, CyclerStatus]):
    """Sends the program, takes up every record once, and stops the test where a limit of the host's is met."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed[ProgramCycler, CyclerStatus],
        position: str,
        environment: Environment = NOTHING,
    ) -> None:
        super().__init__(name, around, limits, sensor, feed, position, environment)
        self._state: FollowState | None = None
        self._restored_at = -math.inf  # on the monotonic clock

    # --- before a run

    def check(self, run: Run) -> None:
        super().check(run)
        self._program_for(run)

    @property
    def _abilities(self) -> Abilities:
        """What else it lacks is the step file's to say: it names more, and in its own words."""
        watched = super()._abilities
        return Abilities(has_pressure=watched.has_pressure, has_temperature=watched.has_temperature)

    async def check_ranges(self, run: Run) -> None:
        program = self._program_for(run)
        try:
            await self._call(lambda cycler: cycler.check_program(program))
        except InstrumentError as error:
            raise DocumentError([Problem(run.program.file, 1, 1, str(error))]) from None

    def _program_for(self, run: Run) -> CyclerProgram:
        capacity = run.cell.capacity_Ah
        if capacity is None:
            raise ChannelError(
                f"channel {self.name}: cell '{run.cell.cell}' states no capacity, and the cycler's own limit "
                "of charge needs it"
            )
        limits = self.limits_for(run).limits
        most_A = 1.2 * largest_current_A(run.program) or math.inf  # a program of rests states no current
        tightened = replace(limits, current_max_A=min(limits.current_max_A, most_A))
        return for_cycler(run.program, tightened, capacity)

    # --- commands

    async def _start(self, run: Run) -> None:
        program = self._program_for(run)
        try:
            test_id = await self._command(lambda cycler: cycler.start(self._position, program, run.cell.cell))
        except InstrumentError as error:
            self.say(Level.ALARM, f"the cycler did not start: {error}")
            await self._end(RunState.STOPPED, f"not started: {error}")
            raise ChannelError(f"channel {self.name} did not start: {error}") from error
        self._state = FollowState(test_id=test_id, start_time=self.around.clock.now())
        self.store()
        await self._committed(1.0)

    async def _skip(self, reason: str) -> None:
        assert self.run is not None and self._state is not None
        status = self._feed.latest.statuses.get(self._position)
        present = status.step if status and status.step else (self._state.last_key or (0, 0))[0]
        target = present + 1
        if not 1 <= target <= len(self.run.program.operations):
            raise ChannelError(f"channel {self.name} is in the last step; stop it instead")
        await self._command(lambda cycler: cycler.go_to_step(self._position, target))

    async def _stop(self, reason: str) -> None:
        await self._open_circuit()
        with contextlib.suppress(InstrumentError):  # the last records; the stop itself is confirmed
            await self._take_up()
        self._store_last_step(reason)

    def _restore(self, run: Run, state: str | None) -> None:
        self._state = follower.load(state) if state else None
        self._restored_at = time.monotonic()

    def _state_json(self) -> str | None:
        return follower.dump(self._state) if self._state is not None else None

    # --- the loop

    async def _tick(self, status: CyclerStatus) -> None:
        self._heard(status)
        if self.state is ChannelState.TRIPPED:
            if not self._open_circuit_confirmed:
                await self._make_safe()
            if self.run is not None and self._state is not None:
                await self._take_up()  # up to the very last one before the stop
            return
        if self.run is None:
            return
        if self._state is None:
            await self._find_test(status)
            return
        if self.state is ChannelState.RUNNING and (trip := self._check_now(status)):
            await self._trip(trip.reason)
            return
        await self._take_up()
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge_test(status)

    async def _find_test(self, status: CyclerStatus) -> None:
        """The station died between starting the test and writing that down: only the cycler knows."""
        if self.run is None:
            return
        if status.state is CyclerState.RUNNING and status.label == self.run.cell.cell and status.test_id is not None:
            self._state = FollowState(test_id=status.test_id, start_time=self.run.started)
            self.say(
                Level.WARNING, f"the cycler runs test {status.test_id} of this cell: taken up from its first record"
            )
            self.store()
            return
        if time.monotonic() - self._restored_at < LONGEST_START_S:
            return  # it may have been told, and not show it yet
        self.say(Level.ALARM, "the station died before the cycler had started; start the run again")
        await self._end(RunState.STOPPED, "never started by the cycler")

    async def _take_up(self) -> None:
        """Every record that the cycler has and the store does not."""
        assert self.run is not None and self._state is not None
        while True:
            records = await self._next_records(self._state)
            if not records:
                return
            readings: list[Reading] = []
            steps: list[StepSummary] = []
            unknown = ""
            for record in records:
                try:
                    self._state, reading, summary = follower.follow(self.run.program, self._state, record)
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
        if self.run is not None and self._state is not None:
            summary = follower.last_step(self.run.program, self._state, reason)
            self.store(steps=(summary,) if summary else ())

    def _progress(self) -> Progress | None:
        last = self._state.last if self._state else None
        if last is None:
            return None
        return Progress(last.step_name, last.cycle, last.test_time_s, last.step_time_s, last.step_capacity_Ah)
