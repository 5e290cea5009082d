"""BioLogic EC-Lab settings (.mps): one 'Modulo Bat' technique with a column for each step.

Keys, order and widths as EmpaEconversion/aurora-unicycler 0.4.6 writes them (`_formats/biologic.py`, MIT), which ran on
MPG-2 cyclers with EC-Lab 11.52 and 11.61. The file is cp1252 with CRLF: in another encoding EC-Lab may read the µ of a
current range as m. Amplitudes of impedance are peak values there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.interop.loops import Jump, flat
from protocols.interop.plan import Drive, Hold, Plan, PlanItem, Rest, Scan, Sweep, Unit, goes_on_at
from protocols.interop.report import Report, Where
from protocols.interop.text import number as digits

WIDTH = 20
ENCODING, NEWLINE = "cp1252", "\r\n"
CONTROL_RANGES_V = ((0.0, 5.0), (-2.5, 2.5), (-5.0, 5.0), (0.0, 10.0), (-10.0, 10.0))
CURRENT_RANGES_A: Mapping[float, str] = {
    1e-5: "10 µA",
    1e-4: "100 µA",
    1e-3: "1 mA",
    1e-2: "10 mA",
    0.1: "100 mA",
    1.0: "1 A",
}
SAFETY_DELAY_MS = 100  # a limit must be passed for this long: a spike of noise ends no test

# Every row of the technique, in order, with what stands there unless a step says otherwise.
ROWS: Mapping[str, str] = {
    "Ns": "",
    "ctrl_type": "",
    "Apply I/C": "I",
    "current/potential": "current",
    **{f"ctrl{n}_val{part}": "" for n in (1, 2, 3) for part in ("", "_unit", "_vs")},
    "N": "0.00",
    "charge/discharge": "Charge",
    "charge/discharge_1": "Charge",
    "Apply I/C_1": "I",
    "N1": "0.00",
    "ctrl4_val": "",
    "ctrl4_val_unit": "",
    "ctrl5_val": "",
    "ctrl5_val_unit": "",
    "ctrl_tM": "0",
    "ctrl_seq": "0",
    "ctrl_repeat": "0",
    "ctrl_trigger": "Falling Edge",
    "ctrl_TO_t": "0.000",
    "ctrl_TO_t_unit": "d",
    "ctrl_Nd": "6",
    "ctrl_Na": "2",
    "ctrl_corr": "0",
    "lim_nb": "0",
    "lim1_type": "Time",
    "lim1_comp": ">",
    "lim1_Q": "",
    "lim1_value": "0.000",
    "lim1_value_unit": "s",
    "lim1_action": "Next sequence",
    "lim1_seq": "",
    "lim2_type": "",
    "lim2_comp": "",
    "lim2_Q": "",
    "lim2_value": "",
    "lim2_value_unit": "",
    "lim2_action": "Next sequence",
    "lim2_seq": "",
    "rec_nb": "0",
    **{f"rec{n}_{part}": "" for n in (1, 2) for part in ("type", "value", "value_unit")},
    "E range min (V)": "",
    "E range max (V)": "",
    "I Range": "Auto",
    "I Range min": "Unset",
    "I Range max": "Unset",
    "I Range init": "Unset",
    "auto rest": "1",
    "Bandwidth": "5",
}


@dataclass(frozen=True, slots=True)
class _Setting:
    """A value as it is written, and its unit."""

    value: str
    unit: str


def write(plan: Plan, report: Report) -> str:
    """The whole file with '\\n' at the ends of lines; what cannot be said is in the report."""
    entries = flat(plan.items)
    low, high = _control_range(plan, entries, report)
    columns = []
    before: PlanItem | None = None
    for number, entry in enumerate(entries):
        own = {
            "Ns": str(number),
            "lim1_seq": str(number + 1),
            "lim2_seq": str(number + 1),
            "E range min (V)": f"{low:.3f}",
            "E range max (V)": f"{high:.3f}",
        }
        columns.append({**ROWS, **own, **_Column(plan, before, report).of(entry)})
        before = None if isinstance(entry, Jump) else entry
    rows = [name.ljust(WIDTH) + "".join(column[name].ljust(WIDTH) for column in columns) for name in ROWS]
    return "\n".join([*_header(plan, low, high, report), *rows, ""])


def _header(plan: Plan, low: float, high: float, report: Report) -> list[str]:
    limits, capacity = plan.limits, plan.capacity_Ah
    safety = []
    if math.isfinite(limits.voltage_min_V):
        safety.append(f"\tEwe min = {limits.voltage_min_V:.5f} V")
    if math.isfinite(limits.voltage_max_V):
        safety.append(f"\tEwe max = {limits.voltage_max_V:.5f} V")
    if math.isfinite(limits.current_max_A):
        safety.append(f"\t|I| = {limits.current_max_A * 1e3:.5f} mA")
    if not safety:
        report.note(plan.where, "no limits of voltage and current: EC-Lab will watch none but the range it controls")
    title = "".join(letter if letter.isprintable() else " " for letter in plan.title)
    comment = title.encode(ENCODING, "replace").decode(ENCODING)
    charge = []
    if capacity is not None:
        scale, unit = (1e6, "µA.h") if capacity < 1e-3 else (1e3, "mA.h") if capacity < 1 else (1.0, "A.h")
        charge = [f"Battery capacity : {capacity * scale:.3f} {unit}"]
    return [
        "EC-LAB SETTING FILE",
        "",
        "Number of linked techniques : 1",
        f"Ewe ctrl range : min = {low:.2f} V, max = {high:.2f} V",
        "Safety Limits :",
        *safety,
        f"\tfor t > {SAFETY_DELAY_MS} ms",
        "\tDo not start on E overload",
        f"Comments : {comment}",
        *charge,
        "Cycle Definition : Charge/Discharge alternance",
        "",
        "Technique : 1",
        "Modulo Bat",
    ]


def _control_range(plan: Plan, entries: Sequence[PlanItem | Jump], report: Report) -> tuple[float, float]:
    """The narrowest usual range that holds all voltages of the steps and the limits."""
    limits = (plan.limits.voltage_min_V, plan.limits.voltage_max_V)
    wanted = [volts for entry in entries for volts in _voltages(entry)]
    wanted += [volts for volts in limits if math.isfinite(volts)]
    for low, high in CONTROL_RANGES_V:
        if all(low <= volts <= high for volts in wanted):
            return low, high
    report.refuse(plan.where, f"{max(wanted, key=abs):g} V is outside the widest range that EC-Lab controls, ±10 V")
    return CONTROL_RANGES_V[-1]


def _voltages(entry: PlanItem | Jump) -> tuple[float, ...]:
    match entry:
        case Drive(voltage_V=float() as volts) | Hold(voltage_V=volts):
            return (volts,)
        case Scan(start_V=start, end_V=end):
            return (end,) if start is None else (start, end)
        case _:
            return ()


@dataclass(frozen=True, slots=True)
class _Column:
    """What one step writes into the rows."""

    plan: Plan
    before: PlanItem | None
    report: Report

    def of(self, entry: PlanItem | Jump) -> dict[str, str]:
        match entry:
            case Jump():  # EC-Lab counts from 0, and how often it goes back
                return {"ctrl_type": "Loop", "ctrl_seq": str(entry.to), "ctrl_repeat": str(entry.count - 1)}
            case Rest():
                limits = _limits(self._time(entry.where, entry.time_s))
                return {"ctrl_type": "Rest", **limits, **self._records(entry, "Ewe")}
            case Drive():
                return self._drive(entry)
            case Hold():
                return self._hold(entry)
            case Sweep():
                return self._sweep(entry)
            case Scan():
                return self._scan(entry)
            case _:
                raise TypeError("loops are jumps here")

    def _drive(self, drive: Drive) -> dict[str, str]:
        where = drive.where
        if drive.amount.unit is not Unit.AMPERE:
            self.report.refuse(where, "constant power and resistance are not written to EC-Lab settings")
        signed = drive.amount.value if drive.charge else -drive.amount.value
        setting = self._current(where, signed, "its current")
        until = None
        if drive.voltage_V is not None:
            until = ("Ewe", ">" if drive.charge else "<", self._volts(where, drive.voltage_V))
        return {
            "ctrl_type": "CC",
            **_control(1, setting, "<None>"),
            **_limits(self._time(where, drive.time_s), until),
            **self._records(drive, "Ewe"),
            "I Range": self._range(where, drive.amount.value),
        }

    def _hold(self, hold: Hold) -> dict[str, str]:
        goes_on = goes_on_at(hold, self.before)
        if hold.limit is not None and not goes_on:
            self.report.left_out(hold.where, f"the largest current of the hold, {hold.limit.value * 1e3:g} mA")
        until = None
        if hold.current is not None:
            until = ("|I|", "<", self._end_current(hold.where, hold.current.value))
        found = {
            "ctrl_type": "CV",
            **_control(1, self._volts(hold.where, hold.voltage_V), "Ref"),
            **_limits(self._time(hold.where, hold.time_s), until),
            **self._records(hold, "I"),
        }
        if goes_on and isinstance(self.before, Drive):  # EC-Lab changes the range between steps at rest only
            found["I Range"] = self._range(hold.where, self.before.amount.value)
        return found

    def _sweep(self, sweep: Sweep) -> dict[str, str]:
        where = sweep.where
        self.report.note(where, "EC-Lab's amplitude is a peak value: √2 times the r.m.s. value")
        if sweep.volts is not None:
            peak = self._rounded(where, sweep.volts * 1e3 * math.sqrt(2), "mV", "its amplitude")
            found = {"ctrl_type": "PEIS", **_control(1, peak)}
        else:
            amperes = (sweep.amperes or 0.0) * math.sqrt(2)
            setting = self._current(where, amperes, "its amplitude")
            # A range is one from peak to peak here: 1 mA holds an amplitude of 0.5 mA.
            found = {"ctrl_type": "GEIS", **_control(1, setting), "I Range": self._range(where, 2 * amperes)}
        for number, frequency in ((2, sweep.start_Hz), (3, sweep.end_Hz)):
            scale, unit = (1e-3, "kHz") if frequency >= 1e3 else (1.0, "Hz") if frequency >= 1 else (1e3, "mHz")
            found |= _control(number, self._rounded(where, frequency * scale, unit, "its frequency"))
        return {**found, "ctrl_Nd": str(sweep.points_per_decade), "ctrl_Na": "1", "ctrl_corr": "0"}

    def _scan(self, scan: Scan) -> dict[str, str]:
        if scan.start_V is None:
            self.report.refuse(scan.where, "a scan needs a voltage that it begins at ('from')")
            return {}
        rate = _Setting(digits(scan.rate_V_s * 1e3), "mV/s")
        start, end = (_Setting(digits(volts), "V") for volts in (scan.start_V, scan.end_V))
        found = {"ctrl_type": "VS", **_control(1, rate), **_control(2, start, "Ref"), **_control(3, end, "Ref")}
        return {**found, **self._records(scan, "Ewe")}

    # --- values

    def _time(self, where: Where, time_s: float | None) -> tuple[str, str, _Setting] | None:
        return None if time_s is None else ("Time", ">", self._rounded(where, time_s, "s", "its time"))

    def _volts(self, where: Where, volts: float) -> _Setting:
        return self._rounded(where, volts, "V", "its voltage")

    def _current(self, where: Where, amperes: float, what: str) -> _Setting:
        """In the unit in which three decimals say the most."""
        scale, unit = (1e3, "mA") if abs(amperes) >= 1e-3 else (1e6, "uA")
        return self._rounded(where, amperes * scale, unit, what)

    def _end_current(self, where: Where, amperes: float) -> _Setting:
        """In mA, as it was tried with EC-Lab, unless three decimals of that say too little."""
        in_mA = abs(float(f"{amperes * 1e3:.3f}") - amperes * 1e3) <= 1e-3 * amperes * 1e3
        what = "the current that ends it"
        return self._rounded(where, amperes * 1e3, "mA", what) if in_mA else self._current(where, amperes, what)

    def _rounded(self, where: Where, value: float, unit: str, what: str) -> _Setting:
        """To the three decimals of the file; what these make nothing of is refused, as it may be an end."""
        text = f"{value:.3f}"
        if value and not float(text):
            self.report.refuse(where, f"{what}, {value:g} {unit}, is nothing in the three decimals of the file")
        elif abs(float(text) - value) > 1e-3 * abs(value):
            self.report.approximated(where, f"{what}, {value:g} {unit}, is written as {text} {unit}")
        return _Setting(text, unit)

    def _range(self, where: Where, amperes: float) -> str:
        for largest, name in CURRENT_RANGES_A.items():
            if amperes <= largest * (1 + 1e-9):
                return name
        self.report.refuse(where, f"{amperes:g} A is above the largest current range that is written, 1 A")
        return "Auto"

    def _records(self, item: PlanItem, change: str) -> dict[str, str]:
        record = self.plan.record
        rules = [("Time", f"{item.every_s or record.every_s or 30.0:.3f}", "s")]
        if change == "Ewe" and record.voltage_V is not None:
            rules.append(("Ewe", f"{max(record.voltage_V, 1e-3):.3f}", "V"))
        if change == "I" and record.current_A is not None:
            rules.append(("I", f"{max(record.current_A * 1e3, 1e-3):.3f}", "mA"))
        found = {"rec_nb": str(len(rules))}
        for number, (kind, value, unit) in enumerate(rules, start=1):
            found |= {f"rec{number}_type": kind, f"rec{number}_value": value, f"rec{number}_value_unit": unit}
        return found


def _control(number: int, setting: _Setting, against: str = "") -> dict[str, str]:
    name = f"ctrl{number}_val"
    return {name: setting.value, f"{name}_unit": setting.unit, f"{name}_vs": against}


def _limits(*limits: tuple[str, str, _Setting] | None) -> dict[str, str]:
    given = [limit for limit in limits if limit is not None]
    found = {"lim_nb": str(len(given))}
    for number, (kind, comparison, setting) in enumerate(given, start=1):
        name = f"lim{number}_"
        found |= {f"{name}type": kind, f"{name}comp": comparison}
        found |= {f"{name}value": setting.value, f"{name}value_unit": setting.unit}
    return found
