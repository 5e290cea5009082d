"""EA Elektro-Automatik PSB and PSI by Modbus, as host-sequenced sources for one cell.

Wire facts: docs/instruments/ea-modbus.md (evidence: vendor guide and its example frames; what has a setting there,
unverified). Not run on hardware yet.
"""

from __future__ import annotations

import struct
from typing import ClassVar

from drivers.about import About
from drivers.bidirectional import Actual, BidirectionalSupply, Quantity, Regulation
from drivers.interface import BadReply, Refused
from drivers.transports.modbus import ModbusLine

FULL_SCALE = 0xCCCC  # 100 %
ROUNDING = 2  # 26214 steps from zero to full scale
HIGHEST_SET, HIGHEST_PROTECTION_SET = 0xD0E5, 0xE147  # 102 %, 110 %
REMOTE_COIL, OUTPUT_COIL, RESISTANCE_COIL, ALARM_COIL = 402, 405, 409, 411
NOMINAL_REGISTERS = (121, 123, 125)
STATUS_REGISTER, ACTUAL_REGISTER = 505, 507
OUTPUT_BIT, SINK_BIT = 1 << 7, 1 << 31
IN_LOCAL = "exception 23"


class EaModbus(BidirectionalSupply):
    """The same by Modbus TCP (`tcp://host`) or RTU (`rtu+tcp://host:5025`, `serial:COM3?baud=115200`).

    `bidirectional` is true for a PSB. `ovp_register` (unverified: see the register list of the model) is where the
    threshold of the overvoltage protection is; without it, that protection is left as it was set at the front panel.
    """

    model: ClassVar[str] = "EA PSB/PSI (Modbus)"
    about: ClassVar[About] = About(
        connection="Modbus TCP 502, Modbus RTU over TCP 5025, USB or RS-232",
        evidence="maker's guide with its example frames; protection thresholds unverified; not run on hardware",
        quirks="all values are per cent of the nominal ones; closes an idle TCP link after 5 s (it is opened anew)",
    )
    registers: ClassVar[dict[Quantity, int]] = {
        Quantity.SINK_POWER: 498,
        Quantity.SINK_CURRENT: 499,
        Quantity.VOLTAGE: 500,
        Quantity.SOURCE_CURRENT: 501,
        Quantity.SOURCE_POWER: 502,
    }

    def __init__(
        self,
        address: str,
        *,
        unit_id: int = 0,
        bidirectional: bool = True,
        margin: float = 0.02,
        ovp_register: int | None = None,
        timeout_s: float = 1.0,
    ) -> None:
        self.address, self.unit_id, self.sinks = address, unit_id, bidirectional
        self._check_margin(margin)
        self._register_of = dict(self.registers)
        if ovp_register is not None:
            self._register_of[Quantity.OVERVOLTAGE] = ovp_register
        self.quantities = frozenset(self._register_of)
        self._line = ModbusLine(address, unit_id, instrument=self.model, timeout_s=timeout_s)
        try:
            nominals = self._nominals()
            self._take_nominals(*nominals)
            if self._nominals() != nominals:  # all other values hang on them, and Modbus TCP has no checksum
                raise BadReply("its nominal values changed from one reading to the next", **self._where())
            self._take_remote_control()
        except BaseException:
            self._line.close()
            raise

    def identify(self) -> str:
        volts, amperes, watts = self._nominals()
        return f"{self.model}, {volts:g} V, {amperes:g} A, {watts:g} W, unit {self.unit_id}"

    def put(self, quantity: Quantity, value: float) -> None:
        register, raw = self._register_of[quantity], round(value / self.nominal[quantity.unit] * FULL_SCALE)
        highest = HIGHEST_PROTECTION_SET if quantity is Quantity.OVERVOLTAGE else HIGHEST_SET
        if not 0 <= raw <= highest:
            self._out_of_range(f"{value:g} {quantity.unit} is beyond register {register}")
        self._line.write(register, raw)
        (found,) = self._line.read(register)
        if abs(found - raw) > ROUNDING:
            self._not_safe(f"register {register} was set to {raw} ({value:g} {quantity.unit}) and reads back {found}")

    def value_of(self, quantity: Quantity) -> float:
        return self._scaled(self._line.read(self._register_of[quantity])[0], quantity.unit)

    def actual(self) -> Actual:
        volts, amperes, _ = self._line.read(ACTUAL_REGISTER, 3)
        status = self._status()
        regulation = tuple(Regulation)[status >> 9 & 0b11]
        sign = -1.0 if status & SINK_BIT else 1.0
        return Actual(
            self._scaled(volts, "V"), sign * self._scaled(amperes, "A"), bool(status & OUTPUT_BIT), regulation
        )

    def output_is_on(self) -> bool:
        return bool(self._status() & OUTPUT_BIT)

    def switch(self, on: bool) -> None:
        self._line.write_coil(OUTPUT_COIL, on)

    def acknowledge_alarms(self) -> None:
        self._line.write_coil(ALARM_COIL, True)

    def leave(self) -> None:
        self._closed = True
        self._line.close()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
            self._line.write_coil(REMOTE_COIL, False)
        finally:
            self.leave()

    def _take_remote_control(self) -> None:
        try:
            self._line.write_coil(REMOTE_COIL, True)
        except Refused as error:
            if IN_LOCAL in error.message:
                error.hint = "unlock it at the front panel, leave its menus"
            raise
        if not self.output_is_on():
            self._line.write_coil(RESISTANCE_COIL, False)

    def _nominals(self) -> tuple[float, float, float]:
        words = [word for register in NOMINAL_REGISTERS for word in self._line.read(register, 2)]
        volts, amperes, watts = struct.unpack(">fff", struct.pack(">6H", *words))
        return volts, amperes, watts

    def _where(self) -> dict[str, str]:
        return {"instrument": self.model, "address": self.address}

    def _status(self) -> int:
        high, low = self._line.read(STATUS_REGISTER, 2)
        return high << 16 | low

    def _scaled(self, raw: int, unit: str) -> float:
        if raw > HIGHEST_PROTECTION_SET:
            raise BadReply(f"{raw} is {raw / FULL_SCALE:.0%} of the nominal value", **self._where())
        return raw / FULL_SCALE * self.nominal[unit]
