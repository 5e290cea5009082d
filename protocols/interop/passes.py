"""From a program's flat operations to loops inside loops; what is done in some passes only is written out.

A step that is done each tenth cycle makes the passes of a loop differ. They are written out, and what repeats among
them is made loops again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from protocols.interop.loops import folded
from protocols.interop.one_step import Context, items_of, where
from protocols.interop.plan import Loop, PlanItem
from protocols.interop.report import Where
from protocols.program import CycleCount, Marker, Only, Operation, Repeat, Step

MOST_PASSES = 20_000  # of a loop whose passes differ


def items(context: Context) -> list[PlanItem]:
    """All steps of the program, with its loops."""
    operations = context.program.operations
    found, _ = _Walk(context).items(_tree(operations, 0, len(operations)), CycleCount(), {})
    return found


@dataclass(frozen=True, slots=True)
class _Guarded:
    only: Only
    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Looped:
    index: int  # of the loop's end
    repeat: Repeat
    nodes: tuple[_Node, ...]
    where: Where


_Node: TypeAlias = int | _Guarded | _Looped  # an int is the index of a step or a marker


def _tree(operations: Sequence[Operation], begin: int, end: int) -> tuple[_Node, ...]:
    nodes: list[_Node] = []
    index = begin
    while index < end:
        ends = [i for i, one in enumerate(operations[:end]) if isinstance(one, Repeat) and one.start == index <= i]
        operation = operations[index]
        if ends:
            repeat = operations[ends[-1]]
            assert isinstance(repeat, Repeat)
            inside = _tree(operations, index, ends[-1])
            nodes.append(_Looped(ends[-1], repeat, inside, where(_first(operations, index))))
            index = ends[-1] + 1
        elif isinstance(operation, Only):
            past = min(operation.past, end)
            nodes.append(_Guarded(operation, _tree(operations, index + 1, past)))
            index = past
        else:
            nodes.append(index)
            index += 1
    return tuple(nodes)


def _first(operations: Sequence[Operation], begin: int) -> Step | Marker:
    return next(one for one in operations[begin:] if isinstance(one, Step | Marker))


def _conditional(nodes: Sequence[_Node]) -> bool:
    return any(isinstance(n, _Guarded) or (isinstance(n, _Looped) and _conditional(n.nodes)) for n in nodes)


@dataclass
class _Walk:
    context: Context

    def items(
        self, nodes: Sequence[_Node], cycles: CycleCount, passes: Mapping[int, int]
    ) -> tuple[list[PlanItem], CycleCount]:
        """What the nodes come to in these passes of the loops around, and the cycle count after them."""
        found: list[PlanItem] = []
        for node in nodes:
            if isinstance(node, int):
                operation = self.context.program.operations[node]
                if isinstance(operation, Step):
                    cycles = cycles.entering(operation.kind)
                found += items_of(self.context, node)
            elif isinstance(node, _Looped):
                inside, cycles = self._loop(node, cycles, passes)
                found += inside
            elif node.only.allows(cycles.cycle if node.only.loop is None else passes[node.only.loop]):
                inside, cycles = self.items(node.nodes, cycles, passes)
                found += inside
        return found, cycles

    def _loop(self, node: _Looped, cycles: CycleCount, passes: Mapping[int, int]) -> tuple[list[PlanItem], CycleCount]:
        count = node.repeat.count
        for end in node.repeat.ends:
            said = f"the loop's end at {end}: it is passed {count} times in any case"
            self.context.report.left_out(node.where, said)
        if not _conditional(node.nodes):
            inside, first = self.items(node.nodes, cycles, passes)
            _, second = self.items(node.nodes, first, passes)
            more = (second.cycle - first.cycle) * (count - 1)
            after = replace(second, cycle=first.cycle + more)
            return ([Loop(tuple(inside), count, where=node.where)] if inside else []), after
        if count > MOST_PASSES:
            self.context.report.refuse(node.where, f"{count} passes that differ are too many to be written out")
            return [], cycles
        bodies: list[tuple[PlanItem, ...]] = []
        for number in range(1, count + 1):
            body, cycles = self.items(node.nodes, cycles, {**passes, node.index: number})
            bodies.append(tuple(body))
        return list(folded([body for body in bodies if body], node.where)), cycles
