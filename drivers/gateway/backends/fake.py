"""A back end without an instrument, wired to simulated cells: what a gateway does, on any computer. It says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import RECORDS_A_PAGE, Capability, Description
from drivers.interface import (
    Current,
    CyclerProgram,
    CyclerRecord,
    CyclerState,
    CyclerStatus,
    CyclerStep,
    ImpedancePoint,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Setpoint,
    StepKind,
    Sweep,
    Voltage,
)
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.neware_channel import TesterChannel
from drivers.simulated.neware_stepfile import FileStep, StepFile, StepType, WholeTest
from drivers.simulated.wiring import DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

HIGHEST_V, HIGHEST_A = 10.0, 0.8
LOOKS_EVERY_S = 0.05  # during a sweep, whether it was called off
STATES = {
    "working": CyclerState.RUNNING,
    "pause": CyclerState.PAUSED,
    "finish": CyclerState.FINISHED,
    "stop": CyclerState.STOPPED,
    "protect": CyclerState.PROTECTED,
}


class FakeBackend(Backend):
    """Potentiostat, galvanostat and cycler of simulated cells, by channel; one silicon half-cell unless given.

    `unsound` is raised by the next call, as an instrument's software might.
    """

    name = "fake"

    def __init__(self, cells: Mapping[str, WiredCell] | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or ScaledClock()
        self.cells = dict(cells) if cells is not None else {"1": _silicon(self.clock)}
        self.testers = {name: TesterChannel(cell, self.clock, 10.0) for name, cell in self.cells.items()}
        self.held: dict[str, tuple[Setpoint, Protection]] = {}
        self.starts: list[str] = []
        self.unsound: Exception | None = None
        self._lock = threading.RLock()

    def describe(self) -> Description:
        return Description(
            "simulated potentiostat",
            tuple(Capability),
            tuple(self.cells),
            -HIGHEST_V,
            HIGHEST_V,
            HIGHEST_A,
            frequency_min_Hz=1e-5,
            frequency_max_Hz=1e6,
            amplitude_max_V=1.0,
            amplitude_max_A=0.1,
            simulated=True,
        )

    # --- source

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        cell = self._cell(channel)
        self._not_running(channel)
        volts, _ = cell.terminals()
        low, high = protection.voltage_min_V, protection.voltage_max_V
        if not low <= volts <= high and not isinstance(setpoint, Voltage) and setpoint.amperes != 0:
            raise NotSafe(f"the cell is at {volts:.4g} V, outside {low:g} … {high:g} V", instrument="gateway")
        with self._lock:
            self.starts.append(channel)
            self.held[channel] = setpoint, protection
            match setpoint:
                case Current(amperes):
                    cell.drive(DriveCurrent(amperes, min(low, volts), max(high, volts)))
                case Voltage(goal):
                    cell.drive(DriveVoltage(goal, protection.current_max_A))

    def measure(self, channel: str) -> Measurement:
        volts, amperes = self._cell(channel).terminals()
        match self.held.get(channel):
            case Current(goal), _:
                return Measurement(volts, amperes, abs(amperes - goal) > 1e-3 * abs(goal) + 1e-9)
            case Voltage(goal), _:
                return Measurement(volts, amperes, abs(volts - goal) > 1e-3)
            case _:
                return Measurement(volts, amperes)

    def is_on(self, channel: str) -> bool:
        self._cell(channel)
        return channel in self.held

    def off(self, channel: str) -> None:
        cell = self._cell(channel)
        self.testers[channel].stop()
        with self._lock:
            self.held.pop(channel, None)
            cell.drive(OpenCircuit())

    # --- impedance

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        cell = self._cell(channel)
        self._not_running(channel)
        self.off(channel)
        for frequency in sweep.frequencies_Hz:
            until = self.clock.now() + 1 / frequency
            while (left_s := until - self.clock.now()) > 0 and not called_off.is_set():
                self.clock.sleep(min(left_s, LOOKS_EVERY_S * self.clock.speed))
            if called_off.is_set():
                return
            yield ImpedancePoint(frequency, cell.impedance(frequency))

    # --- cycler

    def start(self, channel: str, program: CyclerProgram, label: str) -> int:
        self._cell(channel)
        self._not_running(channel)
        tester = self.testers[channel]
        test_id = len(tester.tests) + 1
        self.off(channel)
        self.starts.append(channel)
        tester.start(_step_file(program), label, test_id)
        return test_id

    def status(self, channel: str) -> CyclerStatus:
        self._cell(channel)
        tester = self.testers[channel]
        live, test = tester.live(), tester.test
        return CyclerStatus(
            STATES.get(live.state, CyclerState.UNKNOWN),
            test.test_id if test else None,
            test.barcode if test else "",
            live.step.number if live.step else None,
            live.cycle,
            Measurement(live.voltage_V, live.current_A),
        )

    def records(self, channel: str, test_id: int, after: int) -> Sequence[CyclerRecord]:
        self._cell(channel).terminals()  # bring the cell to the present
        test = self.testers[channel].tests.get(test_id)
        if test is None:
            raise Refused(f"channel {channel} has no test {test_id}", instrument="gateway")
        return [
            CyclerRecord(
                row.seqid,
                row.stepid,
                row.cycleid,
                row.steptype,
                row.testtime_ms / 1000,
                datetime.fromtimestamp(row.time_s, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                row.voltage_V,
                row.current_A,
                row.capacity_Ah,
                row.energy_Wh,
            )
            for row in test.rows[after : after + RECORDS_A_PAGE]
        ]

    def stop(self, channel: str) -> None:
        self.off(channel)

    def proceed(self, channel: str) -> None:
        self._cell(channel)
        if not self.testers[channel].proceed():
            raise Refused(f"channel {channel} is not paused", instrument="gateway")

    def go_to_step(self, channel: str, step: int) -> None:
        self._cell(channel)
        if not self.testers[channel].go_to(step):
            raise Refused(f"channel {channel} cannot go to step {step}", instrument="gateway")

    def _cell(self, channel: str) -> WiredCell:
        if self.unsound is not None:
            error, self.unsound = self.unsound, None
            raise error
        if channel not in self.cells:
            raise OutOfRange(f"channel {channel!r}: {', '.join(self.cells)}", instrument="gateway")
        return self.cells[channel]

    def _not_running(self, channel: str) -> None:
        if self.testers[channel].state in ("working", "pause"):
            raise Refused(f"a program is running in channel {channel}", instrument="gateway")


def _silicon(clock: Clock) -> WiredCell:
    from drivers.simulated.cell import SimulatedCell, silicon_half_cell

    return SimulatedCell(silicon_half_cell(), clock, 1)


def _step_file(program: CyclerProgram) -> StepFile:
    limits = program.protection
    whole = WholeTest(
        voltage_max_V=limits.voltage_max_V,
        voltage_min_V=limits.voltage_min_V,
        current_max_A=limits.current_max_A,
        current_min_A=-limits.current_max_A,
        capacity_max_Ah=program.capacity_max_Ah,
        record_time_s=program.record_time_s,
        record_voltage_V=program.record_voltage_V,
    )
    steps = [_file_step(number, step) for number, step in enumerate(program.steps, start=1)]
    return StepFile(program.name, whole, (*steps, FileStep(len(steps) + 1, StepType.END)))


def _file_step(number: int, step: CyclerStep) -> FileStep:
    charge = (step.current_A or 0.0) >= 0
    kind = {
        StepKind.REST: StepType.REST,
        StepKind.CC: StepType.CC_CHARGE if charge else StepType.CC_DISCHARGE,
        StepKind.CV: StepType.CV_CHARGE if charge else StepType.CV_DISCHARGE,
        StepKind.CCCV: StepType.CCCV_CHARGE,
        StepKind.LOOP: StepType.LOOP,
    }[step.kind]
    return FileStep(
        number,
        kind,
        current_A=None if step.current_A is None else abs(step.current_A),
        voltage_V=step.voltage_V,
        time_s=step.end_time_s,
        stop_voltage_V=step.end_voltage_V,
        stop_current_A=step.end_current_A,
        start_step=step.loop_to or 0,
        cycle_count=step.loop_count or 0,
    )
