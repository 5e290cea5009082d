"""A virtual ITECH IT-M3400, wired to one cell.

Written from the command list of the M3400 and M3900 programming guide as public programs quote it: voltage priority
with a positive and a negative limit of the current, current priority with two limits of the voltage. Its battery
program is not simulated.
"""

from __future__ import annotations

import math

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import (
    BooleanSetting,
    NumberSetting,
    ScpiServer,
    WordSetting,
    choice,
    number,
    switch,
    text,
)
from drivers.simulated.supply import PowerStage
from drivers.simulated.wiring import DriveCurrent, OpenCircuit

ANY = 1e4
KEPT = {
    "[:SOURce]:POWer[:LEVel]:LIMit[:POSitive][:IMMediate][:AMPLitude]": number("0", 0, ANY),
    "[:SOURce]:POWer[:LEVel]:LIMit:NEGative[:IMMediate][:AMPLitude]": number("0", -ANY, 0),
    "[:SOURce]:POWer[:OVER]:PROTection[:LEVel]": number("0", 0, ANY),
    "[:SOURce]:VOLTage[:OVER]:PROTection:STATe": switch("1"),
    "[:SOURce]:CURRent[:OVER]:PROTection:STATe": switch("1"),
    "[:SOURce]:CURRent:UNDer:PROTection[:LEVel]": text("0"),
    "[:SOURce]:VOLTage:UNDer:PROTection[:LEVel]": text("0"),
    ":SINK:RESistance[:LEVel]": number("2500", 0, 2500),
    ":SINK:RESistance:STATe": switch("0"),
    ":BATTery:MODE": choice("CHAR", "CHARge", "DISCharge"),
    ":BATTery:CHARge:VOLTage": number("0", 0, ANY),
    ":BATTery:CHARge:CURRent": number("0", 0, ANY),
    ":BATTery:DISCharge:VOLTage": number("0", 0, ANY),
    ":BATTery:DISCharge:CURRent": number("0", -ANY, 0),
    ":BATTery:SHUT:VOLTage": number("0", 0, ANY),
    ":BATTery:SHUT:CURRent": number("0", -ANY, ANY),
    ":BATTery:SHUT:CAPacity": number("0", 0, ANY),
    ":BATTery:SHUT:TIME": number("0", 0, 1e6),
}


class VirtualItech(ScpiServer):
    """An IT-M3412 (60 V, 30 A) unless the power stage says otherwise. Replies are bare numbers."""

    identity = "ITECH Ltd., IT-M3412, 803012345678901234, 1.08"

    def __init__(
        self, stage: PowerStage, *, clock: Clock | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(clock=clock, host=host, port=port)
        self.stage = stage
        volts, amperes = stage.nominal["VOLT"], stage.nominal["CURR"]
        self._reversed = False
        for silent in (":SYSTem:REMote", ":SYSTem:LOCal"):
            self.define(silent, lambda _: None)
        priority = WordSetting("VOLT", words=("VOLTage", "CURRent"), on_change=self._off)
        self._priority = self.setting("[:SOURce]:FUNCtion", priority)
        self.setting("[:SOURce]:FUNCtion:MODE", WordSetting("FIX", words=("FIXed", "LIST", "BATTery")))
        self.setting(":SENSe[:REMote][:STATe]", BooleanSetting("0"))
        self._output = self.setting(":OUTPut[:STATe]", BooleanSetting("0", on_change=self._wire))
        self.define(":OUTPut:REVerse[:STATe]?", lambda _: "1" if self._reversed_cell() else "0")
        self._volts = self._number("[:SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]", "0", 0, volts)
        self._high = self._number(
            "[:SOURce]:VOLTage[:LEVel]:LIMit[:HIGH][:IMMediate][:AMPLitude]", f"{volts}", 0, volts
        )
        self._low = self._number("[:SOURce]:VOLTage[:LEVel]:LIMit:LOW[:IMMediate][:AMPLitude]", "0", 0, volts)
        self.setting("[:SOURce]:VOLTage[:LEVel]:LIMit:NEGative", self._low)  # as the M3900 has it
        self._ovp = self._number("[:SOURce]:VOLTage[:OVER]:PROTection[:LEVel]", f"{1.1 * volts}", 0, 1.1 * volts)
        self._amperes = self._number("[:SOURce]:CURRent[:LEVel][:IMMediate][:AMPLitude]", "0", -amperes, amperes)
        self._positive = self._number(
            "[:SOURce]:CURRent[:LEVel]:LIMit[:POSitive][:IMMediate][:AMPLitude]", "0", 0, amperes
        )
        self._negative = self._number(
            "[:SOURce]:CURRent[:LEVel]:LIMit:NEGative[:IMMediate][:AMPLitude]", "0", -amperes, 0
        )
        self._ocp = self._number("[:SOURce]:CURRent[:OVER]:PROTection[:LEVel]", f"{1.1 * amperes}", 0, 1.1 * amperes)
        self.keep(KEPT)
        self.silent(":SENSe:AHOur:RESet", ":SENSe:WHOur:RESet", ":OUTPut:PROTection:CLEar", ":SYSTem:RWLock")
        for asked in (":MEASure[:SCALar]", ":FETCh[:SCALar]"):
            self.define(f"{asked}:VOLTage[:DC]?", lambda _: f"{self._actual()[0]:.4f}")
            self.define(f"{asked}:CURRent[:DC]?", lambda _: f"{self._actual()[1]:.4f}")
            self.define(f"{asked}:POWer[:DC]?", lambda _: f"{math.prod(self._actual()):.4f}")
            for counter in ("AHOur", "WHOur"):
                self.define(f"{asked}:{counter}?", lambda _: "0.0000")  # its counters are not simulated
            self.define(f"{asked}?", lambda _: self._all())
        self._wire()

    def reset(self) -> None:
        super().reset()
        self._wire()

    def _number(self, header: str, default: str, low: float, high: float) -> NumberSetting:
        return self.setting(header, NumberSetting(default, low=low, high=high, on_change=self._wire))

    def _off(self) -> None:
        self._output.put("0")
        self._wire()

    def _reversed_cell(self) -> bool:
        return self.stage.cell.terminals()[0] < 0

    def _wire(self) -> None:
        stage = self.stage
        stage.protection |= {"VOLT": self._ovp.value, "SOUR:CURR": self._ocp.value, "SINK:CURR": self._ocp.value}
        if self._priority.word == "VOLT":
            stage.set |= {
                "VOLT": self._volts.value,
                "SOUR:CURR": self._positive.value,
                "SINK:CURR": -self._negative.value,
            }
            stage.switch(self._output.on)
        elif self._output.on:
            stage.cell.drive(DriveCurrent(self._amperes.value, self._low.value, self._high.value))
        else:
            stage.cell.drive(OpenCircuit())

    def _all(self) -> str:
        volts, amperes = self._actual()
        return f"{volts:.4f},{amperes:.4f},{volts * amperes:.4f},0.0000,0.0000"

    def _actual(self) -> tuple[float, float]:
        if self._priority.word != "VOLT":
            return self.stage.cell.terminals()
        volts, amperes = self.stage.actual()
        if self._output.on and not self.stage.on:  # a protection has switched it off
            self._output.put("0")
        return volts, amperes
