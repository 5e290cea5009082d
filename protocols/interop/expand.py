"""From a protocol of ours to a plan that other formats can say.

The protocol is compiled first, so that techniques, includes and parameters are what they are on the bench. A current
that was written as a multiple of 1C is recognised by compiling for a cell of half the capacity as well: it halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from protocols.cell import Cell
from protocols.compile import Protocol
from protocols.document import DocumentError, Place
from protocols.interop import passes
from protocols.interop.one_step import Context
from protocols.interop.plan import Drive, Hold, Loop, Plan, PlanItem, Recording, Scan
from protocols.interop.report import Report, Where
from protocols.language import Step as WrittenStep
from protocols.program import Program

ANY_CELL = "(none given)"
ANY_CAPACITY_Ah = 1e-9  # so small that no current limit is in its way


def plan_of(protocol: Protocol, cell: Cell | None, report: Report, *, impedance: bool = True) -> Plan:
    """The steps that the formats know, with a remark for each thing that none of them can say.

    `impedance` says whether spectra are among them.

    Raises `DocumentError` where the protocol does not compile.
    """
    used = cell or Cell.model_validate({"cell": ANY_CELL, "nominal_capacity": f"{ANY_CAPACITY_Ah} Ah"})
    program = protocol.compile_for(used)
    half = _halved(protocol, used, program)
    context = Context(program, half, cell is not None, impedance, _names(protocol), report)
    items = passes.items(context)
    _remark_on_whole(protocol, program, report)
    rule = program.record
    return Plan(
        title=protocol.title,
        file=protocol.document.file,
        items=tuple(_with_directions(items, _Seen())),
        record=Recording(rule.every_s, rule.voltage_V, rule.current_A),
        limits=program.limits.narrowed_by(cell.limits.limits()) if cell is not None else program.limits,
        capacity_Ah=cell.capacity_Ah if cell is not None else None,
    )


def _halved(protocol: Protocol, cell: Cell, program: Program) -> Program | None:
    """For a cell of half the capacity; None where that changes more than currents."""
    if cell.capacity_Ah is None:
        return None
    half = {"nominal_capacity": cell.capacity_Ah / 2, "specific_capacity": None}
    try:
        other = protocol.compile_for(cell.model_copy(update=half))
    except DocumentError:
        return None
    same = [type(operation) for operation in program.operations] == [type(one) for one in other.operations]
    return other if same else None


def _names(protocol: Protocol) -> Mapping[tuple[str, int], str]:
    """Names that were given to steps, by the file and line of their techniques."""
    file = protocol.document.file

    def walk(written: tuple[WrittenStep, ...], place: Place) -> Iterator[tuple[tuple[str, int], str]]:
        for index, step in enumerate(written):
            if step.steps is not None:
                yield from walk(step.steps, (*place, index, "steps"))
            elif step.name is not None:
                yield (file, protocol.document.problem((*place, index, step.technique), "").line), step.name

    return dict(walk(protocol.content.steps, ("steps",)))


def _remark_on_whole(protocol: Protocol, program: Program, report: Report) -> None:
    def where(*place: str) -> Where:
        return Where(protocol.document.file, protocol.document.problem(place, "").line)

    rule, limits = program.record, program.limits
    if rule.pressure_Pa is not None or rule.temperature_K is not None:
        report.left_out(where("record"), "recording at changes of pressure and temperature")
    if rule.burst_every_s is not None:
        report.left_out(where("record"), "the burst of records after each change of step")
    if limits.watches_pressure():
        report.left_out(where("limits"), "the limits of pressure: nothing will watch them")
    if limits.watches_temperature():
        report.left_out(where("limits"), "the limits of temperature: nothing will watch them")
    if program.markers:
        report.left_out(where("markers"), "the markers")


# --- whether a hold charges or discharges


@dataclass(slots=True)
class _Seen:
    """The last voltage that the cell was led to, and whether that was on charge."""

    voltage_V: float | None = None
    charge: bool | None = None


def _with_directions(items: Sequence[PlanItem], seen: _Seen) -> Iterator[PlanItem]:
    for item in items:
        match item:
            case Drive():
                seen.voltage_V, seen.charge = item.voltage_V, item.charge
                yield item
            case Hold():
                charge = item.charge
                if charge is None and seen.voltage_V is not None:
                    same = item.voltage_V == seen.voltage_V
                    charge = seen.charge if same else item.voltage_V > seen.voltage_V
                seen.voltage_V, seen.charge = item.voltage_V, charge
                yield replace(item, charge=charge)
            case Scan():
                seen.charge = None if item.start_V is None else item.end_V > item.start_V
                seen.voltage_V = item.end_V
                yield item
            case Loop():
                yield replace(item, items=tuple(_with_directions(item.items, seen)))
            case _:
                yield item
