"""A virtual EA PSB or PSI: one device behind three languages, SCPI and Modbus RTU on one socket, Modbus TCP on another.

Written from the maker's "Programming Guide ModBus & SCPI" (remote control 3.4, set values 4.3 and 5.4.3, status
registers 5.4.2, example frames of chapter 4).
"""

from __future__ import annotations

import re
import socket
import struct

from drivers.simulated.clock import Clock
from drivers.simulated.modbus import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, VirtualModbus, crc16
from drivers.simulated.scpi import ILLEGAL_VALUE as ILLEGAL_SCPI_VALUE
from drivers.simulated.scpi import (
    MISSING,
    OUT_OF_RANGE,
    Action,
    Arguments,
    ScpiError,
    ScpiServer,
    choice,
    number,
    text,
)
from drivers.simulated.supply import PowerStage

FULL_SCALE, SET_MAX, PROTECTION_MAX = 0xCCCC, 0xD0E5, 0xE147
IN_LOCAL = (-201, "Invalid while in local")
CRC_ERROR, DEVICE_IN_LOCAL = 5, 0x17
UNITS = {"VOLT": "V", "CURR": "A", "POW": "W"}
ALARM_COUNTERS = ("OVOLtage", "OCURrent", "OPOWer", "OTEMperature", "PFAil", "SHAReBUSfail")
KEPT = {
    ":POWer:STAGe:AFTer:REMote": choice("OFF", "AUTO", "OFF"),
    ":SYSTem:CONFig:MODE": choice("UIP", "UIP", "UIR"),
    ":SYSTem:MS:ENABle": choice("OFF", "ON", "OFF"),
    ":SYSTem:CONFig:USER:TEXT": text('""'),
    ":SYSTem:COMMunicate:TIMeout": number("5", 5, 65535),
    ":SYSTem:COMMunicate:LAN:TIMeout": number("5", 5, 65535),
    ":SYSTem:ALARm:ACTion:PFAil": choice("OFF", "AUTO", "OFF"),
}


class VirtualEa(ScpiServer):
    """Port 5025: text, and Modbus RTU where a message begins with a byte of 0 or 1.

    Commands joined by semicolons are each read from the root, as others' programs for it have them.
    """

    joined_from_root = True

    def __init__(
        self,
        device: PowerStage,
        *,
        rtu: bool = False,
        blank: bool = True,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, host=host, port=port)
        self.device, self.blank = device, blank
        if rtu:
            self.resource = "rtu+tcp://{host}:{port}"
        volts, amperes = device.nominal["VOLT"], device.nominal["CURR"]
        series = "PSB" if device.sinks else "PSI"
        self.identity = (
            f"EA Elektro-Automatik GmbH & Co. KG, {series} 9{volts:03.0f}-{amperes:.0f} 3U, 2300120001, V3.02 V2.30, "
        )
        self.registers = EaRegisters(device)
        self._restored = "AUTO"
        self._limits = dict[tuple[str, str], float]()
        self._monitor = {"TIM": "5", "ACT": "OFF"}
        self._define_control()
        self._define_values()

    def serve(self, connection: socket.socket) -> None:
        first = connection.recv(1, socket.MSG_PEEK)
        if first and first[0] <= 1:
            self.registers.serve_rtu(connection)
        else:
            super().serve(connection)

    def reset(self) -> None:
        super().reset()
        self.device.remote = True
        self.device.switch(False)

    # --- commands

    def _define_control(self) -> None:
        device = self.device
        self.define(":SYSTem:LOCK[:STATe]", self._lock)
        self.define(":SYSTem:LOCK:OWNer?", lambda _: "REMOTE" if device.remote else self._owner())
        self.define(":OUTPut[:STATe]", self._switch)
        self.define(":OUTPut[:STATe]?", lambda _: "ON" if device.on else "OFF")
        self.define(":STATus:OPERation:CONDition?", lambda _: str(self._operation()))
        self.define(":STATus:SECond:QUEStionable:CONDition?", lambda _: "0")
        self.define(":SYSTem:ERRor:ALL?", lambda _: self._all_errors())
        self.keep(KEPT)
        for alarm in ALARM_COUNTERS:
            self.define(f":SYSTem:ALARm:COUNt:{alarm}?", lambda _: "0")
        for alarm in ("OCURrent", "OPOWer"):
            self.define(f":SYSTem:SINK:ALARm:COUNt:{alarm}?", lambda _: "0")
        self.define(":STATus:QUEStionable:CONDition?", lambda _: str(1 << 11 if device.on else 0))
        self.define(":SYSTem:CONFig:OUTPut:RESTore", self._restore)
        self.define(":SYSTem:CONFig:OUTPut:RESTore?", lambda _: self._restored)
        for word, short in (("TIMeout", "TIM"), ("ACTion", "ACT")):
            self.define(f":SYSTem:COMMunicate:MONitoring:{word}", self._put_monitor(short))
            self.define(f":SYSTem:COMMunicate:MONitoring:{word}?", self._tell_monitor(short))

    def _define_values(self) -> None:
        device = self.device
        for word, short in (("VOLTage", "VOLT"), ("CURRent", "CURR"), ("POWer", "POW")):
            name = short if short == "VOLT" else f"SOUR:{short}"
            self._define_value(f"[:SOURce]:{word}", name)
            self.define(f":SYSTem:NOMinal:{word}?", self._teller(device.nominal, short))
            self._define_limits(f"[:SOURce]:{word}", short)
            if short != "VOLT" and device.sinks:
                self._define_value(f":SINK:{word}", f"SINK:{short}")
                self._define_limits(f":SINK:{word}", short)
        self.define(":MEASure[:SCALar]:POWer[:DC]?", lambda _: self._power())
        self.define(":MEASure[:SCALar]:VOLTage[:DC]?", lambda _: self._told(device.actual()[0], "VOLT"))
        self.define(":MEASure[:SCALar]:CURRent[:DC]?", lambda _: self._told(device.actual()[1], "CURR"))
        self.define(":MEASure[:SCALar]:ARRay?", lambda _: self._array())

    def _define_value(self, header: str, name: str) -> None:
        short = name.rpartition(":")[2]
        protections = self.device.protection
        for suffix, values, most in (("[:LEVel]", self.device.set, 1.02), (":PROTection[:LEVel]", protections, 1.1)):

            def put(arguments: Arguments, values: dict[str, float] = values, most: float = most) -> None:
                self._need_remote()
                value = self._value(arguments, short)
                low, high = 0.0, most * self.device.nominal[short]
                if values is self.device.set:
                    low = max(low, self._limits.get((header, "LOW"), low))
                    high = min(high, self._limits.get((header, "HIGH"), high))
                if not low <= value <= high:
                    raise ScpiError(*OUT_OF_RANGE)
                values[name] = value
                self.device.wire()

            self.define(header + suffix, put)
            self.define(header + suffix + "?", self._teller(values, name))

    def _define_limits(self, header: str, short: str) -> None:
        """The adjustment limits: a set value beyond them is refused."""
        for word, at_reset in (("HIGH", 1.02 * self.device.nominal[short]), ("LOW", 0.0)):
            if short == "POW" and word == "LOW":
                continue
            key = (header, word)
            self._limits[key] = at_reset

            def put(arguments: Arguments, key: tuple[str, str] = key) -> None:
                self._need_remote()
                value = self._value(arguments, short)
                if not 0 <= value <= 1.02 * self.device.nominal[short]:
                    raise ScpiError(*OUT_OF_RANGE)
                self._limits[key] = value

            def tell(arguments: Arguments, key: tuple[str, str] = key) -> str:
                return self._told(self._limits[key], short)

            self.define(f"{header}:LIMit:{word}", put)
            self.define(f"{header}:LIMit:{word}?", tell)

    def _value(self, arguments: Arguments, short: str) -> float:
        if not arguments:
            raise ScpiError(*MISSING)
        named = {"MIN": 0.0, "MAX": 1.02 * self.device.nominal[short]}
        if arguments[0].upper() in named:
            return named[arguments[0].upper()]
        match = re.fullmatch(rf"([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*{UNITS[short]}?", arguments[0])
        if match is None:
            raise ScpiError(*ILLEGAL_SCPI_VALUE)
        return float(match[1])

    def _teller(self, values: dict[str, float], name: str) -> Action:
        return lambda _: self._told(values[name], name.rpartition(":")[2])

    def _lock(self, arguments: Arguments) -> None:
        if arguments and arguments[0].upper() in ("ON", "1"):
            if self.device.locked_by_hand:
                raise ScpiError(*IN_LOCAL)
            self.device.remote = True
        else:
            self.device.remote = False

    def _owner(self) -> str:
        return "LOCAL" if self.device.locked_by_hand else "NONE"

    def _switch(self, arguments: Arguments) -> None:
        self._need_remote()
        if not arguments or arguments[0].upper() not in ("ON", "OFF", "1", "0"):
            raise ScpiError(*ILLEGAL_SCPI_VALUE)
        self.device.switch(arguments[0].upper() in ("ON", "1"))

    def _restore(self, arguments: Arguments) -> None:
        self._need_remote()
        if not arguments or arguments[0].upper() not in ("AUTO", "OFF"):
            raise ScpiError(*ILLEGAL_SCPI_VALUE)
        self._restored = arguments[0].upper()

    def _put_monitor(self, short: str) -> Action:
        def put(arguments: Arguments) -> None:
            self._need_remote()
            self._monitor[short] = arguments[0].upper()

        return put

    def _tell_monitor(self, short: str) -> Action:
        return lambda _: self._monitor[short]

    def _need_remote(self) -> None:
        if not self.device.remote:
            raise ScpiError(*IN_LOCAL)

    def _operation(self) -> int:
        if not self.device.on:
            return 0
        sinking = (1 << 12) if self.device.actual()[1] < 0 else 0
        return (1 << 8 if self.device.holds_voltage() else 1 << 9) | sinking

    def _array(self) -> str:
        volts, amperes = self.device.actual()
        return ", ".join((self._told(volts, "VOLT"), self._told(amperes, "CURR"), self._told(volts * amperes, "POW")))

    def _power(self) -> str:
        volts, amperes = self.device.actual()
        return self._told(volts * amperes, "POW")

    def _all_errors(self) -> str:
        """Up to five, which acknowledges the alarms as well."""
        told = [self._next_error() for _ in range(5) if self._errors or self.device.alarms]
        return ",".join(told or [self.no_error()])

    def _told(self, value: float, short: str) -> str:
        """Two decimals, or none for a power; with or without a blank, as the series does it."""
        number = f"{value:.0f}" if short == "POW" else f"{value:.2f}"
        return f"{number}{' ' if self.blank else ''}{UNITS[short]}"

    def _next_error(self) -> str:
        """Asking for an error acknowledges the alarms."""
        if not self._errors and self.device.alarms:
            self._errors.append((-200, f"Alarm {self.device.alarms.pop(0)}"))
        return super()._next_error()


class EaRegisters:
    """The Modbus side: per cent of nominal in registers, functions 1, 3, 5, 6 and 16."""

    def __init__(self, device: PowerStage, ovp_register: int = 550) -> None:
        self.device = device
        self.values = {498: "SINK:POW", 499: "SINK:CURR", 500: "VOLT", 501: "SOUR:CURR", 502: "SOUR:POW"}
        self.ovp_register = ovp_register
        self.resistance_mode = True

    def serve_rtu(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(4096):
            pending += chunk
            while len(pending) >= 8 and len(pending) >= (length := 9 + pending[6] if pending[1] == 16 else 8):
                frame, pending = pending[:length], pending[length:]
                connection.sendall(self.answer_rtu(frame))

    def answer_rtu(self, frame: bytes) -> bytes:
        """The answer to one whole request."""
        sound = crc16(frame[:-2]) == frame[-2:]
        reply = self.answer(frame[1:-2]) if sound else bytes([frame[1] | 0x80, CRC_ERROR])
        body = frame[:1] + reply
        return body + crc16(body)

    def answer(self, request: bytes) -> bytes:
        """The answer to one protocol data unit."""
        function = request[0]
        address, value = struct.unpack(">HH", request[1:5])
        try:
            match function:
                case 1:
                    return bytes([1, 2, 0, self._coil(address)])  # limited compliance: two bytes, not one
                case 3:
                    words = [self._word(address + i) for i in range(value)]
                    return bytes([3, 2 * value]) + struct.pack(f">{value}H", *words)
                case 5:
                    self._switch(address, value)
                case 6:
                    self._put(address, value)
                case 16:
                    if len(request) != 6 + request[5] or request[5] != 2 * value:
                        raise ModbusFault(ILLEGAL_VALUE)
                    for i, word in enumerate(struct.unpack(f">{value}H", request[6:])):
                        self._put(address + i, word)
                case _:
                    raise ModbusFault(ILLEGAL_FUNCTION)
        except ModbusFault as fault:
            return bytes([function | 0x80, fault.code])
        return request[:5]

    def _coil(self, address: int) -> int:
        states = {402: self.device.remote, 405: self.device.on, 409: self.resistance_mode, 411: False}
        if address not in states:
            raise ModbusFault(ILLEGAL_ADDRESS)
        return int(states[address])

    def _switch(self, address: int, value: int) -> None:
        if value not in (0, 0xFF00):
            raise ModbusFault(ILLEGAL_VALUE)
        on = value == 0xFF00
        if address == 402:
            if on and self.device.locked_by_hand:
                raise ModbusFault(DEVICE_IN_LOCAL)
            self.device.remote = on
            return
        self._need_remote()
        if address == 405:
            self.device.switch(on)
        elif address == 409:
            self.resistance_mode = on
        elif address == 411:
            self.device.alarms.clear()
        else:
            raise ModbusFault(ILLEGAL_ADDRESS)

    def _put(self, register: int, raw: int) -> None:
        if register not in self.values and register != self.ovp_register:
            raise ModbusFault(ILLEGAL_ADDRESS)
        self._need_remote()
        if raw > (PROTECTION_MAX if register == self.ovp_register else SET_MAX):
            raise ModbusFault(ILLEGAL_VALUE)
        raw &= ~1  # 26214 steps
        if register == self.ovp_register:
            self.device.protection["VOLT"] = raw / FULL_SCALE * self.device.nominal["VOLT"]
        else:
            name = self.values[register]
            self.device.set[name] = raw / FULL_SCALE * self.device.nominal[name.rpartition(":")[2]]
        self.device.wire()

    def _need_remote(self) -> None:
        if not self.device.remote:
            raise ModbusFault(DEVICE_IN_LOCAL)

    def _word(self, register: int) -> int:
        nominal = self.device.nominal
        for first, name in ((121, "VOLT"), (123, "CURR"), (125, "POW")):
            if first <= register <= first + 1:
                return int(struct.unpack(">HH", struct.pack(">f", nominal[name]))[register - first])
        if register in self.values:
            name = self.values[register]
            return self._raw(self.device.set[name], name)
        if register == self.ovp_register:
            return self._raw(self.device.protection["VOLT"], "VOLT")
        volts, amperes = self.device.actual()
        actual = {507: (volts, "VOLT"), 508: (abs(amperes), "CURR"), 509: (abs(volts * amperes), "POW")}
        if register in actual:
            return self._raw(*actual[register])
        if register in (505, 506):
            return self._status(sinking=amperes < 0) >> (16 if register == 505 else 0) & 0xFFFF
        raise ModbusFault(ILLEGAL_ADDRESS)

    def _status(self, sinking: bool) -> int:
        location = 6 if self.device.remote else 0
        regulation = 0 if self.device.holds_voltage() or not self.device.on else 2  # CV, CC
        return location | self.device.on << 7 | regulation << 9 | sinking << 31

    def _raw(self, value: float, name: str) -> int:
        return max(0, round(value / self.device.nominal[name.rpartition(":")[2]] * FULL_SCALE))


class ModbusFault(Exception):
    """An exception code as the answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


class VirtualEaModbusTcp(VirtualModbus):
    """Port 502."""

    def __init__(self, device: PowerStage, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(unit_id=0, host=host, port=port)
        self.device, self.registers = device, EaRegisters(device)

    def hears(self, unit: int) -> bool:
        return True  # whatever unit is written, there is one instrument

    def answer(self, request: bytes) -> bytes:
        return self.registers.answer(request)
