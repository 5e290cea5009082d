"""A program in the terms of a cycler that runs it alone; what it cannot say is named before anything starts.

Operation n of the program is step n + 1 of the cycler's, loops included, so records find their step again.
"""

from __future__ import annotations

from drivers.interface import CyclerProgram, CyclerStep, Protection, StepKind
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import Condition, Kind, Operation, Program, Quantity, Repeat, Step

CAPACITY_MARGIN = 1.5
"""The cycler's own limit of charge per step, as a multiple of the cell's capacity."""


def for_cycler(program: Program, limits: Limits, capacity_Ah: float) -> CyclerProgram:
    """Raises `DocumentError` that names each step which a cycler's step file cannot say."""
    problems = [
        Problem(program.file, step.line, 1, f"step '{step.name}': {said}")
        for index, step in enumerate(program.operations)
        if isinstance(step, Step) and (said := _unsayable(step) or _unsayable_after(_before(program, index), step))
    ]
    if problems:
        raise DocumentError(problems)
    return CyclerProgram(
        name=program.title,
        steps=tuple(_step(program, index) for index in range(len(program.operations))),
        protection=Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A),
        capacity_max_Ah=CAPACITY_MARGIN * capacity_Ah,
        record_time_s=program.record.every_s,
        record_voltage_V=program.record.voltage_V,
    )


def _unsayable(step: Step) -> str | None:
    if step.kind is Kind.IMPEDANCE:
        return "this channel's cycler runs alone and measures no impedance"
    for end in step.ends:
        if end.quantity in (Quantity.CAPACITY, Quantity.PRESSURE):
            return f"this channel's cycler runs alone and cannot end a step on {end.quantity}"
        if end.quantity is Quantity.VOLTAGE and (
            step.kind in (Kind.REST, Kind.HOLD) or end.rising is not (step.kind is Kind.CHARGE)
        ):
            return "this channel's cycler ends on a voltage only in the direction of a charge or discharge"
    quantities = [end.quantity for end in step.ends]
    if len(quantities) != len(set(quantities)):
        return "this channel's cycler takes one end of each kind"
    if step.kind is not Kind.HOLD and step.voltage_V is not None and set(quantities) != {Quantity.CURRENT}:
        return "this channel's cycler ends it on its current alone; write the hold as a step of its own"
    return None


def _unsayable_after(before: set[Step], step: Step) -> str | None:
    """The cycler has a hold for each direction of the current, so the step before a hold must show which."""
    if step.kind is not Kind.HOLD:
        return None
    if {one.kind for one in before} not in ({Kind.CHARGE}, {Kind.DISCHARGE}):
        return "this channel's cycler must know the current's direction: hold after a charge or a discharge"
    if step.current_A is None and any(_end_V(one) != step.voltage_V for one in before):
        return "this channel's cycler needs its largest current; give it as 'limit'"
    return None


def _before(program: Program, index: int) -> set[Step]:
    """The steps that may come just before operation `index`: more than one where a loop begins there."""
    loops = [i for i in program.loops if _repeat(program, i).start == index]
    return {step for i in (index, *loops) if (step := _last_before(program.operations, i)) is not None}


def _last_before(operations: tuple[Operation, ...], index: int) -> Step | None:
    """A loop's last step comes before what follows the loop."""
    return next((one for one in reversed(operations[:index]) if isinstance(one, Step)), None)


def _repeat(program: Program, index: int) -> Repeat:
    operation = program.operations[index]
    assert isinstance(operation, Repeat)
    return operation


def _end_V(step: Step) -> float | None:
    return next((end.value for end in step.ends if end.quantity is Quantity.VOLTAGE), None)


def _step(program: Program, index: int) -> CyclerStep:
    operation = program.operations[index]
    if isinstance(operation, Repeat):
        return CyclerStep(StepKind.LOOP, loop_to=operation.start + 1, loop_count=operation.count)
    ends = {end.quantity: end for end in operation.ends}
    kind = {Kind.REST: StepKind.REST, Kind.HOLD: StepKind.CV}.get(
        operation.kind, StepKind.CC if operation.voltage_V is None else StepKind.CCCV
    )
    sign = 1.0
    if operation.kind is Kind.HOLD:
        sign = -1.0 if any(before.kind is Kind.DISCHARGE for before in _before(program, index)) else 1.0
    return CyclerStep(
        kind,
        current_A=None if operation.current_A is None else sign * operation.current_A,
        voltage_V=operation.voltage_V,
        end_time_s=_value(ends.get(Quantity.TIME)),
        end_voltage_V=_value(ends.get(Quantity.VOLTAGE)),
        end_current_A=_value(ends.get(Quantity.CURRENT)),
    )


def _value(condition: Condition | None) -> float | None:
    return condition.value if condition is not None else None
