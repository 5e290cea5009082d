"""Keithley 2000 multimeter, with or without its scanner card, as a meter for resistive sensors.

Wire facts: docs/instruments/keithley-2000.md (evidence: vendor manual, others' programs). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import Range
from drivers.multimeter import Ohmmeter
from drivers.scpi import number

CARD_CHANNELS = 10  # of a 2000-SCAN


class Keithley2000(Ohmmeter):
    """Resistance at its input, channel 1; with `scanner_card` of 1–10, two-wire, or 1–5, four-wire."""

    model = "Keithley 2000"
    identity = r"KEITHLEY[^,]*,\s*MODEL 2000,"
    about = About(
        connection="GPIB, RS-232 (VISA)",
        evidence="maker's manual in part, others' programs; not run on hardware",
        quirks="one channel is closed at a time; four-wire channels 1–5 take 6–10 with them",
        probes=scpi_probes(identity, tcp_port=None, baud=9600),
    )

    integration = number(":SENS:RES:NPLC", "PLC", within=Range(0.01, 10.0), doc="Integration of a reading.")

    def __init__(
        self,
        address: str,
        *,
        four_wire: bool = False,
        nplc: float = 1.0,
        scanner_card: bool = False,
        timeout_s: float = 5.0,
    ) -> None:
        self.scanner_card = scanner_card
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_integration(self, nplc: float) -> None:
        Keithley2000.integration.check(self, nplc)

    def has_channel(self, channel: int) -> bool:
        highest = CARD_CHANNELS // (2 if self.four_wire else 1) if self.scanner_card else 1
        return 1 <= channel <= highest

    def set_up(self, channels: tuple[int, ...]) -> None:
        self.send(f":CONF:{self.function}")
        self.send(f":SENS:{self.function}:NPLC {self.nplc:g}")
        self.send(f":SENS:{self.function}:RANG:AUTO ON")
        self.send(":FORM:ELEM READ")

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        readings = []
        for channel in channels:
            if self.scanner_card:
                self.send(f":ROUT:CLOS (@{channel})")
            readings.append(self.ask(":READ?", timeout_s))
        return ",".join(readings)

    def make_safe(self) -> None:
        if self.scanner_card:
            self.send(":ROUT:OPEN:ALL")
        super().make_safe()
