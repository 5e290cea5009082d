"""A channel whose source the station sequences itself, sample by sample."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace

from drivers import interface
from drivers.interface import ImpedanceSource, InstrumentError, OutOfRange, Protection, Source, Sweep
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import Kind, Program, Quantity, SweepPlan
from protocols.program import Step as ProgramStep
from station import sequencer
from station.channel import MIN_PERIOD_S, Channel, ChannelError, Progress, Surroundings, beyond_limits
from station.readings import ChannelState, Level, RunState, Spectrum
from station.run import Run
from station.sensors import Sensor
from station.sequencer import (
    Command,
    Finish,
    HoldCurrent,
    HoldVoltage,
    MeasureImpedance,
    OpenCircuit,
    Outcome,
    Phase,
    Rest,
    Sample,
    State,
)
from station.workers import Patience, Worker

LONGEST_RESTART_COMMIT_S = 2.0
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
    ) -> None:
        super().__init__(name, around, limits, sensor)
        self._source = source
        self._impedance = impedance
        self._program: Program | None = None
        self._state: State | None = None
        self._patience = Patience(around.lost_after_s)
        self._sweeping: asyncio.Task[None] | None = None
        self._on_by_hand = False
        self._tripped_by: Sample | None = None  # stored once the circuit is open
        self._first: Sample | None = None  # taken with the last set point, not yet looked at
        self._connected = False  # the source is on, and measures the cell
        self._measuring = False  # this very channel has the impedance instrument and measures
        self._maybe_polarised = False  # by the impedance instrument
        self._must_restore = False
        self._at_once = False

    # --- before a run

    def check(self, run: Run) -> None:
        limits = self.limits_for(run)
        if said := limits.contradiction():
            raise ChannelError(f"channel {self.name}: {said}")
        needed = ("voltage_min_V", "voltage_max_V", "current_max_A")
        unbounded = [name for name in needed if not math.isfinite(getattr(limits.limits, name))]
        if unbounded:
            raise ChannelError(
                f"channel {self.name}: a source needs limits of voltage and current to be set in the instrument; "
                f"give them in station.toml, in the cell or in the protocol (missing: {', '.join(unbounded)})"
            )
        if limits.limits.watches_pressure() and self.sensor is None:
            raise ChannelError(f"channel {self.name} has no pressure sensor, and a limit of pressure is set")
        if limits.limits.watches_temperature():
            raise ChannelError(f"channel {self.name} has no thermometer, and a limit of temperature is set")
        problems = [p for step in run.program.steps() if (p := self._problem(run.program, step))]
        problems += beyond_limits(run, limits.limits)
        if problems:
            raise DocumentError(problems)

    def _problem(self, program: Program, step: ProgramStep) -> Problem | None:
        if step.kind is Kind.IMPEDANCE and self._impedance is None:
            return Problem(program.file, step.line, 1, f"channel {self.name} has no impedance instrument")
        if any(end.quantity is Quantity.PRESSURE for end in step.ends) and self.sensor is None:
            return Problem(program.file, step.line, 1, f"channel {self.name} has no pressure sensor for this end")
        return None

    async def check_ranges(self, run: Run) -> None:
        """Ask the instruments themselves whether each step is within their range; nothing is sent to them."""
        limits = self.limits_for(run).limits
        protection = _protection(limits)
        for step in run.program.steps():
            try:
                if step.sweep is not None and self._impedance is not None:
                    sweep = _sweep(step.sweep, protection)
                    await self._impedance.call(lambda i, s=sweep: i.check_sweep(s))  # type: ignore[misc]
                elif step.kind is Kind.HOLD:
                    setpoint = interface.Voltage(step.voltage_V or 0.0)
                    await self._source.call(lambda i, s=setpoint: i.check(s, protection))  # type: ignore[misc]
                elif step.current_A is not None:
                    setpoint_A = interface.Current(step.current_A)
                    await self._source.call(lambda i, s=setpoint_A: i.check(s, protection))  # type: ignore[misc]
            except OutOfRange as error:
                raise DocumentError([Problem(run.program.file, step.line, 1, str(error))]) from None
            except InstrumentError as error:
                raise ChannelError(f"channel {self.name}: {error}") from error

    # --- commands

    async def _start(self, run: Run) -> None:
        self._program = run.program
        await self._follow(sequencer.begin(run.program, run.started))

    async def _pause(self) -> None:
        await self._cancel_sweep()
        await self._follow(self._do(sequencer.pause))

    async def _resume(self) -> None:
        await self._follow(self._do(sequencer.resume))

    async def _skip(self, reason: str) -> None:
        await self._cancel_sweep()
        assert self._program is not None and self._state is not None
        await self._follow(sequencer.skip(self._program, self._state, self.around.clock.now(), reason))

    async def _stop(self, reason: str) -> None:
        await self._cancel_sweep()
        await self._open_circuit()
        assert self._program is not None and self._state is not None
        outcome = sequencer.stop(self._program, self._state, self.around.clock.now(), reason)
        self._keep(outcome)

    async def _open_circuit(self) -> None:
        """Of the source first; where a sweep is on, of the impedance instrument too."""
        self._connected = False
        await self._source.call(lambda source: source.off())
        await self._cancel_sweep()
        if self._maybe_polarised and self._impedance is not None and not self._impedance.lent.locked():
            await self._impedance.call(lambda instrument: instrument.make_safe())
        self._maybe_polarised = False

    def _halt(self) -> None:
        self._interrupt_sweep()
        tripped_by, self._tripped_by = self._tripped_by, None
        if self._program is not None and self._state is not None:
            if tripped_by is not None:
                self._keep(sequencer.record(self._program, self._state, tripped_by))
            self._keep(self._do(sequencer.pause))

    def _restore(self, run: Run, state: str | None) -> None:
        self._program = run.program
        self._state = sequencer.load(state) if state else sequencer.begin(run.program, run.started).state
        if self.state is not ChannelState.TRIPPED:
            self.state = ChannelState.PAUSED if self._state.phase is Phase.PAUSED else ChannelState.RUNNING
        self._must_restore = self.state is ChannelState.RUNNING
        self._maybe_polarised = sequencer.current_step(run.program, self._state).kind is Kind.IMPEDANCE

    def _state_json(self) -> str | None:
        return sequencer.dump(self._state) if self._state is not None else None

    async def shut_down(self) -> None:
        """Open the circuit and leave the run to be taken up by the next start of the station."""
        async with self._lock:
            await self._cancel_sweep()
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
                await self._wait(self._pause_until_next() - (time.monotonic() - began))
            else:
                await asyncio.sleep(0)
            self._at_once = False

    async def _tick(self) -> None:
        if self.state is ChannelState.TRIPPED and not self._open_circuit_confirmed:
            await self._make_safe()
        if self._sweeping is not None and self._sweeping.done() and not self._sweeping.cancelled():
            self._sweeping.result()  # raises what nobody foresaw
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

    async def _go_on(self) -> None:
        """The first look after a restart: before anything is changed."""
        assert self._program is not None and self._state is not None
        if self._state.phase is Phase.STOPPED:  # it died while it was being stopped
            await self._open_circuit()
            self._must_restore = False
            await self._end(RunState.STOPPED, "stopped")
            return
        if self._impedance is not None:  # it may have been left polarised in the middle of a sweep
            async with self._impedance.lent:
                await self._impedance.call(lambda instrument: instrument.make_safe())
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

    async def _sampled(self) -> Sample:
        first, self._first = self._first, None
        sample = first if first is not None else await self._source.call(self._read)
        self._heard()
        self.latest = self.sensor.onto(sample) if self.sensor else sample
        return self.latest

    def _read(self, source: Source) -> Sample:
        """In the source's thread: the time is that of the middle of the exchange."""
        before = self.around.clock.now()
        measured = source.measure()
        return Sample(0.5 * (before + self.around.clock.now()), measured.voltage_V, measured.current_A)

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

    def _pause_until_next(self) -> float:
        """Seconds on the wall's clock until the next sample: sooner where an end is near."""
        clock = self.around.clock
        period = max(self.around.poll_s / clock.speed, MIN_PERIOD_S if clock.speed > 1 else 0.0)
        if self.state is not ChannelState.RUNNING or self._program is None or self._state is None:
            return max(period, 0.05)
        due = (sequencer.next_due(self._program, self._state) - clock.now()) / clock.speed
        if clock.speed > 1:
            due = max(due, MIN_PERIOD_S)
        return max(0.0, min(period, due, self._nearing() / clock.speed))

    def _nearing(self) -> float:
        """Half the time, by the present slope, until a voltage ends the step; infinite where none does."""
        assert self._program is not None and self._state is not None
        mark, latest = self._state.recorded, self._state.previous
        if mark is None or latest is None or latest.time <= mark.time:
            return math.inf
        slope = (latest.voltage_V - mark.voltage_V) / (latest.time - mark.time)
        step = sequencer.current_step(self._program, self._state)
        ends = [end for end in step.ends if end.quantity is Quantity.VOLTAGE]
        ahead = [(end.value - latest.voltage_V) / slope for end in ends if slope and (slope > 0) is end.rising]
        return max(0.0, 0.5 * min(ahead)) if ahead else math.inf

    # --- carrying out

    def _do(self, happen: Callable[[Program, State, float], Outcome]) -> Outcome:
        assert self._program is not None and self._state is not None
        return happen(self._program, self._state, self.around.clock.now())

    def _keep(self, outcome: Outcome) -> None:
        self._state = outcome.state
        if outcome.readings or outcome.steps or outcome.spectra or outcome.commands:
            self.store(outcome.readings, outcome.steps, outcome.spectra)

    async def _follow(self, outcome: Outcome) -> None:
        """Hand it to the store, then act at once: the next start of the station tells by the current what was done."""
        self._keep(outcome)
        await self._carry_out_all(outcome)

    async def _carry_out_all(self, outcome: Outcome) -> None:
        if not outcome.commands:
            return
        for command in outcome.commands:
            self._first = await self._carry_out(command)
            if self.state is ChannelState.TRIPPED:
                return
        self._at_once = True

    async def _carry_out(self, command: Command) -> Sample | None:
        """The first sample under a new set point, taken with it: no charge flows unseen between the two."""
        protection = _protection(self.limits.limits)
        self._connected = not isinstance(command, OpenCircuit | MeasureImpedance | Finish)
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
                await self._insist(None, protection)
                self._sweeping = asyncio.create_task(self._sweep(plan))
            case Finish():
                self.say(Level.INFO, "finished: the circuit is open")
                await self._end(RunState.FINISHED, "finished")
        return None

    async def _insist(self, setpoint: interface.Setpoint | None, protection: Protection) -> Sample | None:
        """Set the source (None: off), and again where the link failed: the whole set point is stated each time."""

        def act(source: Source) -> Sample | None:
            if setpoint is None:
                source.off()
                return None
            source.apply(setpoint, protection)
            return self._read(source)

        patience = Patience(self.around.lost_after_s)
        while True:
            try:
                return await self._source.call(act)
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

    async def _sweep(self, plan: SweepPlan) -> None:
        """Measure a spectrum point by point, then tell the sequencer."""
        assert self._impedance is not None and self._program is not None and self._state is not None
        asked = self.around.clock.now()
        try:
            async with self._impedance.lent:
                waited = self.around.clock.now() - asked
                if waited > 60:
                    self.say(Level.INFO, f"waited {waited / 60:.0f} min for the impedance instrument")
                spectrum = await self._measured(plan)
        except InstrumentError as error:
            await self._sweep_failed(error)
            return
        async with self._lock:
            self._sweeping = None
            if self.state is ChannelState.RUNNING and self._state is not None:
                await self._follow(sequencer.swept(self._program, self._state, spectrum, self.around.clock.now()))
        self._wake.set()

    async def _sweep_failed(self, error: InstrumentError) -> None:
        if self._sweeping is not asyncio.current_task():  # it was broken off, and who did that has the lock
            self.say(Level.WARNING, f"while the sweep was broken off: {error}")
            return
        async with self._lock:
            await self._trip(f"impedance sweep failed: {error}")

    async def _measured(self, plan: SweepPlan) -> Spectrum:
        assert self._impedance is not None and self._state is not None
        began = self.around.clock.now()
        bias = plan.bias_V if plan.bias_V is not None else self.latest.voltage_V if self.latest else None
        sweep = _sweep(plan, _protection(self.limits.limits))
        points = await self._impedance.call(lambda instrument: instrument.sweep(sweep))
        measured: list[interface.ImpedancePoint] = []
        self._measuring = self._maybe_polarised = True
        try:
            while (point := await self._impedance.call(lambda _: next(points, None))) is not None:
                measured.append(point)
        finally:
            self._measuring = False
            await asyncio.shield(self._impedance.call(lambda _: points.close()))
        self._maybe_polarised = False
        return Spectrum(
            number=0,
            time=began,
            test_time_s=began - self._state.start_time,
            step=self._state.step,
            cycle=self._state.cycle,
            bias_V=bias,
            amplitude_rms_V=plan.amplitude_rms_V,
            frequency_Hz=tuple(point.frequency_Hz for point in measured),
            real_ohm=tuple(point.impedance_ohm.real for point in measured),
            imaginary_ohm=tuple(point.impedance_ohm.imag for point in measured),
        )

    def _interrupt_sweep(self) -> asyncio.Task[None] | None:
        """Break off a running sweep, even in the middle of a point of minutes."""
        if self._sweeping is asyncio.current_task():
            return None
        sweeping, self._sweeping = self._sweeping, None
        if sweeping is not None and not sweeping.done():
            sweeping.cancel()
            if self._impedance is not None and self._measuring and self._impedance.opened is not None:
                self._impedance.opened.interrupt()
        return sweeping

    async def _cancel_sweep(self) -> None:
        sweeping = self._interrupt_sweep()
        if sweeping is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping

    def _progress(self) -> Progress | None:
        program, state = self._program, self._state
        if program is None or state is None:
            return None
        now = self.latest.time if self.latest else state.step_start_time
        name = sequencer.current_step(program, state).name
        step_time_s = (state.paused_at or now) - state.step_start_time
        return Progress(name, state.cycle, now - state.start_time, step_time_s, state.step_capacity_Ah)

    @property
    def _instruments(self) -> tuple[str, ...]:
        return tuple(worker.name for worker in (self._source, self._impedance) if worker)

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


def _sweep(plan: SweepPlan, protection: Protection) -> Sweep:
    return Sweep(plan.frequencies_Hz, plan.amplitude_rms_V, plan.bias_V, protection)
