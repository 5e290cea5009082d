"""A station on a virtual bench, with proxies that can spoil what the instruments say; all in this process."""

from __future__ import annotations

import contextlib
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.bench import VirtualBench
from drivers.simulated.clock import ScaledClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.neware_bts import VirtualNeware
from drivers.simulated.neware_channel import TesterChannel
from drivers.simulated.simserv import VirtualSimServ
from drivers.testing.faults import FaultProxy
from station.bench_station import write_station
from station.client import Client
from station.config import StationConfig, read_config
from station.readings import ChannelState, ChannelView
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN, free_port, wait_until

SPEED = 20.0


@dataclass
class Live:
    """A running station, as its clients see it and from within."""

    station: Station
    client: Client
    thread: threading.Thread

    def channel(self, name: str = "A1") -> ChannelView:
        return next(channel for channel in self.client.status().channels if channel.name == name)

    def wait_for(self, state: ChannelState, name: str = "A1", within_s: float = 30.0) -> ChannelView:
        wait_until(lambda: self.channel(name).state is state, within_s, f"for {state}; is {self.channel(name)}")
        return self.channel(name)

    def wait_for_step(self, step_name: str, name: str = "A1") -> None:
        wait_until(lambda: (self.channel(name).step_name or "").startswith(step_name), 30.0, f"for {step_name}")

    def said(self, text: str) -> bool:
        """Whether an event contains `text`."""
        assert self.station.writer.flush(5.0)
        return any(text in event.text for event in self.client.events(limit=1000))

    def shut_down(self) -> None:
        self.client.shut_down()
        self.thread.join(20.0)
        assert not self.thread.is_alive()


@dataclass
class Rig:
    """A virtual bench; its sources of trouble are named as its instruments."""

    folder: Path
    bench: VirtualBench
    config: Path
    proxies: dict[str, FaultProxy] = field(default_factory=dict)

    @property
    def source(self) -> VirtualKeithley2450:
        source = self.bench.servers["smu"]
        assert isinstance(source, VirtualKeithley2450)
        return source

    @property
    def scanner(self) -> VirtualKeithleyDaq6510:
        scanner = self.bench.servers["scanner"]
        assert isinstance(scanner, VirtualKeithleyDaq6510)
        return scanner

    @property
    def chamber(self) -> VirtualSimServ:
        chamber = self.bench.servers["chamber"]
        assert isinstance(chamber, VirtualSimServ)
        return chamber

    @property
    def tester(self) -> TesterChannel:
        """The cycler's channel, as a person at the BTS Client has it."""
        tester = self.bench.servers["neware"]
        assert isinstance(tester, VirtualNeware)
        return tester.channels[VirtualBench.NEWARE_CHANNEL]

    def current_A(self, name: str = "A1") -> float:
        """What truly flows through the cell."""
        return self.bench.positions[name].cell.state().current_A

    def press(self, name: str, pressure_Pa: float) -> None:
        """Have the pressure sensor of a position say this pressure (inf Ω, an open circuit, for 0)."""
        sensor = self.bench.positions[name].parameters.sensor
        ohm = sensor.anchor_ohm * (pressure_Pa / sensor.anchor_Pa) ** -sensor.exponent if pressure_Pa else float("inf")
        self.scanner.sensors[self.bench.positions[name].sensor_channel] = lambda: ohm  # type: ignore[index]

    def settings(self, **station: Any) -> StationConfig:
        """The configuration, with `[station]` changed, short time-outs and each instrument behind its proxy."""
        data = tomllib.loads(self.config.read_text(encoding="utf-8"))
        data["station"] |= {"poll": "0.2 s", "lost_after": "1.5 s", **station}
        for name, instrument in data["instruments"].items():
            instrument["address"] = self._through_proxy(name)
            if name in ("smu", "scanner", "neware", "chamber", "frame"):
                instrument.setdefault("settings", {})["timeout_s"] = 0.7
        data["instruments"]["eis"].setdefault("settings", {})["patience_s"] = 1.0
        for channel in data["channels"].values():
            channel["limits"].pop("pressure")  # tests say in their protocols what is watched
        read = read_config(self.config)  # for its absolute folders
        changed = StationConfig.model_validate(data)
        folders = {
            key: getattr(read.station, key) for key in ("database", "spool", "cells", "protocols", "calibrations")
        }
        return changed.model_copy(update={"station": changed.station.model_copy(update=folders)})

    def _through_proxy(self, name: str) -> str:
        server = self.bench.servers[name]
        if name not in self.proxies:
            self.proxies[name] = FaultProxy(server.port, server.host)
        return server.resource.format(host=server.host, port=self.proxies[name].proxy_port)

    @contextlib.contextmanager
    def station(self, **changes: Any) -> Iterator[Live]:
        settings = self.settings(**changes)
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        station = Station(settings)
        thread = threading.Thread(target=serve, args=(station, listener, TOKEN), daemon=True)
        thread.start()
        with Client(url, TOKEN) as client:
            live = Live(station, client, thread)
            live.wait_for(ChannelState.IDLE, "B1") if not station.archive.open_runs() else client.status()
            try:
                yield live
            finally:
                if thread.is_alive():
                    for proxy in self.proxies.values():
                        proxy.spoil, proxy.refuse = None, False
                    live.shut_down()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_at(SPEED, tmp_path) as rig:
        yield rig


@contextlib.contextmanager
def rig_at(speed: float, folder: Path) -> Iterator[Rig]:
    epoch = time.time()
    with VirtualBench(ScaledClock(speed, epoch), folder) as bench:
        config = write_station(bench, folder, epoch=epoch, port=free_port())
        rig = Rig(folder, bench, config)
        yield rig
        for proxy in rig.proxies.values():
            proxy.close()
