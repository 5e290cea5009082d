"""Virtual force gauges and a virtual resistance meter that speak lines of text.

Written from the makers' manuals as docs/instruments/ has them, and not from the drivers.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import LineInstrument, VirtualInstrument
from drivers.simulated.wiring import WiredCell

GRAVITY_m_s2 = 9.80665
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


class VirtualMantracourt(LineInstrument):
    """Stations of one bus, each with a force in N as its SYS: sign, five digits, `decimals` digits."""

    resource = "socket://{host}:{port}"
    terminator = b"\r"
    ACTIONS = ("RST", "SNAP")

    def __init__(
        self,
        forces: Mapping[int, Callable[[], float]],
        *,
        decimals: int = 3,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.forces, self.decimals = forces, decimals
        self.flags = 0
        self.settings: dict[str, float] = {"BAUD": 7, "DP": decimals, "RATE": 3, "SGAI": 1, "SOFS": 0, "CGAI": 1}
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        if len(line) < 6 or line[0] + line[4] != "!:" or not line[1:4].isdigit() or int(line[1:4]) not in self.forces:
            return None  # not its station, or no message: nobody answers
        command, sign, value = line[5:].upper().partition("=")
        if command in self.ACTIONS and not sign:
            return ""
        parameter = command if sign else command.removesuffix("?")
        if sign and parameter in self.settings and NUMBER.fullmatch(value):
            self.settings[parameter] = float(value)
            return ""
        if sign or not command.endswith("?"):
            return "?"
        known = {"SYS": self.forces[int(line[1:4])](), "FLAG": self.flags, "STAT": 0, "VER": 3.1, "SERL": 12345}
        known |= {"SERH": 17, "TEMP": 25.0, **self.settings}
        if parameter not in known:
            return "?"
        return f"{known[parameter]:+0{7 + self.decimals}.{self.decimals}f}"


class VirtualMtSics(LineInstrument):
    """A balance that carries `force()` N; it displays g to 0.01 g, and overloads beyond `capacity_g`."""

    resource = "socket://{host}:{port}"
    terminator = b"\r\n"
    IDENTITY: ClassVar = {
        "@": 'I4 A "B123456789"',
        "I1": 'I1 A "01" "2.30" "2.22" "" ""',
        "I2": 'I2 A "MS6002S (simulated) 6100.00 g"',
        "I3": 'I3 A "2.10 10.28.0.493.142"',
        "I4": 'I4 A "B123456789"',
        "I5": 'I5 A "12121306C"',
        "I11": 'I11 A "MS6002S"',
    }

    def __init__(
        self, force: Callable[[], float], *, capacity_g: float = 6100.0, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(host, port)
        self.force, self.capacity_g = force, capacity_g
        self.tare_g = 0.0
        self.moving = self.busy = False
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        if line in self.IDENTITY:
            return self.IDENTITY[line]
        command, gross_g = line.rstrip("I") or line, 1e3 * self.force() / GRAVITY_m_s2
        outside = "+" if gross_g > self.capacity_g else "-" if gross_g < -20.0 else ""
        at_once = len(line) == 2 and line.endswith("I")
        match command:
            case "S" | "T" | "Z" if outside:
                return f"{command} {outside}"
            case "S" | "T" | "Z" if self.busy or (self.moving and not at_once):
                return f"{command} I"
            case "S":
                return f"{line[:1]} {self._status} {gross_g - self.tare_g:10.2f} g"
            case "T":
                self.tare_g = gross_g
                return f"{line} {self._status} {gross_g:10.2f} g"
            case "Z":
                self.tare_g = gross_g
                return f"{line} {self._status if at_once else 'A'}"
            case "TA":
                return f"TA A {self.tare_g:10.2f} g"
            case "TAC":
                self.tare_g = 0.0
                return "TAC A"
        return "ES"

    @property
    def _status(self) -> str:
        return "D" if self.moving else "S"


class VirtualLineStream(VirtualInstrument):
    """A sketch that prints `force()` in N `rate_Hz` times a second; when a client connects it boots, and says so."""

    resource = "socket://{host}:{port}"

    def __init__(
        self,
        force: Callable[[], float],
        *,
        clock: Clock | None = None,
        rate_Hz: float = 10.0,
        line: str = "{force:.3f} N",
        boot_text: str = "HX711 scale v1.2\r\nready\r\n",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.force, self.clock, self.rate_Hz = force, clock or ScaledClock(), rate_Hz
        self.line, self.boot_text = line, boot_text
        self.received = b""

    def serve(self, connection: socket.socket) -> None:
        gone = threading.Event()
        threading.Thread(target=self._hear, args=(connection, gone), daemon=True).start()
        connection.sendall(self.boot_text.encode("ascii"))
        while not gone.is_set():
            connection.sendall(self.line.format(force=self.force()).encode("ascii") + b"\r\n")
            self.clock.sleep(1.0 / self.rate_Hz)

    def _hear(self, connection: socket.socket, gone: threading.Event) -> None:
        try:
            while chunk := connection.recv(4096):
                self.received += chunk
        except OSError:
            pass  # the client went away
        gone.set()


class VirtualSerialAdc(LineInstrument):
    """A board with a 16-bit converter: each cell's sensor from the supply to a tap, `reference_ohm` from it to ground.

    The wire is docs/instruments/serial-adc.md's. `supply_V` and the range of ±4.096 V make the counts.
    """

    resource = "socket://{host}:{port}"
    full_scale, range_V = 32767, 4.096

    def __init__(
        self,
        sensors: Mapping[int, WiredCell],
        *,
        reference_ohm: float = 100e3,
        supply_V: float = 3.3,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.sensors, self.reference_ohm, self.supply_V = sensors, reference_ohm, supply_V
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        if line == "?":
            return self._sealed(f"CELLSTATION ADC 1,{len(self.sensors)},{self.full_scale}")
        if line[:1] == "A" and line[1:].isdigit() and int(line[1:]) in self.sensors:
            channel = int(line[1:])
            resistance_ohm = self.sensors[channel].sensor_resistance_ohm()
            tap_V = self.supply_V * self.reference_ohm / (self.reference_ohm + resistance_ohm)
            return self._sealed(f"A{channel},{self._counts(tap_V)},{self._counts(self.supply_V)}")
        return self._sealed("E")

    def _counts(self, voltage_V: float) -> int:
        return min(round(voltage_V / self.range_V * (self.full_scale + 1)), self.full_scale)

    def _sealed(self, text: str) -> str:
        parity = 0
        for character in text:
            parity ^= ord(character)
        return f"{text}*{parity:02X}"
