"""A program cut where the station itself has something to do; what lies between is a cycler's that runs alone.

The order is the sequencer's own: it is asked what comes after what. So a loop that the station takes part in, and a
step that is done in some passes only, are written out; what comes again and again within a part is a loop again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from protocols.checks import problem_at
from protocols.document import DocumentError, Problem
from protocols.program import End, Kind, Only, Operation, Program, Repeat, Step, Then
from station import sequencer
from station.cycler_program import AROUND, is_for_station, problems_with
from station.sequencer import Phase


@dataclass(frozen=True, eq=False)
class Own:
    """A step that the station does itself while the circuit is open, as a program of the sequencer's."""

    step: Step
    program: Program


Part: TypeAlias = Program | Step | Own
"""A program for the cycler, an impedance step, or another step of the station's own."""

MOST_STEPS = 50_000
"""That are written out; a program that goes on for longer is not cut."""

LONGEST_BODY = 1000
"""Steps of a loop that is found again in what was written out."""


def cut(program: Program, *, measures_impedance: bool) -> tuple[Part, ...]:
    """The parts in their order; the program itself where there is nothing to cut.

    Raises `DocumentError` that names each step which neither the cycler nor the station can carry out.
    """
    is_whole = not any(_needs_cutting(index, one) for index, one in enumerate(program.operations))
    if problems := problems_with(program, measures_impedance=None if is_whole else measures_impedance):
        raise DocumentError(problems)
    if is_whole:
        return (program,)
    parts = tuple(_parts(program))
    of_cycler = (part for part in different(parts) if isinstance(part, Program))
    if problems := [problem for part in of_cycler for problem in problems_with(part)]:
        raise DocumentError(list(dict.fromkeys(problems)))
    return parts


def cut_at_procedures(program: Program, *, measures_impedance: bool) -> tuple[Part, ...]:
    """For a cycler that runs procedures of its own: each is a part. Raises `DocumentError` as `cut`."""
    wanted = (Kind.PROCEDURE, Kind.REST, *AROUND, *((Kind.IMPEDANCE,) if measures_impedance else ()))
    strange = [step for step in program.steps() if step.kind not in wanted]
    named = [step for step in program.steps() if step.kind is Kind.PROCEDURE]
    if strange or not named:
        raise DocumentError([problem_at(step, _not_a_procedure(step)) for step in strange or program.steps()])
    parts: dict[int, Part] = {}
    order = list(_executed(program))
    for index in dict.fromkeys(order):
        own = _own(program, index)
        is_procedure = isinstance(own, Own) and own.step.kind is Kind.PROCEDURE
        parts[index] = replace(program, operations=(_step(program, index),)) if is_procedure else own
    return tuple(parts[index] for index in order)


def _not_a_procedure(step: Step) -> str:
    if step.kind is Kind.IMPEDANCE:
        return "this channel has no impedance instrument; bind one ('impedance' in station.toml), or leave it out"
    return "this channel's cycler runs procedures that are stored on it: the protocol names them with 'procedure'"


def different(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Each part once, however often it comes."""
    return tuple({id(part): part for part in parts}.values())


def _needs_cutting(index: int, operation: Operation) -> bool:
    return isinstance(operation, Only) or (
        isinstance(operation, Step) and (operation.kind is Kind.IMPEDANCE or is_for_station(index, operation))
    )


def _parts(program: Program) -> Iterator[Part]:
    """Equal parts are one object."""
    made: dict[tuple[int, ...], Part] = {}
    for is_cut, run in itertools.groupby(
        _executed(program), lambda index: _needs_cutting(index, program.operations[index])
    ):
        for indices in [(index,) for index in run] if is_cut else [tuple(run)]:
            if indices not in made:
                made[indices] = (
                    _own(program, *indices) if is_cut else replace(program, operations=tuple(_folded(program, indices)))
                )
            yield made[indices]


def _own(program: Program, index: int) -> Step | Own:
    """What the station does; an end that leads to a trip keeps that."""
    step = program.operations[index]
    assert isinstance(step, Step)
    if step.kind is Kind.IMPEDANCE:
        return _step(program, index)
    ends = tuple(replace(end, then=Then.TRIP if end.then is Then.TRIP else None) for end in step.ends)
    alone = replace(step, ends=ends)
    return Own(alone, replace(program, operations=(alone,), markers=()))


def _executed(program: Program) -> Iterator[int]:
    """The steps by their indices among the operations, as they come."""
    state = sequencer.begin(program, 0.0).state
    for _ in range(MOST_STEPS):
        if state.phase is not Phase.RUNNING:
            return
        yield state.operation
        state = sequencer.skip(program, state, 0.0).state
    said = f"more than {MOST_STEPS} steps are not cut into parts for a cycler that runs alone; repeat less often"
    raise DocumentError([Problem(program.file, 1, 1, said)])


def _step(program: Program, index: int) -> Step:
    """As it stands by itself: what follows it is said by its place."""
    step = program.operations[index]
    assert isinstance(step, Step)
    return replace(step, ends=tuple(End(end.conditions, None, end.for_s) for end in step.ends))


def _folded(program: Program, indices: Sequence[int], before: int = 0) -> list[Operation]:
    """With loops for what comes again at once; `before` operations stand before these."""
    operations: list[Operation] = []
    at = 0
    while at < len(indices):
        length, passes = _repeated(indices, at)
        if passes == 1:
            operations.append(_step(program, indices[at]))
        else:
            start = before + len(operations)
            operations += _folded(program, indices[at : at + length], start)
            operations.append(Repeat(start, passes))
        at += length * passes
    return operations


def _repeated(indices: Sequence[int], at: int) -> tuple[int, int]:
    """Length and passes of the loop that covers most from there on, the shortest such; (1, 1) where there is none."""
    best = (1, 1)
    for length in range(1, min(LONGEST_BODY, (len(indices) - at) // 2) + 1):
        if indices[at + length] != indices[at]:
            continue
        body, passes = indices[at : at + length], 1
        while indices[at + passes * length : at + (passes + 1) * length] == body:
            passes += 1
        if passes > 1 and length * passes > best[0] * best[1]:
            best = (length, passes)
    return best
