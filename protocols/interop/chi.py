"""Macros of CH Instruments' programs (.mcr): one technique after another, each run and saved as text.

Words as public programs write them (jrlLAB/hardpotato for `i-t`, `ocpt`, `lsv`, `imp` and the file's first bytes; other
programs for `cp`, `prioe`, `eio`, `autosens`, `impautosens`). Current there is positive where it is cathodic, which is
discharge: its sign is turned round. Amplitudes are half of what is from peak to peak. A macro has no loops and no end
on a current.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.interop.loops import written_out
from protocols.interop.plan import Drive, Hold, Plan, PlanItem, Rest, Scan, Sweep, Unit
from protocols.interop.report import Report
from protocols.interop.text import number, one_line

ENCODING = "cp1252"
START = "c\x02\x00\x00\n"  # what a macro file begins with
MOST_STEPS = 2000
LONGEST_S = 100_000.0  # of a constant current that a voltage ends
WIDEST_V = 10.0
RESOLUTION_V = 1e-3  # of a linear sweep


def write(plan: Plan, report: Report) -> str:
    """The whole file with '\\n' at the ends of lines; what cannot be said is in the report."""
    steps = written_out(plan.items, MOST_STEPS)
    if steps is None:
        report.refuse(plan.where, f"a macro has no loops, and there would be more than {MOST_STEPS} steps")
        steps = []
    if math.isfinite(plan.limits.current_max_A):
        report.left_out(plan.where, f"the limit of current at {plan.limits.current_max_A:g} A")
    if plan.record.voltage_V is not None or plan.record.current_A is not None:
        report.left_out(plan.where, "recording at changes of voltage and current")
    report.note(plan.where, "fill in the folder; files there are overwritten")
    lines = ["folder: C:\\CHI", "fileoverride", f"header: {one_line(plan.title)}"]
    for index, item in enumerate(steps, start=1):
        lines += [*_Step(plan, item, report).lines(), "run", f"tsave:step{index:04d}"]
    return START + "\n".join([*lines, "forcequit: yesiamsure", ""])


@dataclass(frozen=True, slots=True)
class _Step:
    plan: Plan
    item: PlanItem
    report: Report

    def lines(self) -> Iterator[str]:
        match self.item:
            case Rest() as rest:
                low, high = self._window()
                yield from self._technique("ocpt", st=rest.time_s, eh=high, el=low, si=self._every_s())
            case Drive() as drive:
                yield from self._drive(drive)
            case Hold() as hold:
                yield from self._hold(hold)
            case Sweep() as sweep:
                yield from self._sweep(sweep)
            case Scan() as scan:
                yield from self._scan(scan)

    def _drive(self, drive: Drive) -> Iterator[str]:
        if drive.amount.unit is not Unit.AMPERE:
            self.report.refuse(drive.where, "a macro knows no constant power or resistance")
            return
        low, high = self._window()
        if drive.voltage_V is not None:
            low, high = (low, drive.voltage_V) if drive.charge else (drive.voltage_V, high)
        elif not (math.isfinite(self.plan.limits.voltage_min_V) and math.isfinite(self.plan.limits.voltage_max_V)):
            self.report.refuse(drive.where, "a current without a voltage that ends it wants limits of voltage")
        time_s = drive.time_s
        if time_s is None:
            time_s = LONGEST_S
            self.report.approximated(drive.where, f"a macro needs a time: it ends after {time_s:g} s at the latest")
        amperes = -drive.amount.value if drive.charge else drive.amount.value
        yield from self._technique(
            "cp", ic=amperes, ia=0.0, eh=high, el=low, tc=time_s, ta=0.05, pn="n", si=self._every_s(), cl=1
        )
        yield "prioe"  # the voltages end it, and not only the time

    def _hold(self, hold: Hold) -> Iterator[str]:
        if hold.time_s is None:
            self.report.refuse(hold.where, "a macro cannot end a hold at a current: give it a time ('for')")
            return
        if hold.current is not None:
            self.report.left_out(hold.where, "the current that ends the hold: only its time does")
        if hold.limit is not None:
            self.report.left_out(hold.where, "the largest current of the hold")
        yield from self._technique("i-t", ei=hold.voltage_V, si=self._every_s(), st=hold.time_s, qt=0.0)
        yield "autosens"

    def _sweep(self, sweep: Sweep) -> Iterator[str]:
        if sweep.volts is None:
            self.report.refuse(sweep.where, "a macro knows no sweep of current (GEIS): give the amplitude in mV")
            return
        self.report.note(sweep.where, "the amplitude is a peak value there: √2 times the r.m.s. value")
        self.report.left_out(sweep.where, f"its {sweep.points_per_decade} points per decade: the program has its own")
        peak_V = float(f"{sweep.volts * math.sqrt(2):.6g}")
        high, low = max(sweep.start_Hz, sweep.end_Hz), min(sweep.start_Hz, sweep.end_Hz)
        if sweep.start_Hz < sweep.end_Hz:
            self.report.approximated(sweep.where, "the sweep goes from the highest frequency to the lowest")
        yield "tech=imp"
        yield "eio"  # at the open circuit
        yield from (f"fl={number(low)}", f"fh={number(high)}", f"amp={number(peak_V)}", "qt=2", "impautosens")

    def _scan(self, scan: Scan) -> Iterator[str]:
        if scan.start_V is None:
            self.report.refuse(scan.where, "a scan needs a voltage that it begins at ('from')")
            return
        yield from self._technique("lsv", ei=scan.start_V, ef=scan.end_V, v=scan.rate_V_s, si=RESOLUTION_V, qt=0.0)
        yield "autosens"

    def _technique(self, name: str, **values: float | str) -> Iterator[str]:
        yield f"tech={name}"
        for key, value in values.items():
            yield f"{key}={value if isinstance(value, str) else number(value)}"

    def _window(self) -> tuple[float, float]:
        limits = self.plan.limits
        return max(limits.voltage_min_V, -WIDEST_V), min(limits.voltage_max_V, WIDEST_V)

    def _every_s(self) -> float:
        return self.item.every_s or self.plan.record.every_s or 1.0
