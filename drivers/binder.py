"""Climate chambers by Binder with MB1 or MB2 controllers: Modbus RTU frames, on RS-422 or through TCP port 10001.

Wire facts: docs/instruments/binder-mb1.md and binder-mb2.md (evidence: maker's interface specification as cited by
public programs, register dumps of a real MB1). Not run on hardware yet.
"""

from __future__ import annotations

import math
import struct
from abc import abstractmethod
from typing import ClassVar

from drivers.about import About
from drivers.chamber import LimitedChamber
from drivers.interface import NoReading
from drivers.transports.modbus import ModbusLine


class BinderChamber(LimitedChamber):
    """The temperature of one Binder chamber.

    `address` is `rtu+tcp://host:10001` or `serial:COM3?baud=9600`. The network module serves one connection at a
    time, so each is closed after its exchange. Nothing on the wire keeps the chamber from −40 or +180 °C but
    `temperature_min_degC` and `temperature_max_degC`. After a change the chamber is asked each `wait_s` whether it
    was taken, ten times.
    """

    actual_value: ClassVar[int]  # registers of 32-bit floats

    def __init__(
        self,
        address: str,
        *,
        temperature_min_degC: float,
        temperature_max_degC: float,
        safe_temperature_degC: float | None = None,
        unit_id: int = 1,
        wait_s: float = 1.0,
        timeout_s: float = 1.0,
    ) -> None:
        super().__init__(address, temperature_min_degC, temperature_max_degC, safe_temperature_degC, wait_s=wait_s)
        self.unit_id = unit_id
        self._line = ModbusLine(address, unit_id, instrument=self.model, timeout_s=timeout_s, hold=False)
        try:
            self._float(self.actual_value)
        except BaseException:
            self._line.close()
            raise

    def identify(self) -> str:
        """Binder controllers do not say what they are here: the settings, once the temperature has been read."""
        self._float(self.actual_value)
        return f"{self.model}, unit {self.unit_id}"

    def read_temperature_degC(self) -> float | NoReading:
        """Of the air in the chamber."""
        return self._reading(self._float(self.actual_value))

    @abstractmethod
    def set_temperature(self, temperature_degC: float) -> None: ...

    def close(self) -> None:
        self._line.close()

    def _float(self, register: int) -> float:
        low, high = self._line.read(register, 2)
        value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
        return value

    def _write_float(self, register: int, value: float) -> None:
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        self._line.write_many(register, (low, high))

    def _word(self, register: int) -> int:
        return self._line.read(register)[0]


class BinderMb1(BinderChamber):
    """A chamber with an MB1 controller, in its manual mode (or in basic mode where it is in that already)."""

    model: ClassVar[str] = "Binder chamber with MB1"
    about: ClassVar[About] = About(
        connection="TCP port 10001 (Modbus RTU frames), RS-422",
        evidence="maker's specification as cited by public programs, dumps of a real one; not run on hardware",
        quirks="serves one connection at a time; a program of its own is not disturbed",
    )

    actual_value = 0x11A9
    set_points = (0x1581, 0x156F)  # of manual and of basic mode: the one in use depends on the mode
    mode, alarm, alarm_text = 0x1A22, 0x123D, 0x1228
    alarm_text_words = 20
    IDLE, PROGRAM, MANUAL, BASIC = 0x0000, 0x0400, 0x0800, 0x1000

    def set_temperature(self, temperature_degC: float) -> None:
        """Set in both modes, read back, then start the manual mode where the chamber is idle."""
        self.check_temperature(temperature_degC)
        mode = self._word(self.mode)
        if mode not in (self.IDLE, self.MANUAL, self.BASIC):
            if mode == self.PROGRAM:
                self._refuse_program()
            self._bad(f"mode {mode:#06x} is none that is known")
        for register in self.set_points:
            self._write_float(register, temperature_degC)
        for register in self.set_points:
            self._verify(temperature_degC, self._float(register))
        if mode == self.IDLE:
            self._line.write(self.mode, self.MANUAL)
            self._wait_until_running(lambda: self._word(self.mode) == self.MANUAL)
        if self._word(self.alarm):
            words = self._line.read(self.alarm_text, self.alarm_text_words)
            text = "".join(chr(word) for word in words if 32 <= word < 127).strip()
            self._refuse_alarm(f"an alarm: {text}" if text else "an alarm")


class BinderMb2(BinderChamber):
    """A chamber with an MB2 controller. Whether it runs a program of its own cannot be asked: see the docs."""

    model: ClassVar[str] = "Binder chamber with MB2"
    about: ClassVar[About] = About(
        connection="TCP port 10001 (Modbus RTU frames), RS-422",
        evidence="two public programs; not run on hardware",
        quirks="serves one connection at a time; its alarms and programs are not seen",
    )

    actual_value = 0x1004
    set_point, set_point_in_force = 0x114C, 0x10B2
    flags, flags_in_force = 0x1158, 0x1292
    IDLE_BIT = 0x0002

    def set_temperature(self, temperature_degC: float) -> None:
        """Set, wait until it is in force, and end the idle mode where it is on."""
        self.check_temperature(temperature_degC)
        self._write_float(self.set_point, temperature_degC)
        found_degC = math.nan

        def is_in_force() -> bool:
            nonlocal found_degC
            found_degC = self._float(self.set_point_in_force)
            return abs(found_degC - temperature_degC) <= self.set_point_rounding_K

        self._wait_for(is_in_force)
        self._verify(temperature_degC, found_degC)
        flags = self._word(self.flags_in_force)
        if flags & self.IDLE_BIT:
            self._line.write(self.flags, flags & ~self.IDLE_BIT)
            self._wait_until_running(lambda: not self._word(self.flags_in_force) & self.IDLE_BIT)
