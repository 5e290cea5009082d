"""A virtual Solartron 1260 and 1287 on one GPIB bus, behind a virtual Prologix GPIB-ETHERNET controller.

Written from the Prologix user manual, the 1260 and 1287 manuals' pages and the dialogs of public
programs; see docs/instruments/solartron-1260-1287.md. What the manuals leave open is marked here.
"""

from __future__ import annotations

import cmath
import math
import random
import re
import socket
import threading
import time
from typing import Protocol

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.wiring import DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

IL_AMPERES = {6: 2.0, 5: 0.2, 4: 0.02, 3: 2e-3, 2: 2e-4, 1: 2e-5}  # 6 is known, the rest by decades
RR_OHM = {code: 10.0 ** (code - 2) for code in range(1, 9)}
POTENTIOSTAT_VERBS = re.findall("..", "PWBYPOPVPCPIONILOLRRRGDGTRRUGPPBGBVTVRITIRBRVXIXFICCCEEBOTBK")
ANALYSER_VERBS = re.findall("..", "FRVAVBIAIBVCICGTISMSAURADCIPOUSOCVCZCYCIUWSWVIFVMEBPOSOTRH")
HIGHEST = {"PV": 14.5, "PC": 2.0}
OVERLOAD = 3  # which digit means what is not public: any that is not 0 does here


class GpibDevice(Protocol):
    """An instrument on the bus: it takes whole messages, and talks when it is addressed."""

    def listen(self, message: str) -> None: ...

    def talk(self, patience_s: float) -> bytes:
        """The message waiting, or b'' if none is ready within `patience_s` of real time."""
        ...


class Potentiostat:
    """The 1287: drives the cell while it is polarised (PW1 with BY1), whoever has gone away.

    As a galvanostat it knows no voltage limit but its own 14.5 V.
    """

    def __init__(self, cell: WiredCell, noise: random.Random) -> None:
        self.cell, self.noise = cell, noise
        self.settings: dict[str, float] = {
            "PW": 0,
            "BY": 0,
            "PO": 0,
            "PV": 0.0,
            "PC": 0.0,
            "IL": 6,
            "RR": 1,
            "PI": 0,
            "GP": 0,
        }
        self.unknown: list[str] = []
        self._output = b""

    @property
    def polarised(self) -> bool:
        return self.settings["PW"] == 1 and self.settings["BY"] == 1

    @property
    def limit_A(self) -> float:
        return IL_AMPERES[int(self.settings["IL"])]

    @property
    def resistor_ohm(self) -> float:
        return RR_OHM[int(self.settings["RR"])]

    def listen(self, message: str) -> None:
        verb, value = message[:2], message[2:].strip()
        allowed = {"IL": IL_AMPERES, "RR": RR_OHM}
        try:
            argument = float(value or 0)
        except ValueError:
            self.unknown.append(message)
            return
        in_range = argument in allowed.get(verb, {argument: 0}) and abs(argument) <= HIGHEST.get(verb, math.inf)
        if verb not in POTENTIOSTAT_VERBS or not in_range:
            self.unknown.append(message)
        elif verb == "RU":
            self._output = self._reading() if argument == 1 and self.settings["GP"] else b""
        else:
            was_polarised = self.polarised
            self.settings[verb] = argument
            if self.polarised:
                self.cell.drive(
                    DriveCurrent(self.settings["PC"], -HIGHEST["PV"], HIGHEST["PV"])
                    if self.settings["PO"] == 1
                    else DriveVoltage(self.settings["PV"], self.limit_A)
                )
            elif was_polarised:
                self.cell.drive(OpenCircuit())

    def talk(self, patience_s: float) -> bytes:
        output, self._output = self._output, b""
        if not output:
            time.sleep(patience_s)
        return output

    def _reading(self) -> bytes:
        if self.settings["BY"] == 0:  # full standby: the inputs are disconnected
            return b"+0.00000E+00,+0.00000E+00,01,01\r\n"
        volts, amperes = self.cell.terminals()
        volts += self.noise.gauss(0, 20e-6)
        amperes += self.noise.gauss(0, 1e-5 * 0.2 / self.resistor_ohm)
        return f"{volts:+.5E},{amperes:+.5E},00,00\r\n".encode()


class Analyser:
    """The 1260: one measurement at a time, which takes its integration time and a cycle of bench time."""

    def __init__(self, potentiostat: Potentiostat, clock: Clock, noise: random.Random, relative_noise: float) -> None:
        self.potentiostat, self.clock = potentiostat, clock
        self.alone = False  # its own generator and current input are at the cell, without the potentiostat
        self.noise, self.relative_noise = noise, relative_noise
        self.settings = {"FR": "1.0E+3", "VA": "0", "IS": "1", "SO": "1,3", "CV": "0", "CZ": "0", "OP": "2,0"}
        self.unknown: list[str] = []
        self._ready_at: float | None = None  # a measurement is running until then
        self._last = (0.0, complex(math.nan))  # frequency, impedance; NaN: overload
        self._output = b""

    def listen(self, message: str) -> None:
        command = re.fullmatch(r"(\*?[A-Z]{2,4}\??)\s*([-+0-9.,E\s]*)", message.strip())
        verb, argument = command.groups() if command else ("", "")
        argument = argument.replace(" ", "")
        if verb == "BK" or verb == "*RST":
            self._ready_at = None
            return
        self._finish(math.inf)  # the bus is held until a running measurement is done
        match verb:
            case "*IDN?":
                self._output = b"1260 IMPEDANCE ANALYZER, SOLARTRON, 0, 0\r\n"
            case "*ESR?" | "*STB?":
                self._output = b"0\r\n"
            case "SI":
                frequency, integration = float(self.settings["FR"]), float(self.settings["IS"])
                self._ready_at = self.clock.now() + integration + 1 / frequency
            case "DO":
                self._output = self._record()
            case "OP":
                if argument.startswith("2"):
                    self.settings["OP"] = argument
            case "TT" | "CE" | "*CLS" | "*OPC" | "RE":
                pass
            case _ if verb in ANALYSER_VERBS and argument:
                self.settings[verb] = argument
            case _:
                self.unknown.append(message)

    def talk(self, patience_s: float) -> bytes:
        until = time.monotonic() + patience_s
        self._finish(patience_s)
        output, self._output = self._output, b""
        if not output:
            time.sleep(max(0.0, until - time.monotonic()))
        return output

    def _finish(self, patience_s: float) -> None:
        """Let a running measurement come to its end, if that is within `patience_s` of real time."""
        if self._ready_at is None:
            return
        left_s = self._ready_at - self.clock.now()
        if left_s / self.clock.speed > patience_s:
            return
        self.clock.sleep(left_s)
        self._ready_at = None
        frequency = float(self.settings["FR"])
        self._last = frequency, self._impedance(frequency)
        if self.settings["OP"] == "2,1":
            self._output = self._record()

    def _impedance(self, frequency: float) -> complex:
        potentiostat = self.potentiostat
        if self.alone:
            return potentiostat.cell.impedance(frequency) if float(self.settings["VA"]) else complex(math.nan)
        amplitude = float(self.settings["VA"]) * (0.01 if potentiostat.settings["PI"] == 1 else 1.0)
        if not potentiostat.polarised or amplitude == 0:
            return complex(math.nan)
        z = potentiostat.cell.impedance(frequency)
        peak_A = math.sqrt(2) * amplitude / abs(z)
        if peak_A > min(0.2 / potentiostat.resistor_ohm, potentiostat.limit_A):
            return complex(math.nan)
        return z * (1 + self.relative_noise * complex(self.noise.gauss(0, 1), self.noise.gauss(0, 1)))

    def _record(self) -> bytes:
        frequency, z = self._last
        settings = self.potentiostat.settings
        gain = (10.0 if settings.get("VX") else 1.0) / (10.0 if settings.get("IX") else 1.0)
        a, b, error = 0.0, 0.0, OVERLOAD
        if self.alone and self.settings["SO"] == "1,3" and not cmath.isnan(z):  # Z = V1/I
            a, b, error = z.real, z.imag, 0
        elif not self.alone and not cmath.isnan(z) and self.settings["SO"] in ("1,2", "2,1"):
            ratio = z / self.potentiostat.resistor_ohm * gain
            ratio = ratio if self.settings["SO"] == "1,2" else 1 / ratio
            a, b, error = ratio.real, ratio.imag, 0
        if not error and "1" in (self.settings["CV"], self.settings["CZ"] if self.alone else ""):
            a, b = cmath.polar(complex(a, b))
            b = math.degrees(b)
        return f"{frequency:+.7E},{a:+.4E},{b:+.4E},{error},00\r\n".encode()


class VirtualSolartron(VirtualInstrument):
    """The pair on one bus: 1260 at `analyser`, 1287 at `potentiostat`. One bus, whoever is connected.

    With `analyser_alone` the cell is at the 1260's own generator and current input instead (Z = V1/I).
    `heard` is what each GPIB address was told, in order. `noise` is the relative noise of either part
    of the impedance.
    """

    resource = "prologix://{host}:{port}/4"

    def __init__(
        self,
        cell: WiredCell,
        clock: Clock | None = None,
        *,
        analyser: int = 4,
        potentiostat: int = 6,
        noise: float = 0.002,
        analyser_alone: bool = False,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.resource = f"prologix://{{host}}:{{port}}/{analyser}"
        source = random.Random(seed)
        self.potentiostat = Potentiostat(cell, source)
        self.analyser = Analyser(self.potentiostat, clock or ScaledClock(), source, noise)
        self.analyser.alone = analyser_alone
        self.bus: dict[int, GpibDevice] = {analyser: self.analyser, potentiostat: self.potentiostat}
        self.heard: list[tuple[int, str]] = []
        self._controller = {"addr": "0", "mode": "1", "auto": "1", "eoi": "1", "eos": "0", "eot_enable": "0",
                            "eot_char": "0", "read_tmo_ms": "500", "lon": "0", "savecfg": "1"}  # fmt: skip
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        line, escaped = bytearray(), False
        while chunk := connection.recv(4096):
            for byte in chunk:
                if escaped:
                    line += bytes([0x1B, byte])
                    escaped = False
                elif byte == 0x1B:
                    escaped = True
                elif byte in b"\r\n":
                    if line and (reply := self._controlled(bytes(line))):
                        connection.sendall(reply)
                    line.clear()
                else:
                    line.append(byte)

    def _controlled(self, line: bytes) -> bytes:
        """One line to the controller: a command of its own, or a message for the instrument addressed."""
        with self._lock:
            if line.startswith(b"++"):
                return self._own(line[2:].decode("ascii", "replace").split())
            # What is escaped is passed on; a plus sign that is not is thrown away.
            message = re.sub(rb"\x1b(.)|\+", lambda found: found[1] or b"", line, flags=re.DOTALL).decode("latin-1")
            address = int(self._controller["addr"])
            self.heard.append((address, message))
            if (device := self.bus.get(address)) is not None:
                device.listen(message)
            return self._talk() if self._controller["auto"] == "1" else b""

    def _own(self, words: list[str]) -> bytes:
        verb, arguments = (words[0], words[1:]) if words else ("", [])
        if verb == "read":
            return self._talk()
        if verb == "ver":
            return b"Prologix GPIB-ETHERNET Controller version 01.06.06.00\r\n"
        if verb in ("spoll", "srq"):
            return b"0\r\n"
        if verb in ("clr", "trg", "ifc", "loc", "llo", "rst"):
            return b""
        if verb not in self._controller:
            return b"Unrecognized command\r\n"
        if not arguments:
            return f"{self._controller[verb]}\r\n".encode()
        self._controller[verb] = arguments[0]
        return b""

    def _talk(self) -> bytes:
        patience_s = min(int(self._controller["read_tmo_ms"]), 3000) / 1000
        if (device := self.bus.get(int(self._controller["addr"]))) is None:
            time.sleep(patience_s)
            return b""
        said = device.talk(patience_s)
        if said and self._controller["eot_enable"] == "1":
            said += bytes([int(self._controller["eot_char"])])
        return said
