"""Keithley 2700, 2701 and 2750 multimeter and scanner, as a meter for resistive sensors.

Wire facts: docs/instruments/keithley-2700.md (evidence: vendor manual). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import Range
from drivers.multimeter import Ohmmeter, card_channel, channel_list
from drivers.scpi import number, switch


class Keithley2700(Ohmmeter):
    """Resistance of up to 20 channels a card (101–120, 201–220), two-wire; 10 a card, four-wire.

    `card_channels` is the number of two-wire channels on each card (20 on a 7700); a 2750 has 5 `slots`.
    """

    model = "Keithley 2700"
    identity = r"KEITHLEY[^,]*,\s*MODEL 27(0[01]|50),"
    about = About(
        connection="TCP socket 1394 (2701), GPIB, RS-232 (VISA)",
        evidence="maker's manuals; not run on hardware",
        quirks="a set-up begins with *RST; four-wire readings take a second channel of the card",
        probes=scpi_probes(identity, tcp_port=1394, baud=9600),
    )

    continuous = switch("INIT:CONT", doc="Measure without being asked; off while scanning.")
    triggers = number("TRIG:COUN", "1", within=Range(1, 110_000), doc="Scans to one READ?.")
    samples = number("SAMP:COUN", "1", within=Range(1, 110_000), doc="Readings to one scan.")
    integration = number("SENS:RES:NPLC", "PLC", within=Range(0.01, 50.0), doc="Integration of a reading.")

    def __init__(
        self,
        address: str,
        *,
        four_wire: bool = False,
        nplc: float = 1.0,
        card_channels: int = 20,
        slots: int = 2,
        timeout_s: float = 5.0,
    ) -> None:
        self.card_channels, self.slots = card_channels, slots
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_integration(self, nplc: float) -> None:
        Keithley2700.integration.check(self, nplc)

    def has_channel(self, channel: int) -> bool:
        return card_channel(channel, self.slots, self.card_channels, self.four_wire)

    def set_up(self, channels: tuple[int, ...]) -> None:
        where, function = channel_list(channels), self.function
        self.send("*RST")
        self.send("TRAC:CLE")
        self.continuous = False
        self.send("TRIG:SOUR IMM")
        self.triggers = 1
        self.samples = len(channels)
        self.send(f"SENS:FUNC '{function}',{where}")
        self.send(f"SENS:{function}:NPLC {self.nplc:g},{where}")
        self.send(f"SENS:{function}:RANG:AUTO ON,{where}")
        self.send(f"ROUT:SCAN {where}")
        self.send("ROUT:SCAN:TSO IMM")
        self.send("ROUT:SCAN:LSEL INT")
        self.send("FORM:ELEM READ")

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        return self.ask("READ?", timeout_s)

    def make_safe(self) -> None:
        self.send("ROUT:SCAN:LSEL NONE")
        self.send("ROUT:OPEN:ALL")
        self._ready_for = ()
        super().make_safe()
