"""NEWARE step files (BTS 8.0 XML): a `CyclerProgram` in the tester's own words.

Units in the file: 0.1 mV, mA, ms, and mA·s for capacity. Layout and units as the exporter of
EmpaEconversion/aurora-unicycler writes them, which ran on BTS 8.0 hardware; see
docs/instruments/neware-bts.md.

A CCCV is written as a CC step and a CV step that carries the CC's current: these two are proven on
hardware, the tester's own CCCV step is not. The file's step numbers then run ahead of the program's;
`StepMap` leads back.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from drivers.interface import CyclerProgram, CyclerStep, OutOfRange, Refused, StepKind

FORMAT = {"type": "Step File", "version": "17", "client_version": "BTS Client 8.0.0.478(2024.06.24)(R3)"}
PROTECTION_DELAY_S = 1.0  # a limit must be passed for this long: a spike of noise ends no test

CC_CHARGE, CC_DISCHARGE, CV_CHARGE, REST, LOOP, END, CV_DISCHARGE = 1, 2, 3, 4, 5, 6, 19

INSTRUMENT = "NEWARE BTS"


@dataclass(frozen=True, slots=True)
class WireStep:
    """One step of the file: `origin` is the number of the program's step that it came from."""

    origin: int
    kind: int  # Step_Type
    limits: tuple[tuple[str, float], ...] = ()  # in the file's units
    start_step: int | None = None
    cycle_count: int | None = None


@dataclass(frozen=True, slots=True)
class StepMap:
    """The program's step number behind each step of the file, in order."""

    origins: tuple[int, ...]

    @classmethod
    def from_text(cls, text: str) -> StepMap:
        """Read what `to_text` wrote; `ValueError` where it is something else."""
        origins = tuple(map(int, text.split()))
        if not origins:
            raise ValueError("no step numbers")
        return cls(origins)

    def to_text(self) -> str:
        return " ".join(map(str, self.origins)) + "\n"

    def program_step(self, wire: int) -> int:
        """The program's step for the file's step `wire` (1-based); the end step counts as the last one.

        A number that the file does not have is returned as it is.
        """
        if wire == len(self.origins) + 1:
            return self.origins[-1]
        return self.origins[wire - 1] if 1 <= wire <= len(self.origins) else wire

    def wire_step(self, step: int) -> int:
        """The first of the file's steps that the program's step `step` became; `ValueError` if there is none."""
        return self.origins.index(step) + 1

    def continues(self, wire: int) -> bool:
        """Whether the file's step is the second part of the program's step before it (the CV of a CCCV)."""
        return 2 <= wire <= len(self.origins) and self.origins[wire - 2] == self.origins[wire - 1]


def step_map(program: CyclerProgram) -> StepMap:
    return StepMap(tuple(wire.origin for wire in wire_steps(program)))


def step_file(program: CyclerProgram, *, remark: str, created: datetime, guid: UUID) -> str:
    """The whole file as text. Raises `OutOfRange` or `Refused` where the file cannot say the program."""
    steps = wire_steps(program)
    root = ET.Element("root")
    config = ET.SubElement(root, "config", {**FORMAT, "date": f"{created:%Y%m%d%H%M%S}", "Guid": str(guid)})
    head = ET.SubElement(config, "Head_Info")
    for name, value in (("Operate", "66"), ("Scale", "1"), ("Start_Step", "1"), ("Creator", "cellstation")):
        ET.SubElement(head, name, Value=value)
    head[2].set("Hide_Ctrl_Step", "0")
    ET.SubElement(head, "Remark", Value=remark)
    ET.SubElement(head, "RateType", Value="103")  # currents in mA, not as C-rates
    _write_whole_test(ET.SubElement(config, "Whole_Prt"), program)
    info = ET.SubElement(config, "Step_Info", Num=str(len(steps) + 1))
    for number, step in enumerate(steps, start=1):
        _write_step(info, number, step)
    ET.SubElement(info, f"Step{len(steps) + 1}", Step_ID=str(len(steps) + 1), Step_Type=str(END))
    ET.SubElement(ET.SubElement(config, "SMBUS"), "SMBUS_Info", Num="0", AdjacentInterval="0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def wire_steps(program: CyclerProgram) -> tuple[WireStep, ...]:
    """The file's steps, without the final end step. Raises where the file cannot say the program."""
    _check_whole_test(program)
    if not program.steps:
        raise Refused(f"program {program.name!r} has no steps", instrument=INSTRUMENT)
    steps: list[WireStep] = []
    first_wire: dict[int, int] = {}
    for number, step in enumerate(program.steps, start=1):
        first_wire[number] = len(steps) + 1
        steps += _Compiler(program, number, step).compile(first_wire)
    _check_loops(program)
    return tuple(steps)


# --- the whole test's limits and recording


def _check_whole_test(program: CyclerProgram) -> None:
    protection = program.protection
    limits = (protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A, program.capacity_max_Ah)
    if not all(map(math.isfinite, limits)):
        raise OutOfRange(f"a limit of program {program.name!r} is not a number: {limits}", instrument=INSTRUMENT)
    if protection.voltage_min_V >= protection.voltage_max_V:
        raise OutOfRange(
            f"lower voltage limit {protection.voltage_min_V} V is not below the upper, {protection.voltage_max_V} V",
            instrument=INSTRUMENT,
        )
    for what, value in (
        ("current limit, A", protection.current_max_A),
        ("capacity limit, Ah", program.capacity_max_Ah),
        ("record interval, s", program.record_time_s),
        ("record voltage change, V", program.record_voltage_V),
    ):
        if value is not None and not 0 < value < math.inf:
            raise OutOfRange(f"{what}: {value} is not above 0", instrument=INSTRUMENT)
    if program.record_time_s is None and program.record_voltage_V is None:
        raise Refused(f"program {program.name!r} does not say when to record", instrument=INSTRUMENT)


def _write_whole_test(parent: ET.Element, program: CyclerProgram) -> None:
    limits = program.protection
    protect = ET.SubElement(ET.SubElement(parent, "Protect"), "Main")
    _write_bounds(protect, "Volt", Upper=limits.voltage_max_V * 1e4, Lower=limits.voltage_min_V * 1e4)
    _write_bounds(protect, "Curr", Upper=limits.current_max_A * 1e3, Lower=-limits.current_max_A * 1e3)
    ET.SubElement(protect, "Delay_Time", Value=_number(PROTECTION_DELAY_S * 1e3))
    _write_bounds(protect, "Cap", Upper=program.capacity_max_Ah * 1e3 * 3600)
    record = ET.SubElement(ET.SubElement(parent, "Record"), "Main")
    if program.record_time_s is not None:
        ET.SubElement(record, "Time", Value=_number(program.record_time_s * 1e3))
    if program.record_voltage_V is not None:
        ET.SubElement(record, "Volt", Value=_number(program.record_voltage_V * 1e4))


def _write_bounds(parent: ET.Element, name: str, **bounds: float) -> None:
    element = ET.SubElement(parent, name)
    for bound, value in bounds.items():
        ET.SubElement(element, bound, Value=_number(value))


def _write_step(info: ET.Element, number: int, step: WireStep) -> None:
    element = ET.SubElement(info, f"Step{number}", Step_ID=str(number), Step_Type=str(step.kind))
    limit = ET.SubElement(element, "Limit")
    if step.kind == LOOP:
        other = ET.SubElement(limit, "Other")
        ET.SubElement(other, "Start_Step", Value=str(step.start_step))
        ET.SubElement(other, "Cycle_Count", Value=str(step.cycle_count))
        return
    main = ET.SubElement(limit, "Main")
    for name, value in step.limits:
        ET.SubElement(main, name, Value=_number(value))


def _number(value: float) -> str:
    return f"{value:.6f}"


# --- one step


_MAY_HAVE = {
    StepKind.REST: {"end_time_s"},
    StepKind.CC: {"current_A", "end_time_s", "end_voltage_V"},
    StepKind.CV: {"current_A", "voltage_V", "end_time_s", "end_current_A"},
    StepKind.CCCV: {"current_A", "voltage_V", "end_current_A"},
    StepKind.LOOP: {"loop_to", "loop_count"},
}
_INSTEAD = {StepKind.CCCV: ": it is written as a CC and a CV step; give these two, each with its own time"}
_FIELDS = ("current_A", "voltage_V", "end_time_s", "end_voltage_V", "end_current_A", "loop_to", "loop_count")


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns one step of the program into the file's; every complaint names the step."""

    program: CyclerProgram
    number: int
    step: CyclerStep

    def compile(self, first_wire: dict[int, int]) -> Iterator[WireStep]:
        step = self.step
        for field in _FIELDS:
            if getattr(step, field) is not None and field not in _MAY_HAVE[step.kind]:
                raise self._refuse(f"a {step.kind.value} step of the file has no {field}{_INSTEAD.get(step.kind, '')}")
        match step.kind:
            case StepKind.REST:
                yield self._wire(REST, Time=self._time(required="a rest needs an end_time_s"))
            case StepKind.CC:
                yield self._cc(self._current(step.current_A), self._end_voltage(), self._time())
            case StepKind.CV:
                yield self._cv(self._current(self._cv_current()))
            case StepKind.CCCV:
                current = self._current(step.current_A)
                yield self._cc(current, self._voltage("voltage_V", step.voltage_V), None)
                yield self._cv(current)
            case StepKind.LOOP:
                yield self._loop(first_wire)

    def _cc(self, current_mA: float, stop_voltage: float | None, time_ms: float | None) -> WireStep:
        if stop_voltage is None and time_ms is None:
            raise self._refuse("a constant current needs an end_time_s or an end_voltage_V, or it never ends")
        kind = CC_CHARGE if current_mA > 0 else CC_DISCHARGE
        return self._wire(kind, Curr=abs(current_mA), Time=time_ms, Stop_Volt=stop_voltage)

    def _cv(self, current_mA: float) -> WireStep:
        time_ms, stop_mA = self._time(), self._stop_current(current_mA)
        if time_ms is None and stop_mA is None:
            raise self._refuse(f"a {self.step.kind.value} step needs an end (end_current_A), or it never ends")
        return self._wire(
            CV_CHARGE if current_mA > 0 else CV_DISCHARGE,
            Volt=self._voltage("voltage_V", self.step.voltage_V),
            Time=time_ms,
            Stop_Curr=stop_mA,
            Curr=abs(current_mA),
        )

    def _loop(self, first_wire: dict[int, int]) -> WireStep:
        to, count = self.step.loop_to, self.step.loop_count
        if to is None or count is None:
            raise self._refuse("a loop needs loop_to and loop_count")
        if not 1 <= to < self.number:
            raise self._range(f"loop_to {to} is not a step before the loop")
        if count < 1:
            raise self._range(f"loop_count {count} is below 1")
        return WireStep(self.number, LOOP, start_step=first_wire[to], cycle_count=count)

    def _wire(self, kind: int, **limits: float | None) -> WireStep:
        return WireStep(self.number, kind, tuple((k, v) for k, v in limits.items() if v is not None))

    def _cv_current(self) -> float | None:
        """A hold without a current of its own goes on with that of the CC step that led to its voltage."""
        if self.step.current_A is not None or self.number == 1:
            return self.step.current_A
        before = self.program.steps[self.number - 2]
        same = before.kind is StepKind.CC and before.end_voltage_V == self.step.voltage_V
        return before.current_A if same else None

    def _current(self, amperes: float | None) -> float:
        limit = self.program.protection.current_max_A
        if amperes is None:
            raise self._refuse(f"a {self.step.kind.value} step needs a current_A, with its sign")
        if not abs(amperes) <= limit:
            raise self._range(f"current {amperes} A is beyond the program's limit of ±{limit} A")
        if abs(amperes) < 1e-9:
            raise self._range(f"current {amperes} A is nothing: the file resolves 1 nA")
        return amperes * 1e3

    def _voltage(self, name: str, volts: float | None) -> float:
        low, high = self.program.protection.voltage_min_V, self.program.protection.voltage_max_V
        if volts is None:
            raise self._refuse(f"a {self.step.kind.value} step needs a {name}")
        if not low <= volts <= high:
            raise self._range(f"{name} {volts} V is outside the program's limits, {low} V to {high} V")
        return volts * 1e4

    def _end_voltage(self) -> float | None:
        volts = self.step.end_voltage_V
        return None if volts is None else self._voltage("end_voltage_V", volts)

    def _time(self, required: str = "") -> float | None:
        seconds = self.step.end_time_s
        if seconds is None:
            if required:
                raise self._refuse(required)
            return None
        if not 0.001 <= seconds < math.inf:
            raise self._range(f"end_time_s {seconds} s: the file resolves 1 ms")
        return seconds * 1e3

    def _stop_current(self, current_mA: float) -> float | None:
        amperes = self.step.end_current_A
        if amperes is None:
            return None
        if not 1e-9 <= amperes < abs(current_mA) / 1e3:
            raise self._range(f"end_current_A {amperes} A is not between 0 and the step's {abs(current_mA) / 1e3:g} A")
        return amperes * 1e3

    def _refuse(self, what: str) -> Refused:
        return Refused(f"step {self.number} of {self.program.name!r}: {what}", instrument=INSTRUMENT)

    def _range(self, what: str) -> OutOfRange:
        return OutOfRange(f"step {self.number} of {self.program.name!r}: {what}", instrument=INSTRUMENT)


def _check_loops(program: CyclerProgram) -> None:
    """Loops may stand side by side or inside one another; one that jumps into another has no meaning."""
    loops = [(step.loop_to or 0, number) for number, step in enumerate(program.steps, start=1) if step.loop_to]
    for start, end in loops:
        for other_start, other_end in loops:
            if start < other_start <= end < other_end:
                raise Refused(
                    f"step {other_end} of {program.name!r}: its loop, from step {other_start}, "
                    f"crosses that of step {end}, from step {start}",
                    instrument=INSTRUMENT,
                )
