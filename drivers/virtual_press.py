"""The simulated press of the virtual bench: it exists nowhere else, and drives no maker's press.

Wire facts: docs/instruments/virtual-press.md (it is this project's own). There is no hardware of it.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import NotSafe, OutOfRange, Range
from drivers.scpi import ScpiInstrument, number


class VirtualPress(ScpiInstrument):
    """A press that goes to a force and takes sensors from its own magazine; up to 500 N."""

    model = "Simulated press"
    safe_state = "as it is: the force stays, until it is told to let go"
    identity = "CELLSTATION,SIMULATED PRESS,"
    about = About(
        connection="TCP, on the virtual bench alone",
        evidence="this project's own; there is no hardware of it",
        quirks="takes sensors from a magazine of its own",
        probes=scpi_probes(identity, tcp_port=5025, baud=None),
    )

    force = number(":FORC", "N", within=Range(0.0, 500.0), doc="Set point, in newtons of its own scale.")

    def check_force(self, force_N: float) -> None:
        VirtualPress.force.check(self, force_N)

    def set_force(self, force_N: float) -> None:
        VirtualPress.force.set_verified(self, force_N)

    def insert(self, sensor: str) -> None:
        """Take out what lies in the press and put this sensor in. Raises `Refused` where it has none of the name."""
        if '"' in sensor or "\n" in sensor:
            raise OutOfRange(f"{sensor!r} is no sensor's name", instrument=self.model, address=self.address)
        self.send(f':SENS:INS "{sensor}"')
        self.check_errors()
        found = self.ask(":SENS?").strip('"')
        if found != sensor:
            text = f"sensor {found} lies in the press, not {sensor}"
            raise NotSafe(text, instrument=self.model, address=self.address)

    def make_safe(self) -> None:
        """Nothing is changed: a load that goes away by itself would break a measurement."""
        self.check_errors()
