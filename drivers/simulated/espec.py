"""A virtual ESPEC chamber with a P300 controller; docs/instruments/espec.md says whence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from drivers.simulated.air import Air
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import LineInstrument


class VirtualEspec(LineInstrument, Air):
    """Off, standby, constant or running a program; `alarms` (codes) are for tests to set."""

    resource = "socket://{host}:{port}"
    terminator = b"\r\n"

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
        LineInstrument.__init__(self, host, port)
        Air.__init__(self, clock or ScaledClock(), follow, time_constant_s=time_constant_s, ambient_degC=ambient_degC)
        self.high_degC, self.low_degC = 140.0, -50.0
        self.set_point_degC = ambient_degC
        self.mode = "STANDBY"
        self.alarms: list[int] = []
        self.protected = False
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        self.go_on(self.set_point_degC if self.mode in ("CONSTANT", "RUN") and not self.alarms else None)
        match line:
            case "TEMP?":
                values = (self.temperature_degC, self.set_point_degC, self.high_degC, self.low_degC)
                return ",".join(f"{value:.1f}" for value in values)
            case "TYPE?":
                return "T,T,S2,160.0"
            case "ROM?":
                return "P3SIM1.00"
            case "MODE?":
                return self.mode
            case "ALARM?":
                return ",".join(map(str, (len(self.alarms), *self.alarms)))
        return self._told(line)

    def _told(self, line: str) -> str:
        if self.protected:
            return "NA:PROTECT ON"
        if match := re.fullmatch(r"TEMP, ?S(-?\d+(?:\.\d)?)", line):
            if not self.low_degC <= float(match[1]) <= self.high_degC:
                return "NA:DATA OUT OF RANGE"
            self.set_point_degC = float(match[1])
        elif match := re.fullmatch(r"MODE,(CONSTANT|STANDBY|OFF)", line):
            self.mode = match[1]
        else:
            return "NA:CMD ERR"
        return f"OK:{line}"
