"""Reading of NEWARE step files; what is in them is described beside their writing."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocols.document import DocumentError, Problem
from protocols.interop.loops import Entry, Jump, nested
from protocols.interop.neware import OTHER_TYPES, StepType
from protocols.interop.plan import Amount, Drive, Hold, Plan, PlanItem, Recording, Rest, Scan, Unit
from protocols.interop.positions import XmlDocument, xml_document
from protocols.interop.report import Report, Where
from protocols.limits import Limits

RATE_TYPE_IN_C = 105  # the file's currents are C-rates; otherwise (103) they are in mA

_MAIN = {"Curr", "Rate", "Volt", "Time", "Stop_Volt", "Stop_Curr", "Stop_Rate"}


def read(data: bytes, file: str, report: Report) -> Plan:
    """Raises `DocumentError` where the file is not a step file, or has steps that cannot be said."""
    document = xml_document(data, file)
    config = document.root if document.root.tag == "config" else document.root.find("config")
    info = config.find("Step_Info") if config is not None else None
    if config is None or info is None:
        said = "is no NEWARE step file: it has no 'config' with a 'Step_Info'"
        raise DocumentError([Problem(file, *document.place(document.root), said)])
    reader = _Reader(document, config, report)
    remark = config.find("Head_Info/Remark")
    capacity = reader.size(config.find("Head_Info/MultCap"), 3.6e6)
    notes = [f"The file gives its cell a capacity of {capacity * 1e3:g} mAh."] if capacity else []
    plan = Plan(
        title=remark.get("Value", "") if remark is not None else "",
        file=file,
        items=nested(list(reader.entries(info)), report),
        record=reader.record(),
        limits=reader.limits(),
        notes=tuple(notes),
    )
    if not plan.items and not report.problems:
        report.refuse(Where(file, document.place(info)[0]), "has no steps")
    return plan


@dataclass
class _Reader:
    document: XmlDocument
    config: ET.Element
    report: Report
    in_C: bool = False
    numbers: dict[int, int] = field(default_factory=dict)  # the entry that each step's first part became

    def __post_init__(self) -> None:
        self.in_C = self.value(self.config.find("Head_Info/RateType"), 1.0) == RATE_TYPE_IN_C

    def where(self, element: ET.Element, step: str = "") -> Where:
        line, column = self.document.place(element)
        return Where(self.document.file, line, step, column)

    def value(self, element: ET.Element | None, per_unit: float) -> float | None:
        """In SI units; None where there is none."""
        if element is None:
            return None
        text = element.get("Value", "")
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            self.report.refuse(self.where(element), f"'{element.tag}' has the value '{text}', which is no number")
            return None
        return found / per_unit

    def size(self, element: ET.Element | None, per_unit: float) -> float | None:
        """The same for what is above zero; zero stands for none."""
        found = self.value(element, per_unit)
        if found is not None and found < 0:
            assert element is not None
            self.report.refuse(self.where(element), f"'{element.tag}' is below zero")
            return None
        return found or None

    # --- the whole test

    def record(self) -> Recording:
        main = self.config.find("Whole_Prt/Record/Main")
        if main is None:
            return Recording()
        return Recording(*(self.size(main.find(n), u) for n, u in (("Time", 1e3), ("Volt", 1e4), ("Curr", 1e3))))

    def limits(self) -> Limits:
        main = self.config.find("Whole_Prt/Protect/Main")
        if main is None:
            return Limits()
        for element in main:
            if element.tag == "Delay_Time" and self.size(element, 1e3):
                self.report.note(self.where(element), "a limit trips at the first reading beyond it, without a delay")
            elif element.tag not in ("Volt", "Curr", "Delay_Time") and (len(element) or element.get("Value")):
                self.report.left_out(self.where(element), f"the protection '{element.tag}'")
        low, high = self.value(main.find("Volt/Lower"), 1e4), self.value(main.find("Volt/Upper"), 1e4)
        if low is not None and high is not None and low >= high:
            self.report.refuse(self.where(main), f"the upper limit of voltage, {high:g} V, is not above the lower")
        sizes = [self.value(main.find(name), 1e3) for name in ("Curr/Upper", "Curr/Lower")]
        given = sorted({abs(size) for size in sizes if size})
        if len(given) > 1:
            said = f"one limit of current for both directions, {given[-1] * 1e3:g} mA"
            self.report.approximated(self.where(main), said)
        return Limits(
            voltage_min_V=-math.inf if low is None else low,
            voltage_max_V=math.inf if high is None else high,
            current_max_A=given[-1] if given else math.inf,
        )

    # --- steps

    def entries(self, info: ET.Element) -> Iterator[Entry]:
        count = 0
        for number, element in enumerate(info, start=1):
            kind = element.get("Step_Type", "")
            self.numbers[number] = count
            if kind == str(int(StepType.END)):
                return
            where = self.where(element, f"step {number}")
            self._check_parts(element, where)
            found = list(self._entries(element, kind, where))
            count += len(found)
            yield from found
        self.report.note(self.where(info), "there is no end step; the last step is the end")

    def _entries(self, element: ET.Element, kind: str, where: Where) -> Iterator[Entry]:
        match int(kind) if kind.isdecimal() and len(kind) < 9 else None:
            case StepType.REST:
                yield self._rest(element, where)
            case StepType.CC_CHARGE | StepType.CC_DISCHARGE as cc:
                yield self._drive(element, where, cc == StepType.CC_CHARGE)
            case StepType.CV_CHARGE | StepType.CV_DISCHARGE as cv:
                yield self._hold(element, where, cv == StepType.CV_CHARGE)
            case StepType.CCCV_CHARGE | StepType.CCCV_DISCHARGE as cccv:
                yield from self._cccv(element, where, cccv == StepType.CCCV_CHARGE)
            case StepType.SCAN:
                yield self._scan(element, where)
            case StepType.LOOP:
                yield self._jump(element, where)
            case other:
                known = OTHER_TYPES.get(other) if other is not None else None
                self.report.refuse(where, f"Step_Type '{kind}'{f' ({known})' if known else ''} cannot be read")

    def _rest(self, element: ET.Element, where: Where) -> PlanItem | None:
        time_s = self._time(element)
        if time_s is None:
            self.report.refuse(where, "a rest needs a time")
            return None
        return Rest(time_s, where=where, every_s=self._every(element))

    def _drive(self, element: ET.Element, where: Where, charge: bool) -> PlanItem | None:
        amount = self._amount(element, "Curr", "Rate")
        voltage_V, time_s = self._main(element, "Stop_Volt", 1e4), self._time(element)
        if charge and voltage_V == 0:
            voltage_V = None
        if amount is None:
            self.report.refuse(where, "needs a current ('Curr' or 'Rate')")
        elif voltage_V is None and time_s is None:
            self.report.refuse(where, "has no end that can be read: 'Stop_Volt' or 'Time'")
        else:
            return Drive(charge, amount, voltage_V, time_s, where=where, every_s=self._every(element))
        return None

    def _hold(self, element: ET.Element, where: Where, charge: bool) -> PlanItem | None:
        volts, time_s = self._main(element, "Volt", 1e4), self._time(element)
        end, limit = self._amount(element, "Stop_Curr", "Stop_Rate"), self._amount(element, "Curr", "Rate")
        if volts is None:
            self.report.refuse(where, "needs a voltage ('Volt')")
        elif end is None and time_s is None:
            self.report.refuse(where, "has no end that can be read ('Stop_Curr' or 'Time'): it would hold for ever")
        else:
            return Hold(volts, end, time_s, limit, charge, where=where, every_s=self._every(element))
        return None

    def _cccv(self, element: ET.Element, where: Where, charge: bool) -> Iterator[PlanItem]:
        hold = self._hold(element, where, charge)
        if not isinstance(hold, Hold):
            return
        if hold.limit is None:
            self.report.refuse(where, "needs a current ('Curr' or 'Rate')")
            return
        if hold.time_s is not None:
            said = "the time is that of the constant current and of the hold, each on its own"
            self.report.approximated(where, said)
        yield Drive(charge, hold.limit, hold.voltage_V, hold.time_s, where=where, every_s=hold.every_s)
        yield hold

    def _scan(self, element: ET.Element, where: Where) -> PlanItem | None:
        slope = element.find("Slope")
        slopes = list(slope) if slope is not None else []
        if len(slopes) != 1 or (slope is not None and slope.get("Cycle_Count", "1") != "1"):
            self.report.refuse(where, "only a scan with one slope, done once, can be read")
            return None
        try:
            start, end, rate = (float(slopes[0].get(key, "")) for key in ("StartValue", "EndValue", "Value"))
        except ValueError:
            start = end = rate = math.nan
        if not (math.isfinite(start) and math.isfinite(end) and 0 < rate < math.inf) or start == end:
            self.report.refuse(where, "needs StartValue, EndValue and Value as numbers, and goes from one to another")
            return None
        return Scan(start / 1e4, end / 1e4, rate / 1e3, where=where, every_s=self._every(element))

    def _jump(self, element: ET.Element, where: Where) -> Jump | None:
        start = self.value(element.find("Limit/Other/Start_Step"), 1.0)
        count = self.value(element.find("Limit/Other/Cycle_Count"), 1.0)
        if start is None or count is None or count < 1 or count != int(count):
            self.report.refuse(where, "a loop needs a Start_Step, and a Cycle_Count of 1 or more")
        elif start != int(start) or int(start) not in self.numbers or int(start) == max(self.numbers):
            self.report.refuse(where, f"a loop goes back to a step before it; Start_Step is {start:g}")
        else:
            return Jump(self.numbers[int(start)], int(count), where)
        return None

    # --- parts of a step

    def _check_parts(self, element: ET.Element, where: Where) -> None:
        kind = element.get("Step_Type")
        for part in element:
            parts = list(part.iter())[1:]
            if part.tag == "Protect" and parts:
                self.report.left_out(self.where(part, where.step), "the step's own protection")
            elif part.tag == "Limit" and kind != str(int(StepType.LOOP)):
                unknown = [e for main in part for e in main if main.tag != "Main" or e.tag not in _MAIN]
                for each in unknown:
                    self.report.left_out(self.where(each, where.step), f"its '{each.tag}'")
            elif part.tag not in ("Protect", "Limit", "Record", "Slope"):
                self.report.left_out(self.where(part, where.step), f"its '{part.tag}'")

    def _main(self, element: ET.Element, name: str, per_unit: float) -> float | None:
        return self.value(element.find(f"Limit/Main/{name}"), per_unit)

    def _time(self, element: ET.Element) -> float | None:
        return self.size(element.find("Limit/Main/Time"), 1e3)

    def _amount(self, element: ET.Element, current: str, rate: str) -> Amount | None:
        """A current, by the file's own choice between mA and C-rates where both stand there."""
        amperes, per_hour = self._main(element, current, 1e3), self._main(element, rate, 1.0)
        if per_hour and (self.in_C or not amperes):
            return Amount(abs(per_hour), Unit.C_RATE)
        return Amount(abs(amperes), Unit.AMPERE) if amperes else None

    def _every(self, element: ET.Element) -> float | None:
        main = element.find("Record/Main")
        if main is None:
            return None
        for each in main:
            if each.tag != "Time":
                self.report.left_out(self.where(each), f"the step's own recording by '{each.tag}'")
        every_s = self.size(main.find("Time"), 1e3)
        return None if every_s == self.record().every_s else every_s
