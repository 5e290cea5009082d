"""Keysight 34461A and 34465A multimeters, as a meter for one resistive sensor.

Wire facts: docs/instruments/keysight-3446x.md (evidence: vendor guide). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import OutOfRange
from drivers.multimeter import Ohmmeter

INTEGRATIONS = (0.02, 0.2, 1, 10, 100)  # PLC; those that both models have


class Keysight3446x(Ohmmeter):
    """Resistance at its only input, channel 1."""

    model = "Keysight 3446xA"
    identity = r"(Keysight|Agilent)[^,]*,\s*3446[15]A,"
    about = About(
        connection="TCP socket, USB (VISA)",
        evidence="maker's guide; not run on hardware",
        quirks="one input, which is channel 1",
        probes=scpi_probes(identity),
    )

    def check_integration(self, nplc: float) -> None:
        if nplc not in INTEGRATIONS:
            known = ", ".join(map(str, INTEGRATIONS))
            raise OutOfRange(f"nplc {nplc:g} is none of {known}", instrument=self.model, address=self.address)

    def has_channel(self, channel: int) -> bool:
        return channel == 1

    def set_up(self, channels: tuple[int, ...]) -> None:
        self.send(f"CONF:{self.function} AUTO")  # without a resolution: one beside AUTO is an error
        self.send(f"SENS:{self.function}:NPLC {self.nplc:g}")
        self.send("SAMP:COUN 1")

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        return self.ask("READ?", timeout_s)
