"""Loops: as jumps back in a flat list, as lists inside lists, and written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocols.interop.plan import Loop, PlanItem
from protocols.interop.report import Report, Where

LONGEST_PATTERN = 100  # passes that repeat as a whole


@dataclass(frozen=True, slots=True)
class Jump:
    """Back to the entry `to` (from 0) of the list until it was passed `count` times in all."""

    to: int
    count: int
    where: Where
    name: str = ""


Entry: TypeAlias = PlanItem | Jump | None
"""Of a flat list; None does nothing, such as a tag."""


def nested(entries: Sequence[Entry], report: Report) -> tuple[PlanItem, ...]:
    """The list with loops for its jumps. Loops that cross one another are refused."""
    parts: list[tuple[int, PlanItem]] = []  # with the entry that each begins at
    for index, entry in enumerate(entries):
        if isinstance(entry, Jump):
            inside: list[PlanItem] = []
            first = index
            while parts and parts[-1][0] >= entry.to:
                first, item = parts.pop()
                inside.insert(0, item)
            if parts and isinstance(parts[-1][1], Loop) and _last(entries, parts[-1][0], first) >= entry.to:
                report.refuse(entry.where, "this loop begins inside another one and ends after it")
            elif not inside:
                report.refuse(entry.where, "this loop has no steps")
            else:
                parts.append((first, Loop(tuple(inside), entry.count, where=entry.where, name=entry.name)))
        elif entry is not None:
            parts.append((index, entry))
    return tuple(item for _, item in parts)


def _last(entries: Sequence[Entry], begin: int, end: int) -> int:
    """The last jump between two entries: where the loop that begins at `begin` ends."""
    return max(i for i in range(begin, end) if isinstance(entries[i], Jump))


def flat(items: Sequence[PlanItem], first: int = 0) -> list[PlanItem | Jump]:
    """The items with jumps for their loops; `first` is the number of the first entry."""
    entries: list[PlanItem | Jump] = []
    for item in items:
        if isinstance(item, Loop):
            begin = first + len(entries)
            entries += flat(item.items, begin)
            entries.append(Jump(begin, item.count, item.where, item.name))
        else:
            entries.append(item)
    return entries


def written_out(items: Sequence[PlanItem], most: int) -> list[PlanItem] | None:
    """The items as often as the loops say; None where these are more than `most`."""
    found: list[PlanItem] = []
    for item in items:
        inside = written_out(item.items, most) if isinstance(item, Loop) else [item]
        count = item.count if isinstance(item, Loop) else 1
        if inside is None or len(found) + count * len(inside) > most:
            return None
        found += count * inside
    return found


def folded(passes: Sequence[tuple[PlanItem, ...]], where: Where) -> tuple[PlanItem, ...]:
    """Passes, one after another, with a loop for what repeats."""
    found: list[PlanItem] = []
    index = 0
    while index < len(passes):
        length, times = _pattern(passes[index : index + 50 * LONGEST_PATTERN])
        block = passes[index : index + length]
        if times > 1:
            times = _times(passes, index, length)
            inside = block[0] if length == 1 else folded(block, where)
            found.append(Loop(tuple(inside), times, where=where))
        else:
            found += [item for each in block for item in each]
        index += length * times
    return tuple(found)


def _pattern(passes: Sequence[tuple[PlanItem, ...]]) -> tuple[int, int]:
    """Length and times of the block at the beginning that covers the most when it is repeated; the shortest one."""
    best = (1, 1)
    for length in range(1, min(LONGEST_PATTERN, len(passes) // 2) + 1):
        times = _times(passes, 0, length)
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _times(passes: Sequence[tuple[PlanItem, ...]], index: int, length: int) -> int:
    times = 1
    while passes[index + times * length : index + (times + 1) * length] == passes[index : index + length]:
        times += 1
    return times
