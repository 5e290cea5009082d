"""A virtual LAND tester: no wire, only a person who starts a test and a program that exports its records.

The export is laid out as docs/instruments/land-exports.md describes such files.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.simulated.clock import Clock
from drivers.simulated.stored_procedure import Mode, State, StoredProcedure, StoredProcedureChannel
from drivers.simulated.wiring import Drive, WiredCell

HEADING = (
    "Record,TestTime/Sec,StepTime/Sec,Current/mA,Capacity/mAh,Voltage/V,Energy/mWh,SysTime,"
    "Cycle-Index,Step-Index,Step-State"
)
STATES = {Mode.REST: "R", Mode.CHARGE: "RateC", Mode.DISCHARGE: "RateD"}
LOOK_S = 0.05  # of the wall's clock


@dataclass(frozen=True, slots=True)
class Record:
    """Charge (Ah) and energy (Wh) are magnitudes within the step."""

    time_s: float
    test_time_s: float
    step_time_s: float
    voltage_V: float
    current_A: float
    step_Ah: float
    step_Wh: float
    cycle: int
    step: int
    mode: Mode

    def line(self, number: int) -> str:
        stamp = datetime.fromtimestamp(int(self.time_s)).strftime("%Y-%m-%d %H:%M:%S")
        return (
            f"{number},{self.test_time_s:.1f},{self.step_time_s:.1f},{self.current_A * 1e3:.4f},"
            f"{self.step_Ah * 1e3:.6f},{self.voltage_V:.4f},{self.step_Wh * 1e3:.6f},{stamp},"
            f"{self.cycle},{self.step},{STATES[self.mode]}"
        )


class RecordingChannel(StoredProcedureChannel):
    """Keeps a record each `record_s` and at the end of each step."""

    def __init__(self, cell: WiredCell, clock: Clock, record_s: float, max_step_s: float = 1.0) -> None:
        super().__init__(cell, clock, max_step_s)
        self.record_s = record_s
        self.records: list[Record] = []
        self._charge_Ah = self._energy_Wh = 0.0

    def _control(self, time_s: float, voltage_V: float, current_A: float) -> Drive | None:
        test, before_s = self._test, self._last[0]
        if not self._armed or test is None or time_s <= before_s:
            return super()._control(time_s, voltage_V, current_A)
        cycle, step, mode, step_began_s = test.cycle, test.step, test.mode, test.step_began_s
        self._charge_Ah += abs(current_A) * (time_s - before_s) / 3600
        self._energy_Wh += abs(current_A * voltage_V) * (time_s - before_s) / 3600
        drive = super()._control(time_s, voltage_V, current_A)
        is_last = self._state is not State.RUNNING or (test.cycle, test.step) != (cycle, step)
        if is_last or not self.records or time_s - self.records[-1].time_s >= self.record_s:
            times = (time_s, time_s - test.began_s, time_s - step_began_s)
            passed = (self._charge_Ah, self._energy_Wh)
            self.records.append(Record(*times, voltage_V, current_A, *passed, cycle + 1, step, mode))
        if is_last:
            self._charge_Ah = self._energy_Wh = 0.0
        return drive


class VirtualLand:
    """Tests `cell` by `procedure`, exports its records to `folder`, and begins again `pause_s` later.

    The first test begins after `first_s`; `begin` begins the next one at once. The files are `<name>_001.csv` and so
    on. Runs in a thread of its own from entering to leaving.
    """

    def __init__(
        self,
        cell: WiredCell,
        clock: Clock,
        folder: Path,
        procedure: StoredProcedure,
        *,
        name: str = "CT2001A_007_1",
        record_s: float = 5.0,
        first_s: float = 60.0,
        pause_s: float = 3600.0,
    ) -> None:
        self.clock, self.folder, self.procedure, self.name = clock, folder, procedure, name
        self.first_s, self.pause_s = first_s, pause_s
        self.channel = RecordingChannel(cell, clock, record_s)
        self._told = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="LAND")

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._told.set()
        self._thread.join()

    def begin(self) -> None:
        """Begin the next test now, as a person does in the maker's program."""
        self._told.set()

    def _work(self) -> None:
        for number in itertools.count(1):
            self._told.wait((self.pause_s if number > 1 else self.first_s) / self.clock.speed)
            self._told.clear()
            if self._stopped.is_set():
                return
            self.channel.records.clear()
            self.channel.start(f"{self.name}_{number:03}", "procedure", self.procedure)
            while self.channel.show().state is State.RUNNING:
                if self._stopped.wait(LOOK_S):
                    return
            self._export(self.folder / f"{self.name}_{number:03}.csv")
            self.channel.clear()

    def _export(self, path: Path) -> None:
        lines = [HEADING, *(record.line(number) for number, record in enumerate(self.channel.records, start=1))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
