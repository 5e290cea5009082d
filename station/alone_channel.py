"""What all channels have in common whose cycler runs a whole test alone: the station follows, watches and stops it.

What the cycler is given, a program (`cycler_channel`) or a procedure's name (`procedure_channel`), is the subclass's.
"""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from drivers.interface import (
    CyclerState,
    CyclerStatus,
    InstrumentError,
    ProcedureCycler,
    ProcedureStatus,
    ProgramCycler,
)
from protocols.limits import Limits
from station.channel import Channel, ChannelError, Surroundings
from station.cycler_feed import CyclerFeed
from station.environment import NOTHING, Environment
from station.readings import ChannelState, Level, Reading, RunState
from station.safety import Trip
from station.sensors import Sensor
from station.sequencer import Sample
from station.workers import Patience

C = TypeVar("C", bound=ProgramCycler | ProcedureCycler)
S = TypeVar("S", bound=CyclerStatus | ProcedureStatus)
T = TypeVar("T")
LONGEST_START_S = 30.0
"""How long a cycler may take until its status shows a test that it was told to start."""


class AloneChannel(Channel, Generic[C, S]):
    """Hears the cycler's polls, opens the circuit by stopping the test, and is patient while the cycler is silent."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed[C, S],
        position: str,
        environment: Environment = NOTHING,
    ) -> None:
        super().__init__(name, around, limits, sensor, environment)
        self._feed: CyclerFeed[C, S] = feed
        self._position = position
        self._patience = Patience(max(around.lost_after_s, 30.0))
        self._commanded_at = -math.inf  # on the monotonic clock
        feed.channels.append(position)

    # --- commands

    async def _pause(self) -> None:
        raise ChannelError(
            f"channel {self.name}: this cycler runs the test alone and cannot be paused from here; "
            "stop it, or pause it in the maker's program"
        )

    async def _resume(self) -> None:
        await self._command(lambda cycler: cycler.proceed(self._position))

    async def _open_circuit(self) -> None:
        await self._command(lambda cycler: cycler.stop(self._position))

    async def _cleared(self, who: str) -> None:
        self._store_last_step(self.reason)
        await self._end(RunState.TRIPPED, self.reason)

    async def shut_down(self) -> None:
        """The cycler goes on alone, within its own limits."""
        if self.run is not None and self.state is ChannelState.RUNNING:
            self.say(Level.INFO, "the station is shut down; the cycler goes on alone")

    async def _call(self, use: Callable[[C], T]) -> T:
        answer: T = await self._feed.worker.call(use)
        return answer

    async def _command(self, use: Callable[[C], T]) -> T:
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

    @abc.abstractmethod
    async def _tick(self, status: S) -> None:
        """Follow what the cycler showed last."""

    @abc.abstractmethod
    def _store_last_step(self, reason: str) -> None:
        """The step that was on, as ended."""

    def _heard(self, status: S) -> None:
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

    def _check_now(self, status: S) -> Trip | None:
        """What the cycler shows live, with the sensor's newest word."""
        if status.measurement is None:
            return None
        live = Sample(self.around.clock.now(), status.measurement.voltage_V, status.measurement.current_A)
        return self._check(self._surrounded(live))

    async def _judge(self, state: CyclerState) -> None:
        """What the cycler's own state means for the run; unknown is never taken for idle."""
        match state:
            case CyclerState.FINISHED:
                await self._finished()
            case CyclerState.STOPPED:
                await self._take_up()
                self._store_last_step("stopped at the cycler")
                self.say(Level.WARNING, "the test was stopped at the cycler")
                await self._leave_cell()
                await self._end(RunState.STOPPED, "stopped at the cycler")
            case CyclerState.PROTECTED:
                await self._take_up()
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

    @abc.abstractmethod
    async def _finished(self) -> None:
        """The test has come to its end, which opened the circuit."""

    @abc.abstractmethod
    async def _leave_cell(self) -> None:
        """The cycler's circuit is open and the run is over: what else was closed for it is opened."""

    async def _take_up(self) -> None:
        """Before the run ends: what the cycler has that is not stored yet."""

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

    @property
    def _instruments(self) -> tuple[str, ...]:
        return (self._feed.worker.name,)


def as_sample(reading: Reading) -> Sample:
    return Sample(
        reading.time,
        math.nan if reading.voltage_V is None else reading.voltage_V,
        math.nan if reading.current_A is None else reading.current_A,
        reading.resistance_ohm,
        reading.pressure_Pa,
        reading.pressure_U_Pa,
        reading.calibration,
        reading.temperature_degC,
    )
