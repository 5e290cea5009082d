"""What the drivers of host-sequenced sources have in common, whatever is in the box."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NoReturn, Self

from drivers.interface import (
    Current,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Range,
    Setpoint,
    Voltage,
)


class CellSource(ABC):
    """A `Source` for one cell: checked before anything is sent, switched off where a step on the way fails."""

    model: ClassVar[str]
    safe_state: ClassVar[str]
    address: str
    _asked: Setpoint | None = None  # None: off, or found on when the driver was opened
    _closed = False

    # --- what each instrument does in its own way

    @abstractmethod
    def check_limits(self, protection: Protection) -> None:
        """Raise `OutOfRange` where the instrument cannot hold these. Sends nothing."""

    @abstractmethod
    def check_current(self, amperes: float, protection: Protection) -> None:
        """Raise `OutOfRange` where it cannot do this current, positive on charge. Sends nothing."""

    @abstractmethod
    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """What `apply` promises, once it is checked; an error on the way switches the output off."""

    @abstractmethod
    def measure(self) -> Measurement: ...

    @abstractmethod
    def off(self) -> None: ...

    @abstractmethod
    def output_is_on(self) -> bool: ...

    @abstractmethod
    def leave(self) -> None: ...

    # --- what all do alike

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        if not low < high:
            self._out_of_range(f"there is no voltage between {low:g} V and {high:g} V")
        self.check_limits(protection)
        match setpoint:
            case Voltage(volts) if volts not in Range(low, high):
                self._out_of_range(f"{volts:g} V is outside the protection's {low:g} … {high:g} V")
            case Current(amperes) if abs(amperes) not in Range(0.0, most):
                self._out_of_range(f"{amperes:g} A is more than the protection's {most:g} A")
            case Current(amperes):
                self.check_current(amperes, protection)

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Go to `setpoint`; where that fails on the way, the output is switched off."""
        self.check(setpoint, protection)
        try:
            self.go_to(setpoint, protection)
        except BaseException as error:
            self._off_after(error)
            raise
        self._asked = setpoint

    def make_safe(self) -> None:
        self.off()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
        finally:
            self.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _off_after(self, error: BaseException) -> None:
        try:
            self.off()
        except InstrumentError as second:
            error.add_note(f"and the output could not be confirmed off: {second}")

    def _out_of_range(self, message: str) -> NoReturn:
        raise OutOfRange(f"{message}; nothing was sent", instrument=self.model, address=self.address)

    def _not_safe(self, message: str) -> NoReturn:
        raise NotSafe(message, instrument=self.model, address=self.address)
