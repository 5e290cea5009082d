"""The server side of Modbus, TCP and RTU, for virtual instruments.

Written from the Modbus Application Protocol Specification V1.1b3 and the Modbus over Serial Line Specification
V1.02, without the library that the drivers use.
"""

from __future__ import annotations

import socket
import struct

from drivers.simulated.server import VirtualInstrument

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


class VirtualModbus(VirtualInstrument):
    """Frames in, frames out; a subclass answers the protocol data unit."""

    def __init__(self, *, unit_id: int = 1, rtu: bool = False, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.resource = "rtu+tcp://{host}:{port}" if rtu else "tcp://{host}:{port}"
        self.unit_id, self.rtu = unit_id, rtu

    def answer(self, request: bytes) -> bytes:
        """The answer to one protocol data unit (function code and data)."""
        raise NotImplementedError

    def serve(self, connection: socket.socket) -> None:
        pending = bytearray()
        take = self.take_rtu if self.rtu else self.take_tcp
        while chunk := connection.recv(4096):
            pending += chunk
            while (reply := take(pending)) is not None:
                connection.sendall(reply)

    def hears(self, unit: int) -> bool:
        """Whether a TCP frame to `unit` is answered."""
        return unit in (0, 255, self.unit_id)

    def take_rtu(self, pending: bytearray) -> bytes | None:
        """Remove one request frame from `pending`; the answer (b'' where none is due), None while incomplete."""
        if len(pending) < 8:
            return None
        length = 9 + pending[6] if pending[1] in (15, 16) else 8
        if len(pending) < length:
            return None
        frame = bytes(pending[:length])
        if crc16(frame[:-2]) != frame[-2:]:
            pending.clear()  # a frame ends with a silence, so what follows a bad one is lost with it
            return b""
        del pending[:length]
        if frame[0] not in (0, self.unit_id):
            return b""
        body = bytes([self.unit_id]) + self.answer(frame[1:-2])
        return b"" if frame[0] == 0 else body + crc16(body)

    def take_tcp(self, pending: bytearray) -> bytes | None:
        """As `take_rtu`, for a frame with the MBAP header."""
        if len(pending) < 8:
            return None
        transaction, protocol, length, unit = struct.unpack(">HHHB", pending[:7])
        if protocol != 0 or not 2 <= length <= 254:
            raise ConnectionError("not Modbus TCP")
        if len(pending) < 6 + length:
            return None
        request = bytes(pending[7 : 6 + length])
        del pending[: 6 + length]
        if not self.hears(unit):
            return b""
        reply = self.answer(request)
        return struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply


def refusal(function: int, code: int) -> bytes:
    return bytes([function | 0x80, code])


def crc16(frame: bytes) -> bytes:
    """The CRC of a serial frame, low byte first, as it is sent (polynomial 0xA001, preset 0xFFFF)."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")
