"""Markers: which moments were passed between one sample and the next.

Decided by the two samples alone, so that a checkpoint anywhere neither loses nor doubles one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from protocols.program import Marker, MarkerRule, Program
from station.commands import Command, PulseTrigger
from station.readings import MarkerEvent
from station.sequencer.conditions import GRACE_S, state_of_charge
from station.sequencer.plan import Plan
from station.sequencer.state import State


def passed(program: Program, plan: Plan, before: State, state: State) -> tuple[MarkerEvent, ...]:
    """By the rules of the step, on its clock, and those of the program, on the run's."""
    sample = state.latest
    assert sample is not None
    charges = _charge(program, before) if before.latest else None, _charge(program, state)
    in_step = before.step_time_s if before.sampled else -math.inf, state.step_time_s
    in_run = before.latest.time - state.start_time if before.latest else -math.inf, sample.time - state.start_time
    rules = [rule for rule in plan.marker_rules if _is_passed(rule, in_step, charges)]
    rules += [rule for rule in program.markers if _is_passed(rule, in_run, charges)]
    return tuple(event(program, state, rule, sample.time, plan.step.name) for rule in rules)


def event(program: Program, state: State, what: Marker | MarkerRule, time: float, step_name: str) -> MarkerEvent:
    return MarkerEvent(
        name=what.name,
        time=time,
        test_time_s=time - state.start_time,
        step=state.step,
        step_name=step_name,
        cycle=state.cycle,
        state_of_charge=_charge(program, state),
        triggered=what.trigger,
    )


def with_triggers(commands: tuple[Command, ...], markers: tuple[MarkerEvent, ...]) -> tuple[Command, ...]:
    """The commands with the markers' pulses, after the one for the source: it does not wait for a pulse."""
    if not markers:
        return commands
    pulses = tuple(PulseTrigger(marker.name) for marker in markers if marker.triggered)
    return (*commands[:1], *pulses, *commands[1:])


def next_marker_s(rules: tuple[MarkerRule, ...], clock_s: float) -> float:
    """When the next one is due, by the rules' own clock; a state of charge comes when it comes."""
    return min((due for rule in rules for due in _times_after(rule, clock_s)), default=math.inf)


def _times_after(rule: MarkerRule, clock_s: float) -> Iterator[float]:
    if rule.at_s is not None and rule.at_s > clock_s + GRACE_S:
        yield rule.at_s
    if rule.every_s is not None:
        yield (_periods(clock_s, rule.every_s) + 1) * rule.every_s


def _charge(program: Program, state: State) -> float | None:
    return state_of_charge(program.state_of_charge, program.capacity_Ah, state.net_capacity_Ah)


def _is_passed(rule: MarkerRule, clock_s: tuple[float, float], charges: tuple[float | None, float | None]) -> bool:
    before_s, now_s = clock_s
    if rule.at_s is not None:
        return before_s + GRACE_S < rule.at_s <= now_s + GRACE_S
    if rule.every_s is not None:
        return _periods(now_s, rule.every_s) > _periods(before_s, rule.every_s)
    before, now = charges
    if now is None:
        return False
    if before is None:
        return now in rule.states_of_charge
    return any(before < value <= now or now <= value < before for value in rule.states_of_charge)


def _periods(clock_s: float, every_s: float) -> int:
    """Whole ones that have gone by."""
    return int((max(0.0, clock_s) + GRACE_S) / every_s)
