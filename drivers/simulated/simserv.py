"""A virtual climate chamber that speaks SIMSERV; see docs/instruments/simserv.md for where that is written."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from drivers.simulated.air import Air
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import VirtualInstrument

SEPARATOR = b"\xb6"
IDLE, RUNNING, WARNINGS, ALARMS = 1, 2, 4, 8
DONE, UNKNOWN, WRONG_PARAMETERS, READ_FAILED = b"1", b"-5", b"-6", b"-8"


class VirtualSimServ(VirtualInstrument, Air):
    """Air that goes to the set point while the manual mode is on, and to the room's temperature while it is off.

    It goes there exponentially with `time_constant_s`. Each of `follow` (a simulated cell's surroundings, say) is
    told the temperature in °C whenever someone asks the chamber for anything. The manual mode is on `start_s` after it
    was told to be. `alarm` and `program` are for tests to set: an alarm, and a program of the chamber's own.
    """

    resource = "{host}:{port}"

    def __init__(
        self,
        clock: Clock | None = None,
        follow: Sequence[Callable[[float], None]] = (),
        *,
        time_constant_s: float = 600.0,
        ambient_degC: float = 25.0,
        start_s: float = 0.5,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        VirtualInstrument.__init__(self, host, port)
        Air.__init__(self, clock or ScaledClock(), follow, time_constant_s=time_constant_s, ambient_degC=ambient_degC)
        self.start_s = start_s
        self.input_limits_degC = (-40.0, 180.0)
        self.set_point_degC = ambient_degC
        self.alarm = self.program = self.sensor_broken = False
        self.received: list[bytes] = []
        self._manual_from: float | None = None  # None: off
        self._lock = threading.Lock()

    @property
    def manual(self) -> bool:
        return self._manual_from is not None and self.clock.now() >= self._manual_from

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(4096):
            pending += chunk
            while b"\r" in pending:
                request, pending = pending.split(b"\r", 1)
                self.received.append(request)
                with self._lock:
                    self.go_on(self.set_point_degC if self.manual and not self.alarm else None)
                    connection.sendall(self.answer(request.lstrip(b"\n").split(SEPARATOR)) + b"\r\n")

    def answer(self, fields: list[bytes]) -> bytes:
        """To one request: command, chamber index, arguments."""
        if len(fields) < 3 or fields[1] != b"1":
            return WRONG_PARAMETERS
        low, high = self.input_limits_degC
        match int(fields[0]) if fields[0].isdigit() else 0, fields[2:]:
            case 11001, [b"1", value]:
                return self._set(value)
            case 11002, [b"1"]:
                return _value(f"{self.set_point_degC:.1f}")
            case 11004, [b"1"]:
                return READ_FAILED if self.sensor_broken else _value(f"{self.temperature_degC:.3f}")
            case 11007, [b"1"]:
                return _value(f"{low:.1f}")
            case 11009, [b"1"]:
                return _value(f"{high:.1f}")
            case 14001, [b"1", (b"0" | b"1") as state]:
                self._manual_from = self.clock.now() + self.start_s if state == b"1" else None
                return DONE
            case 14003, [b"1"]:
                return _value("1" if self.manual else "0")
            case 10012, [_]:
                return _value(str(IDLE | RUNNING * (self.manual or self.program) | ALARMS * self.alarm))
            case 99997, [number] if number in (b"1", b"2", b"3"):
                return _value({b"1": "VT3 4018 (simulated)", b"2": "19", b"3": "58566000000010"}[number])
            case ((11001 | 11002 | 11004 | 11007 | 11009 | 14001 | 14003 | 99997), _):
                return WRONG_PARAMETERS
            case _:
                return UNKNOWN

    def _set(self, value: bytes) -> bytes:
        try:
            asked_degC = float(value)
        except ValueError:
            return WRONG_PARAMETERS
        if not self.input_limits_degC[0] <= asked_degC <= self.input_limits_degC[1]:
            return WRONG_PARAMETERS
        self.set_point_degC = round(asked_degC, 1)
        return DONE


def _value(text: str) -> bytes:
    return DONE + SEPARATOR + text.encode("latin-1")
