"""A virtual Memmert chamber with AtmoWEB; docs/instruments/memmert-atmoweb.md says whence."""

from __future__ import annotations

import re
import socket
from typing import Unpack
from urllib.parse import parse_qsl

from drivers.simulated.air import ChamberOptions, Follow, VirtualChamber
from drivers.simulated.clock import Clock


class VirtualMemmert(VirtualChamber):
    """Answers one request to a connection, without a length, and closes it, as the real one does.

    With `bare_words` it leaves the quotes of inner keys and of N/A away, with `braces` it answers sound JSON: both were
    seen on some firmware.
    """

    resource = "http://{host}:{port}"

    def __init__(self, clock: Clock | None = None, follow: Follow = (), **more: Unpack[ChamberOptions]) -> None:
        super().__init__(clock, follow, **more)
        self.range_degC = (0.0, 70.0)
        self.set_point_degC = self.ambient_degC
        self.operation, self.remote, self.sensor_broken = "Manual", True, False
        self.bare_words = self.braces = False
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
        said = [f'"{key}": {self._value(key, asked)}' for key, asked in keys]
        body = "{" + ", ".join(said) + "}" if self.braces else "".join(f"{each}, " for each in said).rstrip()
        return re.sub(r'"(min|max|N/A)"', r"\1", body) if self.bare_words else body

    def _value(self, key: str, asked: str) -> str:
        low, high = self.range_degC
        if key == "TempSet" and asked and self.remote and low <= float(asked) <= high:
            self.set_point_degC = float(asked)
        return {
            "Temp1Read": '"N/A"' if self.sensor_broken else f"{self.temperature_degC:.1f}",
            "TempSet": f"{self.set_point_degC:.1f}",
            "TempSet_Range": f'{{"min": {low:.1f}, "max": {high:.1f}}}',
            "CurOp": f'"{self.operation}"',
            "DevType": '"IPP110plus (simulated)"',
            "SN": '"F217.0001"',
            "SWRev": '"V4.1"',
        }.get(key, '"N/A"')
