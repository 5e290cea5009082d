"""The power stage of a virtual bidirectional supply: set values, protections, and what they do to a cell."""

from __future__ import annotations

from drivers.simulated.wiring import Drive, DriveVoltage, OpenCircuit, WiredCell

SET_VALUES = ("VOLT", "SOUR:CURR", "SINK:CURR", "SOUR:POW", "SINK:POW")


class PowerStage:
    """Nominal 80 V, 60 A, 1500 W unless told otherwise. Powered on: off, under no remote control."""

    def __init__(
        self, cell: WiredCell, *, volts: float = 80.0, amperes: float = 60.0, watts: float = 1500.0, sinks: bool = True
    ) -> None:
        self.cell, self.sinks = cell, sinks
        self.nominal = {"VOLT": volts, "CURR": amperes, "POW": watts}
        self.remote = self.on = False
        self.locked_by_hand = False
        self.set = {name: self.nominal[name[-4:].lstrip(":")] for name in SET_VALUES} | {"VOLT": 0.0}
        self.protection = {name: 1.1 * self.nominal[name[-4:].lstrip(":")] for name in SET_VALUES}
        self.alarms: list[str] = []
        self._drive: Drive | None = None
        self.wire()

    def wire(self) -> None:
        """Tell the cell."""
        sink_A = self.set["SINK:CURR"] if self.sinks else 0.0
        self._tell(DriveVoltage(self.set["VOLT"], self.set["SOUR:CURR"], sink_A) if self.on else OpenCircuit())

    def switch(self, on: bool) -> None:
        self.on = on and not self.alarms
        self.wire()

    def actual(self) -> tuple[float, float]:
        """Voltage and current now; what is beyond a protection switches the output off."""
        self.wire()
        volts, amperes = self.cell.terminals()
        if self.on:
            current = "SOUR:CURR" if amperes >= 0 else "SINK:CURR"
            tripped = [
                name
                for name, beyond in (
                    ("OVP", volts > self.protection["VOLT"]),
                    ("OCP", abs(amperes) > self.protection[current]),
                )
                if beyond
            ]
            if tripped:
                self.alarms += tripped
                self.switch(False)
                return self.cell.terminals()
        return volts, amperes

    def holds_voltage(self) -> bool:
        return abs(self.cell.terminals()[0] - self.set["VOLT"]) <= 1e-6 * self.nominal["VOLT"]

    def _tell(self, drive: Drive) -> None:
        if drive != self._drive:
            self._drive = drive
            self.cell.drive(drive)
