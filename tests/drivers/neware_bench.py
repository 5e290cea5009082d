"""A small bench for the NEWARE tests: a capacitor behind a resistor for a cell, a tester that reads from a script."""

from __future__ import annotations

import socket
import threading

from drivers.neware_bts import NewareBts
from drivers.simulated.clock import Clock
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.wiring import Controller, Drive, FixedCell

CHANNEL = "27-21-1-1"
OTHER = "27-21-2-1"


class CapacitorCell(FixedCell):
    """`capacitance_F` (1 F is 1/3600 Ah per volt) at `open_V`, behind `resistance_ohm`; integrates in the clock's time.

    Self-locking, and calls its controller under its own lock, as a simulated cell does.
    """

    def __init__(
        self, clock: Clock, open_V: float = 3.0, capacitance_F: float = 1.0, resistance_ohm: float = 10.0
    ) -> None:
        super().__init__(emf_V=open_V, resistance_ohm=resistance_ohm)
        self.clock = clock
        self.capacitance_F = capacitance_F
        self.drives: list[Drive] = []
        self._lock = threading.RLock()
        self._time_s = clock.now()
        self._controller: Controller | None = None
        self._max_step_s = 10.0

    def drive(self, drive: Drive) -> None:
        with self._lock:
            self._catch_up()
            self._set(drive)

    def terminals(self) -> tuple[float, float]:
        with self._lock:
            self._catch_up()
            return super().terminals()

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        with self._lock:
            self._catch_up()
            self._controller, self._max_step_s = controller, max_step_s

    def _set(self, drive: Drive) -> None:
        self._drive = drive
        self.drives.append(drive)

    def _catch_up(self) -> None:
        now = self.clock.now()
        while self._time_s < now:
            step_s = min(self._max_step_s, now - self._time_s)
            _, current = super().terminals()
            self.emf_V += current * step_s / self.capacitance_F
            self._time_s += step_s
            voltage, current = super().terminals()
            if self._controller is not None and (drive := self._controller(self._time_s, voltage, current)) is not None:
                self._set(drive)


class QuickNeware(NewareBts):
    """The driver with a test's patience."""

    poll_period_s = 0.02
    confirm_s = 0.3


class ScriptedTester(VirtualInstrument):
    """Answers each request in turn with a reply from the script, and keeps what it was asked; hangs up at its end."""

    resource = "{host}:{port}"

    def __init__(self, *replies: str) -> None:
        super().__init__()
        self.replies = list(replies)
        self.requests: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(65536):
            pending += chunk
            while b"#\r\n" in pending:
                request, pending = pending.split(b"#\r\n", 1)
                self.requests.append(request.decode() + "#\r\n")
                if not self.replies:
                    return
                connection.sendall(recorded(self.replies.pop(0)))


def recorded(text: str) -> bytes:
    """A reply as a BTS 8.0 client sends it: CRLF within, and its end mark."""
    return text.strip().replace("\n", "\r\n").encode() + b"\n\n#\r\n"
