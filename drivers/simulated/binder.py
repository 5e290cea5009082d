"""Virtual Binder chambers with MB1 and MB2 controllers; docs/instruments/binder-mb1.md and binder-mb2.md say whence."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Unpack

from drivers.simulated.air import ChamberOptions, Follow, VirtualChamber
from drivers.simulated.clock import Clock
from drivers.simulated.modbus import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, VirtualModbus, refusal


class VirtualBinder(VirtualChamber, VirtualModbus):
    """Registers and air. Its network module serves one connection at a time: a second one is hung up at once."""

    def __init__(self, clock: Clock | None = None, follow: Follow = (), **more: Unpack[ChamberOptions]) -> None:
        super().__init__(clock, follow, **more)
        self.rtu, self.resource = True, "rtu+tcp://{host}:{port}"
        self.registers: dict[int, int] = {}
        self.received: list[bytes] = []  # protocol data units
        self._served = threading.Lock()

    @property
    def goal_degC(self) -> float | None:
        """Where the air goes; None while the chamber is idle."""
        raise NotImplementedError

    def show(self) -> None:
        """Bring the registers that the controller keeps to the present."""
        raise NotImplementedError

    def serve(self, connection: socket.socket) -> None:
        if not self._served.acquire(timeout=0.2):
            return
        try:
            super().serve(connection)
        finally:
            self._served.release()

    def answer(self, request: bytes) -> bytes:
        self.received.append(request)
        function = request[0]
        if function not in (3, 4, 6, 16):
            return refusal(function, ILLEGAL_FUNCTION)
        first, second = struct.unpack(">HH", request[1:5])
        count = 1 if function == 6 else second
        if not 1 <= count <= 125:
            return refusal(function, ILLEGAL_VALUE)
        self.go_on(self.goal_degC)
        self.show()
        if any(register not in self.registers for register in range(first, first + count)):
            return refusal(function, ILLEGAL_ADDRESS)
        if function in (3, 4):
            data = b"".join(self.registers[first + i].to_bytes(2, "big") for i in range(count))
            return bytes([function, len(data)]) + data
        values = (second,) if function == 6 else struct.unpack(f">{count}H", request[6 : 6 + 2 * count])
        self.registers.update(enumerate(values, start=first))
        return request[:5]

    def put(self, register: int, value: float) -> None:
        """A 32-bit float, its less significant word first."""
        packed = struct.pack(">f", value)
        self.registers[register] = int.from_bytes(packed[2:], "big")
        self.registers[register + 1] = int.from_bytes(packed[:2], "big")

    def get(self, register: int) -> float:
        words = struct.pack(">HH", self.registers[register + 1], self.registers[register])
        value: float = struct.unpack(">f", words)[0]
        return value


class VirtualBinderMb1(VirtualBinder):
    """Idle, manual, basic or program mode by the mode register; door and alarm are for tests to set."""

    ACTUAL, SET_POINT, MANUAL_SET, BASIC_SET = 0x11A9, 0x1077, 0x1581, 0x156F
    MODE, DOOR, ALARM, NOTE, TEXT, LINES = 0x1A22, 0x1007, 0x123D, 0x123E, 0x1228, 0x158B

    def __init__(self, clock: Clock | None = None, follow: Follow = (), **more: Unpack[ChamberOptions]) -> None:
        super().__init__(clock, follow, **more)
        self.registers |= {self.MODE: 0, self.DOOR: 0, self.ALARM: 0, self.NOTE: 0, self.LINES: 0}
        self.registers |= {self.TEXT + word: 32 for word in range(20)}
        for register in (self.MANUAL_SET, self.BASIC_SET):
            self.put(register, self.ambient_degC)
        self.show()

    @property
    def goal_degC(self) -> float | None:
        if self.registers[self.ALARM] or self.registers[self.MODE] == 0:
            return None
        return self.get(self.BASIC_SET if self.registers[self.MODE] == 0x1000 else self.MANUAL_SET)

    def show(self) -> None:
        self.put(self.ACTUAL, self.temperature_degC)
        self.put(self.SET_POINT, self.get(self.MANUAL_SET if self.registers[self.MODE] == 0x0800 else self.BASIC_SET))

    def say(self, text: str) -> None:
        """Raise an alarm with this text, one character to a word."""
        self.registers[self.ALARM] = 1
        self.registers |= {self.TEXT + word: ord(letter) for word, letter in enumerate(text.ljust(20)[:20])}


class VirtualBinderMb2(VirtualBinder):
    """Idle or not by a flag; a new set point is in force at the `takes_looks`-th look at it."""

    ACTUAL, SET_POINT, SET_IN_FORCE, FLAGS, FLAGS_IN_FORCE = 0x1004, 0x114C, 0x10B2, 0x1158, 0x1292
    IDLE = 0x0002

    def __init__(self, clock: Clock | None = None, follow: Follow = (), **more: Unpack[ChamberOptions]) -> None:
        super().__init__(clock, follow, **more)
        self.registers |= {self.FLAGS: self.IDLE, self.FLAGS_IN_FORCE: self.IDLE}
        self.takes_looks = 1
        self._looks = 0
        self.put(self.SET_POINT, self.ambient_degC)
        self.put(self.SET_IN_FORCE, self.ambient_degC)
        self.show()

    @property
    def goal_degC(self) -> float | None:
        return None if self.registers[self.FLAGS] & self.IDLE else self.get(self.SET_IN_FORCE)

    def show(self) -> None:
        self.put(self.ACTUAL, self.temperature_degC)
        self.registers[self.FLAGS_IN_FORCE] = self.registers[self.FLAGS]
        if self.get(self.SET_POINT) == self.get(self.SET_IN_FORCE):
            self._looks = 0
        elif (looks := self._looks + 1) >= self.takes_looks:
            self.put(self.SET_IN_FORCE, self.get(self.SET_POINT))
        else:
            self._looks = looks
