"""A channel whose source the station sequences itself, sample by sample."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from drivers import interface
from drivers.interface import ImpedanceSource, InstrumentError, NotSafe, OutOfRange, Protection, Source
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import (
    ChamberTemperature,
    ConstantCurrent,
    ConstantVoltage,
    CurrentProfile,
    Kind,
    Program,
    Quantity,
    Question,
    StackPressure,
    SweepPlan,
    VoltageRamp,
)
from protocols.program import Step as ProgramStep
from station import sequencer
from station.channel import MIN_PERIOD_S, Channel, ChannelError, Progress, Surroundings
from station.commands import (
    Ask,
    Command,
    Finish,
    HoldCurrent,
    HoldVoltage,
    MeasureImpedance,
    OpenCircuit,
    PulseTrigger,
    Rest,
    SetStackPressure,
    SetTemperature,
    Trip,
)
from station.environment import NOTHING, Environment
from station.handover import Handover
from station.preflight import wants_trigger
from station.readings import ChannelState, Level, RunState
from station.run import Run
from station.sensors import Sensor
from station.sequencer import Outcome, Phase, Sample, State
from station.setting import Setter
from station.sweeping import Sweeper, Swept
from station.workers import Patience, Worker

LONGEST_RESTART_COMMIT_S = 2.0
LEAD = 0.45
"""Of the shortest of the last measurements: begun so much early, the next one's middle is not before its time."""
HELD_SHARE = 0.95
CLAMP_MARGIN_V = 0.02
"""How far beyond a step's end of voltage the source itself may go: more than its error, less than harm."""


class HostChannel(Channel):
    """Polls a source, lets the sequencer decide, and carries out its commands."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        source: Worker[Source],
        impedance: Worker[ImpedanceSource] | None,
        environment: Environment = NOTHING,
        handover: Handover | None = None,
    ) -> None:
        super().__init__(name, around, limits, sensor, environment)
        self._source = source
        self._handover = handover
        self._sweeper = Sweeper(name, around, impedance, handover, self.say) if impedance else None
        self._program: Program | None = None
        self._state: State | None = None
        self._patience = Patience(around.lost_after_s)
        self._setter = Setter(environment, self.say, self._not_set)
        self._on_by_hand = False
        self._tripped_by: Sample | None = None  # stored once the circuit is open
        self._first: Sample | None = None  # taken with the last set point, not yet looked at
        self._connected = False  # the source is on, and measures the cell
        self._rest_V: float | None = None  # that the cell was seen at before a sweep
        self._must_restore = False
        self._at_once = False
        self._exchanges_s: deque[float] = deque(maxlen=5)  # how long the last measurements took

    # --- before a run

    def check(self, run: Run) -> None:
        limits = self.limits_for(run).limits
        needed = ("voltage_min_V", "voltage_max_V", "current_max_A")
        unbounded = [name for name in needed if not math.isfinite(getattr(limits, name))]
        if unbounded:
            raise ChannelError(
                f"channel {self.name}: a source needs limits of voltage and current to be set in the instrument; "
                f"give them in station.toml, in the cell or in the protocol (missing: {', '.join(unbounded)})"
            )
        super().check(run)

    async def check_ranges(self, run: Run) -> None:
        """Ask the instruments themselves whether each step is within their range; nothing is sent to them."""
        protection = _protection(self.limits_for(run).limits)
        if self._handover is not None:
            try:
                await self._handover.check()
            except InstrumentError as error:
                raise ChannelError(f"channel {self.name}: {error}") from error
        for step in run.program.steps():
            try:
                await self._check_range(step, protection)
            except OutOfRange as error:
                raise DocumentError([Problem(step.file, step.line, step.column, str(error))]) from None
            except InstrumentError as error:
                raise ChannelError(f"channel {self.name}: {error}") from error

    async def _check_range(self, step: ProgramStep, protection: Protection) -> None:
        environment = self.environment
        match step.setpoint:
            case SweepPlan() as plan if self._sweeper is not None:
                await self._sweeper.check(plan, protection)
            case ChamberTemperature(degC) if environment.chamber is not None:
                await environment.chamber.call(lambda chamber: chamber.check_temperature(degC))
            case StackPressure(pascals) if environment.frame is not None:
                await environment.frame.call(lambda frame: frame.check_pressure(pascals))
        for setpoint in _setpoints(step):
            await self._source.call(lambda source, s=setpoint: source.check(s, protection))  # type: ignore[misc]

    # --- commands

    async def _start(self, run: Run) -> None:
        self._program = self._within_limits(run)
        if wants_trigger(run.program) and self.environment.trigger is None:
            self.say(Level.WARNING, "markers of this protocol pulse a trigger line, and this channel has none")
        await self._follow(sequencer.begin(self._program, run.started))

    def _within_limits(self, run: Run) -> Program:
        """The program, asking for no more current than the limits in force allow."""
        most_A = min(run.program.current_max_A, self.limits_for(run).limits.current_max_A)
        return replace(run.program, current_max_A=most_A)

    async def _pause(self) -> None:
        await self._cancel_sweep()
        await self._setter.cancel()
        await self._follow(self._do(sequencer.pause))

    async def _resume(self) -> None:
        await self._follow(self._do(sequencer.resume))

    async def _confirm(self, answer: str) -> None:
        assert self._program is not None and self._state is not None
        await self._follow(sequencer.confirm(self._program, self._state, self.around.clock.now(), answer))

    async def _skip(self, reason: str) -> None:
        await self._cancel_sweep()
        await self._setter.cancel()
        assert self._program is not None and self._state is not None
        await self._follow(sequencer.skip(self._program, self._state, self.around.clock.now(), reason))

    async def _stop(self, reason: str) -> None:
        await self._cancel_sweep()
        await self._setter.cancel()
        await self._open_circuit()
        assert self._program is not None and self._state is not None
        outcome = sequencer.stop(self._program, self._state, self.around.clock.now(), reason)
        self._keep(outcome)

    async def _open_circuit(self) -> None:
        """Of the source first; where a sweep is on, of the impedance instrument too.

        A switch opens the circuit of a source that does not answer, too; that stays unconfirmed all the same.
        """
        self._connected = False
        try:
            await self._source.call(lambda source: source.off())
        finally:
            if self._sweeper is not None:
                await self._sweeper.leave()

    def _halt(self) -> None:
        if self._sweeper is not None:
            self._sweeper.interrupt()
        self._setter.interrupt()
        tripped_by, self._tripped_by = self._tripped_by, None
        if self._program is not None and self._state is not None:
            if tripped_by is not None:
                self._keep(sequencer.record(self._program, self._state, tripped_by))
            self._keep(self._do(sequencer.pause))

    def _restore(self, run: Run, state: str | None) -> None:
        self._program = self._within_limits(run)
        self._state = sequencer.load(state) if state else sequencer.begin(run.program, run.started).state
        if self.state is not ChannelState.TRIPPED:
            self.state = ChannelState.PAUSED if self._state.phase is Phase.PAUSED else ChannelState.RUNNING
        self._must_restore = self.state is ChannelState.RUNNING
        if self._sweeper is not None and self.state is not ChannelState.PAUSED:
            self._sweeper.left_polarised()  # maybe, in whatever step: what is kept may be a second old

    def _state_json(self) -> str | None:
        return sequencer.dump(self._state) if self._state is not None else None

    async def shut_down(self) -> None:
        """Open the circuit and leave the run to be taken up by the next start of the station."""
        async with self._lock:
            await self._cancel_sweep()
            await self._setter.cancel()
            if self.run is not None and self.state is ChannelState.RUNNING:
                self.say(Level.WARNING, "shut down: the circuit is opened; the run goes on at the next start")
            with contextlib.suppress(InstrumentError):
                await self._tick_quietly()
            await self._make_safe()

    async def _tick_quietly(self) -> None:
        """One last sample before the circuit is opened."""
        if self._connected and self.state is ChannelState.RUNNING:
            assert self._program is not None and self._state is not None
            sample = await self._sampled()
            self._keep(replace(sequencer.advance(self._program, self._state, sample), commands=()))

    # --- the loop

    async def loop(self) -> None:
        while True:
            began = time.monotonic()
            try:
                async with self._lock:
                    await self._tick()
            except InstrumentError as error:
                await self._in_trouble(error)
            if not self._at_once:
                await self._wait(self._pause_until_next(time.monotonic() - began))
            else:
                await asyncio.sleep(0)
            self._at_once = False

    async def _tick(self) -> None:
        if self.state is ChannelState.TRIPPED and not self._open_circuit_confirmed:
            await self._make_safe()
        if self._sweeper is not None:
            self._sweeper.raise_unforeseen()
        self._setter.raise_unforeseen()
        if self._must_restore:
            await self._go_on()
        elif self._connected:
            await self._look()
        else:
            await self._look_from_outside()

    async def _look(self) -> None:
        """Sample the cell and follow; the source is connected to it."""
        assert self._program is not None and self._state is not None
        sample = await self._sampled()
        if trip := self._check(sample):
            self._tripped_by = sample
            await self._trip(trip.reason)
        else:
            await self._follow(sequencer.advance(self._program, self._state, sample))

    async def _look_from_outside(self) -> None:
        """The circuit is open: make sure that it still is, without closing it, and heed the sensors."""
        self.latest = None
        is_on = await self._source.call(lambda source: source.output_is_on())
        self._heard()
        if self.run is None:
            if is_on and not self._on_by_hand:
                self.say(Level.WARNING, "the source's output is on though nothing runs here; it is left as it is")
            self._on_by_hand = is_on
        elif is_on and self.state is not ChannelState.TRIPPED:
            await self._trip("the source's output is on, and not by this station")
        elif trip := self._check_open():
            await self._trip(trip.reason)
        elif self._sweeper is not None and self._sweeper.has_cell and self.state is ChannelState.RUNNING:
            self._watch()

    def _watch(self) -> None:
        """Nobody but the impedance instrument measures the cell now: record what is around it."""
        assert self._program is not None and self._state is not None
        around = self._surrounded(Sample(self.around.clock.now(), math.nan, math.nan))
        if around.has_surroundings:
            self._keep(sequencer.watched(self._program, self._state, around))

    async def _go_on(self) -> None:
        """The first look after a restart: before anything is changed."""
        assert self._program is not None and self._state is not None
        if self._state.phase is Phase.STOPPED:  # it died while it was being stopped
            await self._open_circuit()
            self._must_restore = False
            await self._end(RunState.STOPPED, "stopped")
            return
        if self._sweeper is not None:
            await self._sweeper.make_safe()
        await self._find_cell()
        if self._sweeper is not None:
            self._sweeper.settled()
        is_on = await self._source.call(lambda source: source.output_is_on())
        sample = await self._sampled()
        self._must_restore = False
        if trip := self._check(sample):
            await self._trip(trip.reason)
            return
        last = self._state.previous.time if self._state.previous else self._state.step_start_time
        before_A = sequencer.before_gap_A(self._program, self._state, sample)
        how = _bridge_in_words(before_A, sample.current_A) if is_on else "the source was off"
        self.say(Level.WARNING, f"taken up after a gap of {sample.time - last:.1f} s; {how}")
        outcome = sequencer.restore(self._program, self._state, sample, is_on)
        self._keep(outcome)
        await self._committed(LONGEST_RESTART_COMMIT_S)  # or after a second crash nobody knows what this one saw
        await self._carry_out_all(outcome)

    async def _find_cell(self) -> None:
        """After a restart: have the cell at its source, which is off while it is brought there."""
        if self._handover is not None and not await self._handover.find():
            await self._source.call(lambda source: source.off())
            await self._handover.to_source()

    async def _sampled(self) -> Sample:
        first, self._first = self._first, None
        sample = first if first is not None else await self._source.call(self._read)
        self._heard()
        self.latest = self._surrounded(sample)
        return self.latest

    def _read(self, source: Source) -> Sample:
        """In the source's thread: the time is that of the middle of the exchange."""
        before = self.around.clock.now()
        measured = source.measure()
        after = self.around.clock.now()
        self._exchanges_s.append(after - before)
        return Sample(0.5 * (before + after), measured.voltage_V, measured.current_A)

    def _heard(self) -> None:
        if self._patience.failing:
            self.say(Level.INFO, "the source answers again")
        if self.state is ChannelState.OFFLINE:
            self.state, self.reason = ChannelState.IDLE, ""
        self._patience.good()

    async def _in_trouble(self, error: InstrumentError) -> None:
        if self._patience.bad():
            self.say(Level.WARNING, str(error))
        if self.run is None:
            if self._patience.lost and self.state is ChannelState.IDLE:
                self.state, self.reason = ChannelState.OFFLINE, str(error)
        elif self._patience.lost and self.state is not ChannelState.TRIPPED:
            async with self._lock:
                await self._trip(f"no sample for {self._patience.since_s:.0f} s: {error}")

    def _pause_until_next(self, since_s: float) -> float:
        """Seconds on the wall's clock until the next sample; the last one was begun `since_s` ago.

        It comes sooner where an end is near, and so that its middle, which is its time, is when the sequencer wants it.
        """
        clock = self.around.clock
        shortest = MIN_PERIOD_S if clock.speed > 1 else 0.0
        period = max(self.around.poll_s / clock.speed, shortest)
        if not self._connected or self._program is None or self._state is None:
            return max(period, 0.05) - since_s
        begin = sequencer.next_due(self._program, self._state) - LEAD * min(self._exchanges_s, default=0.0)
        due = max((begin - clock.now()) / clock.speed, shortest - since_s)
        return max(0.0, min(period - since_s, due, self._nearing() / clock.speed))

    def _nearing(self) -> float:
        """Half the time, by the present slope, until a voltage ends the step; infinite where none does."""
        assert self._program is not None and self._state is not None
        mark, latest = self._state.recorded, self._state.previous
        if mark is None or mark.voltage_V is None or latest is None or latest.time <= mark.time:
            return math.inf
        slope = (latest.voltage_V - mark.voltage_V) / (latest.time - mark.time)
        step = sequencer.current_step(self._program, self._state)
        aims = [
            one.value
            for end in step.ends
            for one in end.conditions
            if one.quantity is Quantity.VOLTAGE and one.rising is (slope > 0)
        ]
        if step.hold_V is not None and not self._state.holding and (step.kind is Kind.CHARGE) is (slope > 0):
            aims.append(step.hold_V)
        ahead = [(aim_V - latest.voltage_V) / slope for aim_V in aims if slope]
        return max(0.0, 0.5 * min(ahead)) if ahead else math.inf

    # --- carrying out

    def _do(self, happen: Callable[[Program, State, float], Outcome]) -> Outcome:
        assert self._program is not None and self._state is not None
        return happen(self._program, self._state, self.around.clock.now())

    def _keep(self, outcome: Outcome) -> None:
        self._state = outcome.state
        if outcome.readings or outcome.steps or outcome.spectra or outcome.markers or outcome.commands:
            self.store(outcome.readings, outcome.steps, outcome.spectra, outcome.markers)

    async def _follow(self, outcome: Outcome) -> None:
        """Hand it to the store, then act at once: the next start of the station tells by the current what was done."""
        self._keep(outcome)
        await self._carry_out_all(outcome)

    async def _carry_out_all(self, outcome: Outcome) -> None:
        if any(not isinstance(command, PulseTrigger) for command in outcome.commands):
            self._setter.give_up()
        for command in outcome.commands:
            if isinstance(command, PulseTrigger | SetTemperature | SetStackPressure | Ask):
                self._setter.carry_out(command)
                continue
            self._first = await self._carry_out(command)
            self._at_once = True
            if self.state is ChannelState.TRIPPED:
                return

    async def _not_set(self, why: str) -> None:
        async with self._lock:
            if self.state is ChannelState.RUNNING:
                await self._trip(why)

    async def _carry_out(self, command: Command) -> Sample | None:
        """The first sample under a new set point, taken with it: no charge flows unseen between the two."""
        protection = _protection(self.limits.limits)
        self._connected = isinstance(command, Rest | HoldCurrent | HoldVoltage)
        match command:
            case OpenCircuit():
                await self._insist(None, protection)
            case Rest():
                return await self._insist(interface.Current(0.0), protection)
            case HoldCurrent(current, until_V):
                clamped = _clamped(protection, current, until_V)
                return await self._insist(interface.Current(current), clamped)
            case HoldVoltage(voltage, limit):
                most_A = HELD_SHARE * protection.current_max_A  # at the limit itself it would trip
                narrowed = replace(protection, current_max_A=min(most_A, limit or math.inf))
                return await self._insist(interface.Voltage(voltage), narrowed)
            case MeasureImpedance(plan):
                return await self._queue(plan, protection)
            case Trip(reason):
                await self._trip(reason)
            case Finish():
                self.say(Level.INFO, "finished: the circuit is open")
                await self._end(RunState.FINISHED, "finished")
        return None

    async def _insist(self, setpoint: interface.Setpoint | None, protection: Protection) -> Sample | None:
        """Set the source (None: off), and again where the link failed: the whole set point is stated each time."""

        patience = Patience(self.around.lost_after_s)
        while True:
            try:
                return await self._driven(setpoint, protection)
            except OutOfRange as error:
                await self._trip(str(error))
                return None
            except InstrumentError as error:
                if patience.bad():
                    self.say(Level.WARNING, f"setting the source failed, trying again: {error}")
                if patience.lost:
                    await self._trip(f"the source could not be set: {error}")
                    return None
                await asyncio.sleep(0.1)

    async def _driven(self, setpoint: interface.Setpoint | None, protection: Protection) -> Sample | None:
        """Once: the source off and the cell's routes open, or the cell at the source and the source on."""

        def act(source: Source) -> Sample:
            assert setpoint is not None
            source.apply(setpoint, protection)
            return self._read(source)

        handover = self._handover
        if setpoint is None or (handover is not None and not handover.at_source):
            await self._source.call(lambda source: source.off())  # relays do not switch currents
        if handover is not None:
            await (handover.open() if setpoint is None else handover.to_source())
        return await self._source.call(act) if setpoint is not None else None

    async def _queue(self, plan: SweepPlan, protection: Protection) -> Sample | None:
        """Open the circuit for a sweep; where that must be waited for, the cell rests at its source until its turn."""
        assert self._sweeper is not None
        self._connected = self._sweeper.must_wait
        self._rest_V = self.latest.voltage_V if self.latest else None
        sample = await self._insist(interface.Current(0.0) if self._connected else None, protection)
        if self.state is ChannelState.RUNNING:
            self._sweeper.begin(plan, protection, self._make_way, self._swept, self._sweep_failed)
        return sample

    async def _make_way(self) -> float | None:
        async with self._lock:
            if self._connected:
                self._rest_V = self.latest.voltage_V if self.latest else self._rest_V
                await self._insist(None, _protection(self.limits.limits))
                self._connected = False
            if self.state is not ChannelState.RUNNING:
                raise NotSafe("the channel does not run any more")
            return self._rest_V

    async def _swept(self, swept: Swept) -> None:
        async with self._lock:
            if self.state is ChannelState.RUNNING and self._program is not None and self._state is not None:
                state, now = self._state, self.around.clock.now()
                spectrum = swept.spectrum(state.start_time, state.step, state.cycle)
                await self._follow(sequencer.swept(self._program, state, spectrum, now, swept.waited_s))
        self._wake.set()

    async def _sweep_failed(self, error: InstrumentError) -> None:
        async with self._lock:
            await self._trip(f"impedance sweep failed: {error}")

    async def _cancel_sweep(self) -> None:
        if self._sweeper is not None:
            await self._sweeper.cancel()

    def _progress(self) -> Progress | None:
        program, state = self._program, self._state
        if program is None or state is None:
            return None
        now = self.latest.time if self.latest else state.step_start_time
        name = sequencer.current_step(program, state).name
        step_time_s = (state.paused_at or now) - state.step_start_time
        return Progress(name, state.cycle, now - state.start_time, step_time_s, state.step_capacity_Ah)

    @property
    def _question(self) -> str | None:
        if self._program is None or self._state is None or self._state.phase is not Phase.RUNNING:
            return None
        setpoint = sequencer.current_step(self._program, self._state).setpoint
        return setpoint.text if isinstance(setpoint, Question) else None

    @property
    def _measures_impedance(self) -> bool:
        return self._sweeper is not None

    @property
    def _instruments(self) -> tuple[str, ...]:
        return tuple(one.name for one in (self._source, self._sweeper, self._handover) if one)

    async def _cleared(self, who: str) -> None:
        self._set(ChannelState.PAUSED, RunState.PAUSED, f"trip cleared by {who}")


def _bridge_in_words(before_A: float, now_A: float) -> str:
    text = "the source had stayed on; the charge of the gap is bridged"
    if abs(now_A - before_A) <= 0.1 * abs(before_A):
        return text
    return f"{text}, as an estimate: its current was {before_A * 1e3:.4g} mA before and is {now_A * 1e3:.4g} mA now"


def _protection(limits: Limits) -> Protection:
    return Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A)


def _clamped(protection: Protection, current_A: float, until_V: float | None) -> Protection:
    """The protection narrowed to just beyond the step's own end: where a source is left without a station, it stops."""
    if until_V is None:
        return protection
    if current_A > 0:
        return replace(protection, voltage_max_V=min(protection.voltage_max_V, until_V + CLAMP_MARGIN_V))
    return replace(protection, voltage_min_V=max(protection.voltage_min_V, until_V - CLAMP_MARGIN_V))


def _setpoints(step: ProgramStep) -> Iterator[interface.Setpoint]:
    """That the step asks the source for, as far as they are known beforehand."""
    match step.setpoint:
        case ConstantCurrent(current_A):
            yield interface.Current(current_A)
        case CurrentProfile(_, currents_A):
            yield from map(interface.Current, {min(currents_A), max(currents_A)})
        case ConstantVoltage(voltage_V, above_rest=False):
            yield interface.Voltage(voltage_V)
        case VoltageRamp(start_V, end_V):
            yield from (interface.Voltage(volts) for volts in (start_V, end_V) if volts is not None)
    if step.hold_V is not None:
        yield interface.Voltage(step.hold_V)
