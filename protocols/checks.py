"""What is wrong with a program as a whole: steps that nothing leads to or that never end, ends that never count.

`check` finds what is wrong, `remarks` what may be meant: steps that are left out with the present counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from protocols.document import Problem
from protocols.program import (
    DIRECTIONS,
    WITHOUT_CURRENT,
    Condition,
    End,
    Kind,
    Marker,
    Only,
    Program,
    Quantity,
    Repeat,
    Step,
    Then,
    time_in_words,
)

ENDS_BY_ITSELF = (Kind.IMPEDANCE, Kind.RAMP, Kind.PROMPT, Kind.PROCEDURE)
"""When the sweep is measured, the last potential reached, the question answered, or the cycler is done."""

_OF_CYCLES = (Quantity.RETENTION, Quantity.EFFICIENCY)
_SIGNED = (Quantity.VOLTAGE, Quantity.STATE_OF_CHARGE, Quantity.NET_CAPACITY)
"""What rises in a charge and falls in a discharge."""


def check(program: Program) -> tuple[Problem, ...]:
    """Every mistake that shows in the program alone, in the order of the file."""
    found = [
        *itertools.chain.from_iterable(_in_step(program, step) for step in program.steps()),
        *_procedures_among_others(program),
        *_undefined_loop_ends(program),
        *_never_entered(program),
        *_never_left(program),
        *_contradictory_counts(program),
    ]
    return in_order(found)


def in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Each once: a technique of many operations would say the same of each."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.column)))


def problem_at(step: Step, message: str) -> Problem:
    """A problem where the step was written."""
    return Problem(step.file, step.line, step.column, message)


def _procedures_among_others(program: Program) -> Iterator[Problem]:
    """What such a cycler does nobody else takes part in; the station has the cell between two of them."""
    steps, kinds = program.steps(), (Kind.PROCEDURE, *WITHOUT_CURRENT)
    if not any(step.kind is Kind.PROCEDURE for step in steps):
        return
    others = [step for step in steps if step.kind not in kinds or step.markers]
    loops = [one for one in program.operations if isinstance(one, Repeat) and one.ends]
    if others or loops or program.markers or any(isinstance(one, Marker) for one in program.operations):
        said = "stored procedures stand among steps without current alone (rests, sweeps), without 'until' and markers"
        yield from (problem_at(step, said) for step in steps if step.kind is Kind.PROCEDURE)


# --- the ends of one step


def _in_step(program: Program, step: Step) -> Iterator[Problem]:
    certain_s = _certain_end_s(step)
    sound: list[End] = []
    for end in step.ends:
        if said := _contradiction(end) or _undefined(program, end) or _too_late(step, end, certain_s):
            yield problem_at(step, said)
        else:
            sound.append(end)
    if sound and all(_hopeless(step, end) for end in sound) and not _covers(sound) and step.kind not in ENDS_BY_ITSELF:
        yield problem_at(step, _why_hopeless(step, sound[0]))
    yield from _shadowed(step, sound)
    yield from _hold_never_begins(step)
    for rule in step.markers:
        if rule.at_s is not None and rule.at_s > certain_s:
            said = f"marker '{rule.name}' after {time_in_words(rule.at_s)} never comes"
            yield problem_at(step, f"{said}: the step ends after {time_in_words(certain_s)}; give an earlier time")


def _certain_end_s(step: Step) -> float:
    """When the step has ended whatever the cell does; infinite where no time ends it."""
    return min((end.conditions[0].value + end.for_s for end in _time_ends(step)), default=math.inf)


def _time_ends(step: Step) -> tuple[End, ...]:
    return tuple(e for e in step.ends if len(e.conditions) == 1 and e.conditions[0].quantity is Quantity.TIME)


def _earliest_s(end: End) -> float:
    """Before so long, the end cannot be met: times, the windows of slopes, and how long it must stay met."""
    times = [c.value if c.quantity is Quantity.TIME else c.window_s for c in end.conditions]
    return max(times, default=0.0) + end.for_s


def _too_late(step: Step, end: End, certain_s: float) -> str | None:
    """A second time that leads where the first one does is merely superfluous."""
    times = _time_ends(step)
    if _earliest_s(end) <= certain_s or (end in times and {other.then for other in times} == {end.then}):
        return None
    said = f"the end '{end}' takes {time_in_words(_earliest_s(end))} at least"
    said = f"{said}, and the step ends after {time_in_words(certain_s)}: it never counts"
    return f"{said}; make the step longer, or what the end needs shorter"


def _contradiction(end: End) -> str | None:
    for one, other in itertools.permutations(end.conditions, 2):
        if one.quantity is other.quantity and one.rising and not other.rising and one.value >= other.value:
            return f"'{one}' and '{other}' are never met together; change a value, or write them as two ends"
    return None


def _undefined(program: Program, end: End) -> str | None:
    """An end by what is known of whole cycles only, where there are none."""
    quantity = next((c.quantity for c in end.conditions if c.quantity in _OF_CYCLES), None)
    if quantity is None:
        return None
    missing = [kind for kind in (Kind.CHARGE, Kind.DISCHARGE) if all(step.kind is not kind for step in program.steps())]
    if not missing:
        return None
    said = f"'{end}' is never met: a cycle is a charge and a discharge, and there is no {' and no '.join(missing)} here"
    return f"{said}; end by 'total_capacity', a time or a number of passes"


def _hopeless(step: Step, end: End) -> bool:
    """Whether nothing that the step itself does brings this end about."""
    return all(_still(step, c) or _against(step, c) for c in end.conditions) or any(
        _excluded(step, c) for c in end.conditions
    )


def _against(step: Step, condition: Condition) -> bool:
    """Whether the step leads away from it."""
    direction = DIRECTIONS.get(step.kind, 0)
    return direction != 0 and condition.quantity in _SIGNED and condition.rising is not (direction > 0)


def _still(step: Step, condition: Condition) -> bool:
    """Whether it is decided before the step begins, and does not change in it."""
    match condition.quantity:
        case Quantity.RETENTION | Quantity.EFFICIENCY | Quantity.CYCLE:
            return True
        case Quantity.STATE_OF_CHARGE | Quantity.NET_CAPACITY | Quantity.TOTAL_CAPACITY:
            return step.kind in WITHOUT_CURRENT
        case _:
            return False


def _excluded(step: Step, condition: Condition) -> bool:
    """Whether the step never comes there."""
    match condition.quantity:
        case Quantity.CURRENT:
            return step.kind not in (Kind.HOLD, Kind.RAMP) and step.hold_V is None
        case Quantity.CAPACITY | Quantity.ENERGY:
            return step.kind in WITHOUT_CURRENT
        case _:
            return False


def _covers(ends: list[End]) -> bool:
    """Whether one of two ends is always met: above a value or below it."""
    alone = [end.conditions[0] for end in ends if len(end.conditions) == 1]
    return any(
        one.quantity is other.quantity and one.rising and not other.rising and one.value <= other.value
        for one, other in itertools.permutations(alone, 2)
    )


def _why_hopeless(step: Step, end: End) -> str:
    for condition in end.conditions:
        if _against(step, condition):
            towards, away = ("below", "above") if step.kind is Kind.DISCHARGE else ("above", "below")
            return (
                f"this {step.kind} never ends: '{condition}' lies behind it, for a {step.kind} goes the other way; "
                f"write '{towards}' for '{away}', or give a time: 'for: 1 h'"
            )
        if _still(step, condition):
            return (
                f"this {step.kind} never ends: '{condition}' does not change while it lasts; "
                "give 'for: 1 h' too, or put this end on the loop ('until' beside 'repeat')"
            )
    return f"this {step.kind} never ends: it does not come to '{end}'; give 'for: 1 h' too"


def _shadowed(step: Step, ends: list[End]) -> Iterator[Problem]:
    """Ends that lead elsewhere than one before them that is met whenever they are."""
    for first, later in itertools.combinations(ends, 2):
        if first.then != later.then and _met_whenever(first, later):
            said = f"the end '{later}' never counts: '{first}' stands before it and is met whenever it is"
            yield problem_at(step, f"{said}; put it first, or change its value")


def _met_whenever(one: End, other: End) -> bool:
    return one.for_s <= other.for_s and all(
        any(_implied(condition, by) for by in other.conditions) for condition in one.conditions
    )


def _implied(condition: Condition, by: Condition) -> bool:
    value = condition.value
    same = replace(condition, value=by.value) == by
    return same and (value <= by.value if condition.rising else value >= by.value)


def _hold_never_begins(step: Step) -> Iterator[Problem]:
    for end in step.ends:
        condition = end.conditions[0]
        ends_drive = condition.quantity is Quantity.VOLTAGE and condition.rising is (step.kind is Kind.CHARGE)
        if step.hold_V is None or len(end.conditions) > 1 or end.for_s or not ends_drive:
            continue
        if condition.value <= step.hold_V if condition.rising else condition.value >= step.hold_V:
            said = f"'{condition}' ends this step before it holds {step.hold_V:g} V; leave out 'hold' or this end"
            yield problem_at(step, said)


# --- ways through the program


def _ways(program: Program) -> tuple[tuple[int, ...], ...]:
    """The operations that may follow each one; the number of operations is the program's end."""
    return tuple(_after(program, index) for index in range(len(program.operations)))


def _after(program: Program, index: int) -> tuple[int, ...]:
    operation = program.operations[index]
    match operation:
        case Step():
            ends = _targets(program, operation.ends, index)
            return (*ends, index + 1) if operation.kind in ENDS_BY_ITSELF else ends
        case Repeat(start, count, ends):
            again = (start,) if count > 1 else ()
            return (*again, index + 1, *_targets(program, ends, index))
        case Only(past):
            return (past,) if _never_allows(operation) else (index + 1, past)
        case _:
            return (index + 1,)


def _targets(program: Program, ends: tuple[End, ...], index: int) -> tuple[int, ...]:
    """A trip is no way on: the run waits for a person, and then goes on in the same step."""
    end_of_run = len(program.operations)
    targets = [index + 1 if end.then is None else end.then for end in ends if end.then is not Then.TRIP]
    return tuple(end_of_run if isinstance(target, Then) else target for target in targets)


def _never_allows(only: Only) -> bool:
    """The compiler's plain jump."""
    return only.first is not None and only.first <= only.after


def _reached(ways: Mapping[int, Sequence[int]], start: int) -> set[int]:
    reached, waiting = {start}, [start]
    while waiting:
        for following in ways.get(waiting.pop(), ()):
            if following not in reached:
                reached.add(following)
                waiting.append(following)
    return reached


def _never_entered(program: Program) -> Iterator[Problem]:
    """The first of each row of steps that nothing leads to."""
    reached = _reached(dict(enumerate(_ways(program))), 0)
    entered = {_written(step) for i in reached if isinstance(step := _step_at(program, i), Step)}
    before: Step | None = None
    in_row = False
    for index, operation in enumerate(program.operations):
        if isinstance(operation, Step):
            lost = _written(operation) not in entered
            if lost and not in_row:
                yield problem_at(operation, _why_never_entered(before))
            in_row, before = lost, operation
        elif isinstance(operation, Repeat) and operation.count > 1 and index not in reached and not in_row:
            first = next(o for o in program.operations[operation.start : index] if isinstance(o, Step))
            said = "the loop that begins here is never passed again: no end in it leads to its own end"
            yield problem_at(first, f"{said}; let one lead to 'next' or 'next pass', or leave out 'repeat'")


def _written(step: Step) -> tuple[str, int, str]:
    """What one written step becomes has this in common."""
    return step.file, step.line, step.name.partition(" ")[0]


def _step_at(program: Program, index: int) -> Step | None:
    operation = program.operations[index] if index < len(program.operations) else None
    return operation if isinstance(operation, Step) else None


def _why_never_entered(before: Step | None) -> str:
    of = f" of '{before.name}'" if before is not None else ""
    return (
        f"nothing leads to this step: every end{of} leads elsewhere; let one lead on with 'then: next', "
        "let another step's end name this one, or leave it out"
    )


def _never_left(program: Program) -> Iterator[Problem]:
    """Steps that lead back, where no way leads from them to the end of the program."""
    ways = _ways(program)
    reached = _reached(dict(enumerate(ways)), 0)
    back: dict[int, list[int]] = {}
    for index, following in enumerate(ways):
        for target in following:
            back.setdefault(target, []).append(index)
    leads_out = _reached(back, len(program.operations))
    for index in sorted(reached - leads_out):
        step = _step_at(program, index)
        if step is None or not (targets := [target for target in ways[index] if target <= index]):
            continue
        first = next((o for o in program.operations[min(targets) :] if isinstance(o, Step)), step)
        yield problem_at(
            step,
            f"from '{first.name}' to here the steps are never left: each end leads back among them; "
            "let one lead to 'end of loop', 'end of run' or a later step",
        )


def _undefined_loop_ends(program: Program) -> Iterator[Problem]:
    for index in program.loops:
        repeat = program.operations[index]
        assert isinstance(repeat, Repeat)
        first = next((o for o in program.operations[repeat.start : index] if isinstance(o, Step)), None)
        for end in repeat.ends:
            if first is not None and (said := _contradiction(end) or _undefined(program, end)):
                yield problem_at(first, f"in the loop that begins here: {said}")


def _contradictory_counts(program: Program) -> Iterator[Problem]:
    """Steps under 'first', 'after' and 'every' that no number satisfies."""
    for onlys, step in _conditional(program):
        for loop, counts in _by_loop(onlys):
            if not _some_number(counts, math.inf):
                unit = "cycle" if loop is None else "pass"
                yield problem_at(step, f"no {unit} satisfies {_counts_in_words(counts)}; this step is never done")


def _conditional(program: Program) -> Iterator[tuple[list[Only], Step]]:
    """The conditions that were written on one step, and the first step under them."""
    onlys: list[Only] = []
    for operation in program.operations:
        if isinstance(operation, Only):
            if onlys and operation.past != onlys[0].past:
                onlys = []
            if operation.first != 0:  # the compiler's plain jump
                onlys.append(operation)
        else:
            if onlys and isinstance(operation, Step):
                yield onlys, operation
            onlys = []


def _by_loop(onlys: list[Only]) -> Iterator[tuple[int | None, list[Only]]]:
    """Those that count passes of one loop together, and those that count cycles."""
    for loop in dict.fromkeys(only.loop for only in onlys):
        yield loop, [only for only in onlys if only.loop == loop]


def _some_number(onlys: list[Only], largest: float) -> bool:
    """Whether all of these allow some number from 1 to `largest`."""
    low = max(only.after for only in onlys) + 1
    high = min([largest, *(only.first for only in onlys if only.first is not None)])
    every = math.lcm(*(only.every for only in onlys))
    return math.ceil(low / every) * every <= high


def _counts_in_words(onlys: list[Only]) -> str:
    words: list[str] = []
    for only in onlys:
        words += [f"'every: {only.every}'"] if only.every > 1 else []
        words += [f"'first: {only.first}'"] if only.first is not None else []
        words += [f"'after: {only.after}'"] if only.after else []
    return " and ".join(words)


# --- what may be meant


def remarks(program: Program) -> tuple[Problem, ...]:
    """What is not wrong, but left out with the present counts: as in a trial with fewer cycles."""
    found: list[Problem] = []
    cycles = math.inf if _jumps_back(program) else program.cycles_planned
    for onlys, step in _conditional(program):
        for loop, counts in _by_loop(onlys):
            if loop is None:
                largest, are = cycles, "cycles are planned"
            else:
                largest, are = _count(program, loop), "passes are made"
            if not _some_number(counts, largest):
                said = f"left out: {_counts_in_words(counts)} never comes, for only {largest:g} {are}"
                found.append(problem_at(step, said))
    for step in program.steps():
        for condition in itertools.chain.from_iterable(end.conditions for end in step.ends):
            if condition.reference_cycle > cycles:
                said = f"retention refers to cycle {condition.reference_cycle}, and only {cycles:g} cycles are planned"
                found.append(problem_at(step, said))
    return in_order(found)


def _jumps_back(program: Program) -> bool:
    """Whether an end leads to an earlier step, so that nobody knows how many cycles there will be."""
    steps = ((i, o) for i, o in enumerate(program.operations) if isinstance(o, Step))
    return any(type(end.then) is int and end.then <= index for index, step in steps for end in step.ends)


def _count(program: Program, loop: int) -> int:
    repeat = program.operations[loop]
    assert isinstance(repeat, Repeat)
    return repeat.count
