"""From samples to sums and readings."""

from __future__ import annotations

import math
from dataclasses import replace

from protocols.program import Kind, Quantity, RecordRule
from station.analysis.shorts import Watch, observed
from station.readings import Reading
from station.sequencer.conditions import GRACE_S
from station.sequencer.plan import Plan
from station.sequencer.state import Fit, Sample, State

CHARGE_TOLERANCE = 2e-4


def is_number(sample: Sample) -> bool:
    return math.isfinite(sample.time) and math.isfinite(sample.voltage_V) and math.isfinite(sample.current_A)


# --- sums


def integrate(state: State, sample: Sample) -> None:
    """Take the sample up, with the trapezoids since the last one of the step."""
    before = state.latest
    seconds = since_latest_s(state, sample)
    if before is not None and state.sampled and seconds > 0.0:
        hours = seconds / 7200.0  # halved, for the mean of both ends
        before_A, now_A = before.current_A, sample.current_A
        charge_Ah = (before_A + now_A) * hours
        state.step_capacity_Ah += charge_Ah
        state.net_capacity_Ah += charge_Ah
        state.total_capacity_Ah += (abs(before_A) + abs(now_A)) * hours
        state.step_energy_Wh += (before_A * before.voltage_V + now_A * sample.voltage_V) * hours
    _take_up(state, sample)


def integrate_mean(state: State, sample: Sample, current_A: float, power_W: float) -> None:
    """Take the sample up, with what flowed in the mean since the last one, or since the step began."""
    hours = max(0.0, since_latest_s(state, sample)) / 3600.0
    state.step_capacity_Ah += current_A * hours
    state.net_capacity_Ah += current_A * hours
    state.total_capacity_Ah += abs(current_A) * hours
    state.step_energy_Wh += power_W * hours
    _take_up(state, sample)


def since_latest_s(state: State, sample: Sample) -> float:
    """By the step's clock, which stands in pauses and while the source is off."""
    return sample.time - state.step_start_time - state.step_time_s


def _take_up(state: State, sample: Sample) -> None:
    state.latest = sample
    state.sampled = True
    state.step_time_s = sample.time - state.step_start_time


# --- what ends look at


def observe(plan: Plan, state: State) -> None:
    """Keep what the step's ends need of the latest sample."""
    sample = state.latest
    assert sample is not None
    falls = plan.step.kind is Kind.DISCHARGE
    further = min if falls else max
    state.furthest_V = sample.voltage_V if state.furthest_V is None else further(state.furthest_V, sample.voltage_V)
    state.dropped_V = (sample.voltage_V - state.furthest_V) * (1.0 if falls else -1.0)
    pressure_Pa = sample.pressure_Pa
    if state.first_pressure_Pa is None and pressure_Pa is not None and math.isfinite(pressure_Pa):
        state.first_pressure_Pa = pressure_Pa
    if plan.shorts:
        _look_for_shorts(plan, state, sample)
    if plan.slopes:
        state.fits = tuple(
            _fitted(fit, state.step_time_s, _value(slope, sample), window_s)
            for fit, (slope, window_s) in zip(state.fits, plan.slopes, strict=True)
        )


def _look_for_shorts(plan: Plan, state: State, sample: Sample) -> None:
    state.shorts = tuple(
        observed(criteria, watch, state.step_time_s, sample.voltage_V, sample.current_A)
        for criteria, watch in zip(plan.shorts, state.shorts, strict=True)
    )
    state.quietest = state.shorts[0].quietest


def observe_anew(plan: Plan, state: State) -> None:
    """What is judged over a while begins again, after an interruption."""
    fit_anew(plan, state)
    state.shorts = (Watch(quietest=state.quietest),) * len(plan.shorts)
    state.met_since_s = (None,) * len(plan.timed_ends)


def fit_anew(plan: Plan, state: State) -> None:
    state.fits = (Fit(),) * len(plan.slopes)


def next_full_window_s(plan: Plan, state: State) -> float:
    """By the step's clock. One that is over already waits for a value, whenever that comes."""
    windows = zip(state.fits, plan.slopes, strict=True)
    ends_s = [fit.began_s + window_s for fit, (_, window_s) in windows if fit.began_s is not None]
    return min((end_s for end_s in ends_s if end_s > state.step_time_s), default=math.inf)


def _value(slope: Quantity, sample: Sample) -> float | None:
    match slope:
        case Quantity.VOLTAGE_SLOPE:
            return sample.voltage_V
        case Quantity.CURRENT_SLOPE:
            return sample.current_A
        case _:
            return sample.pressure_Pa


def _fitted(fit: Fit, time_s: float, value: float | None, window_s: float) -> Fit:
    """With one more sample; the one that fills a window begins the next."""
    if value is None or not math.isfinite(value):
        return fit
    if fit.began_s is None:
        return Fit(time_s, value, 1)
    t, y = time_s - fit.began_s, value - fit.origin
    fit = Fit(fit.began_s, fit.origin, fit.samples + 1, fit.t + t, fit.y + y, fit.tt + t * t, fit.ty + t * y, fit.slope)
    if t < window_s - GRACE_S:
        return fit
    spread = fit.samples * fit.tt - fit.t * fit.t
    slope = (fit.samples * fit.ty - fit.t * fit.y) / spread if spread > 0 else None
    return Fit(time_s, value, 1, slope=slope)


# --- readings


def record(plan: Plan, before: State, state: State, *, last: bool) -> tuple[Reading, ...]:
    """Record what the rule asks for: the sample `before` this one, the latest, both or none."""
    rows: tuple[Reading, ...] = ()
    missed_Ah = _missed_Ah(state.recorded, state)
    due = last or _is_due(plan, state)
    if abs(missed_Ah) > CHARGE_TOLERANCE * abs(state.step_capacity_Ah) and before.pending and not plan.rests:
        state.missed_Ah = _missed_Ah(before.recorded, before)
        rows = (_put(plan, before, state),)
        missed_Ah = _missed_Ah(state.recorded, state)
    if due:
        state.missed_Ah = missed_Ah
        return (*rows, _put(plan, state, state))
    state.pending = True
    return rows


def flush(plan: Plan, state: State) -> tuple[Reading, ...]:
    """Record the latest sample where it was not."""
    if not state.pending:
        return ()
    state.missed_Ah = _missed_Ah(state.recorded, state)
    return (_put(plan, state, state),)


def record_surroundings(plan: Plan, state: State, sample: Sample) -> tuple[Reading, ...]:
    """Record what is around the cell, where the rule asks for it; nobody measures voltage or current now."""
    rows = flush(plan, state)
    mark, step_time_s = state.recorded, sample.time - state.step_start_time
    is_early = mark is not None and not state.record_next and step_time_s < next_record_s(plan, mark) - GRACE_S
    if mark is not None and is_early and not surroundings_changed(plan.record, mark, sample):
        return rows
    state.sequence += 1
    state.recorded = replace(
        reading_of(plan, state, sample),
        sequence=state.sequence,
        step_time_s=step_time_s,
        voltage_V=None,
        current_A=None,
    )
    state.record_next = False
    return (*rows, state.recorded)


def next_record_s(plan: Plan, recorded: Reading) -> float:
    """When the next sample is to be recorded, by the step's clock."""
    rule = plan.record
    if rule.burst_every_s is not None:
        in_burst_s = recorded.step_time_s + rule.burst_every_s
        if in_burst_s <= rule.burst_s + GRACE_S:
            return in_burst_s
    return recorded.step_time_s + rule.every_s


def _is_due(plan: Plan, state: State) -> bool:
    mark, rule, sample = state.recorded, plan.record, state.latest
    assert sample is not None
    if mark is None or state.record_next or state.step_time_s >= next_record_s(plan, mark) - GRACE_S:
        return True
    return (
        (rule.voltage_V is not None and _changed(mark.voltage_V, sample.voltage_V, rule.voltage_V))
        or (rule.current_A is not None and _changed(mark.current_A, sample.current_A, rule.current_A))
        or surroundings_changed(rule, mark, sample)
    )


def surroundings_changed(rule: RecordRule, mark: Reading, sample: Sample) -> bool:
    """Pressure or temperature, by as much as the rule says."""
    pressure = rule.pressure_Pa is not None and _changed(mark.pressure_Pa, sample.pressure_Pa, rule.pressure_Pa)
    return pressure or (
        rule.temperature_K is not None and _changed(mark.temperature_degC, sample.temperature_degC, rule.temperature_K)
    )


def _changed(before: float | None, now: float | None, by: float) -> bool:
    """Also where there is a value for the first time."""
    return now is not None and (before is None or abs(now - before) >= by)


def _missed_Ah(mark: Reading | None, state: State) -> float:
    """What straight lines over the recorded samples and to the latest one lack of the charge up to there."""
    sample = state.latest
    if mark is None or mark.current_A is None or sample is None:
        return state.missed_Ah
    line_Ah = (mark.current_A + sample.current_A) * (state.step_time_s - mark.step_time_s) / 7200.0
    return state.missed_Ah + state.step_capacity_Ah - mark.step_capacity_Ah - line_Ah


def _put(plan: Plan, of: State, state: State) -> Reading:
    """The reading of the sample that was the latest `of` that state, numbered and remembered in `state`."""
    assert of.latest is not None
    state.sequence += 1
    reading = reading_of(plan, of, of.latest)
    reading.sequence = state.sequence
    state.recorded = reading
    state.pending = state.record_next = False
    return reading


def reading_of(plan: Plan, of: State, sample: Sample) -> Reading:
    """Not numbered anew. By position, in the order of the fields: each sample of a forecast comes by here."""
    return Reading(
        of.sequence,
        sample.time,
        sample.time - of.start_time,
        of.step,
        plan.step.name,
        of.cycle,
        of.step_time_s,
        sample.voltage_V,
        sample.current_A,
        of.step_capacity_Ah,
        of.step_energy_Wh,
        of.net_capacity_Ah,
        sample.resistance_ohm,
        sample.pressure_Pa,
        sample.pressure_U_Pa,
        sample.calibration,
        sample.temperature_degC,
        sample.pressure_mark,
    )
