"""Keithley DMM6500 multimeter, with or without a 2000-SCAN card, as a meter for resistive sensors.

Wire facts: docs/instruments/keithley-dmm6500.md (evidence: several users' programs). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.keithley_daq6510 import KeithleyDaq6510

CARD_CHANNELS = 10  # of a 2000-SCAN


class KeithleyDmm6500(KeithleyDaq6510):
    """Resistance at the selected terminals, channel 1; with `scanner_card` of 1–10, two-wire, or 1–5, four-wire."""

    model = "Keithley DMM6500"
    identity = r"KEITHLEY[^,]*,\s*MODEL DMM6500,"
    about = About(
        connection="TCP socket, USB (VISA)",
        evidence="several users' programs, scan syntax partly unverified; not run on hardware",
        quirks="a scanner card wants the rear terminals, which only the switch on its front panel selects",
        probes=scpi_probes(identity),
    )

    def __init__(
        self,
        address: str,
        *,
        four_wire: bool = False,
        nplc: float = 1.0,
        scanner_card: bool = False,
        function_per_channel: bool = True,
        timeout_s: float = 5.0,
    ) -> None:
        self.scanner_card = scanner_card
        super().__init__(
            address,
            four_wire=four_wire,
            nplc=nplc,
            card_channels=CARD_CHANNELS,
            function_per_channel=function_per_channel,
            timeout_s=timeout_s,
        )

    def has_channel(self, channel: int) -> bool:
        highest = self.card_channels // (2 if self.four_wire else 1) if self.scanner_card else 1
        return 1 <= channel <= highest

    def set_up(self, channels: tuple[int, ...]) -> None:
        if self.scanner_card:
            super().set_up(channels)
            return
        self.send(f':SENS:FUNC "{self.function}"')
        self.send(f":SENS:{self.function}:NPLC {self.nplc:g}")
        self.send(f":SENS:{self.function}:RANG:AUTO ON")

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        return super().scan(channels, timeout_s) if self.scanner_card else self.ask(":READ?", timeout_s)

    def needs_rear_terminals(self) -> bool:
        return self.scanner_card
