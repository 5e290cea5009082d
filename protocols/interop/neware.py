"""NEWARE step files (BTS 8.0 XML): what is in them, and writing them.

Units in the file: 0.1 mV, mA without a sign, ms, and mA·s for capacity; every value stands in an attribute `Value`.
Layout as EmpaEconversion/aurora-unicycler writes it (`aurora_unicycler/_formats/neware.py`, MIT), which ran on BTS 8.0
hardware; step types as in NewareNDA (`NewareNDA/dicts.py`, BSD).

A CCCV is written as a CC and a CV step that carries the CC's current, the pair that is proven on hardware.
"""

from __future__ import annotations

import math
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from protocols.interop.loops import Jump, flat
from protocols.interop.plan import Amount, Drive, Hold, Plan, PlanItem, Rest, Scan, Unit, goes_on_at
from protocols.interop.report import Report, Where

FORMAT = {"type": "Step File", "version": "17", "client_version": "BTS Client 8.0.0.478(2024.06.24)(R3)"}
PROTECTION_DELAY_S = 1.0  # a limit must be passed for this long: a spike of noise ends no test
SMALLEST_A, SMALLEST_S = 1e-9, 1e-3  # of the file's six decimals, and of a tester's clock
SAME = 1e-3  # relative: what differs by more is said


class StepType(IntEnum):
    CC_CHARGE = 1
    CC_DISCHARGE = 2
    CV_CHARGE = 3
    REST = 4
    LOOP = 5
    END = 6
    CCCV_CHARGE = 7
    CV_DISCHARGE = 19
    CCCV_DISCHARGE = 20
    SCAN = 25


OTHER_TYPES: Mapping[int, str] = {
    8: "constant power, discharge",
    9: "constant power, charge",
    10: "constant resistance",
    13: "pause",
    16: "pulse",
    17: "simulation of a profile",
    21: "control",
    22: "open-circuit voltage",
    26: "constant power and voltage, discharge",
    27: "constant power and voltage, charge",
}


def write(plan: Plan, report: Report, created: datetime) -> str:
    """The identifier (Guid) follows from the content, so that the same protocol gives the same file."""
    root = ET.Element("root")
    config = ET.SubElement(root, "config", {**FORMAT, "date": f"{created:%Y%m%d%H%M%S}", "Guid": ""})
    head = ET.SubElement(config, "Head_Info")
    for name, value in (("Operate", "66"), ("Scale", "1"), ("Start_Step", "1"), ("Creator", "cellstation")):
        ET.SubElement(head, name, Value=value)
    head[2].set("Hide_Ctrl_Step", "0")
    ET.SubElement(head, "Remark", Value="".join(letter if letter.isprintable() else " " for letter in plan.title))
    ET.SubElement(head, "RateType", Value="103")  # currents in mA, not as C-rates
    if plan.capacity_Ah is not None:
        ET.SubElement(head, "MultCap", Value=_number(plan.capacity_Ah * 3.6e6))
    _write_whole(ET.SubElement(config, "Whole_Prt"), plan, report)
    entries = flat(plan.items)
    info = ET.SubElement(config, "Step_Info", Num=str(len(entries) + 1))
    before: PlanItem | None = None
    for number, entry in enumerate(entries, start=1):
        _Writer(info, number, before, report).write(entry)
        before = None if isinstance(entry, Jump) else entry
    last = str(len(entries) + 1)
    ET.SubElement(info, f"Step{last}", Step_ID=last, Step_Type=str(int(StepType.END)))
    ET.SubElement(ET.SubElement(config, "SMBUS"), "SMBUS_Info", Num="0", AdjacentInterval="0")
    ET.indent(root)
    config.set("Guid", str(uuid.uuid5(uuid.NAMESPACE_OID, ET.tostring(root, encoding="unicode"))))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _write_whole(parent: ET.Element, plan: Plan, report: Report) -> None:
    limits, record = plan.limits, plan.record
    if not math.isfinite(limits.voltage_min_V) or not math.isfinite(limits.voltage_max_V):
        said = "no limits of voltage on both sides: the tester runs alone, and these would guard the cell"
        report.note(plan.where, said)
    protect = ET.SubElement(ET.SubElement(parent, "Protect"), "Main")
    _bounds(protect, "Volt", Upper=limits.voltage_max_V * 1e4, Lower=limits.voltage_min_V * 1e4)
    _bounds(protect, "Curr", Upper=limits.current_max_A * 1e3, Lower=-limits.current_max_A * 1e3)
    ET.SubElement(protect, "Delay_Time", Value=_number(PROTECTION_DELAY_S * 1e3))
    main = ET.SubElement(ET.SubElement(parent, "Record"), "Main")
    ET.SubElement(main, "Time", Value=_number((record.every_s or 30.0) * 1e3))
    for name, value in (("Volt", (record.voltage_V or 0.0) * 1e4), ("Curr", (record.current_A or 0.0) * 1e3)):
        if value:
            ET.SubElement(main, name, Value=_number(value))


def _bounds(parent: ET.Element, name: str, **bounds: float) -> None:
    given = {bound: value for bound, value in bounds.items() if math.isfinite(value)}
    element = ET.SubElement(parent, name) if given else parent
    for bound, value in given.items():
        ET.SubElement(element, bound, Value=_number(value))


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one step."""

    info: ET.Element
    number: int
    before: PlanItem | None
    report: Report

    def write(self, entry: PlanItem | Jump) -> None:
        match entry:
            case Jump():
                limit = ET.SubElement(self._step(StepType.LOOP), "Limit")
                other = ET.SubElement(limit, "Other")
                ET.SubElement(other, "Start_Step", Value=str(entry.to + 1))
                ET.SubElement(other, "Cycle_Count", Value=str(entry.count))
            case Rest():
                self._limits(StepType.REST, entry.every_s, Time=self._ms(entry.where, entry.time_s))
            case Drive():
                self._drive(entry)
            case Hold():
                self._hold(entry)
            case Scan():
                self._scan(entry)

    def _drive(self, drive: Drive) -> None:
        self._limits(
            StepType.CC_CHARGE if drive.charge else StepType.CC_DISCHARGE,
            drive.every_s,
            Curr=self._mA(drive.where, drive.amount),
            Time=self._ms(drive.where, drive.time_s),
            Stop_Volt=None if drive.voltage_V is None else drive.voltage_V * 1e4,
        )

    def _hold(self, hold: Hold) -> None:
        limit = hold.limit
        if limit is None and goes_on_at(hold, self.before) and isinstance(self.before, Drive):
            limit = self.before.amount
        if limit is None:
            said = "needs a largest current ('limit: 0.2 C'), or the tester would give the cell all that it can"
            self.report.refuse(hold.where, said)
        if hold.charge is None:
            said = (
                "a NEWARE hold charges or discharges, and which of both cannot be told here; lead to its voltage first"
            )
            self.report.refuse(hold.where, said)
        self._limits(
            StepType.CV_DISCHARGE if hold.charge is False else StepType.CV_CHARGE,
            hold.every_s,
            Volt=hold.voltage_V * 1e4,
            Time=self._ms(hold.where, hold.time_s),
            Stop_Curr=self._mA(hold.where, hold.current) if hold.current is not None else None,
            Curr=self._mA(hold.where, limit) if limit is not None else None,
        )

    def _scan(self, scan: Scan) -> None:
        if scan.start_V is None:
            self.report.refuse(scan.where, "a scan needs a voltage that it begins at ('from')")
            return
        slope = ET.SubElement(self._step(StepType.SCAN), "Slope", SlopeType="1", Cycle_Count="1", ItemCount="1")
        start, end, rate = (_number(x) for x in (scan.start_V * 1e4, scan.end_V * 1e4, scan.rate_V_s * 1e3))
        ET.SubElement(slope, "Slope1", StartValue=start, EndValue=end, Value=rate)

    def _limits(self, kind: StepType, every_s: float | None, **limits: float | None) -> None:
        step = self._step(kind)
        if every_s is not None:
            record = ET.SubElement(ET.SubElement(step, "Record"), "Main")
            ET.SubElement(record, "Time", Value=_number(every_s * 1e3))
        main = ET.SubElement(ET.SubElement(step, "Limit"), "Main")
        for name, value in limits.items():
            if value is not None:
                ET.SubElement(main, name, Value=_number(value))

    def _step(self, kind: StepType) -> ET.Element:
        number = str(self.number)
        return ET.SubElement(self.info, f"Step{number}", Step_ID=number, Step_Type=str(int(kind)))

    def _mA(self, where: Where, amount: Amount) -> float:
        match amount.unit:
            case Unit.AMPERE if amount.value < SMALLEST_A:
                self.report.refuse(where, f"{amount.value:g} A is nothing there: the file resolves 1 nA")
            case Unit.C_RATE:
                raise ValueError("a rate stands in a plan that should be in amperes")
            case Unit.WATT | Unit.OHM:
                self.report.refuse(where, "constant power and resistance are not written to step files")
            case _:
                written = float(_number(amount.value * 1e3)) * 1e-3
                if abs(written - amount.value) > SAME * amount.value:
                    said = f"{amount.value * 1e6:g} µA is written as {written * 1e6:g} µA: the file resolves 1 nA"
                    self.report.approximated(where, said)
        return amount.value * 1e3

    def _ms(self, where: Where, time_s: float | None) -> float | None:
        if time_s is not None and time_s < SMALLEST_S:
            self.report.refuse(where, f"{time_s:g} s is nothing there: the file resolves 1 ms")
        return None if time_s is None else time_s * 1e3


def _number(value: float) -> str:
    return f"{value:.6f}"
