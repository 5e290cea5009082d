"""How soon the off command is on the wire after a limit was met: 64 channels, 64 virtual sources.

The sources stand in processes of their own. At random moments the electromotive force of one cell jumps beyond
the limit; the source notes when that was, when it answered with the first reading beyond the limit, and when the
off command reached it. All clocks are the same machine's.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.table import percentile, show
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.wiring import FixedCell
from station.config import StationConfig
from station.run import Request
from station.station import Station

CHANNELS = 64
PROCESSES = 2
NPLC = 0.1  # a conversion of 2 ms, twice: the instrument's own time is not the matter here
LIMIT_A = 0.01
BEYOND_V = 5.0
MARGIN_S = 0.020

PROTOCOL = """\
protocol: Benchmark
record: {every: 10 s}
limits: {voltage: [0 V, 4.2 V], current: 10 mA}
steps:
  - charge: {at: 1 mA, for: 10 h}
"""
CELL = "cell: fixed\nlimits: {voltage: [0 V, 4.2 V], current: 10 mA}\n"


@dataclass
class Jump:
    """What one source saw; seconds of the wall's clock."""

    exceeded: float = 0.0
    reading: float = 0.0
    off: float = 0.0


class WatchedSource(VirtualKeithley2450):
    """Notes when its answer is beyond the limit for the first time, and when it is told to go off."""

    def __init__(self) -> None:
        self.fixed = FixedCell(emf_V=3.0, resistance_ohm=10.0)
        super().__init__(self.fixed)
        self.jump = Jump()

    def go_beyond(self) -> None:
        self.fixed.emf_V = BEYOND_V
        self.jump.exceeded = time.time()

    def answer(self, line: str) -> str | None:
        if line == ":OUTP OFF" and self.jump.exceeded and not self.jump.off:
            self.jump.off = time.time()
        reply = super().answer(line)
        if line.startswith(":READ?") and reply is not None and not self.jump.reading:
            sourced_A = float(reply.split(",")[0])  # at its voltage limit the source takes current from such a cell
            if abs(sourced_A) > LIMIT_A:
                self.jump.reading = time.time()
        return reply


def host_sources(count: int, link: Connection) -> None:
    """A process with `count` sources: sends their addresses, then does as it is told."""
    sources = [WatchedSource().start() for _ in range(count)]
    link.send([source.address for source in sources])
    while (number := link.recv()) is not None:
        sources[number].go_beyond()
    link.send([source.jump for source in sources])
    link.recv()


def measure(poll_s: float, seed: int = 1) -> list[Jump]:
    context = multiprocessing.get_context("spawn")
    share = CHANNELS // PROCESSES
    links, addresses = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        context.Process(target=host_sources, args=(share, theirs), daemon=True).start()
        links.append(ours)
        addresses += ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(Path(folder), poll_s, addresses, links, random.Random(seed)))
        jumps: list[Jump] = []
        for link in links:
            link.send(None)
            jumps += link.recv()
            link.send(None)
    return jumps


async def _run(
    folder: Path, poll_s: float, addresses: list[str], links: list[Connection], chance: random.Random
) -> None:
    station = Station(_config(folder, poll_s, addresses))
    await station.open()
    try:
        while any(channel.state != "idle" for channel in station.channels.values()):
            await asyncio.sleep(0.05)
        request = Request(PROTOCOL, "protocol", CELL, "cell")
        await asyncio.gather(*(station.start(name, request, "benchmark") for name in station.channels))
        await asyncio.sleep(2.0 + poll_s)
        for number in chance.sample(range(CHANNELS), CHANNELS):
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            links[number // (CHANNELS // PROCESSES)].send(number % (CHANNELS // PROCESSES))
        await asyncio.sleep(2.0 * poll_s + 1.0)
    finally:
        await station.close()


def _config(folder: Path, poll_s: float, addresses: list[str]) -> StationConfig:
    names = [f"smu{number}" for number in range(len(addresses))]
    return StationConfig.model_validate(
        {
            "station": {
                "database": f"sqlite:///{(folder / 'station.db').as_posix()}",
                "spool": str(folder / "spool"),
                "poll": f"{poll_s} s",
            },
            "instruments": {
                name: {"driver": "keithley-2450", "address": address, "settings": {"nplc": NPLC}}
                for name, address in zip(names, addresses, strict=True)
            },
            "channels": {f"C{name[3:]}": {"source": name} for name in names},
        }
    )


def main() -> None:
    logging.getLogger("cellstation").setLevel(logging.CRITICAL)  # 64 trips are what is wanted
    rows = []
    for poll_s in (1.0, 0.25):
        jumps = measure(poll_s)
        missed = [jump for jump in jumps if not jump.off]
        whole = [jump.off - jump.exceeded for jump in jumps if jump.off]
        after = [jump.off - jump.reading for jump in jumps if jump.off]
        for what, values, target in (
            ("limit exceeded → off", whole, poll_s + MARGIN_S),
            ("reading on the wire → off", after, MARGIN_S),
        ):
            rows.append(
                (
                    f"poll {poll_s:g} s: {what}",
                    *(f"{1e3 * value:.1f}" for value in (statistics.median(values), percentile(values, 0.99))),
                    f"{1e3 * max(values):.1f}",
                    f"{1e3 * target:.0f}",
                    f"{sum(value <= target for value in values)}/{len(jumps)}{' MISSED' if missed else ''}",
                )
            )
    show(
        f"Trips: {CHANNELS} channels in one station, {CHANNELS} virtual sources in {PROCESSES} processes",
        ("", "median / ms", "p99 / ms", "max / ms", "target / ms", "within"),
        rows,
    )


if __name__ == "__main__":
    main()
