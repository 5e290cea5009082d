"""A virtual climate chamber that speaks SIMSERV; see docs/instruments/simserv.md for where that is written."""

from __future__ import annotations

import socket
import threading
from typing import Unpack

from drivers.simulated.air import ChamberOptions, Follow, VirtualChamber
from drivers.simulated.clock import Clock

SEPARATOR = b"\xb6"
IDLE, RUNNING, WARNINGS, ALARMS = 1, 2, 4, 8
DONE, UNKNOWN, WRONG_PARAMETERS, READ_FAILED = b"1", b"-5", b"-6", b"-8"


class VirtualSimServ(VirtualChamber):
    """Air that goes to the set point while the manual mode is on, and to the room's temperature while it is off.

    It goes there exponentially with `time_constant_s`. Each of `follow` (a simulated cell's surroundings, say) is
    told the temperature in °C whenever someone asks the chamber for anything. The manual mode is on `start_s` after it
    was told to be. `alarm` and `program` are for tests to set: an alarm, and a program of the chamber's own.
    """

    resource = "{host}:{port}"

    def __init__(
        self, clock: Clock | None = None, follow: Follow = (), *, start_s: float = 0.5, **more: Unpack[ChamberOptions]
    ) -> None:
        super().__init__(clock, follow, **more)
        self.start_s = start_s
        self.input_limits_degC = (-40.0, 180.0)
        self.set_point_degC = self.ambient_degC
        self.alarm = self.program = self.sensor_broken = False
        self.received: list[bytes] = []
        self.outputs = dict.fromkeys(range(2, 9), False)  # digital, behind the first, which is the manual mode
        self.gradients_K_min = {"up": 0.0, "down": 0.0}
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
        if len(fields) < 2 or fields[1] != b"1":
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
            case 10012, _:
                return _value(str(IDLE | RUNNING * (self.manual or self.program) | ALARMS * self.alarm))
            case 99997, [number] if number in (b"1", b"2", b"3"):
                return _value({b"1": "VT3 4018 (simulated)", b"2": "19", b"3": "58566000000010"}[number])
            case ((11001 | 11002 | 11004 | 11007 | 11009 | 99997), _):
                return WRONG_PARAMETERS
            case command, arguments:
                return self._aside(command, arguments)

    def _aside(self, command: int, arguments: list[bytes]) -> bytes:
        """What has nothing to do with the temperature: digital outputs, gradients, messages, programs."""
        match command, arguments:
            case 14001, [number, (b"0" | b"1") as state] if _number(number) in self.outputs:
                self.outputs[_number(number)] = state == b"1"
                return DONE
            case 14003, [number] if _number(number) in self.outputs:
                return _value(str(int(self.outputs[_number(number)])))
            case 14010, [number] if _number(number) + 1 in self.outputs:
                return _value(f"output {_number(number)}")
            case (11066 | 11070) as command, [b"1"]:
                return _value(f"{self.gradients_K_min['up' if command == 11066 else 'down']:.1f}")
            case (11068 | 11072) as command, [b"1", value]:
                self.gradients_K_min["up" if command == 11068 else "down"] = float(value)
                return DONE
            case (11018 | 14007 | 17002) as command, []:
                return _value(str({11018: 1, 14007: len(self.outputs), 17002: int(self.alarm)}[command]))
            case (11026 | 11023) as command, [b"1"]:
                return _value("Temperature" if command == 11026 else "\xb0C")
            case 17007, [b"1"] if self.alarm:
                return _value("alarm (simulated)")
            case 17012, _:
                self.alarm = False
                return DONE
            case ((19204 | 19210), _):
                return _value(str(int(self.program)))
            case 19015, _:
                self.program = False
                return DONE
            case ((14001 | 14003 | 14010), _):
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


def _number(field: bytes) -> int:
    return int(field) if field.isdigit() else 0


def _value(text: str) -> bytes:
    return DONE + SEPARATOR + text.encode("latin-1")
