"""Firmware of a virtual cycler channel: it runs a procedure that is stored on it, or holds what it is told directly.

Used by the virtual testers whose clients name a procedure and do not send one. All in the cell's own time.
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field

from drivers.simulated.clock import Clock
from drivers.simulated.wiring import Drive, DriveCurrent, OpenCircuit, WiredCell

FARTHEST_V = 100.0  # a clamp that no cell reaches


class Mode(enum.Enum):
    CHARGE = "Charge"
    DISCHARGE = "Discharge"
    REST = "Rest"


@dataclass(frozen=True, slots=True)
class StoredStep:
    """Ends at `voltage_V`, or after `time_s`."""

    mode: Mode
    current_A: float = 0.0  # magnitude
    voltage_V: float | None = None
    time_s: float | None = None

    def drive(self, voltage_V: float) -> Drive:
        """Clamped at the step's end, but never so that it turns round to get back to it."""
        match self.mode:
            case Mode.CHARGE:
                high = FARTHEST_V if self.voltage_V is None else max(self.voltage_V, voltage_V)
                return DriveCurrent(self.current_A, -FARTHEST_V, high)
            case Mode.DISCHARGE:
                low = -FARTHEST_V if self.voltage_V is None else min(self.voltage_V, voltage_V)
                return DriveCurrent(-self.current_A, low, FARTHEST_V)
        return OpenCircuit()

    def is_over(self, voltage_V: float, time_s: float) -> bool:
        if self.time_s is not None and time_s >= self.time_s - 1e-6:
            return True
        if self.voltage_V is None:
            return False
        return (self.mode is Mode.CHARGE and voltage_V >= self.voltage_V - 1e-6) or (
            self.mode is Mode.DISCHARGE and voltage_V <= self.voltage_V + 1e-6
        )


@dataclass(frozen=True, slots=True)
class StoredProcedure:
    steps: tuple[StoredStep, ...]
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class Safety:
    """Beyond these the channel stops by itself."""

    voltage_min_V: float = -FARTHEST_V
    voltage_max_V: float = FARTHEST_V
    charge_A: float = 1e3
    discharge_A: float = 1e3

    def holds(self, voltage_V: float, current_A: float) -> bool:
        return self.voltage_min_V <= voltage_V <= self.voltage_max_V and -self.discharge_A * (
            1 + 1e-9
        ) <= current_A <= self.charge_A * (1 + 1e-9)


class State(enum.Enum):
    IDLE = enum.auto()
    RUNNING = enum.auto()
    SUSPENDED = enum.auto()
    COMPLETED = enum.auto()
    TRIPPED = enum.auto()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the channel shows now; capacities are magnitudes, since the test or the step began."""

    state: State
    mode: Mode
    step: int  # from 1
    cycle: int  # from 0
    test_time_s: float
    step_time_s: float
    voltage_V: float
    current_A: float
    charge_Ah: float
    discharge_Ah: float
    step_Ah: float
    step_Wh: float
    test_name: str
    procedure_name: str


@dataclass
class _Test:
    name: str
    procedure_name: str
    procedure: StoredProcedure | None  # None: it is told directly what to do
    began_s: float
    watchdog_s: float = 0.0
    heard_s: float = 0.0
    step: int = 1
    cycle: int = 0
    step_began_s: float = 0.0
    mode: Mode = Mode.REST
    drive: Drive = field(default_factory=OpenCircuit)
    charge_Ah: float = 0.0
    discharge_Ah: float = 0.0
    step_Ah: float = 0.0
    step_Wh: float = 0.0


class StoredProcedureChannel:
    """One channel. The cell calls `_control` in its own thread and under its own lock: nothing here calls the cell
    while it holds the channel's lock. Commands come from one thread at a time."""

    def __init__(self, cell: WiredCell, clock: Clock, max_step_s: float = 1.0) -> None:
        self.cell, self.clock = cell, clock
        self.safety = Safety()
        self.starts = 0
        self._state = State.IDLE
        self._test: _Test | None = None
        self._max_step_s = max_step_s
        self._last = (0.0, 0.0, 0.0)  # time, voltage and current of the last sample
        self._armed = False
        self._stood_s = 0.0
        self._lock = threading.Lock()

    # --- commands

    def start(self, name: str, procedure_name: str, procedure: StoredProcedure) -> bool:
        """False where a test is on."""
        drive = self._begin(name, procedure_name, procedure, 0.0)
        if drive is None:
            return False
        self._apply(drive)
        return True

    def start_direct(self, name: str, drive: Drive, mode: Mode, watchdog_s: float) -> bool:
        if self._begin(name, "", None, watchdog_s) is None:
            return False
        self.set_direct(drive, mode)
        return True

    def set_direct(self, drive: Drive, mode: Mode) -> bool:
        """False where no direct mode is on."""
        self.cell.terminals()
        with self._lock:
            if self._state is not State.RUNNING or self._test is None or self._test.procedure is not None:
                return False
            self._test.drive, self._test.mode, self._test.heard_s = drive, mode, self.clock.now()
            self._armed = False
        self._apply(drive)
        return True

    def suspend(self) -> bool:
        return self._halt(State.SUSPENDED)

    def finish(self) -> bool:
        """End the test by command."""
        self._halt(State.SUSPENDED)
        with self._lock:
            if self._state is State.SUSPENDED:
                self._state = State.COMPLETED
                return True
        return False

    def resume(self) -> bool:
        self.cell.terminals()
        with self._lock:
            if self._state is not State.SUSPENDED or self._test is None:
                return False
            now = self.clock.now()
            self._test.step_began_s += now - self._stood_s
            self._test.began_s += now - self._stood_s
            self._test.heard_s = now
            self._last = (now, *self._last[1:])
            self._state, drive = State.RUNNING, self._test.drive
        self._apply(drive)
        return True

    def clear(self) -> bool:
        """Put a test away that stands; False where one runs."""
        with self._lock:
            if self._state is State.RUNNING:
                return False
            self._state = State.IDLE
        return True

    def show(self) -> Shown:
        voltage_V, current_A = self.cell.terminals()
        with self._lock:
            test, now = self._test, self.clock.now()
            if test is None:
                none = (Mode.REST, 0, 0, 0.0, 0.0)
                return Shown(self._state, *none, voltage_V, current_A, 0.0, 0.0, 0.0, 0.0, "", "")
            until_s = now if self._state is State.RUNNING else self._stood_s
            return Shown(
                state=self._state,
                mode=test.mode,
                step=test.step,
                cycle=test.cycle,
                test_time_s=until_s - test.began_s,
                step_time_s=until_s - test.step_began_s,
                voltage_V=voltage_V,
                current_A=current_A,
                charge_Ah=test.charge_Ah,
                discharge_Ah=test.discharge_Ah,
                step_Ah=test.step_Ah,
                step_Wh=test.step_Wh,
                test_name=test.name,
                procedure_name=test.procedure_name,
            )

    # --- within

    def _begin(
        self, name: str, procedure_name: str, procedure: StoredProcedure | None, watchdog_s: float
    ) -> Drive | None:
        voltage_V, _ = self.cell.terminals()
        now = self.clock.now()
        with self._lock:
            if self._state is not State.IDLE:
                return None
            self.starts += 1
            self._last = (now, voltage_V, 0.0)
            self._state = State.RUNNING
            test = self._test = _Test(name, procedure_name, procedure, now, watchdog_s, now, step_began_s=now)
            if procedure is not None:
                test.mode, test.drive = procedure.steps[0].mode, procedure.steps[0].drive(voltage_V)
        self.cell.control(self._control, self._max_step_s)
        return test.drive

    def _halt(self, state: State) -> bool:
        self.cell.terminals()
        with self._lock:
            if self._state is not State.RUNNING:
                return False
            self._armed = False
            self._state, self._stood_s = state, self.clock.now()
        self.cell.drive(OpenCircuit())
        return True

    def _apply(self, drive: Drive) -> None:
        """Put the drive on the cell first: until it is there, samples belong to no step."""
        self.cell.drive(drive)
        self._armed = True

    def _control(self, time_s: float, voltage_V: float, current_A: float) -> Drive | None:
        with self._lock:
            if not self._armed or self._test is None or time_s <= self._last[0]:
                return None
            self._count(self._test, (time_s - self._last[0]) / 3600, voltage_V, current_A)
            self._last = (time_s, voltage_V, current_A)
            if not self.safety.holds(voltage_V, current_A):
                return self._stand(State.TRIPPED, time_s)
            if self._test.watchdog_s and time_s - self._test.heard_s > self._test.watchdog_s:
                return self._stand(State.SUSPENDED, time_s)
            if self._test.procedure is None:
                return None
            return self._next(self._test, self._test.procedure, time_s, voltage_V)

    def _count(self, test: _Test, hours: float, voltage_V: float, current_A: float) -> None:
        test.charge_Ah += max(0.0, current_A) * hours
        test.discharge_Ah += max(0.0, -current_A) * hours
        test.step_Ah += abs(current_A) * hours
        test.step_Wh += abs(current_A * voltage_V) * hours

    def _next(self, test: _Test, procedure: StoredProcedure, time_s: float, voltage_V: float) -> Drive | None:
        if not procedure.steps[test.step - 1].is_over(voltage_V, time_s - test.step_began_s):
            return None
        if test.step == len(procedure.steps):
            if test.cycle + 1 == procedure.cycles:
                return self._stand(State.COMPLETED, time_s)
            test.cycle, test.step = test.cycle + 1, 0
        test.step, test.step_began_s, test.step_Ah, test.step_Wh = test.step + 1, time_s, 0.0, 0.0
        step = procedure.steps[test.step - 1]
        test.mode, test.drive = step.mode, step.drive(voltage_V)
        return test.drive

    def _stand(self, state: State, time_s: float) -> Drive:
        self._state, self._stood_s, self._armed = state, time_s, False
        return OpenCircuit()
