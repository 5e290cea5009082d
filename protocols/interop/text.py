"""A plan as the text of a protocol file of ours, for people to read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from protocols.interop.plan import (
    Amount,
    Drive,
    Hold,
    Item,
    Loop,
    Plan,
    PlanItem,
    Recording,
    Rest,
    Scan,
    Sweep,
    Unit,
    goes_on_at,
)
from protocols.interop.report import Remark
from protocols.language import KEYWORDS
from protocols.limits import Limits

WIDEST_V = 10.0  # for the voltage limit that a foreign file leaves open


def protocol_text(plan: Plan, origin: str, remarks: Sequence[Remark]) -> str:
    """`origin` says where the plan was read from; the losses are repeated at the top."""
    lines = [f"# Read from {one_line(PurePath(plan.file).name)}: {origin}."]
    lines += [f"# {one_line(str(remark))}" for remark in remarks if remark.is_loss]
    lines.append(f"protocol: {quoted(plan.title or PurePath(plan.file).stem)}")
    if plan.notes:
        lines.append(f"notes: {quoted(' '.join(plan.notes))}")
    lines += _record(plan.record)
    lines += _limits(plan.limits)
    lines.append("steps:")
    lines += _Steps(plan.record.every_s).lines(plan.items, "  ")
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def quoted(text: str) -> str:
    """A YAML scalar in double quotes; what would be a parameter of ours is taken apart."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = json.dumps(whole.replace("${", "$ {"), ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)


def _record(record: Recording) -> Iterator[str]:
    parts = [f"every: {duration(record.every_s)}"] if record.every_s is not None else []
    changes = [f"{number(record.voltage_V * 1e3)} mV"] if record.voltage_V is not None else []
    changes += [current(record.current_A)] if record.current_A is not None else []
    if changes:
        parts.append(f"change: [{', '.join(changes)}]")
    if parts:
        yield f"record: {{{', '.join(parts)}}}"


def _limits(limits: Limits) -> Iterator[str]:
    parts = []
    low, high = limits.voltage_min_V, limits.voltage_max_V
    if math.isfinite(low) or math.isfinite(high):
        low = low if math.isfinite(low) else min(-WIDEST_V, high - WIDEST_V)
        high = high if math.isfinite(high) else max(WIDEST_V, low + WIDEST_V)
        parts.append(f"voltage: [{voltage(low)}, {voltage(high)}]")
    if math.isfinite(limits.current_max_A):
        parts.append(f"current: {current(limits.current_max_A)}")
    if parts:
        yield f"limits: {{{', '.join(parts)}}}"


class _Steps:
    """Writes steps; a name is given to one step only."""

    def __init__(self, every_s: float | None) -> None:
        self._every_s = every_s
        self._names: set[str] = set()

    def lines(self, items: Sequence[PlanItem], indent: str) -> Iterator[str]:
        index = 0
        while index < len(items):
            item, following = items[index], items[index + 1] if index + 1 < len(items) else None
            if isinstance(item, Drive) and isinstance(following, Hold) and _is_cccv(item, following):
                yield from self._step(item, f"{_word(item)}: {{{_cccv(item, following)}}}", indent)
                index += 2
                continue
            if isinstance(item, Loop):
                yield from self._step(item, f"repeat: {item.count}", indent)
                yield f"{indent}  steps:"
                yield from self.lines(item.items, indent + "    ")
            else:
                before = items[index - 1] if index else None
                yield from self._step(item, _technique(item, before), indent)
            index += 1

    def _step(self, item: Item, technique: str, indent: str) -> Iterator[str]:
        comment = f"{item.where.step}, " if item.where.step else ""
        keys = [technique]
        if item.every_s not in (None, self._every_s):
            keys.append(f"record: {{every: {duration(item.every_s or 0.0)}}}")
        if item.name and item.name not in self._names and item.name not in KEYWORDS:
            self._names.add(item.name)
            keys.insert(0, f"name: {quoted(item.name)}")
        elif item.name:
            comment += f"{item.name}, "
        yield f"{indent}- {keys[0]}  # {one_line(comment)}line {item.where.line}"
        for key in keys[1:]:
            yield f"{indent}  {key}"


def _is_cccv(drive: Drive, hold: Hold) -> bool:
    """Whether both are what one CCCV step of ours does."""
    untimed = drive.time_s is None and hold.time_s is None and hold.current is not None
    return untimed and goes_on_at(hold, drive) and not hold.name and drive.every_s == hold.every_s


def _word(drive: Drive) -> str:
    return "charge" if drive.charge else "discharge"


def _cccv(drive: Drive, hold: Hold) -> str:
    assert hold.current is not None
    return f"at: {amount(drive.amount)}, hold: {voltage(hold.voltage_V)}, until: {{current: {amount(hold.current)}}}"


def _technique(item: PlanItem, before: PlanItem | None) -> str:
    match item:
        case Rest():
            return f"rest: {{for: {duration(item.time_s)}}}"
        case Drive():
            return f"{_word(item)}: {{{', '.join(_drive(item))}}}"
        case Hold():
            return f"hold: {{{', '.join(_hold(item, before))}}}"
        case Sweep():
            return f"impedance: {{{_sweep(item)}}}"
        case Scan():
            start = f"from: {voltage(item.start_V)}, " if item.start_V is not None else ""
            rate = f"{number(item.rate_V_s * 1e3)} mV/s"
            return f"linear_sweep: {{{start}to: {voltage(item.end_V)}, rate: {rate}}}"
        case Loop():
            raise TypeError("a loop is written by its steps")


def _drive(drive: Drive) -> Iterator[str]:
    keys = {Unit.WATT: "power", Unit.OHM: "resistance"}
    yield f"{keys.get(drive.amount.unit, 'at')}: {amount(drive.amount)}"
    if drive.time_s is not None:
        yield f"for: {duration(drive.time_s)}"
    if drive.voltage_V is not None:
        yield f"until: {{voltage: {voltage(drive.voltage_V)}}}"


def _hold(hold: Hold, before: PlanItem | None) -> Iterator[str]:
    yield f"at: {voltage(hold.voltage_V)}"
    if hold.limit is not None:
        yield f"limit: {amount(hold.limit)}"
    elif goes_on_at(hold, before) and isinstance(before, Drive):
        yield f"limit: {amount(before.amount)}"
    if hold.time_s is not None:
        yield f"for: {duration(hold.time_s)}"
    if hold.current is not None:
        yield f"until: {{current: {amount(hold.current)}}}"


def _sweep(sweep: Sweep) -> str:
    if sweep.volts is not None:
        amplitude = f"{number(sweep.volts * 1e3)} mV"
    else:
        assert sweep.amperes is not None
        amplitude = current(sweep.amperes)
    frequencies = f"from: {frequency(sweep.start_Hz)}, to: {frequency(sweep.end_Hz)}"
    return f"{frequencies}, amplitude: {amplitude}, points_per_decade: {sweep.points_per_decade}"


# --- quantities


def number(value: float) -> str:
    """Twelve digits, without what floating-point arithmetic leaves behind them."""
    return f"{value:.12g}"


def voltage(volts: float) -> str:
    return f"{number(volts)} V"


def current(amperes: float) -> str:
    size = abs(amperes)
    if size >= 1 or size == 0:
        return f"{number(amperes)} A"
    return f"{number(amperes * 1e3)} mA" if size >= 1e-6 else f"{number(amperes * 1e6)} uA"


def duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} s"


def frequency(hertz: float) -> str:
    for unit, size in (("MHz", 1e6), ("kHz", 1e3), ("Hz", 1.0)):
        if hertz >= size:
            return f"{number(hertz / size)} {unit}"
    return f"{number(hertz * 1e3)} mHz"


def c_rate(rate: float) -> str:
    """'C/20' where it is that exactly, otherwise '0.3 C'."""
    hours = round(1 / rate) if rate > 0 else 0
    return f"C/{hours}" if hours > 1 and 1 / hours == rate else f"{number(rate)} C"


def amount(value: Amount) -> str:
    match value.unit:
        case Unit.C_RATE:
            return c_rate(value.value)
        case Unit.AMPERE:
            return current(value.value)
        case Unit.WATT:
            return f"{number(value.value)} W" if value.value >= 1 else f"{number(value.value * 1e3)} mW"
        case Unit.OHM:
            return f"{number(value.value)} ohm"
