"""Writing of protocols of aurora-unicycler."""

from __future__ import annotations

import math
from collections.abc import Iterator

from protocols.interop.loops import Jump, flat
from protocols.interop.plan import Amount, Drive, Hold, Plan, PlanItem, Rest, Scan, Sweep, Unit, goes_on_at, steps
from protocols.interop.report import Report
from protocols.interop.text import current, voltage
from protocols.interop.unicycler_file import (
    AnyStep,
    ConstantCurrent,
    ConstantVoltage,
    Impedance,
    LoopStep,
    OpenCircuit,
    ProtocolJson,
    Record,
    Safety,
    Sample,
    Tag,
    VoltageScan,
)

SMALLEST_V = 1e-3  # in place of 0 V, which unicycler takes for 'none'


def write(plan: Plan, report: Report) -> str:
    """Raises nothing; what cannot be said is in the report."""
    limits, record = plan.limits, plan.record
    bounded = math.isfinite(limits.current_max_A)
    content = ProtocolJson(
        sample=Sample(name=plan.title, capacity_mAh=_milli(plan.capacity_Ah)),
        record=Record(time_s=record.every_s or 30.0, voltage_V=record.voltage_V, current_mA=_milli(record.current_A)),
        safety=Safety(
            max_voltage_V=limits.voltage_max_V if math.isfinite(limits.voltage_max_V) else None,
            min_voltage_V=limits.voltage_min_V if math.isfinite(limits.voltage_min_V) else None,
            max_current_mA=_milli(limits.current_max_A) if bounded else None,
            min_current_mA=_milli(-limits.current_max_A) if bounded else None,
        ),
        method=tuple(_method(plan, report)) or (Tag(tag="empty"),),
    )
    in_C = [step for step in steps(plan.items) if isinstance(step, Drive) and step.amount.unit is Unit.C_RATE]
    if in_C and plan.capacity_Ah is None:
        said = "its rates need a sample's capacity before unicycler can export it; give a cell, or the capacity there"
        report.note(in_C[0].where, said)
    return content.model_dump_json(indent=4, exclude_none=True) + "\n"


def _method(plan: Plan, report: Report) -> Iterator[AnyStep]:
    entries = flat(plan.items)
    jumps = [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, Jump)]
    tags = {entry.to: f"loop {number}" for number, (_, entry) in enumerate(reversed(jumps), start=1)}
    before: PlanItem | None = None
    for index, entry in enumerate(entries):
        if index in tags:
            yield Tag(tag=tags[index])
        if isinstance(entry, Jump):
            yield LoopStep(loop_to=tags[entry.to], cycle_count=entry.count, id=entry.name or None)
            before = None
            continue
        if entry.every_s is not None:
            report.left_out(entry.where, f"its own recording interval, {entry.every_s:g} s")
        yield from _step(entry, before, report)
        before = entry


def _step(item: PlanItem, before: PlanItem | None, report: Report) -> Iterator[AnyStep]:
    name = item.name or None
    match item:
        case Rest():
            yield OpenCircuit(until_time_s=item.time_s, id=name)
        case Drive(amount=Amount(unit=Unit.WATT | Unit.OHM)):
            report.refuse(item.where, "unicycler knows no constant power or resistance")
        case Drive():
            yield _drive(item, name, report)
        case Hold():
            yield _hold(item, before, name, report)
        case Sweep():
            report.note(item.where, "unicycler's amplitude is a peak value: √2 times the r.m.s. value")
            yield Impedance(
                amplitude_V=item.volts * math.sqrt(2) if item.volts is not None else None,
                amplitude_mA=item.amperes * 1e3 * math.sqrt(2) if item.amperes is not None else None,
                start_frequency_Hz=item.start_Hz,
                end_frequency_Hz=item.end_Hz,
                points_per_decade=item.points_per_decade,
                id=name,
            )
        case Scan(start_V=None):
            report.refuse(item.where, "a scan needs a voltage that it begins at ('from')")
        case Scan():
            yield VoltageScan(
                start_voltage_V=item.start_V,
                end_voltage_V=item.end_V,
                scan_rate_mV_per_s=_tidy(item.rate_V_s * 1e3),
                id=name,
            )


def _drive(item: Drive, name: str | None, report: Report) -> ConstantCurrent:
    sign = 1.0 if item.charge else -1.0
    until_V = item.voltage_V
    if until_V == 0:
        said = f"ends at {voltage(SMALLEST_V)} instead of 0 V, which unicycler and its exporters take for 'none'"
        report.approximated(item.where, said)
        until_V = SMALLEST_V
    in_C = item.amount.unit is Unit.C_RATE
    return ConstantCurrent(
        rate_C=sign * item.amount.value if in_C else None,
        current_mA=None if in_C else _milli(sign * item.amount.value),
        until_time_s=item.time_s,
        until_voltage_V=until_V,
        id=name,
    )


def _hold(item: Hold, before: PlanItem | None, name: str | None, report: Report) -> ConstantVoltage:
    if item.limit is not None and not goes_on_at(item, before):
        in_C = item.limit.unit is Unit.C_RATE
        limit = f"{item.limit.value:g} C" if in_C else current(item.limit.value)
        report.left_out(item.where, f"the largest current of the hold, {limit}")
    sign = -1.0 if item.charge is False else 1.0  # unicycler's NEWARE export takes the direction from it
    end = item.current
    in_C = end is not None and end.unit is Unit.C_RATE
    return ConstantVoltage(
        voltage_V=item.voltage_V,
        until_time_s=item.time_s,
        until_rate_C=sign * end.value if end is not None and in_C else None,
        until_current_mA=_milli(sign * end.value) if end is not None and not in_C else None,
        id=name,
    )


def _milli(value: float | None) -> float | None:
    return None if value is None else _tidy(value * 1e3)


def _tidy(value: float) -> float:
    return float(f"{value:.12g}")
