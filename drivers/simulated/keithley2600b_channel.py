"""One channel of a virtual Keithley 2600B: attributes with their limits, buffers, and what it does to its cell."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TypeAlias

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import LINE_PERIOD_S, OVERFLOW
from drivers.simulated.source_meter import SMALL_A, drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveVoltage, OpenCircuit, WiredCell

Value: TypeAlias = "float | str | bool | None"
TOO_BIG, TOO_SMALL = (1101, "Parameter too big"), (1102, "Parameter too small")
SYNTAX, RUNTIME = (-285, "TSP Syntax error"), (-286, "TSP Runtime error")


class TspError(Exception):
    """What goes into the error queue."""


@dataclass(frozen=True)
class Attribute:
    default: float
    low: float
    high: float


ATTRIBUTES = {
    "source.func": Attribute(1, 0, 1),
    "source.output": Attribute(0, 0, 2),
    "source.offmode": Attribute(0, 0, 2),
    "source.leveli": Attribute(0.0, -3.0, 3.0),
    "source.levelv": Attribute(0.0, -40.0, 40.0),
    "source.limiti": Attribute(0.1, 1e-8, 3.0),
    "source.limitv": Attribute(20.0, 0.01, 40.0),
    "source.autorangei": Attribute(1, 0, 1),
    "source.autorangev": Attribute(1, 0, 1),
    "measure.autorangei": Attribute(1, 0, 2),
    "measure.autorangev": Attribute(1, 0, 2),
    "measure.nplc": Attribute(1.0, 0.001, 25.0),
    "measure.count": Attribute(1, 1, 60_000),
    "measure.interval": Attribute(0.0, 0.0, 1.0),
    "measure.delay": Attribute(-1.0, -1.0, 1e5),
    "measure.autozero": Attribute(2, 0, 2),
    "measure.rangei": Attribute(0.1, -3.0, 3.0),
    "measure.rangev": Attribute(6.0, -40.0, 40.0),
    "measure.lowrangei": Attribute(1e-7, 1e-7, 3.0),
    "measure.lowrangev": Attribute(0.1, 0.1, 40.0),
    "measure.filter.enable": Attribute(0, 0, 1),
    "measure.filter.count": Attribute(1, 1, 100),
    "measure.filter.type": Attribute(1, 0, 2),
    "measure.rel.enablei": Attribute(0, 0, 1),
    "measure.rel.enablev": Attribute(0, 0, 1),
    "source.rangei": Attribute(1e-7, -3.0, 3.0),
    "source.rangev": Attribute(0.1, -40.0, 40.0),
    "source.lowrangei": Attribute(1e-7, 1e-7, 3.0),
    "source.lowrangev": Attribute(0.1, 0.1, 40.0),
    "source.delay": Attribute(0.0, -1.0, 1e5),
    "source.settling": Attribute(0, 0, 5),
    "source.highc": Attribute(0, 0, 1),
    "source.sink": Attribute(0, 0, 1),
    "source.limitp": Attribute(0.0, 0.0, 240.0),
    "source.offfunc": Attribute(1, 0, 1),
    "source.offlimiti": Attribute(1e-3, 1e-8, 3.0),
    "source.offlimitv": Attribute(40.0, 0.01, 40.0),
    "sense": Attribute(0, 0, 3),
}
RANGE_OF = re.compile(r"(source|measure)\.range([iv])")  # one that is set is no longer chosen by itself


class Channel:
    """smua or smub. Powered on: the output is off in the NORMAL state, a 0 V source."""

    def __init__(self, cell: WiredCell, clock: Clock, noise: float, seed: int) -> None:
        self.cell, self.clock, self.noise = cell, clock, noise
        self._random = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        self.buffers: dict[str, list[float]] = {"nvbuffer1": [], "nvbuffer2": []}
        self.values = {name: float(attribute.default) for name, attribute in ATTRIBUTES.items()}
        self.wire()

    @property
    def on(self) -> bool:
        return self.values["source.output"] == 1

    def put(self, name: str, value: float) -> None:
        if re.fullmatch(r"nvbuffer[12]\.(appendmode|collectsourcevalues|collecttimestamps|fillmode)", name):
            return
        if name not in ATTRIBUTES:
            raise TspError(*RUNTIME)
        if value > ATTRIBUTES[name].high:
            raise TspError(*TOO_BIG)
        if value < ATTRIBUTES[name].low:
            raise TspError(*TOO_SMALL)
        self.values[name] = value
        if ranged := RANGE_OF.fullmatch(name):
            self.values[f"{ranged[1]}.autorange{ranged[2]}"] = 0.0
        self.wire()

    def call(self, name: str, buffers: list[str]) -> list[Value]:
        """What a function of the channel returns; its readings go to `buffers`, where there are some."""
        if name == "reset":
            self.reset()
            return []
        owner, _, function = name.partition(".")
        if owner in self.buffers and function in ("clear", "clearcache"):
            self.buffers[owner] = []
            return []
        if owner != "measure" or function not in ("iv", "i", "v", "r", "p"):
            raise TspError(*RUNTIME)
        for _ in range(int(self.values["measure.count"]) if buffers else 1):
            readings = self._measured(function)
            for buffer, reading in zip(buffers, readings, strict=False):
                self.buffers[buffer].append(reading)
        return list(readings)

    def _measured(self, function: str) -> list[float]:
        current_A, voltage_V = self.iv()
        ohm = voltage_V / current_A if current_A else OVERFLOW
        fields = {
            "iv": [current_A, voltage_V],
            "i": [current_A],
            "v": [voltage_V],
            "r": [ohm],
            "p": [voltage_V * current_A],
        }
        return fields[function]

    def iv(self) -> tuple[float, float]:
        self.clock.sleep(2 * 2 * self.values["measure.nplc"] * LINE_PERIOD_S)
        voltage_V, current_A = self.cell.terminals() if self.on else (0.0, 0.0)
        voltage_V += self.noise * self._random.gauss(0.0, 5e-6 + 5e-6 * abs(voltage_V))
        current_A += self.noise * self._random.gauss(0.0, 50e-12 + 20e-6 * abs(current_A))
        return current_A, voltage_V

    def limited(self) -> bool:
        return self.on and is_limited(self.cell, *self._present())

    def wire(self) -> None:
        self.cell.drive(drive_when_on(*self._present()) if self.on else self._drive_when_off())

    def _present(self) -> tuple[str, float, float]:
        if self.values["source.func"] == 0:
            return "CURR", self.values["source.leveli"], self.values["source.limitv"]
        return "VOLT", self.values["source.levelv"], self.values["source.limiti"]

    def _drive_when_off(self) -> Drive:
        match self.values["source.offmode"]:
            case 2:
                return OpenCircuit()
            case 1:
                return DriveVoltage(0.0, self.values["source.limiti"])
            case _:
                return DriveVoltage(0.0, SMALL_A)
