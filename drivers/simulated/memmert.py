"""A virtual Memmert chamber with AtmoWEB; docs/instruments/memmert-atmoweb.md says whence."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl

from drivers.simulated.air import Air
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import VirtualInstrument


class VirtualMemmert(VirtualInstrument, Air):
    """Answers one request to a connection, without a length, and closes it, as the real one does."""

    resource = "http://{host}:{port}"

    def __init__(
        self,
        clock: Clock | None = None,
        follow: Sequence[Callable[[float], None]] = (),
        *,
        time_constant_s: float = 600.0,
        ambient_degC: float = 25.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        VirtualInstrument.__init__(self, host, port)
        Air.__init__(self, clock or ScaledClock(), follow, time_constant_s=time_constant_s, ambient_degC=ambient_degC)
        self.range_degC = (0.0, 70.0)
        self.set_point_degC = ambient_degC
        self.operation, self.remote, self.sensor_broken = "Manual", True, False
        self.received: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while b"\r\n\r\n" not in pending:
            if not (chunk := connection.recv(4096)):
                return
            pending += chunk
        path = pending.split(b" ")[1].decode("ascii", errors="replace")
        self.received.append(path)
        self.go_on(self.set_point_degC if self.operation == "Manual" else None)
        head = "HTTP/1.1 200 OK\r\nServer: Memmert\r\nContent-Type: Unknown\r\n\r\n"
        connection.sendall((head + self._body(path)).encode("ascii"))

    def _body(self, path: str) -> str:
        keys = parse_qsl(path.partition("?")[2], keep_blank_values=True)
        return " ".join(f'"{key}": {self._value(key, asked)},' for key, asked in keys)

    def _value(self, key: str, asked: str) -> str:
        low, high = self.range_degC
        if key == "TempSet" and asked and self.remote and low <= float(asked) <= high:
            self.set_point_degC = float(asked)
        return {
            "Temp1Read": "N/A" if self.sensor_broken else f"{self.temperature_degC:.1f}",
            "TempSet": f"{self.set_point_degC:.1f}",
            "TempSet_Range": f"{{min: {low:.1f}, max: {high:.1f}}}",
            "CurOp": f'"{self.operation}"',
            "DevType": '"IPP110plus (simulated)"',
            "SN": '"F217.0001"',
            "SWRev": '"V4.1"',
        }.get(key, "N/A")
