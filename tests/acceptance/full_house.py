"""A full laboratory: 64 pressure sensors on one scanner, 16 cells on two cyclers, and one impedance analyser for all.

Each cell is handed from its cycler to the analyser and back by two relays of one board. The other 48 sensors are
in cells on testers that export files.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drivers.simulated.cell import Format, SimulatedCell, silicon_lfp_cell
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.neware_bts import VirtualNeware
from drivers.simulated.neware_channel import TesterChannel
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.switches import SharedPort, SwitchedCell, VirtualModbusRelays
from drivers.simulated.wiring import FixedCell, WiredCell
from station.client import Client
from station.config import read_config
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN
from tests.acceptance.conftest import Live
from tests.acceptance.test_procedures import calibration
from tests.calibration_records import write_record

CARD = 40  # channels of each of the scanner's two cards
CYCLERS = ("neware-1", "neware-2")
POLL_S = 2.0
PARAMETERS = silicon_lfp_cell(Format.COIN)


@dataclass
class House:
    """The virtual half. Cell `n` (from 0) is in channel `names[n]`, half of them on each cycler."""

    folder: Path
    clock: Clock
    epoch: float
    cell_count: int = 16
    sensor_count: int = 64
    seed: int = 7
    cells: list[SimulatedCell] = field(init=False)
    switched: list[SwitchedCell] = field(init=False)
    servers: dict[str, VirtualInstrument] = field(init=False)

    def __post_init__(self) -> None:
        numbers = range(self.cell_count)
        self.names = [f"{'AB'[self.cycler(n)]}{self.place(n)}" for n in numbers]
        self.cells = [SimulatedCell(PARAMETERS, self.clock, self.seed + n) for n in numbers]
        board = VirtualModbusRelays(relay_count=2 * self.cell_count)
        self.switched = [
            SwitchedCell(cell, board.contacts, {"cycler": (2 * n + 1,), "eis": (2 * n + 2,)})
            for n, cell in enumerate(self.cells)
        ]
        self.board = board
        sensors: dict[int, WiredCell] = {
            channel_of(n): self.cells[n] if n < self.cell_count else FixedCell(sensor_ohm=PARAMETERS.sensor.anchor_ohm)
            for n in range(self.sensor_count)
        }
        at_cycler = {self.position(n): one.ports["cycler"] for n, one in enumerate(self.switched)}
        self.servers = {
            **{
                name: VirtualNeware(
                    {at: cell for at, cell in at_cycler.items() if at.startswith(f"27-{n + 1}-")}, self.clock
                )
                for n, name in enumerate(CYCLERS)
            },
            "scanner": VirtualKeithleyDaq6510(sensors, card_channels=CARD, clock=self.clock),
            "eis": VirtualSolartron(SharedPort([one.ports["eis"] for one in self.switched]), self.clock),
            "matrix": board,
        }

    def cycler(self, n: int) -> int:
        return n // (self.cell_count // 2)

    def place(self, n: int) -> int:
        return n % (self.cell_count // 2) + 1

    def position(self, n: int) -> str:
        return f"27-{self.cycler(n) + 1}-1-{self.place(n)}"

    def tester(self, n: int) -> TesterChannel:
        """The cycler's channel of a cell, as a person at its own program has it."""
        server = self.servers[CYCLERS[self.cycler(n)]]
        assert isinstance(server, VirtualNeware)
        return server.channels[self.position(n)]

    def visited(self, n: int) -> list[str]:
        """Where the cell was, one after the other."""
        cycler, eis = 2 * n + 1, 2 * n + 2
        names = {(True, False): "cycler", (False, True): "analyser", (False, False): "open", (True, True): "both"}
        been = [names[cycler in closed, eis in closed] for closed in self.board.contacts.history]
        return [place for place, before in zip(been, ["", *been], strict=False) if place != before]

    @property
    def together(self) -> int:
        """How often a cell was on two instruments."""
        return sum(one.together for one in self.switched)

    def write(self) -> Path:
        for name in ("cells", "protocols", "calibrations", "exports", "jobs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(self.sensor_count):
            write_record(self.folder / "calibrations", calibration(str(n + 1), PARAMETERS.sensor))
        for name in self.names:
            (self.folder / "cells" / f"cell-{name}.yaml").write_text(
                f"cell: cell-{name}\nactive_mass: {PARAMETERS.active_mass_g * 1e3:.6g} mg\n"
                f"nominal_capacity: {PARAMETERS.nominal_capacity_Ah * 1e3:.6g} mAh\n"
                "limits: {voltage: [-0.1 V, 4.2 V], current: 20 mA}\n",
                encoding="utf-8",
            )
        path = self.folder / "station.toml"
        path.write_text("\n".join(self._toml()) + "\n", encoding="utf-8")
        return path

    def _toml(self) -> Iterator[str]:
        yield f'[station]\nname = "Full house"\npoll = "{POLL_S} s"\nlost_after = "10 s"\nport = 0'
        yield f"[simulation]\nspeed = {self.clock.speed!r}\nepoch = {self.epoch!r}"
        scaled = self.clock.speed != 1.0
        settings: dict[str, str] = {
            "scanner": f"card_channels = {CARD}",
            "eis": f"speed = {self.clock.speed}\nwrite_wait_s = 0.0" if scaled else "",
            "matrix": "\n".join(
                [f"relay_count = {2 * self.cell_count}", 'read_back = "inputs"', "settle_s = 0.01", *self._routes()]
            ),
            **{name: f"step_file_folder = {json.dumps(str(self.folder / 'jobs'))}" for name in CYCLERS},
        }
        drivers = {"scanner": "keithley-daq6510", "eis": "solartron-1260-1287", "matrix": "modbus-relays"}
        for name, server in self.servers.items():
            yield f'[instruments.{name}]\ndriver = "{drivers.get(name, "neware-bts")}"\naddress = "{server.address}"'
            yield f"[instruments.{name}.settings]\n{settings[name]}"
        for n, name in enumerate(self.names):
            yield f'[channels.{name}]\nimpedance = "eis"'
            yield f'cycler = {{ instrument = "{CYCLERS[self.cycler(n)]}", channel = "{self.position(n)}" }}'
            routes = f'source_route = "{name}-cycler", impedance_route = "{name}-eis"'
            yield f'switch = {{ instrument = "matrix", {routes} }}'
            yield f'sensor = {{ meter = "scanner", channel = {channel_of(n)}, name = "{name_of(n)}" }}'
            yield 'limits = { voltage = ["-0.1 V", "4.2 V"], current = "20 mA", pressure = { above = "2 MPa" } }'
        for n in range(self.cell_count, self.sensor_count):
            yield f'[channels.L{n}]\nsensor = {{ meter = "scanner", channel = {channel_of(n)}, name = "{name_of(n)}" }}'
            yield f'exports = {{ folder = "exports", files = "*_{n}.csv", record = "{5 * POLL_S} s", every = "60 s" }}'

    def _routes(self) -> Iterator[str]:
        for n, name in enumerate(self.names):
            yield f'routes.{name}-cycler = {{ cell = "{name}", to = "position {name}", relays = [{2 * n + 1}] }}'
            yield f'routes.{name}-eis = {{ cell = "{name}", to = "eis", relays = [{2 * n + 2}] }}'


def name_of(n: int) -> str:
    return f"mfsr-{n + 1}"


def channel_of(n: int) -> int:
    """Two cards of 40 channels."""
    return 100 * (n // CARD + 1) + n % CARD + 1


@contextlib.contextmanager
def full_house(folder: Path, speed: float, cell_count: int = 16, sensor_count: int = 64) -> Iterator[House]:
    epoch = time.time()
    house = House(folder, ScaledClock(speed, epoch), epoch, cell_count, sensor_count)
    with contextlib.ExitStack() as stack:
        for server in house.servers.values():
            stack.enter_context(server)
        yield house


@contextlib.contextmanager
def station_in(house: House) -> Iterator[Live]:
    listener = listen("127.0.0.1", 0)
    station = Station(read_config(house.write()))
    thread = threading.Thread(target=serve, args=(station, listener, TOKEN), daemon=True)
    thread.start()
    with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN) as client:
        live = Live(station, client, thread)
        try:
            yield live
        finally:
            live.shut_down()
