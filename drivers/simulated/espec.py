"""A virtual ESPEC chamber with a P300 controller; docs/instruments/espec.md says whence."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Unpack

from drivers.simulated.air import ChamberOptions, Follow, VirtualChamber
from drivers.simulated.clock import Clock
from drivers.simulated.server import LineInstrument


class VirtualEspec(VirtualChamber, LineInstrument):
    """Off, standby, constant or running a program; `alarms` (codes) are for tests to set."""

    resource = "socket://{host}:{port}"
    terminator = b"\r\n"

    def __init__(self, clock: Clock | None = None, follow: Follow = (), **more: Unpack[ChamberOptions]) -> None:
        super().__init__(clock, follow, **more)
        self.high_degC, self.low_degC = 140.0, -50.0
        self.set_point_degC = self.ambient_degC
        self.mode = "STANDBY"
        self.alarms: list[int] = []
        self.protected = False
        self.humidity_set: float | None = None
        self.relays: set[int] = set()
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        self.go_on(self.set_point_degC if self.mode in ("CONSTANT", "RUN") and not self.alarms else None)
        return self._asked(line.removesuffix(",DETAIL")) if "?" in line else self._told(line)

    def _asked(self, line: str) -> str:
        now = datetime.fromtimestamp(self.clock.now())
        temperatures = (self.temperature_degC, self.set_point_degC, self.high_degC, self.low_degC)
        humidity = f"{self.humidity_set:.0f}" if self.humidity_set is not None else "OFF"
        return {
            "TEMP?": ",".join(f"{value:.1f}" for value in temperatures),
            "HUMI?": f"50,{humidity},100,0",
            "TYPE?": "T,T,S2,160.0",
            "ROM?": "P3SIM1.00",
            "MODE?": self.mode,
            "MON?": f"{self.temperature_degC:.1f},50,{self.mode},{len(self.alarms)}",
            "ALARM?": ",".join(map(str, (len(self.alarms), *self.alarms))),
            "SET?": "REF9",
            "REF?": "2,OFF1,OFF2",
            "RELAY?": ",".join(map(str, (len(self.relays), *sorted(self.relays)))),
            "CONSTANT SET?,TEMP": f"{self.set_point_degC:.1f},ON",
            "KEYPROTECT?": "OFF",
            "DATE?": f"{now:%y.%m/%d}",
            "TIME?": f"{now:%H:%M:%S}",
        }.get(line, "NA:CMD ERR")

    def _told(self, line: str) -> str:
        if self.protected:
            return "NA:PROTECT ON"
        if match := re.fullmatch(r"TEMP,((?: ?[SHL]-?\d+(?:\.\d)?)+)", line):
            values = {word[0]: float(word[1:]) for word in re.findall(r"[SHL][-.\d]+", match[1])}
            low, high = values.get("L", self.low_degC), values.get("H", self.high_degC)
            set_point_degC = values.get("S", self.set_point_degC)
            if not low <= set_point_degC <= high:
                return "NA:DATA OUT OF RANGE"
            self.low_degC, self.high_degC, self.set_point_degC = low, high, set_point_degC
        elif match := re.fullmatch(r"HUMI, ?S(OFF|\d+(?:\.\d)?)", line):
            self.humidity_set = None if match[1] == "OFF" else float(match[1])
        elif match := re.fullmatch(r"MODE,(CONSTANT|STANDBY|OFF)|POWER,(ON|OFF)", line):
            self.mode = match[1] or ("CONSTANT" if match[2] == "ON" else "OFF")
        elif match := re.fullmatch(r"RELAY,(ON|OFF)((?:,\d+)+)", line):
            numbers = set(map(int, match[2].split(",")[1:]))
            self.relays = self.relays | numbers if match[1] == "ON" else self.relays - numbers
        else:
            return "NA:CMD ERR"
        return f"OK:{line}"
