"""Load-cell transmitters with Modbus RTU or TCP, whatever their register map.

There is no standard map, so the map is this driver's settings.
Wire facts and settings for common transmitters: docs/instruments/modbus-load-cell.md (evidence: the
Modbus specification, vendor manuals). Not run on hardware yet.
"""

from __future__ import annotations

import math
import struct
from typing import ClassVar, Literal, Self

from drivers.about import About
from drivers.force import NEWTONS, within_capacity
from drivers.interface import BadReply, NoReading, OutOfRange, Refused
from drivers.transports.modbus import ModbusLine

FORMATS = {"int16": ">h", "int32": ">i", "float32": ">f"}


class ModbusLoadCell:
    """Force in N from one unit on a Modbus line (see `drivers.transports.modbus` for addresses).

    Registers are 0-based: a manual's 40008 is `register=7` with `function=3`, its 30008 the same with
    `function=4`. Force = (number / 10^decimals * `scale` + `offset`) in `unit`. `word_order` "big" sends the more
    significant register first (ABCD), `byte_order` "little" swaps the bytes within each register.

    Beyond 1.5 times `capacity_N`, with a bit of `overload_mask` set in `status_register`, or where the
    transmitter sends infinity or an integer's last value, the reading is `NoReading.OVERLOAD`. With a
    bit of `valid_mask` missing in `status_register`, or with NaN, it is `NoReading.NOT_AVAILABLE`.
    Where the transmitter sends a magnitude and keeps the sign in its status, `negative_mask` is that bit.
    """

    model: ClassVar[str] = "Modbus load-cell transmitter"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="Modbus TCP, Modbus RTU on a serial port or through a serial server",
        evidence="Modbus specification and several makers' manuals; not run on hardware",
        quirks="no transmitter says what it is: a wrong register map reads a wrong force",
    )

    def __init__(
        self,
        address: str,
        *,
        register: int,
        capacity_N: float,
        unit_id: int = 1,
        function: Literal[3, 4] = 3,
        dtype: Literal["int16", "int32", "float32"] = "int32",
        word_order: Literal["big", "little"] = "big",
        byte_order: Literal["big", "little"] = "big",
        scale: float = 1.0,
        offset: float = 0.0,
        unit: Literal["N", "kN", "mN", "gf", "kgf", "lbf"] = "N",
        decimals_register: int | None = None,
        status_register: int | None = None,
        overload_mask: int = 0,
        valid_mask: int = 0,
        negative_mask: int = 0,
        tare_register: int | None = None,
        tare_value: int = 1,
        timeout_s: float = 1.0,
    ) -> None:
        self.address = address
        self.unit_id = unit_id
        self.capacity_N = capacity_N
        self._register, self._function, self._format = register, function, FORMATS.get(dtype, "")
        self._word_order, self._byte_order = word_order, byte_order
        self._scale, self._offset, self._newtons = scale, offset, NEWTONS.get(unit, math.nan)
        self._decimals_register = decimals_register
        self._status_register, self._overload_mask = status_register, overload_mask
        self._valid_mask, self._negative_mask = valid_mask, negative_mask
        self._tare_register, self._tare_value = tare_register, tare_value
        self._check_settings()
        order = ">" if byte_order == "big" else "<"
        self._words = struct.Struct(f"{order}{struct.calcsize(self._format) // 2}H")
        self._line = ModbusLine(address, unit_id, instrument=self.model, timeout_s=timeout_s)
        try:
            self.read_force()  # is there such a unit, and has it such a register?
        except BaseException:
            self._line.close()
            raise

    def identify(self) -> str:
        """Modbus load cells do not say what they are: the settings, once the register has been read."""
        self._number()
        return f"{self.model}, unit {self.unit_id}, register {self._register}"

    def read_force(self) -> float | NoReading:
        """Force in N, as the transmitter filters it; a net value where `register` is the net one."""
        number = self._number()
        decimals = self._decimals()
        # The status after the number: a number that was already wrong is never let through.
        status = self._status()
        if status & self._overload_mask:
            return NoReading.OVERLOAD
        if math.isnan(number) or status & self._valid_mask != self._valid_mask:
            return NoReading.NOT_AVAILABLE
        if math.isinf(number) or self._is_last_value(number):
            return NoReading.OVERLOAD
        if status & self._negative_mask:
            number = -abs(number)
        force_N = (number / 10**decimals * self._scale + self._offset) * self._newtons
        return within_capacity(force_N, self.capacity_N)

    def tare(self) -> None:
        """Take the present load for zero, by writing `tare_value` to `tare_register`."""
        if self._tare_register is None:
            raise Refused("no tare register is configured", instrument=self.model, address=self.address)
        self._line.write(self._tare_register, self._tare_value)

    def make_safe(self) -> None:
        """Nothing to do: the transmitter drives nothing."""

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _number(self) -> float:
        registers = self._line.read(self._register, self._words.size // 2, function=self._function)
        if self._word_order == "little":
            registers = registers[::-1]
        number: float = struct.unpack(self._format, self._words.pack(*registers))[0]
        return number

    def _decimals(self) -> int:
        if self._decimals_register is None:
            return 0
        (decimals,) = self._line.read(self._decimals_register, function=self._function)
        if decimals > 6:
            raise BadReply(
                f"{decimals} decimals in register {self._decimals_register}",
                instrument=self.model,
                address=self.address,
                hint="is decimals_register the right one?",
            )
        return decimals

    def _status(self) -> int:
        if self._status_register is None:
            return 0
        return self._line.read(self._status_register, function=self._function)[0]

    def _is_last_value(self, number: float) -> bool:
        bits = {">h": 15, ">i": 31}.get(self._format)
        return bits is not None and number in (2**bits - 1, -(2**bits))

    def _check_settings(self) -> None:
        for fault, wrong in {
            f"unit_id {self.unit_id}: 1 to 247": not 1 <= self.unit_id <= 247,
            f"register {self._register}: 0 to 65535": not 0 <= self._register <= 65535,
            f"function {self._function}: 3 or 4": self._function not in (3, 4),
            f"dtype: one of {', '.join(FORMATS)}": not self._format,
            "word_order and byte_order: big or little": not {self._word_order, self._byte_order} <= {"big", "little"},
            f"unit: one of {', '.join(NEWTONS)}": math.isnan(self._newtons),
            f"capacity_N {self.capacity_N}: a force above 0": not 0 < self.capacity_N < math.inf,
            f"scale {self._scale}: a number, not 0": not math.isfinite(self._scale) or self._scale == 0,
            f"offset {self._offset}: a number": not math.isfinite(self._offset),
            "overload_mask, valid_mask and negative_mask need a status_register": (
                bool(self._overload_mask | self._valid_mask | self._negative_mask) and self._status_register is None
            ),
        }.items():
            if wrong:
                raise OutOfRange(f"setting {fault}", instrument=self.model, address=self.address)
