"""A virtual PalmSens potentiostat: the communication protocol. `drivers.simulated.methodscript` runs its scripts.

Written from the maker's communication protocols; see docs/instruments/palmsens.md. What these leave open is marked
here.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Sequence

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.methodscript import HIGHEST_A, HIGHEST_V, Run
from drivers.simulated.methodscript_parser import Trouble, parse
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.wiring import DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

DEAF_S = 0.1  # after an error


class VirtualPalmSens(VirtualInstrument):
    """One device, whoever is connected: its script goes on when a client leaves, and talks to the next one.

    `cell_is_on` is the truth. `fail_next(code)` makes the running script end with a run-time error at its next point,
    the cell staying as it is. `overload` flags the currents of packages. `received` has each line that came.
    """

    resource = "socket://{host}:{port}"

    def __init__(
        self,
        cell: WiredCell,
        clock: Clock | None = None,
        *,
        device: str = "es4_hr",
        noise: float = 1e-5,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.cell, self.clock, self.device = cell, clock or ScaledClock(), device
        self.noise, self.random = noise, random.Random(seed)
        self.cell_is_on = False
        self.overload = False
        self.received: list[str] = []
        self._failure: int | None = None
        self._script: list[str] | None = None
        self._deaf_until = 0.0
        self._run: Run | None = None
        self._client: socket.socket | None = None
        self._lock = threading.RLock()

    def serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._client = connection
        pending = b""
        while chunk := connection.recv(4096):
            pending += chunk
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                self._heard(line.decode("ascii", "replace"))

    def stop(self) -> None:
        if self._run is not None:
            self._run.called_off = True
        super().stop()

    def fail_next(self, code: int) -> None:
        self._failure = code

    def say(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._client is not None:
                self._client.sendall(text.encode("ascii") + b"\n")
            if "!" in text:
                self._deaf_until = self.clock.now() + DEAF_S

    def _heard(self, line: str) -> None:
        with self._lock:
            self.received.append(line)
            if self.clock.now() < self._deaf_until:
                self._script = None
            elif self._script is not None:
                if line:
                    self._script.append(line)
                else:
                    script, self._script = self._script, None
                    self._start(script)
            else:
                self._command(line)

    def _command(self, line: str) -> None:
        running = self._run is not None and self._run.alive
        match line[:1]:
            case "":
                return
            case "t":
                self.say(f"t{self.device}1600#Sep 30 2025 12:00:00")
                self.say("R*")
            case "i":
                self.say("iSIM00001")
            case "v":
                self.say("v0108")  # of the language; how it is worded is not stated
            case ("Y" | "h" | "H") as command if running and self._run is not None:
                self.say(command)
                self._run.told(command)
            case "Y" | "h" | "H":
                self.say(f"{line[:1]}!0006")
            case "Z" if running and self._run is not None:
                self.say("Z")
                self._run.called_off = True
            case "Z":
                self.say("Z!0006")
            case "e" if running:
                self.say("e!0006")  # which code a second script gives is not stated
            case "e":
                self._script = []
            case letter:
                self.say(f"{letter}!0003")

    def _start(self, lines: Sequence[str]) -> None:
        try:
            body, finish = parse(lines)
        except Trouble as error:
            self.say(f"e!{error.code:04X}: Line {error.line}, Col {error.column}")
            return
        self.say("e")
        self._run = Run(self, body, finish)
        threading.Thread(target=self._run, daemon=True, name="MethodSCRIPT").start()

    def failing(self) -> int | None:
        code, self._failure = self._failure, None
        return code

    # --- the potentiostat

    def drive(self, *, on: bool, galvanostat: bool, volts: float, amperes: float) -> None:
        highest_V, highest_A = HIGHEST_V.get(self.device, 6.0), HIGHEST_A.get(self.device, 0.1)
        with self._lock:
            self.cell_is_on = on
            if not on:
                self.cell.drive(OpenCircuit())
            elif galvanostat:
                self.cell.drive(DriveCurrent(amperes, -highest_V, highest_V))
            else:
                self.cell.drive(DriveVoltage(volts, highest_A))

    def measured(self) -> tuple[float, float]:
        volts, amperes = self.cell.terminals()
        noise = self.random.gauss(0, self.noise)
        return volts + noise, amperes * (1 + noise)
