"""What the station asks of an instrument: a handful of small capabilities.

Current is positive on charge. SI units; a name carries its unit where it is not the SI one.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeAlias, runtime_checkable

# ---------------------------------------------------------------------------------------------
# Errors


class InstrumentError(Exception):
    """Something went wrong with an instrument: which one, what, and what to do about it."""

    def __init__(self, message: str, *, instrument: str = "", address: str = "", hint: str = "") -> None:
        self.message = message
        self.instrument = instrument
        self.address = address
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.instrument} at {self.address}" if self.address else self.instrument
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class Unreachable(InstrumentError):
    """No connection could be made, or an existing one was lost."""


class InstrumentTimeout(InstrumentError):
    """The instrument did not answer in time; whether it acted on the request is unknown."""


class BadReply(InstrumentError):
    """The answer was cut, garbled or of another shape than the instrument's documents state."""


class Refused(InstrumentError):
    """The instrument answered, and the answer was an error or a refusal."""


class WrongInstrument(InstrumentError):
    """Something else answered at this address, or it is not set up for this driver."""


class OutOfRange(InstrumentError, ValueError):
    """A value outside the instrument's range; nothing was sent."""


class NotSafe(InstrumentError):
    """A protection could not be set or verified; the output was not switched on."""


# ---------------------------------------------------------------------------------------------
# Values


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval of allowed values."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high  # NaN is in no range


@dataclass(frozen=True, slots=True)
class Current:
    """Hold this current; positive charges the cell."""

    amperes: float


@dataclass(frozen=True, slots=True)
class Voltage:
    """Hold this voltage."""

    volts: float


Setpoint: TypeAlias = Current | Voltage


@dataclass(frozen=True, slots=True)
class Protection:
    """Limits that the instrument itself holds while its output is on, PC or no PC."""

    voltage_min_V: float
    voltage_max_V: float
    current_max_A: float  # magnitude, both directions


@dataclass(frozen=True, slots=True)
class Measurement:
    """One simultaneous sample at the cell's terminals."""

    voltage_V: float
    current_A: float
    in_compliance: bool = False  # the instrument holds a limit, not the set point


class NoReading(enum.Enum):
    """Why there is no number. Never mapped to a number, not even NaN."""

    OVERLOAD = "overload"
    NOT_AVAILABLE = "not available"


Resistance: TypeAlias = "float | NoReading"  # Ω


@dataclass(frozen=True, slots=True)
class Sweep:
    """An impedance sweep at the given frequencies, in the order given; of voltage (PEIS) or of current (GEIS).

    Exactly one of the amplitudes is given.
    """

    frequencies_Hz: tuple[float, ...]
    amplitude_rms_V: float | None
    bias_V: float | None = None  # None: at the open-circuit voltage, measured just before
    protection: Protection = Protection(-5.0, 5.0, 0.1)
    amplitude_rms_A: float | None = None
    bias_A: float = 0.0  # of a GEIS; positive on charge


@dataclass(frozen=True, slots=True)
class ImpedancePoint:
    frequency_Hz: float
    impedance_ohm: complex


# --- instrument-sequenced cyclers


class StepKind(enum.Enum):
    REST = "rest"
    CC = "cc"
    CV = "cv"
    CCCV = "cccv"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class CyclerStep:
    """One step of a program that the cycler runs alone.

    `current_A` is signed (positive on charge) and, for CV, the limit of the current on the way in.
    A LOOP goes back to step number `loop_to` (1-based) until it has been passed `loop_count` times
    in all.
    """

    kind: StepKind
    current_A: float | None = None
    voltage_V: float | None = None
    end_time_s: float | None = None
    end_voltage_V: float | None = None
    end_current_A: float | None = None  # magnitude
    loop_to: int | None = None
    loop_count: int | None = None


@dataclass(frozen=True, slots=True)
class CyclerProgram:
    """A whole test in the cycler's own terms, with the limits that keep it safe without a PC."""

    name: str
    steps: tuple[CyclerStep, ...]
    protection: Protection
    capacity_max_Ah: float
    record_time_s: float | None
    record_voltage_V: float | None = None


class CyclerState(enum.Enum):
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    PROTECTED = "protected"  # the instrument's own protection tripped
    UNKNOWN = "unknown"  # never taken for idle


@dataclass(frozen=True, slots=True)
class CyclerStatus:
    state: CyclerState
    test_id: int | None
    label: str
    step: int | None  # 1-based number in the program; None when idle
    cycle: int | None
    measurement: Measurement | None


@dataclass(frozen=True, slots=True)
class CyclerRecord:
    """One row that the cycler recorded; `sequence` rises by one from 1 without gaps."""

    sequence: int
    step: int
    cycle: int
    kind: str
    step_time_s: float
    wall_time: str  # as the instrument states it, without zone
    voltage_V: float
    current_A: float
    step_capacity_Ah: float  # magnitude, within the step
    step_energy_Wh: float


# ---------------------------------------------------------------------------------------------
# Capabilities


@runtime_checkable
class Instrument(Protocol):
    """What every driver has. Construction opens the link, checks the identity and switches nothing on."""

    model: ClassVar[str]
    safe_state: ClassVar[str]  # in words: what `make_safe` leaves behind
    address: str

    def identify(self) -> str:
        """What the instrument says it is."""
        ...

    def make_safe(self) -> None:
        """Go to the safe state and verify it; raises `InstrumentError` if that is not certain."""
        ...

    def close(self) -> None:
        """Make safe where the instrument is a source, and close the link. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Source(Instrument, Protocol):
    """A host-sequenced source of current and voltage with a measurement, for one cell."""

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        """Raise `OutOfRange` where the instrument cannot do this. Sends nothing."""
        ...

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Go to `setpoint`; the output is never on before `protection` is set and read back."""
        ...

    def measure(self) -> Measurement:
        """Sample voltage and current, with the output on or off (off: open circuit, current 0)."""
        ...

    def off(self) -> None:
        """Open the circuit and return only when the instrument confirmed it."""
        ...

    def output_is_on(self) -> bool: ...

    def leave(self) -> None:
        """Close the link and leave the output as it is: the station comes back to it."""
        ...


@runtime_checkable
class ResistanceMeter(Instrument, Protocol):
    """A meter with scanned channels (a single-input meter has channel 1 alone)."""

    def check_channels(self, channels: Sequence[int]) -> None:
        """Raise `OutOfRange` where a channel does not exist. Sends nothing."""
        ...

    def read_resistances(self, channels: Sequence[int]) -> Mapping[int, Resistance]:
        """One scan over `channels`, in Ω."""
        ...


@runtime_checkable
class ForceGauge(Instrument, Protocol):
    def read_force(self) -> float | NoReading:
        """Force in N."""
        ...


@runtime_checkable
class Thermometer(Instrument, Protocol):
    def read_temperature_degC(self) -> float | NoReading: ...


@runtime_checkable
class Chamber(Thermometer, Protocol):
    """A climate chamber. Its set point stays when the link is gone: `make_safe` and `close` do not change it."""

    def check_temperature(self, temperature_degC: float) -> None:
        """Raise `OutOfRange` where the chamber cannot go, or must not. Sends nothing."""
        ...

    def set_temperature(self, temperature_degC: float) -> None:
        """Go there; returns when the chamber has said that this is its set point and that it is running."""
        ...


@runtime_checkable
class PressureFrame(Instrument, Protocol):
    """A driven frame that a cell is clamped in. Its set point stays when the link is gone, as a chamber's does."""

    def check_pressure(self, pressure_Pa: float) -> None:
        """Raise `OutOfRange` where the frame cannot go, or must not. Sends nothing."""
        ...

    def set_pressure(self, pressure_Pa: float) -> None:
        """Go there; returns when the frame has said that this is its set point."""
        ...

    def read_pressure_Pa(self) -> float | NoReading: ...


@runtime_checkable
class TriggerOutput(Instrument, Protocol):
    """A digital line that another instrument (a camera, a beamline) is synchronised by."""

    def pulse(self) -> None:
        """One pulse, as long and as high as the instrument is set up for; returns when it was made."""
        ...


@runtime_checkable
class ImpedanceSource(Instrument, Protocol):
    def check_sweep(self, sweep: Sweep) -> None:
        """Raise `OutOfRange` where the instrument cannot do this sweep. Sends nothing."""
        ...

    def sweep(self, sweep: Sweep) -> Generator[ImpedancePoint, None, None]:
        """Measure point by point. However the iteration ends, the cell is left at open circuit."""
        ...

    def interrupt(self) -> None:
        """From another thread: break off the running point, which ends the sweep with an error."""
        ...


@runtime_checkable
class OpenCircuitVoltmeter(Instrument, Protocol):
    """An instrument at the cell that can look at its voltage without driving it."""

    def read_open_circuit_V(self) -> float:
        """The cell's voltage; what was driven before is off, and stays off."""
        ...


@runtime_checkable
class ProgramCycler(Instrument, Protocol):
    """A cycler that takes a whole program and runs it alone; channels are named by the vendor's address."""

    def check_program(self, program: CyclerProgram) -> None:
        """Raise `OutOfRange` or `Refused` where the program cannot be said to this cycler. Sends nothing."""
        ...

    def start(self, channel: str, program: CyclerProgram, label: str) -> int:
        """Send and start `program`; returns the instrument's test id once the channel is seen running."""
        ...

    def status(self, channels: Sequence[str]) -> Mapping[str, CyclerStatus]: ...

    def records(self, channel: str, test_id: int, after: int) -> Sequence[CyclerRecord]:
        """Records with `sequence` > `after`, in order, without loss or repeats (a page at the most)."""
        ...

    def stop(self, channel: str) -> None:
        """Stop, and return only when the instrument says that the channel is stopped."""
        ...

    def proceed(self, channel: str) -> None:
        """Continue a paused test."""
        ...

    def go_to_step(self, channel: str, step: int) -> None:
        """Jump to a step (1-based) of the running program."""
        ...
