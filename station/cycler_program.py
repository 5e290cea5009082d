"""A program in the terms of a cycler that runs it alone; what it cannot say is named before anything starts.

Operation n of the program is step n + 1 of the cycler's, loops included, so records find their step again.
"""

from __future__ import annotations

from drivers.interface import CyclerProgram, CyclerStep, Protection, StepKind
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import (
    Condition,
    ConstantCurrent,
    ConstantVoltage,
    End,
    Kind,
    Marker,
    Only,
    Operation,
    Program,
    Quantity,
    RecordRule,
    Repeat,
    Step,
    Then,
)

CAPACITY_MARGIN = 1.5
"""The cycler's own limit of charge per step, as a multiple of the cell's capacity."""

AROUND = (Kind.TEMPERATURE, Kind.STACK_PRESSURE, Kind.PROMPT)
"""What the station does beside a cycler that rests."""

ALONE = "this channel's cycler runs alone and"


def for_cycler(program: Program, limits: Limits, capacity_Ah: float) -> CyclerProgram:
    """Raises `DocumentError` that names each step which a cycler's step file cannot say."""
    if problems := problems_with(program):
        raise DocumentError(problems)
    return CyclerProgram(
        name=program.title,
        steps=tuple(_step(program, index) for index in range(len(program.operations))),
        protection=Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A),
        capacity_max_Ah=CAPACITY_MARGIN * capacity_Ah,
        record_time_s=program.record.every_s,
        record_voltage_V=program.record.voltage_V,
    )


def largest_current_A(program: Program) -> float:
    """The largest magnitude that any step states; 0 where none does."""
    currents = (_current_A(step) for step in program.steps())
    return max((abs(current_A) for current_A in currents if current_A is not None), default=0.0)


# --- what cannot be said


def is_for_station(index: int, step: Step) -> bool:
    """Whether the station does this between two tests, the circuit being open: what is around the cell, or a rest whose
    end the cycler does not see. Sweeps are not asked for here: they need an instrument.
    """
    return step.kind in AROUND or (step.kind is Kind.REST and _unsayable(index, step) is not None)


def problems_with(program: Program, *, measures_impedance: bool | None = None) -> list[Problem]:
    """What neither the cycler nor, beside it, the station can do: with `measures_impedance`, and step by step.

    None for a program that is the cycler's alone, as it is told to it.
    """
    helped = measures_impedance is not None
    problems: list[Problem] = []
    if program.markers:
        problems.append(Problem(program.file, 1, 1, f"'markers': {ALONE} makes no markers"))
    if said := _unrecordable(program.record):
        problems.append(Problem(program.file, 1, 1, f"'record': {said}"))
    for index, operation in enumerate(program.operations):
        match operation:
            case Step(kind=Kind.IMPEDANCE) if measures_impedance:
                pass
            case Only() if helped:
                pass
            case Step():
                if helped and is_for_station(index, operation):
                    said = _unsayable_then(index, operation)
                elif helped:  # what comes before it is not known yet
                    said = _unsayable(index, operation)
                else:
                    said = _unsayable(index, operation) or _unsayable_after(_before(program, index), operation)
                if said:
                    problems.append(
                        Problem(operation.file, operation.line, operation.column, f"step '{operation.name}': {said}")
                    )
            case Marker(name, _, file, line):
                problems.append(Problem(file, line, 1, f"marker '{name}': {ALONE} makes no markers"))
            case _ if said := _unsayable_jump(program, index, operation):
                step = _beside(program, index)
                problems.append(Problem(step.file, step.line, step.column, f"around step '{step.name}': {said}"))
    return problems


def _unsayable(index: int, step: Step) -> str | None:
    return (
        _unsayable_setpoint(step)
        or next((said for end in step.ends if (said := _unsayable_end(index, step, end))), None)
        or _unsayable_together(step)
        or ("'markers': " + ALONE + " makes no markers" if step.markers else None)
        or (f"'record': {ALONE} records all steps alike" if step.record is not None else None)
    )


def _unsayable_setpoint(step: Step) -> str | None:
    match step.setpoint:
        case None | ConstantCurrent() | ConstantVoltage(above_rest=False):
            return None
        case ConstantVoltage():
            return f"{ALONE} knows no voltage against that at rest"
    return {
        Kind.IMPEDANCE: f"{ALONE} measures no impedance; bind an 'impedance' instrument to it in station.toml",
        Kind.RAMP: f"{ALONE} makes no ramps of voltage",
        Kind.PROFILE: f"{ALONE} follows no profile",
        Kind.TEMPERATURE: f"{ALONE} sets no chamber",
        Kind.STACK_PRESSURE: f"{ALONE} sets no frame",
        Kind.PROMPT: f"{ALONE} asks nobody",
        Kind.PROCEDURE: f"{ALONE} takes its program from here: it knows no stored procedures",
    }.get(step.kind, f"{ALONE} takes a current that is known beforehand: no power, resistance or measured rate")


def _unsayable_then(index: int, step: Step) -> str | None:
    """Of a step that the station does itself: the parts follow one another."""
    if any(end.then not in (None, index + 1, Then.TRIP) for end in step.ends):
        return "beside a cycler that runs alone, what ends a step leads to the next one or to a trip"
    return None


def _unsayable_end(index: int, step: Step, end: End) -> str | None:
    if end.then not in (None, index + 1):
        return f"{ALONE} goes on with the next step when one ends: no 'then'"
    if len(end.conditions) != 1:
        return f"{ALONE} ends a step on one condition: no 'all'"
    if end.for_s:
        return f"{ALONE} ends a step as soon as its condition is met: no 'for' with it"
    (condition,) = end.conditions
    if condition.quantity not in (Quantity.TIME, Quantity.VOLTAGE, Quantity.CURRENT):
        return f"{ALONE} cannot end a step on {condition.quantity}"
    if condition.quantity is Quantity.VOLTAGE and (
        step.kind in (Kind.REST, Kind.HOLD) or condition.rising is not (step.kind is Kind.CHARGE)
    ):
        return "this channel's cycler ends on a voltage only in the direction of a charge or discharge"
    return None


def _unsayable_together(step: Step) -> str | None:
    quantities = [condition.quantity for condition in _conditions(step)]
    if len(quantities) != len(set(quantities)):
        return "this channel's cycler takes one end of each kind"
    if step.hold_V is not None and set(quantities) != {Quantity.CURRENT}:
        return "this channel's cycler ends it on its current alone; write the hold as a step of its own"
    return None


def _unsayable_after(before: set[Step], step: Step) -> str | None:
    """The cycler has a hold for each direction of the current, so the step before a hold must show which."""
    if not isinstance(step.setpoint, ConstantVoltage):
        return None
    if {one.kind for one in before} not in ({Kind.CHARGE}, {Kind.DISCHARGE}):
        return "this channel's cycler must know the current's direction: hold after a charge or a discharge"
    if step.setpoint.current_max_A is None and any(_end_V(one) != step.setpoint.voltage_V for one in before):
        return "this channel's cycler needs its largest current; give it as 'limit'"
    return None


def _unsayable_jump(program: Program, index: int, operation: Operation) -> str | None:
    if isinstance(operation, Only):
        return f"{ALONE} does every step in every pass: no 'every', 'first' or 'after'"
    if isinstance(operation, Repeat) and operation.ends:
        return f"{ALONE} ends a loop after so many passes: no 'until'"
    if isinstance(operation, Repeat) and _last_before(program.operations[operation.start : index], index) is None:
        return f"{ALONE} knows no loop without a step"
    return None


def _unrecordable(record: RecordRule) -> str | None:
    """Pressure and temperature are the station's to record, with each of the cycler's records."""
    if record.burst_every_s is not None:
        return f"{ALONE} records all of a step alike: no 'burst'"
    if record.current_A is not None:
        return f"{ALONE} records by time and by change of voltage, not of current"
    return None


# --- the steps around one


def _before(program: Program, index: int) -> set[Step]:
    """The steps that may come just before operation `index`: more than one where a loop begins there."""
    loops = [i for i in program.loops if _repeat(program, i).start == index]
    return {step for i in (index, *loops) if (step := _last_before(program.operations, i)) is not None}


def _last_before(operations: tuple[Operation, ...], index: int) -> Step | None:
    """A loop's last step comes before what follows the loop."""
    return next((one for one in reversed(operations[:index]) if isinstance(one, Step)), None)


def _beside(program: Program, index: int) -> Step:
    """A step to point at where an operation has no line of its own: the last of a loop, the first that is guarded."""
    before = _last_before(program.operations, index)
    after = next((one for one in program.operations[index:] if isinstance(one, Step)), None)
    first, second = (before, after) if isinstance(program.operations[index], Repeat) else (after, before)
    beside = first or second
    assert beside is not None  # a program has steps
    return beside


def _repeat(program: Program, index: int) -> Repeat:
    operation = program.operations[index]
    assert isinstance(operation, Repeat)
    return operation


def _conditions(step: Step) -> list[Condition]:
    return [condition for end in step.ends for condition in end.conditions]


def _end_V(step: Step) -> float | None:
    return next((one.value for one in _conditions(step) if one.quantity is Quantity.VOLTAGE), None)


# --- saying it


def _step(program: Program, index: int) -> CyclerStep:
    operation = program.operations[index]
    if isinstance(operation, Repeat):
        return CyclerStep(StepKind.LOOP, loop_to=operation.start + 1, loop_count=operation.count)
    assert isinstance(operation, Step)
    ends = {condition.quantity: condition.value for condition in _conditions(operation)}
    kind, sign, voltage_V = StepKind.REST, 1.0, operation.hold_V
    match operation.setpoint:
        case ConstantVoltage(hold_V):
            kind, voltage_V = StepKind.CV, hold_V
            sign = -1.0 if any(before.kind is Kind.DISCHARGE for before in _before(program, index)) else 1.0
        case ConstantCurrent():
            kind = StepKind.CC if voltage_V is None else StepKind.CCCV
    current_A = _current_A(operation)
    return CyclerStep(
        kind,
        current_A=None if current_A is None else sign * current_A,
        voltage_V=voltage_V,
        end_time_s=ends.get(Quantity.TIME),
        end_voltage_V=ends.get(Quantity.VOLTAGE),
        end_current_A=ends.get(Quantity.CURRENT),
    )


def _current_A(step: Step) -> float | None:
    """As the step states it: signed, or for a hold the limit on the way."""
    match step.setpoint:
        case ConstantCurrent(current_A):
            return current_A
        case ConstantVoltage(_, current_max_A):
            return current_max_A
        case _:
            return None
