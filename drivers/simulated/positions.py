"""What a virtual bench is made of: cells at named positions, and instruments that are reached by name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from drivers.simulated.cell import CellParameters, SimulatedCell
from drivers.simulated.clock import Clock
from drivers.simulated.server import VirtualInstrument


@dataclass(frozen=True)
class Connection:
    """How a station reaches one virtual instrument: driver, address and settings."""

    driver: str
    address: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A kind of cell, as its file describes it, with the limits that its position is given."""

    parameters: CellParameters
    chemistry: str
    stem: str  # of the names of such cells
    voltage_V: tuple[float, float]
    current_max_A: float = 0.02
    pressure_max_Pa: float = 2e6


@dataclass(frozen=True)
class Position:
    """A cell's position, with the names of the instruments at it."""

    cell: SimulatedCell
    sample: Sample
    cell_name: str
    meter: str
    sensor_channel: int
    chamber: str | None = None
    source: str | None = None
    impedance: str | None = None
    cycler: tuple[str, str] | None = None  # instrument, channel
    switch: tuple[str, str, str] | None = None  # instrument, route to the source, route to the impedance instrument
    exports: Path | None = None  # folder that the tester's files come to

    @property
    def parameters(self) -> CellParameters:
        return self.sample.parameters


class Bench:
    """Starts every server on entering and stops them on leaving. `servers` and `positions` are by name.

    `companions` are entered after them: what runs beside the instruments and has no wire.
    """

    title = "Virtual bench"
    sensor_batch: str | None = None  # of one make: calibrated as one. None: each for itself

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.clock, self.folder = clock, folder
        self.positions: dict[str, Position] = {}
        self.servers: dict[str, VirtualInstrument] = {}
        self.companions: list[AbstractContextManager[object]] = []
        self.protocols: dict[str, str] = {}  # texts to try it with, by the names of their files
        self._reached: dict[str, tuple[str, dict[str, Any]]] = {}
        self._stack = contextlib.ExitStack()

    def add(self, name: str, driver: str, server: VirtualInstrument, **settings: Any) -> None:
        """Put an instrument on the bench; several may be channels of one server."""
        self.servers[name] = server
        self._reached[name] = driver, settings

    def connections(self) -> dict[str, Connection]:
        """How to reach each instrument."""
        return {
            name: Connection(driver, self.servers[name].address, settings)
            for name, (driver, settings) in self._reached.items()
        }

    @property
    def scaled(self) -> bool:
        return self.clock.speed != 1.0

    def __enter__(self) -> Self:
        for server in dict.fromkeys(self.servers.values()):
            self._stack.enter_context(server)
        for companion in self.companions:
            self._stack.enter_context(companion)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def assembled(parameters: CellParameters, clock: Clock, seed: int) -> SimulatedCell:
    """A cell in which the sensor came to lie as it came to lie."""
    insertion = Random(f"assembly {seed}").lognormvariate(0.0, parameters.sensor.insertion)
    return SimulatedCell(parameters, clock, seed, insertion=insertion)
