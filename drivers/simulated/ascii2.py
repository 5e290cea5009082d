"""A virtual chamber that speaks ASCII-2; docs/instruments/ascii2.md says whence."""

from __future__ import annotations

from typing import Unpack

from drivers.simulated.air import ChamberOptions, Follow, VirtualChamber
from drivers.simulated.clock import Clock
from drivers.simulated.server import LineInstrument


class VirtualAscii2(VirtualChamber, LineInstrument):
    """Temperature and humidity, and 32 digits of which `start_digit` starts it."""

    resource = "socket://{host}:{port}"
    terminator = b"\r"

    def __init__(
        self, clock: Clock | None = None, follow: Follow = (), *, start_digit: int = 1, **more: Unpack[ChamberOptions]
    ) -> None:
        super().__init__(clock, follow, **more)
        self.start_digit = start_digit
        self.set_points = [self.ambient_degC, 50.0]
        self.digits = "0" * 32
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        line = line.strip("\n")  # some clients end with CR and LF
        self.received.append(line)
        self.go_on(self.set_points[0] if self.digits[self.start_digit] == "1" else None)
        if line == "$01I":
            pairs = zip(self.set_points, (self.temperature_degC, 48.5), strict=True)
            return " ".join(f"{value:06.1f}" for pair in pairs for value in pair) + f" {self.digits}"
        if line.startswith("$01E "):
            *values, last = line.removeprefix("$01E ").split(" ")
            digits = (
                last if len(last) == 32 else None
            )  # one public client leaves them away, and all but the first value
            values += [last] if digits is None else []
            if len(values) == len(self.set_points) or digits is None:
                self.set_points[: len(values)] = [float(value) for value in values]
                self.digits = digits or self.digits
                return "0"
        return None
