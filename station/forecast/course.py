"""The course of a run in virtual time: the station's own sequencer and limits, on a simulated cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import Program, SweepPlan
from station import sequencer
from station.commands import Ask, Finish, MeasureImpedance, Rest, Trip
from station.forecast.kept import Kept
from station.forecast.nearing import FIRST_S, SHORTEST_S, Nearing
from station.forecast.results import Ending, LimitMet, Moment, QuestionForecast
from station.forecast.rig import Rig, Unbearable, VirtualCell
from station.readings import Spectrum
from station.safety import LimitsInForce
from station.sequencer import Outcome, Sample, State

LONGEST_PERIOD_S = 30.0
SETTING_S = 0.01
"""A source takes some milliseconds for a new set point, and so no two samples have the same time."""

HELD_SHARE = 0.95  # of the limit of current, for a hold that says none: at the limit itself it would trip
MOST_S = 3 * 365.25 * 86400.0
MOST_STEPS_AT_ONCE = 2000  # that last no longer than a set point takes
SAMPLES_BETWEEN_LOOKS = 2000
STEPS_BETWEEN_LOOKS = 50


@dataclass(frozen=True, slots=True)
class SoFar:
    """How far a forecast is."""

    time_s: float
    cycle: int
    step_name: str


Watch = Callable[[SoFar], bool]
"""Is told of the progress many times a second; the forecast ends as interrupted where it returns False."""


class Course:
    """One run, from its first step to its end. `run` it once, and read `kept`, `ending` and `reason`."""

    def __init__(
        self,
        program: Program,
        cell: VirtualCell,
        limits: LimitsInForce,
        kept: Kept,
        *,
        most_s: float = MOST_S,
        watch: Watch | None = None,
    ) -> None:
        self._program = program
        self._limits = limits
        self._watch = watch
        self._most_s = most_s
        self._rig = Rig(cell, HELD_SHARE * limits.limits.current_max_A)
        self._nearing = Nearing(program, limits.limits, min(program.record.every_s, LONGEST_PERIOD_S))
        self._within = _within(limits)
        self._state: State
        self._looked_at = (0, 0.0)  # step and time of the last look that a command brought
        self._steps_at_once = 0
        self._entered_at = -1.0
        self._next_look = 0
        self.kept = kept
        self.ending: Ending | None = None
        self.reason = ""

    @property
    def duration_s(self) -> float:
        return self._rig.now

    @property
    def ended_at(self) -> str:
        """File and line of the step that was on."""
        step = sequencer.current_step(self._program, self._state)
        return f"{step.file}:{step.line}"

    def run(self) -> Ending:
        """Raises `DocumentError` for what the simulated cell does not bear."""
        outcome: Outcome | None = sequencer.begin(self._program, 0.0)
        try:
            while self.ending is None:
                outcome = self._sampled() if outcome is None else self._followed(outcome)
        except Unbearable as error:
            step = sequencer.current_step(self._program, self._state)
            raise DocumentError([Problem(step.file, step.line, 1, f"step '{step.name}': {error}")]) from None
        return self.ending

    # --- commands

    def _followed(self, outcome: Outcome) -> Outcome | None:
        """Carry out the commands; what follows from one that is done at once, if any."""
        self._take(outcome)
        if self.ending is not None:
            return None
        state, then = outcome.state, None
        for command in outcome.commands:
            match command:
                case MeasureImpedance(plan):
                    then = self._swept(plan)
                case Ask(text):
                    self.kept.questions.append(QuestionForecast(text, self._moment()))
                    then = sequencer.confirm(self._program, state, self._rig.now)
                case Trip(reason):
                    self._give_up(Ending.TRIPPED, reason)
                case Finish():
                    self._end(Ending.FINISHED, "finished")
                case _:
                    self._rig.carry_out(command)
        return then

    def _swept(self, plan: SweepPlan) -> Outcome:
        state, began = self._state, self._rig.now
        self._rig.carry_out(Rest())
        open_V = self._rig.cell.voltage_V
        measured = tuple(self._rig.sweep(plan))
        galvanostatic = plan.amplitude_rms_A is not None
        spectrum = Spectrum(
            number=0,
            time=began,
            test_time_s=began,
            step=state.step,
            cycle=state.cycle,
            bias_V=None if galvanostatic else open_V if plan.bias_V is None else plan.bias_V,
            amplitude_rms_V=plan.amplitude_rms_V,
            bias_A=plan.bias_A if galvanostatic else None,
            amplitude_rms_A=plan.amplitude_rms_A,
            frequency_Hz=plan.frequencies_Hz,
            real_ohm=tuple(z.real for z in measured),
            imaginary_ohm=tuple(z.imag for z in measured),
        )
        self.kept.sweeps_s.append(self._rig.now - began)
        return sequencer.swept(self._program, state, spectrum, self._rig.now)

    # --- samples

    def _sampled(self) -> Outcome | None:
        """Sample after sample, until the sequencer asks for something or the run is over."""
        program, state, rig, kept = self._program, self._state, self._rig, self.kept
        advance, next_due, nearing, within = sequencer.advance, sequencer.next_due, self._nearing, self._within
        sample = rig.step(self._until_first_look_s())
        nearing.begin(state, sample)
        while within(sample):
            kept.samples += 1
            outcome = advance(program, state, sample)
            state = outcome.state
            if outcome.commands:
                return outcome
            if outcome.readings or outcome.markers:
                kept.keep(outcome)
            if kept.samples >= self._next_look or rig.now >= self._most_s:
                self._state = state
                if self._looked_up():
                    return None
            seconds, due_s = nearing.seconds(state, sample), next_due(program, state) - rig.now
            if due_s < seconds:
                seconds = due_s
            sample = rig.step(seconds if seconds > SHORTEST_S else SHORTEST_S)
        self._state = state
        self._trip(sample)
        return None

    def _until_first_look_s(self) -> float:
        """Soon after a set point was given, but not again and again where one follows the other at each look."""
        step, looked_at = self._looked_at
        soon = self._state.step != step or self._rig.now - looked_at >= FIRST_S
        due_s = sequencer.next_due(self._program, self._state) - self._rig.now
        seconds = SETTING_S if soon else max(SETTING_S, min(FIRST_S, due_s))
        self._looked_at = self._state.step, self._rig.now + seconds
        return seconds

    def _looked_up(self) -> bool:
        """Whether the forecast ends here, without an end of its own."""
        self._next_look = self.kept.samples + SAMPLES_BETWEEN_LOOKS
        step_name = sequencer.current_step(self._program, self._state).name
        if self._rig.now >= self._most_s:
            days = f"{self._most_s / 86400:.4g} days"
            self._give_up(
                Ending.UNENDING, f"not at its end after {days}, in step {step_name}, cycle {self._state.cycle}"
            )
        elif self._watch is not None and not self._watch(SoFar(self._rig.now, self._state.cycle, step_name)):
            self._give_up(Ending.INTERRUPTED, f"interrupted after {self._rig.now / 86400:.4g} days of the test's time")
        return self.ending is not None

    # --- the end

    def _trip(self, sample: Sample) -> None:
        """As a channel does: the sample that trips is stored, and the circuit is open."""
        trip = self._limits.check(sample)
        assert trip is not None
        self.kept.limit_met = _limit_met(self._limits, sample, trip.reason, self._moment())
        recorded = sequencer.record(self._program, self._state, sample)
        self.kept.keep(recorded)
        self._state = recorded.state
        self._give_up(Ending.TRIPPED, trip.reason)

    def _give_up(self, ending: Ending, reason: str) -> None:
        """End before the protocol does; the step that was on is kept as far as it came."""
        self.kept.keep(sequencer.stop(self._program, self._state, self._rig.now, reason))
        self._end(ending, reason)

    def _end(self, ending: Ending, reason: str) -> None:
        self.ending, self.reason = ending, reason

    # --- keeping

    def _take(self, outcome: Outcome) -> None:
        """Keep what came with commands, and note the step that was entered."""
        self._state = outcome.state
        self.kept.keep(outcome)
        operations = self.kept.operations
        if outcome.state.step == len(operations):
            return
        operations.append(outcome.state.operation)
        now = self._rig.now
        self._steps_at_once = self._steps_at_once + 1 if now - self._entered_at <= 2 * SETTING_S else 0
        self._entered_at = now
        if now >= self._most_s or not outcome.state.step % STEPS_BETWEEN_LOOKS:
            self._looked_up()
        elif self._steps_at_once > MOST_STEPS_AT_ONCE:
            step = sequencer.current_step(self._program, outcome.state)
            self._give_up(Ending.UNENDING, f"{MOST_STEPS_AT_ONCE} steps that ended at once, in step {step.name}")

    def _moment(self) -> Moment:
        state = self._state
        return Moment(self._rig.now, state.step, sequencer.current_step(self._program, state).name, state.cycle)


def _within(limits: LimitsInForce) -> Callable[[Sample], bool]:
    """Whether a sample meets no limit: the usual case of `LimitsInForce.check`, made quick."""
    most = limits.limits
    voltage_min_V, voltage_max_V = most.voltage_min_V, most.voltage_max_V
    current_min_A, current_max_A = -most.current_max_A, most.current_max_A
    pressure_min_Pa, pressure_max_Pa = most.pressure_min_Pa, most.pressure_max_Pa
    temperature_min_degC, temperature_max_degC = most.temperature_min_degC, most.temperature_max_degC

    def within(sample: Sample) -> bool:
        return (
            voltage_min_V < sample.voltage_V < voltage_max_V
            and current_min_A < sample.current_A < current_max_A
            and pressure_min_Pa < sample.pressure_Pa < pressure_max_Pa  # type: ignore[operator]  # it is simulated
            and temperature_min_degC < sample.temperature_degC < temperature_max_degC  # type: ignore[operator]
        )

    return within


def _limit_met(limits: LimitsInForce, sample: Sample, text: str, at: Moment) -> LimitMet | None:
    """None for a sample that is no number."""
    measured = {
        "voltage": sample.voltage_V,
        "current": abs(sample.current_A),
        "pressure": sample.pressure_Pa,
        "temperature": sample.temperature_degC,
    }
    for name, limit in limits_set(limits.limits):
        value = measured[name.split("_")[0]]
        if value is not None and (value >= limit if "_max_" in name else value <= limit):
            return LimitMet(name, limit, value, dict(limits.origin).get(name, ""), text, at)
    return None


def limits_set(limits: Limits) -> Iterator[tuple[str, float]]:
    """Those that are finite, by name."""
    for each in fields(limits):
        if math.isfinite(value := getattr(limits, each.name)):
            yield each.name, value
