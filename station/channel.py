"""A channel: a position for a cell, the instruments bound to it, and the run that is on.

`Channel` holds what all channels share: state, the latched trip, the store. How a cell is driven is in
`host_channel` (the station sequences a source) and `cycler_channel` (the cycler runs a whole program alone).
"""

from __future__ import annotations

import abc
import asyncio
import json
from dataclasses import dataclass, replace

from drivers.interface import InstrumentError
from drivers.simulated.clock import Clock
from protocols.abilities import Abilities, check_channel
from protocols.document import DocumentError
from protocols.limits import Limits
from station.environment import NOTHING, Environment
from station.journal import Journal
from station.preflight import beyond_limits
from station.readings import (
    ChannelState,
    ChannelView,
    Event,
    Level,
    MarkerEvent,
    Reading,
    RunState,
    Spectrum,
    StepSummary,
)
from station.run import Run
from station.safety import LimitsInForce, Trip
from station.sensors import Sensor
from station.sequencer import Sample
from station.store import Batch, RunSnapshot, Writer

MIN_PERIOD_S = 0.01
"""Under a scaled clock no channel is sampled more often than this, on the wall's clock, without need."""

LONGEST_COMMIT_WAIT_S = 0.25


class ChannelError(Exception):
    """A command that a channel cannot carry out now; the text is for the user."""


@dataclass(frozen=True)
class Surroundings:
    """What every channel gets from its station."""

    clock: Clock
    writer: Writer
    journal: Journal
    poll_s: float
    lost_after_s: float
    limits: LimitsInForce
    lend_within_s: float = 12 * 3600.0  # the longest wait for an instrument that is lent, in the clock's time


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    step_name: str
    cycle: int
    test_time_s: float
    step_time_s: float
    step_capacity_Ah: float


class Channel(abc.ABC):
    """State, safety's latch, and storing; subclasses drive the cell."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        environment: Environment = NOTHING,
    ) -> None:
        self.name = name
        self.around = around
        self.sensor = sensor
        self.environment = environment if sensor is None else replace(environment, pressure=None)
        self.state = ChannelState.IDLE
        self.reason = ""
        self.run: Run | None = None
        self.latest: Sample | None = None
        self._own_limits = around.limits.narrowed_by(limits, f"channel {name}")
        self.limits = self._own_limits
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._open_circuit_confirmed = True
        self._said_unsafe = False

    # --- what people ask

    async def start(self, run: Run, snapshot: RunSnapshot, who: str) -> None:
        """Begin a run that `check` let pass; where the channel is not free, nothing is written."""
        async with self._lock:
            self.require_idle()
            self.around.writer.begin_run(snapshot)
            self._take(run)
            self.say(Level.INFO, f"started '{run.protocol_name}' on cell {run.cell.cell}", who)
            await self._start(run)
        self._wake.set()

    async def pause(self, who: str) -> None:
        async with self._lock:
            self._require(ChannelState.RUNNING)
            await self._pause()
            self._require(ChannelState.RUNNING)  # it tripped where the circuit could not be opened
            self._set(ChannelState.PAUSED, RunState.PAUSED, f"paused by {who}")
            self.say(Level.INFO, "paused: the circuit is open", who)

    async def resume(self, who: str) -> None:
        async with self._lock:
            self._require(ChannelState.PAUSED)
            self._set(ChannelState.RUNNING, RunState.RUNNING, "")
            self.say(Level.INFO, "resumed", who)
            await self._resume()
        self._wake.set()

    async def skip(self, who: str) -> None:
        async with self._lock:
            self._require(ChannelState.RUNNING)
            self.say(Level.INFO, "skipped the present step", who)
            await self._skip(f"skipped by {who}")
        self._wake.set()

    async def stop(self, who: str) -> None:
        """End the run; returns when the instrument confirmed that the circuit is open."""
        async with self._lock:
            if self.run is None:
                raise ChannelError(f"nothing runs on channel {self.name}")
            if self.state is ChannelState.TRIPPED:
                raise ChannelError(f"channel {self.name} is tripped; clear the trip first")
            before, self.state = self.state, ChannelState.STOPPING
            try:
                await self._stop(f"stopped by {who}")
            except InstrumentError as error:
                self.state = before
                self.say(Level.ALARM, f"cannot stop: {error}", who)
                raise ChannelError(f"channel {self.name} could not be stopped: {error}") from error
            self.say(Level.INFO, "stopped: the circuit is open", who)
            await self._end(RunState.STOPPED, f"stopped by {who}")

    async def confirm(self, who: str, answer: str = "") -> None:
        """Go on after the question that the present step asks; the answer is kept with the run."""
        async with self._lock:
            self._require(ChannelState.RUNNING)
            if (question := self._question) is None:
                raise ChannelError(f"channel {self.name} asks nothing now")
            answer = answer.strip()
            self.say(Level.INFO, f"confirmed '{question}'" + (f": {answer}" if answer else ""), who)
            await self._confirm(answer)
        self._wake.set()

    async def clear_trip(self, who: str) -> None:
        """A person looked into it: the run stays paused until it is resumed or stopped."""
        async with self._lock:
            self._require(ChannelState.TRIPPED)
            if not self._open_circuit_confirmed:
                raise ChannelError(f"channel {self.name}: the instrument has not confirmed the open circuit yet")
            self.say(Level.WARNING, f"trip cleared: {self.reason}", who)
            if self.run is None:
                self.state, self.reason = ChannelState.IDLE, ""
            else:
                await self._cleared(who)

    # --- for the station

    def require_idle(self) -> None:
        if self.state is not ChannelState.IDLE:
            why = f" ({self.reason})" if self.reason else ""
            raise ChannelError(f"channel {self.name} is {self.state}{why}, not idle")

    async def rescue(self, reason: str) -> None:
        """The loop died of a mistake of ours: open the circuit until the instrument confirms it."""
        await self._trip(reason)
        while not self._open_circuit_confirmed:
            await asyncio.sleep(1.0)
            await self._make_safe()

    def check(self, run: Run) -> None:
        """Raise `DocumentError` or `ChannelError` where these instruments cannot carry out the run."""
        limits, abilities = self.limits_for(run), self._abilities
        if said := limits.contradiction():
            raise ChannelError(f"channel {self.name}: {said}")
        if limits.limits.watches_pressure() and not abilities.has_pressure:
            raise ChannelError(f"channel {self.name} has no pressure sensor, and a limit of pressure is set")
        if limits.limits.watches_temperature() and not abilities.has_temperature:
            raise ChannelError(f"channel {self.name} has no thermometer, and a limit of temperature is set")
        if problems := (*check_channel(run.program, abilities), *beyond_limits(run.program, limits.limits)):
            raise DocumentError(problems)

    @abc.abstractmethod
    async def loop(self) -> None:
        """Sample and follow, for ever."""

    @abc.abstractmethod
    async def shut_down(self) -> None:
        """An orderly end of the station: nothing is left driven by a station that is not there."""

    def view(self) -> ChannelView:
        """The channel as it is now."""
        run, latest = self.run, self.latest
        pressed = latest or (self.sensor.newest if self.sensor else None)
        frame, thermometer = self.environment.pressure, self.environment.temperature
        temperature_degC = latest.temperature_degC if latest else thermometer.newest if thermometer else None
        progress = self._progress() if run else None
        mass = run.cell.active_mass if run else None
        return ChannelView(
            name=self.name,
            state=self.state,
            reason=self._reason_for_people(),
            cell=run.cell.cell if run else None,
            protocol=run.protocol_name if run else None,
            run_id=run.run_id if run else None,
            step_name=progress.step_name if progress else None,
            cycle=progress.cycle if progress else None,
            cycles_planned=run.program.cycles_planned if run else None,
            time=latest.time if latest else None,
            test_time_s=progress.test_time_s if progress else None,
            step_time_s=progress.step_time_s if progress else None,
            voltage_V=latest.voltage_V if latest else None,
            current_A=latest.current_A if latest else None,
            step_capacity_Ah=progress.step_capacity_Ah if progress else None,
            specific_capacity_mAh_g=progress.step_capacity_Ah * 1e3 / mass if progress and mass else None,
            resistance_ohm=pressed.resistance_ohm if pressed else None,
            pressure_Pa=pressed.pressure_Pa if pressed else frame.newest if frame else None,
            pressure_U_Pa=pressed.pressure_U_Pa if pressed else None,
            temperature_degC=temperature_degC,
            question=self._question if self.state is ChannelState.RUNNING else None,
            instruments=tuple(dict.fromkeys((*self._instruments, *self.environment.instruments))),
        )

    def restore(self, run: Run, checkpoint: str | None) -> None:
        """Take up a run that was on when the station died; the loop goes on with it."""
        self._take(run)
        kept = json.loads(checkpoint) if checkpoint else {}
        if trip := kept.get("trip"):
            self.state, self.reason = ChannelState.TRIPPED, trip
            self._open_circuit_confirmed = False
        self._restore(run, json.dumps(kept["state"]) if kept.get("state") is not None else None)
        self.say(Level.WARNING, "the station was restarted; the run goes on where it was")

    def say(self, level: Level, text: str, who: str = "station") -> None:
        run_id = self.run.run_id if self.run else None
        self.around.journal.say(level, text, channel=self.name, run_id=run_id, who=who)

    # --- for subclasses

    @abc.abstractmethod
    def _progress(self) -> Progress | None:
        """Where the run stands; None before its first step."""

    @property
    @abc.abstractmethod
    def _instruments(self) -> tuple[str, ...]:
        """The names of those that drive or measure the cell itself."""

    @property
    def _measures_impedance(self) -> bool:
        return False

    @property
    def _question(self) -> str | None:
        """What the present step asks the operator."""
        return None

    async def _confirm(self, answer: str) -> None:
        """Go on after the present step's question."""
        raise NotImplementedError

    @property
    def _abilities(self) -> Abilities:
        """What stands at the channel; the ranges are the instruments' own to say."""
        environment = self.environment
        return Abilities(
            has_impedance=self._measures_impedance,
            has_pressure=self.sensor is not None or environment.pressure is not None,
            has_temperature=environment.temperature is not None,
            has_chamber=environment.chamber is not None,
            has_frame=environment.frame is not None,
        )

    @abc.abstractmethod
    async def _cleared(self, who: str) -> None:
        """What becomes of the run after its trip was cleared."""

    @abc.abstractmethod
    async def check_ranges(self, run: Run) -> None:
        """Ask the instruments whether each step is within their range; raises as `check`."""

    @abc.abstractmethod
    async def _start(self, run: Run) -> None: ...

    @abc.abstractmethod
    async def _pause(self) -> None: ...

    @abc.abstractmethod
    async def _resume(self) -> None: ...

    @abc.abstractmethod
    async def _skip(self, reason: str) -> None: ...

    @abc.abstractmethod
    async def _stop(self, reason: str) -> None: ...

    @abc.abstractmethod
    async def _open_circuit(self) -> None:
        """Open the circuit; returns when the instrument confirmed it, raises `InstrumentError` otherwise."""

    @abc.abstractmethod
    def _restore(self, run: Run, state: str | None) -> None: ...

    @abc.abstractmethod
    def _halt(self) -> None:
        """A trip: the run stands still, whatever it was doing."""

    @abc.abstractmethod
    def _state_json(self) -> str | None:
        """The state to go on from, as JSON."""

    def _reason_for_people(self) -> str:
        if self.state is ChannelState.TRIPPED and not self._open_circuit_confirmed:
            return f"{self.reason}; the circuit is NOT confirmed open yet"
        return self.reason

    def _take(self, run: Run) -> None:
        self.run = run
        self.state, self.reason = ChannelState.RUNNING, ""
        self.limits = self.limits_for(run)

    def limits_for(self, run: Run) -> LimitsInForce:
        """The intersection of station, channel, cell and protocol."""
        of_cell = self._own_limits.narrowed_by(run.cell.limits.limits(), f"cell {run.cell.cell}")
        return of_cell.narrowed_by(run.program.limits, f"protocol '{run.protocol_name}'")

    def _check(self, sample: Sample) -> Trip | None:
        """Safety's word on a sample: a limit met, or a watched sensor lost."""
        return self.limits.check(sample) or self._check_sensor()

    def _check_open(self) -> Trip | None:
        """Safety's word while the circuit is open: only the sensors speak."""
        pressed, environment = self.sensor.newest if self.sensor else None, self.environment
        pressure_Pa = environment.pressure.newest if environment.pressure else pressed.pressure_Pa if pressed else None
        temperature_degC = environment.temperature.newest if environment.temperature else None
        return self.limits.check_surroundings(pressure_Pa, temperature_degC) or self._check_sensor()

    def _check_sensor(self) -> Trip | None:
        """A sensor that a limit depends on, and that has fallen silent."""
        limits, pressure = self.limits.limits, self.sensor or self.environment.pressure
        if limits.watches_pressure() and pressure is not None and (why := pressure.lost):
            return Trip(why)
        temperature = self.environment.temperature
        if limits.watches_temperature() and temperature is not None and (why := temperature.lost):
            return Trip(why)
        return None

    def _surrounded(self, sample: Sample) -> Sample:
        """The sample with what sensor, thermometer and frame said last before it."""
        return self.environment.onto(self.sensor.onto(sample) if self.sensor else sample)

    async def _trip(self, reason: str) -> None:
        """Open the circuit first, then say why; latched until a person clears it."""
        if self.state is ChannelState.TRIPPED:
            return
        self.state, self.reason = ChannelState.TRIPPED, reason
        self._open_circuit_confirmed = False
        await self._make_safe()
        self._halt()
        self.say(Level.ALARM, f"TRIPPED: {reason}")
        if self.run is not None:
            self.store(state=RunState.TRIPPED, reason=reason)
            await self._committed(LONGEST_COMMIT_WAIT_S)  # so that a crash does not unlatch it

    async def _make_safe(self) -> None:
        """Try to open the circuit; the loop tries again until the instrument confirms it."""
        try:
            await self._open_circuit()
            if self._said_unsafe:
                self.say(Level.WARNING, "the circuit is open now")
            self._open_circuit_confirmed, self._said_unsafe = True, False
        except InstrumentError as error:
            if not self._said_unsafe:
                self.say(Level.ALARM, f"the circuit could not be opened, trying again: {error}")
            self._said_unsafe = True

    async def _end(self, state: RunState, reason: str) -> None:
        if self.run is not None:
            self.store(state=state, reason=reason, ended=self.around.clock.now())
            await self._committed(5.0)
        self.run = None
        self.state, self.reason = ChannelState.IDLE, reason
        self.limits = self._own_limits

    def store(
        self,
        readings: tuple[Reading, ...] = (),
        steps: tuple[StepSummary, ...] = (),
        spectra: tuple[Spectrum, ...] = (),
        markers: tuple[MarkerEvent, ...] = (),
        state: RunState | None = None,
        reason: str = "",
        ended: float | None = None,
    ) -> None:
        """Hand readings, markers and the state that follows from them to the store: one transaction."""
        assert self.run is not None
        run_id = self.run.run_id
        events = tuple(Event(one.time, Level.MARKER, in_words(one), self.name, run_id) for one in markers)
        trip = self.reason if self.state is ChannelState.TRIPPED else None
        inner = self._state_json()
        checkpoint = f'{{"trip": {json.dumps(trip)}, "state": {inner if inner is not None else "null"}}}'
        self.around.writer.submit(
            Batch(run_id, readings, steps, spectra, events, checkpoint, state, reason, ended, markers)
        )

    async def _committed(self, timeout_s: float) -> bool:
        """Wait until the store has what it was handed; a store in trouble stops nobody."""
        if self.around.writer.trouble is not None:
            return False
        return await asyncio.to_thread(self.around.writer.flush, timeout_s)

    async def _wait(self, seconds: float) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, seconds))
        except TimeoutError:
            pass

    def _set(self, state: ChannelState, run_state: RunState, reason: str) -> None:
        self.state, self.reason = state, reason
        self.store(state=run_state, reason=reason)

    def _require(self, state: ChannelState) -> None:
        if self.state is not state:
            why = f" ({self.reason})" if self.reason else ""
            raise ChannelError(f"channel {self.name} is {self.state}{why}, not {state}")


def in_words(marker: MarkerEvent) -> str:
    """A marker as the event log has it."""
    charge = "" if marker.state_of_charge is None else f", {100 * marker.state_of_charge:.1f} % state of charge"
    return f"{marker.name} (step {marker.step_name}, cycle {marker.cycle}{charge})"
