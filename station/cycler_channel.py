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
    InstrumentError,
    ProgramCycler,
)
from protocols.abilities import Abilities
from protocols.program import Program
from station import follower
from station.alone_channel import LONGEST_START_S, as_sample
from station.channel import ChannelError
from station.cycler_parts import Part, cut, different
from station.cycler_program import for_cycler, largest_current_A
from station.follower import FollowState
from station.part_state import Doing
from station.parted_channel import OPEN, PartedChannel
from station.readings import ChannelState, Level, Reading, RunState, StepSummary
from station.run import Run


class CyclerChannel(PartedChannel[ProgramCycler, CyclerStatus, FollowState]):
    """Sends the program, takes up every record once, and stops the test where a limit of the host's is met.

    Where the channel has an impedance instrument, a program is cut at its sweeps: each part between them is a test of
    its own on the cycler.
    """

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
        return Abilities(
            has_pressure=watched.has_pressure,
            has_temperature=watched.has_temperature,
            has_chamber=watched.has_chamber,
            has_frame=watched.has_frame,
        )

    async def _check_test(self, run: Run, part: Program) -> None:
        told = self._told(run, part)
        await self._call(lambda cycler: cycler.check_program(told))

    def _cut(self, program: Program) -> tuple[Part, ...]:
        return cut(program, measures_impedance=self._measures_impedance)

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

    # --- commands

    def _first_state(self, run: Run, status: CyclerStatus | None) -> FollowState:
        before = status.test_id if status and status.test_id else 0
        return FollowState(test_id=before, start_time=self.around.clock.now())

    def _loaded(self, run: Run, state: str | None) -> FollowState:
        return follower.load(state) if state else FollowState(test_id=0, start_time=run.started, doing=Doing.STARTING)

    def _state_json(self) -> str | None:
        return follower.dump(self._state) if self._state is not None else None

    async def _skip(self, reason: str) -> None:
        """To the next step of the cycler's test, or past the part where that is its last."""
        assert self._state is not None
        part, status = self._parts[self._state.part], self._feed.latest.statuses.get(self._position)
        present = status.step if status and status.step else self._state.last_key[0]
        if isinstance(part, Program) and present < len(part.operations):
            await self._command(lambda cycler: cycler.go_to_step(self._position, present + 1))
        else:
            await super()._skip(reason)

    async def _stop(self, reason: str) -> None:
        await self._open_circuit()
        with contextlib.suppress(InstrumentError):  # the last records; the stop itself is confirmed
            await self._take_up()
        self._store_last_step(reason)

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

    # --- the loop

    async def _tick(self, status: CyclerStatus) -> None:
        await super()._tick(status)
        if self.state is ChannelState.TRIPPED and self.run is not None and self._open_circuit_confirmed:
            await self._take_up()  # up to the very last one before the stop

    async def _look(self, status: CyclerStatus) -> None:
        if self.state is ChannelState.RUNNING and (trip := self._check_now(status)):
            await self._trip(trip.reason)
            return
        await self._take_up()
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge_test(status)

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

    def _store_last_test_step(self, part: Program, reason: str) -> None:
        assert self._state is not None
        summary = follower.last_step(part, self._state, reason)
        self._state = replace(self._state, is_step_open=False)
        self.store(steps=(summary,) if summary else ())
