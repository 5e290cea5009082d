"""Back ends of the gateway: what drives the instrument on its own PC.

A vendor's software is imported when its back end is opened, so a gateway runs wherever that is not installed.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from drivers.gateway.protocol import Description
from drivers.interface import (
    CyclerProgram,
    CyclerRecord,
    CyclerStatus,
    ImpedancePoint,
    Measurement,
    Protection,
    Refused,
    Setpoint,
    Sweep,
)

BACKENDS: Mapping[str, str] = {
    "fake": "drivers.gateway.backends.fake:FakeBackend",
    "biologic": "drivers.gateway.backends.biologic:BioLogicBackend",
    "gamry": "drivers.gateway.backends.gamry:GamryBackend",
    "chi": "drivers.gateway.backends.chi:ChiBackend",
}


class Backend:
    """What a gateway asks of the instrument's software; what one cannot do is refused, and not in its description.

    The calls of one channel come one at a time. Errors are those of `drivers.interface`. A back end puts the
    protection into the instrument before an output goes on, and raises `NotSafe` where it cannot.
    """

    name = ""

    def describe(self) -> Description:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing more is asked. What runs is left as it is: the gateway has done what it should before."""

    # source

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        self._cannot("hold a set point")

    def measure(self, channel: str) -> Measurement:
        self._cannot("measure")

    def is_on(self, channel: str) -> bool:
        self._cannot("say whether it is on")

    def off(self, channel: str) -> None:
        """Open the circuit, whatever ran, and return when the instrument has said so."""
        self._cannot("open the circuit")

    # impedance

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        """Point by point, in the order asked for; closed, or at its end, it leaves the cell at open circuit.

        Once `called_off` is set it ends at the next moment it can, in the midst of a point where the software allows.
        """
        self._cannot("measure impedance")

    # cycler

    def start(self, channel: str, program: CyclerProgram, label: str) -> int:
        self._cannot("run a program")

    def status(self, channel: str) -> CyclerStatus:
        self._cannot("say how a program is getting on")

    def records(self, channel: str, test_id: int, after: int) -> Sequence[CyclerRecord]:
        self._cannot("give records")

    def stop(self, channel: str) -> None:
        self._cannot("stop a program")

    def proceed(self, channel: str) -> None:
        self._cannot("go on with a program")

    def go_to_step(self, channel: str, step: int) -> None:
        self._cannot("jump in a program")

    def _cannot(self, what: str) -> NoReturn:
        raise Refused(f"the back end '{self.name}' cannot {what}", instrument="gateway")


def open_backend(name: str, settings: Mapping[str, str | float | int | bool]) -> Backend:
    """Raises `KeyError` for an unknown name, `InstrumentError` where it cannot be opened."""
    if name not in BACKENDS:
        raise KeyError(f"there is no back end '{name}'; there are {', '.join(BACKENDS)}")
    module, _, cls = BACKENDS[name].partition(":")
    opened: Backend = getattr(importlib.import_module(module), cls)(**settings)
    return opened
