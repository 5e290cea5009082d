"""What a NEWARE tester reads from a step file (BTS 8.0 XML), in SI units.

Units in the file: 0.1 mV, mA, ms, and mA·s for capacity; each value is in an attribute `Value`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import IntEnum
from math import inf


class StepFileError(ValueError):
    """The tester cannot run this file."""


class StepType(IntEnum):
    """`Step_Type` in the file."""

    CC_CHARGE = 1
    CC_DISCHARGE = 2
    CV_CHARGE = 3
    REST = 4
    LOOP = 5
    END = 6
    CCCV_CHARGE = 7
    CV_DISCHARGE = 19

    @property
    def text(self) -> str:
        """The type as records name it."""
        return {1: "cc", 2: "dc", 3: "cv", 4: "rest", 5: "control", 6: "end", 7: "cccv", 19: "dv"}[self]


@dataclass(frozen=True, slots=True)
class FileStep:
    """One step; `current_A` is a magnitude, as in the file. A loop is passed `cycle_count` times in all."""

    number: int
    type: StepType
    current_A: float | None = None
    voltage_V: float | None = None
    time_s: float | None = None
    stop_voltage_V: float | None = None
    stop_current_A: float | None = None
    start_step: int = 0
    cycle_count: int = 0


@dataclass(frozen=True, slots=True)
class WholeTest:
    """Limits and recording of the whole test; what the file leaves out limits nothing."""

    voltage_max_V: float = inf
    voltage_min_V: float = -inf
    current_max_A: float = inf  # signed: charge is positive
    current_min_A: float = -inf
    capacity_max_Ah: float = inf
    delay_s: float = 0.0
    record_time_s: float | None = None
    record_voltage_V: float | None = None
    record_current_A: float | None = None


@dataclass(frozen=True, slots=True)
class StepFile:
    remark: str
    whole_test: WholeTest
    steps: tuple[FileStep, ...]  # the last one is the end step


def parse_step_file(xml: bytes | str) -> StepFile:
    """Read a step file; raises `StepFileError` where it is no step file or the virtual tester cannot run it."""
    try:
        config = ET.fromstring(xml).find("config")
    except (ET.ParseError, ValueError) as error:
        raise StepFileError(f"not XML: {error}") from error
    if config is None or config.get("type") != "Step File":
        raise StepFileError("no <config type='Step File'>")
    remark = config.find("Head_Info/Remark")
    info = config.find("Step_Info")
    if info is None or info.get("Num") != str(len(info)):
        raise StepFileError("Step_Info/@Num is not the number of steps")
    steps = tuple(_step(element, number) for number, element in enumerate(info, start=1))
    if not steps or steps[-1].type is not StepType.END:
        raise StepFileError("the last step is not an end step")
    return StepFile(
        remark=remark.get("Value", "") if remark is not None else "", whole_test=_whole_test(config), steps=steps
    )


def _step(element: ET.Element, number: int) -> FileStep:
    if element.tag != f"Step{number}" or element.get("Step_ID") != str(number):
        raise StepFileError(f"step {number} is named {element.tag}, Step_ID {element.get('Step_ID')}")
    try:
        kind = StepType(int(element.get("Step_Type", "")))
    except ValueError:
        raise StepFileError(f"step {number}: Step_Type {element.get('Step_Type')!r} is not known") from None
    step = FileStep(
        number,
        kind,
        current_A=_scaled(element, "Limit/Main/Curr", 1e-3),
        voltage_V=_scaled(element, "Limit/Main/Volt", 1e-4),
        time_s=_scaled(element, "Limit/Main/Time", 1e-3),
        stop_voltage_V=_scaled(element, "Limit/Main/Stop_Volt", 1e-4),
        stop_current_A=_scaled(element, "Limit/Main/Stop_Curr", 1e-3),
        start_step=int(_scaled(element, "Limit/Other/Start_Step", 1) or 0),
        cycle_count=int(_scaled(element, "Limit/Other/Cycle_Count", 1) or 0),
    )
    _check(step)
    return step


def _check(step: FileStep) -> None:
    match step.type:
        case StepType.CC_CHARGE | StepType.CC_DISCHARGE:
            complete = bool(step.current_A)
        case StepType.CV_CHARGE | StepType.CV_DISCHARGE:
            complete = step.voltage_V is not None
        case StepType.CCCV_CHARGE:
            complete = step.voltage_V is not None and bool(step.current_A)
        case StepType.REST:
            complete = step.time_s is not None
        case StepType.LOOP:
            complete = 1 <= step.start_step < step.number and step.cycle_count >= 1
        case StepType.END:
            complete = True
    if not complete:
        raise StepFileError(f"step {step.number} ({step.type.name}) lacks what it needs")


def _whole_test(config: ET.Element) -> WholeTest:
    limits = {
        "voltage_max_V": _scaled(config, "Whole_Prt/Protect/Main/Volt/Upper", 1e-4),
        "voltage_min_V": _scaled(config, "Whole_Prt/Protect/Main/Volt/Lower", 1e-4),
        "current_max_A": _scaled(config, "Whole_Prt/Protect/Main/Curr/Upper", 1e-3),
        "current_min_A": _scaled(config, "Whole_Prt/Protect/Main/Curr/Lower", 1e-3),
        "capacity_max_Ah": _scaled(config, "Whole_Prt/Protect/Main/Cap/Upper", 1e-3 / 3600),
        "delay_s": _scaled(config, "Whole_Prt/Protect/Main/Delay_Time", 1e-3),
        "record_time_s": _scaled(config, "Whole_Prt/Record/Main/Time", 1e-3),
        "record_voltage_V": _scaled(config, "Whole_Prt/Record/Main/Volt", 1e-4),
        "record_current_A": _scaled(config, "Whole_Prt/Record/Main/Curr", 1e-3),
    }
    return WholeTest(**{name: value for name, value in limits.items() if value is not None})


def _scaled(parent: ET.Element, path: str, unit: float) -> float | None:
    element = parent.find(path)
    if element is None:
        return None
    try:
        return float(element.get("Value", "")) * unit
    except ValueError:
        raise StepFileError(f"{path}: {element.get('Value')!r} is not a number") from None
