"""A channel of a cycler that runs the whole program alone: the station sends it, follows it, and watches."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from drivers.interface import CyclerProgram, CyclerRecord, CyclerState, CyclerStatus, InstrumentError, ProgramCycler
from protocols.abilities import Abilities
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from station import follower
from station.channel import Channel, ChannelError, Progress, Surroundings
from station.cycler_program import for_cycler, largest_current_A
from station.environment import NOTHING, Environment
from station.follower import FollowState
from station.readings import ChannelState, Level, Reading, RunState, StepSummary
from station.run import Run
from station.safety import Trip
from station.sensors import Sensor
from station.sequencer import Sample
from station.workers import Patience, Worker

T = TypeVar("T")
MIN_PERIOD_S = 0.05
LONGEST_START_S = 30.0
"""How long a cycler may take until its status shows a test that it was told to start."""


@dataclass(frozen=True)
class Poll:
    """What a cycler said of all its channels."""

    asked_at: float = -math.inf  # on the monotonic clock
    statuses: Mapping[str, CyclerStatus] = field(default_factory=dict)


@dataclass
class CyclerFeed:
    """Polls one cycler once for all of its channels."""

    worker: Worker[ProgramCycler]
    channels: list[str] = field(default_factory=list)
    latest: Poll = field(default_factory=Poll)
    error: InstrumentError | None = None  # of the last attempt
    _fresh: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def loop(self, period_s: float) -> None:
        while True:
            try:
                self.latest, self.error = await self.worker.call(self._poll), None
            except InstrumentError as error:
                self.error = error
            async with self._fresh:
                self._fresh.notify_all()
            await asyncio.sleep(period_s)

    def _poll(self, cycler: ProgramCycler) -> Poll:
        return Poll(time.monotonic(), cycler.status(self.channels))

    async def fresh(self, channel: str) -> tuple[float, CyclerStatus]:
        """When the next poll was made, and the channel's status in it; raises what the poll raised."""
        async with self._fresh:
            await self._fresh.wait()
        if self.error is not None:
            raise self.error
        poll = self.latest
        status = poll.statuses.get(channel)
        if status is None:
            raise InstrumentError(f"says nothing of channel {channel}", instrument=self.worker.name)
        return poll.asked_at, status


class CyclerChannel(Channel):
    """Sends the program, takes up every record once, and stops the test where a limit of the host's is met."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed,
        position: str,
        environment: Environment = NOTHING,
    ) -> None:
        super().__init__(name, around, limits, sensor, environment)
        self._feed = feed
        self._position = position
        self._state: FollowState | None = None
        self._patience = Patience(max(around.lost_after_s, 30.0))
        self._commanded_at = self._restored_at = -math.inf  # on the monotonic clock
        feed.channels.append(position)

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

    async def _pause(self) -> None:
        raise ChannelError(
            f"channel {self.name}: this cycler runs the program alone and cannot be paused from here; "
            "stop it, or pause it in the maker's program"
        )

    async def _resume(self) -> None:
        await self._command(lambda cycler: cycler.proceed(self._position))

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
            await self._take_up_records()
        self._store_last_step(reason)

    async def _open_circuit(self) -> None:
        await self._command(lambda cycler: cycler.stop(self._position))

    def _halt(self) -> None:
        """The cycler's test is stopped and cannot be taken up again; its records are all here."""

    async def _cleared(self, who: str) -> None:
        self._store_last_step(self.reason)
        await self._end(RunState.TRIPPED, self.reason)

    def _restore(self, run: Run, state: str | None) -> None:
        self._state = follower.load(state) if state else None
        self._restored_at = time.monotonic()

    def _state_json(self) -> str | None:
        return follower.dump(self._state) if self._state is not None else None

    async def shut_down(self) -> None:
        """The cycler goes on alone, within the limits of its step file."""
        if self.run is not None and self.state is ChannelState.RUNNING:
            self.say(Level.INFO, "the station is shut down; the cycler goes on alone")

    async def _call(self, use: Callable[[ProgramCycler], T]) -> T:
        return await self._feed.worker.call(use)

    async def _command(self, use: Callable[[ProgramCycler], T]) -> T:
        """As `_call`, for what changes the cycler: what it said of itself before is not true any more."""
        try:
            return await self._call(use)
        finally:
            self._commanded_at = time.monotonic()

    # --- the loop

    async def loop(self) -> None:
        while True:
            try:
                asked_at, status = await self._feed.fresh(self._position)
                async with self._lock:
                    if asked_at > self._commanded_at:  # not what was true before a command
                        await self._tick(status)
            except InstrumentError as error:
                await self._in_trouble(error)

    async def _tick(self, status: CyclerStatus) -> None:
        self._heard(status)
        if self.state is ChannelState.TRIPPED:
            if not self._open_circuit_confirmed:
                await self._make_safe()
            if self.run is not None and self._state is not None:
                await self._take_up_records()  # up to the very last one before the stop
            return
        if self.run is None:
            return
        if self._state is None:
            await self._find_test(status)
            return
        if self.state is ChannelState.RUNNING and (trip := self._check_now(status)):
            await self._trip(trip.reason)
            return
        await self._take_up_records()
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge(status)

    def _heard(self, status: CyclerStatus) -> None:
        if self._patience.failing:
            self.say(Level.INFO, "the cycler answers again")
            if self.state is ChannelState.RUNNING:
                self.reason = ""
        self._patience.good()
        if self.state is ChannelState.OFFLINE:
            self.state, self.reason = ChannelState.IDLE, ""
        if status.measurement is not None and (self.run is None or self.latest is None):
            now = self.around.clock.now()
            sample = Sample(now, status.measurement.voltage_V, status.measurement.current_A)
            self.latest = self._surrounded(sample)

    def _check_now(self, status: CyclerStatus) -> Trip | None:
        """What the cycler shows live, with the sensor's newest word: sooner than its records."""
        if status.measurement is None:
            return None
        live = Sample(self.around.clock.now(), status.measurement.voltage_V, status.measurement.current_A)
        return self._check(self._surrounded(live))

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

    async def _take_up_records(self) -> None:
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
                self.latest = _as_sample(readings[-1])  # finer than the live values, which are rounded
            if unknown:
                await self._trip(unknown)
                return
            for reading in readings:
                if trip := self.limits.check(_as_sample(reading)):
                    await self._trip(trip.reason)
                    return

    async def _next_records(self, state: FollowState) -> Sequence[CyclerRecord]:
        return await self._call(lambda cycler: cycler.records(self._position, state.test_id, state.last_record))

    async def _judge(self, status: CyclerStatus) -> None:
        """What the cycler's own state means for the run; unknown is never taken for idle."""
        if self._state is not None and status.test_id is not None and status.test_id != self._state.test_id:
            self._store_last_step("another test was started")
            self.say(Level.ALARM, f"someone started test {status.test_id} on this channel from another program")
            await self._end(RunState.STOPPED, "another test was started on this channel")
            return
        match status.state:
            case CyclerState.FINISHED:
                await self._take_up_records()
                self._store_last_step("end of the program")
                self.say(Level.INFO, "finished: the circuit is open")
                await self._end(RunState.FINISHED, "finished")
            case CyclerState.STOPPED:
                await self._take_up_records()
                self._store_last_step("stopped at the cycler")
                self.say(Level.WARNING, "the test was stopped at the cycler")
                await self._end(RunState.STOPPED, "stopped at the cycler")
            case CyclerState.PROTECTED:
                await self._take_up_records()
                if self.state is not ChannelState.TRIPPED:
                    await self._trip("the cycler's own protection opened the circuit")
            case CyclerState.PAUSED if self.state is ChannelState.RUNNING:
                self._set(ChannelState.PAUSED, RunState.PAUSED, "paused at the cycler")
                self.say(Level.WARNING, "paused at the cycler")
            case CyclerState.RUNNING if self.state is ChannelState.PAUSED:
                self._set(ChannelState.RUNNING, RunState.RUNNING, "")
                self.say(Level.INFO, "continued at the cycler")
            case _:
                pass

    def _store_last_step(self, reason: str) -> None:
        if self.run is not None and self._state is not None:
            summary = follower.last_step(self.run.program, self._state, reason)
            self.store(steps=(summary,) if summary else ())

    def _with_surroundings(self, reading: Reading) -> Reading:
        """What sensor, thermometer and frame said last before the record was made."""
        environment, age_s = self.environment, self._largest_age_s()
        if environment.temperature is not None:
            reading = replace(reading, temperature_degC=environment.temperature.before(reading.time, age_s))
        if environment.pressure is not None:
            pressure_Pa = environment.pressure.before(reading.time, age_s)
            frame = None if pressure_Pa is None else f"frame {environment.pressure.instrument}"
            return replace(reading, pressure_Pa=pressure_Pa, calibration=frame)
        said = self.sensor.before(reading.time) if self.sensor else None
        if said is None or self.sensor is None or abs(reading.time - said.time) > age_s:
            return reading
        return replace(
            reading,
            resistance_ohm=said.resistance_ohm,
            pressure_Pa=said.pressure_Pa,
            pressure_U_Pa=said.pressure_U_Pa,
            calibration=said.calibration,
            pressure_mark=said.mark,
        )

    def _largest_age_s(self) -> float:
        """A pressure older than this, in the bench's time, does not belong to a record."""
        return max(60.0, self.around.lost_after_s * self.around.clock.speed)

    async def _in_trouble(self, error: InstrumentError) -> None:
        """The test goes on alone within its limits; the station says that it is blind, and does not trip."""
        if self._patience.bad():
            self.say(Level.WARNING, f"{error}; a running test goes on alone")
        if self.run is None and self._patience.lost and self.state is ChannelState.IDLE:
            self.state, self.reason = ChannelState.OFFLINE, str(error)
        elif self.state is ChannelState.RUNNING and self._patience.lost:
            self.reason = f"no word from the cycler for {self._patience.since_s:.0f} s; the test goes on alone"

    def _progress(self) -> Progress | None:
        last = self._state.last if self._state else None
        if last is None:
            return None
        return Progress(last.step_name, last.cycle, last.test_time_s, last.step_time_s, last.step_capacity_Ah)

    @property
    def _instruments(self) -> tuple[str, ...]:
        return (self._feed.worker.name,)


def _as_sample(reading: Reading) -> Sample:
    return Sample(
        reading.time,
        reading.voltage_V,
        reading.current_A,
        reading.resistance_ohm,
        reading.pressure_Pa,
        reading.pressure_U_Pa,
        reading.calibration,
        reading.temperature_degC,
        reading.pressure_mark,
    )


def feed_period_s(vendor_s: float, speed: float) -> float:
    """On the wall's clock: no faster than the vendor's data are refreshed."""
    return max(vendor_s / speed, MIN_PERIOD_S) if speed > 1 else vendor_s
