"""One channel of a virtual NEWARE tester: its firmware runs a step file on a wired cell, in the cell's time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from drivers.simulated.clock import Clock
from drivers.simulated.neware_stepfile import FileStep, StepFile, StepType
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

OUTPUT_LIMIT_V = 5.0  # the CT-4008T-5V family
OUTPUT_LIMIT_A = 6.0
LOG_START, LOG_END = 100000, 100001


@dataclass(frozen=True, slots=True)
class Row:
    """One record; capacity (Ah) and energy (Wh) are magnitudes within the step."""

    seqid: int
    stepid: int
    cycleid: int
    steptype: str
    testtime_ms: int  # within the step
    time_s: float  # of the bench's clock
    voltage_V: float
    current_A: float
    capacity_Ah: float
    energy_Wh: float


@dataclass(frozen=True, slots=True)
class Layer:
    """Summary of a step that has ended, or goes on."""

    first: Row
    last: Row


@dataclass(frozen=True, slots=True)
class Live:
    """What the channel shows now."""

    state: str
    step: FileStep | None
    cycle: int
    voltage_V: float
    current_A: float
    capacity_Ah: float
    energy_Wh: float
    total_s: float
    step_s: float


@dataclass
class StoredTest:
    """One run of a step file; its records stay after another test has begun."""

    test_id: int
    barcode: str
    file: StepFile
    started_s: float
    rows: list[Row] = field(default_factory=list)
    log: list[tuple[int, int, float]] = field(default_factory=list)  # seqid, code, time
    complete: bool = False

    def layers(self) -> list[Layer]:
        """The records grouped by passes through a step: `testtime` starts again in each."""
        groups: list[list[Row]] = []
        for row in self.rows:
            last = groups[-1][-1] if groups else None
            if last is None or last.stepid != row.stepid or last.testtime_ms >= row.testtime_ms:
                groups.append([])
            groups[-1].append(row)
        return [Layer(group[0], group[-1]) for group in groups]


@dataclass
class _Step:
    """Where the firmware is within a step."""

    step: FileStep
    started_s: float
    drive: Drive
    capacity_Ah: float = 0.0
    energy_Wh: float = 0.0
    recorded_s: float = -1.0  # time in the step and voltage of the last record
    recorded_V: float = 0.0
    recorded_A: float = 0.0


class TesterChannel:
    """A channel and its firmware.

    The cell calls `_control` in its own thread and under its own lock, so no method here calls the
    cell while it holds the channel's lock. Commands come from one thread at a time.
    """

    def __init__(self, cell: WiredCell, clock: Clock, max_step_s: float) -> None:
        self.cell = cell
        self.clock = clock
        self.tests: dict[int, StoredTest] = {}
        self.test: StoredTest | None = None
        self._max_step_s = max_step_s
        self._lock = threading.Lock()
        self._states: list[tuple[float, str]] = [(-float("inf"), "stop")]
        self._now: _Step | None = None
        self._cycle = 1
        self._passes: dict[int, int] = {}
        self._armed = False
        self._last = (0.0, 0.0, 0.0)  # time, voltage, current of the last sample
        self._outside_s: float | None = None  # since when a limit is passed
        self._paused_s = 0.0

    # --- commands

    def start(self, file: StepFile, barcode: str, test_id: int) -> None:
        """Begin a test; the caller has seen that none is running."""
        now = self.clock.now()
        voltage, _ = self.cell.terminals()
        with self._lock:
            self.test = self.tests[test_id] = StoredTest(test_id, barcode, file, started_s=now)
            self.test.log.append((1, LOG_START, now))
            self._cycle, self._passes, self._outside_s = 1, {}, None
            self._last = (now, voltage, 0.0)
            self._set_state("working", now)
            drive = self._go_to(1, now)
        times = [step.time_s for step in file.steps if step.time_s]
        record = [file.whole_test.record_time_s or self._max_step_s]
        self.cell.control(self._control, max(0.01, min(self._max_step_s, *record, *(time / 10 for time in times))))
        self._apply(drive)

    def stop(self) -> bool:
        self.cell.terminals()
        with self._lock:
            if self.state not in ("working", "pause"):
                return False
            self._armed = False
            self._record(self._last)
            self._end("stop", self.clock.now())
        self._apply(OpenCircuit())
        return True

    def pause(self) -> bool:
        self.cell.terminals()
        with self._lock:
            if self.state != "working":
                return False
            self._armed = False
            self._paused_s = self.clock.now()
            self._set_state("pause", self._paused_s)
        self.cell.drive(OpenCircuit())
        return True

    def proceed(self) -> bool:
        self.cell.terminals()
        with self._lock:
            if self.state != "pause" or self._now is None:
                return False
            now = self.clock.now()
            self._now.started_s += now - self._paused_s
            self._last = (now, *self._last[1:])
            self._set_state("working", now)
            drive = self._now.drive
        self._apply(drive)
        return True

    def go_to(self, number: int) -> bool:
        self.cell.terminals()
        with self._lock:
            if self.state != "working" or self.test is None or not 1 <= number <= len(self.test.file.steps):
                return False
            self._armed = False
            self._record(self._last)
            drive = self._go_to(number, self.clock.now())
        self._apply(drive)
        return True

    # --- what it shows

    @property
    def state(self) -> str:
        return self._states[-1][1]

    def state_before(self, time_s: float) -> str:
        """The state that the channel had at `time_s`."""
        return next(state for since_s, state in reversed(self._states) if since_s <= time_s)

    def live(self) -> Live:
        voltage, current = self.cell.terminals()
        with self._lock:
            now, step, test = self.clock.now(), self._now, self.test
            if step is None or test is None:
                return Live(self.state, None, 1, voltage, 0.0, 0.0, 0.0, 0.0, 0.0)
            return Live(
                self.state,
                step.step,
                self._cycle,
                voltage,
                current,
                step.capacity_Ah,
                step.energy_Wh,
                now - test.started_s,
                now - step.started_s,
            )

    # --- the firmware; each method below is called under the lock

    def _control(self, time_s: float, voltage: float, current: float) -> Drive | None:
        with self._lock:
            if not self._armed or self._now is None or time_s <= self._last[0]:
                return None
            before, self._last = self._last, (time_s, voltage, current)
            self._count(before)
            if self._protect():
                self._record(self._last)
                self._end("protect", time_s)
                return OpenCircuit()
            if self._over(self._now):
                self._record(self._last)
                return self._go_to(self._now.step.number + 1, time_s)
            if self._due(self._now):
                self._record(self._last)
            return None

    def _count(self, before: tuple[float, float, float]) -> None:
        """Charge and energy since the sample before, which may belong to the drive before."""
        assert self._now is not None
        time_s, voltage, current = self._last
        hours = (time_s - max(before[0], self._now.started_s)) / 3600
        self._now.capacity_Ah += abs(current) * hours
        self._now.energy_Wh += abs(current * voltage) * hours

    def _protect(self) -> bool:
        assert self._now is not None and self.test is not None
        limits = self.test.file.whole_test
        time_s, voltage, current = self._last
        inside = (
            limits.voltage_min_V <= voltage <= limits.voltage_max_V
            and limits.current_min_A <= current <= limits.current_max_A
            and self._now.capacity_Ah <= limits.capacity_max_Ah
        )
        if inside:
            self._outside_s = None
            return False
        if self._outside_s is None:
            self._outside_s = time_s
        return time_s - self._outside_s >= limits.delay_s

    def _over(self, now: _Step) -> bool:
        time_s, voltage, current = self._last
        step = now.step
        if step.time_s is not None and time_s - now.started_s >= step.time_s - 1e-6:
            return True
        match step.type:
            case StepType.CC_CHARGE:
                return step.stop_voltage_V is not None and voltage >= step.stop_voltage_V - 1e-6
            case StepType.CC_DISCHARGE:
                return step.stop_voltage_V is not None and voltage <= step.stop_voltage_V + 1e-6
            case StepType.CV_CHARGE | StepType.CCCV_CHARGE:
                return step.stop_current_A is not None and current <= step.stop_current_A
            case StepType.CV_DISCHARGE:
                return step.stop_current_A is not None and -current <= step.stop_current_A
            case _:
                return False

    def _due(self, now: _Step) -> bool:
        assert self.test is not None
        every = self.test.file.whole_test
        time_s, voltage, current = self._last
        if now.recorded_s < 0:
            return True
        return (
            (every.record_time_s is not None and _beats(time_s - now.started_s, now.recorded_s, every.record_time_s))
            or (every.record_voltage_V is not None and abs(voltage - now.recorded_V) >= every.record_voltage_V)
            or (every.record_current_A is not None and abs(current - now.recorded_A) >= every.record_current_A)
        )

    def _record(self, sample: tuple[float, float, float]) -> None:
        assert self.test is not None
        if self._now is None or sample[0] < self._now.started_s:
            return
        time_s, voltage, current = sample
        in_step_s = time_s - self._now.started_s
        if in_step_s <= self._now.recorded_s:
            return
        step, rows = self._now.step, self.test.rows
        rows.append(
            Row(
                seqid=len(rows) + 1,
                stepid=step.number,
                cycleid=self._cycle,
                steptype=step.type.text,
                testtime_ms=round(in_step_s * 1000),
                time_s=time_s,
                voltage_V=voltage,
                current_A=current,
                capacity_Ah=self._now.capacity_Ah,
                energy_Wh=self._now.energy_Wh,
            )
        )
        self._now.recorded_s, self._now.recorded_V, self._now.recorded_A = in_step_s, voltage, current

    def _go_to(self, number: int, time_s: float) -> Drive:
        """Begin step `number`; loops take no time."""
        assert self.test is not None
        step = self.test.file.steps[number - 1]
        while step.type is StepType.LOOP:
            step = self.test.file.steps[self._after_loop(step) - 1]
        if step.type is StepType.END:
            self._end("finish", time_s)
            return OpenCircuit()
        drive = drive_of(step, voltage_V=self._last[1])
        self._now = _Step(step, time_s, drive)
        return drive

    def _after_loop(self, loop: FileStep) -> int:
        passed = self._passes.get(loop.number, 0) + 1
        if passed >= loop.cycle_count:
            self._passes[loop.number] = 0
            return loop.number + 1
        self._passes[loop.number] = passed
        self._cycle += 1
        return loop.start_step

    def _end(self, state: str, time_s: float) -> None:
        assert self.test is not None
        self.test.log.append((len(self.test.rows), LOG_END, time_s))
        self.test.complete = True
        self._now = None
        self._set_state(state, time_s)

    def _set_state(self, state: str, time_s: float) -> None:
        self._states.append((time_s, state))

    # --- the output; called without the lock

    def _apply(self, drive: Drive) -> None:
        """Put the drive on the cell first: until it is there, samples belong to no step."""
        self.cell.drive(drive)
        self._armed = True


def drive_of(step: FileStep, voltage_V: float) -> Drive:
    """What the output does in a step that begins at `voltage_V`.

    A constant current stands still at its step's end voltage until the firmware's next sample; it is
    never turned round to get back to one that the cell has passed already.
    """
    current, stop = step.current_A or OUTPUT_LIMIT_A, step.stop_voltage_V
    match step.type:
        case StepType.CC_CHARGE:
            return DriveCurrent(current, -OUTPUT_LIMIT_V, OUTPUT_LIMIT_V if stop is None else max(stop, voltage_V))
        case StepType.CC_DISCHARGE:
            return DriveCurrent(-current, -OUTPUT_LIMIT_V if stop is None else min(stop, voltage_V), OUTPUT_LIMIT_V)
        case StepType.CV_CHARGE | StepType.CV_DISCHARGE | StepType.CCCV_CHARGE:
            assert step.voltage_V is not None
            return DriveVoltage(step.voltage_V, current)
        case _:
            return OpenCircuit()


def _beats(now_s: float, before_s: float, every_s: float) -> bool:
    """Whether a multiple of `every_s` lies between the two times, the later one included."""
    return int((now_s + 1e-6) / every_s) > int((before_s + 1e-6) / every_s)
