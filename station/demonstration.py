"""The demonstration: a virtual bench, a station and the dashboard, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from drivers.simulated.cell import SensorParameters
from station.access import TOKEN_VARIABLE, token
from station.client import Client, ClientError
from station.config import read_config
from station.export import export
from station.readings import CellEventKind, ChannelState, StationView
from station.report import write_report
from station.store import Archive
from station.tables import channels_table

console = Console(width=None if sys.stdout.isatty() else 120)
RUNS = {
    "A1": ("si-half-cell-long-term", "si-half-cell-1", {"cycles_at_0_2C": 5, "cycles_at_0_4C": 45}),
    "B1": ("si-lfp-full-cell", "si-lfp-coin-1", {"cycles": 100}),
}
START_TIMEOUT_S = 60.0
SECONDS_HEADLESS = 75.0
SECONDS_FOR_SCREENSHOT = 20.0


@dataclass
class Failure(Exception):
    """The demonstration could not go on; the text is for the user."""

    text: str

    def __str__(self) -> str:
        return self.text


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run(output: Path, speed: float, seconds: float | None, screenshot: Path | None, *, window: bool) -> int:
    """Run it all; returns the exit status."""
    output = output.resolve()
    folder = output / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    os.environ.setdefault(TOKEN_VARIABLE, secrets.token_urlsafe(24))
    picture = (screenshot or folder / "dashboard.png").resolve()
    try:
        with _bench(folder, speed) as config, _station(config) as url, Client(url, token()) as client:
            _start_runs(client, config)
            if window:
                status = dashboard(url, screenshot, seconds)
            else:
                status = _watch(client, url, seconds or SECONDS_HEADLESS, picture)
            _end_runs(client)
    except (Failure, ClientError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return status or _results(folder, picture)


def dashboard(url: str, screenshot: Path | None, seconds: float | None = None) -> int:
    """Open the dashboard in a process of its own and wait for its end."""
    command = [sys.executable, "-m", "gui", url]
    if screenshot is not None:
        command += ["--screenshot", str(screenshot)]
    if seconds is not None:
        command += ["--seconds", str(seconds)]
    return subprocess.run(command, env=os.environ | {TOKEN_VARIABLE: token()}, check=False).returncode


def start_station(config: Path) -> str:
    """Start a station that outlives its starter; returns its URL."""
    section = read_config(config).station
    url = f"http://{section.host}:{section.port}"
    log = config.with_name("station.log")
    command = [sys.executable, "-m", "station.cli", "serve", "--config", str(config)]
    with log.open("ab") as sink:
        apart = {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x00000200}
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, **apart)
    _wait_for_service(url, None, log)
    return url


@contextlib.contextmanager
def _bench(folder: Path, speed: float) -> Iterator[Path]:
    config = folder / "station.toml"
    command = [
        "virtual-bench",
        "--folder",
        str(folder),
        "--speed",
        str(speed),
        "--port",
        str(_free_port()),
        "--with-parent",
    ]
    with _child(command, folder / "bench.log") as process:
        _wait_for(config.is_file, process, folder / "bench.log", "the virtual bench")
        yield config


@contextlib.contextmanager
def _station(config: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{read_config(config).station.port}"
    log = config.with_name("station.log")
    with _child(["serve", "--config", str(config), "--with-parent"], log) as process:
        _wait_for_service(url, process, log)
        yield url
        with Client(url, token()) as client, contextlib.suppress(ClientError):
            client.shut_down()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15.0)


@contextlib.contextmanager
def _child(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `cellstation` process that ends with this one, however this one ends: it watches its standard input."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "station.cli", *arguments], stdin=subprocess.PIPE, stdout=sink, stderr=sink
        )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_service(url: str, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    def answers() -> bool:
        try:
            with Client(url, timeout_s=2.0) as client:
                client.status()
        except ClientError:
            return False
        return True

    _wait_for(answers, process, log, "the station")


def _wait_for(ready: object, process: subprocess.Popen[bytes] | None, log: Path, what: str) -> None:
    assert callable(ready)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if process is not None and process.poll() is not None:
            raise Failure(f"{what} ended while starting; its last words in {log}: {_last_words(log)}")
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not answer within {START_TIMEOUT_S:.0f} s; see {log}")
        time.sleep(0.05)


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "(none)"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _start_runs(client: Client, config: Path) -> None:
    _wait_for(lambda: _sensors_speak(client), None, config.with_name("station.log"), "the pressure sensors")
    simulation = read_config(config).simulation
    assert simulation is not None
    closed = simulation.epoch - SensorParameters().settled_s  # simulated sensors have settled when a bench begins
    for channel, (protocol, cell, parameters) in RUNS.items():
        client.record_cell_event(cell, CellEventKind.ASSEMBLED, channel, "demo", at=closed, note="a simulated cell")
        client.start(channel, protocol, cell, "demo", parameters=parameters)


def _sensors_speak(client: Client) -> bool:
    return all(channel.resistance_ohm is not None for channel in client.status().channels)


def _watch(client: Client, url: str, seconds: float, picture: Path) -> int:
    """Show progress until the time is over or all runs are; the picture is taken while they go on."""
    end = time.monotonic() + seconds
    shot: subprocess.Popen[bytes] | None = None
    console.print(f"SIMULATED bench, service on {url}; {seconds:.0f} s to go", markup=False)
    with Live(console=console, refresh_per_second=2, transient=not console.is_terminal) as live:
        while time.monotonic() < end:
            view = client.status()
            live.update(_table(view))
            if shot is None and time.monotonic() > end - min(0.5 * seconds, SECONDS_FOR_SCREENSHOT):
                shot = _screenshot(url, picture)
            if all(channel.state is ChannelState.IDLE for channel in view.channels):
                break
            time.sleep(0.5)
    view = client.status()
    console.print(_table(view))
    if shot is None:
        shot = _screenshot(url, picture)
    try:
        shot.wait(60.0)
    except subprocess.TimeoutExpired:
        shot.kill()
    if not picture.is_file():
        print(f"demo: the dashboard's picture was not written ({picture})", file=sys.stderr)
        return 1
    tripped = [channel for channel in view.channels if channel.state is ChannelState.TRIPPED]
    for channel in tripped:
        print(f"demo: channel {channel.name} tripped: {channel.reason}", file=sys.stderr)
    return 1 if tripped else 0


def _screenshot(url: str, picture: Path) -> subprocess.Popen[bytes]:
    picture.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {TOKEN_VARIABLE: token()}
    if not has_display():
        environment["QT_QPA_PLATFORM"] = "offscreen"
    with picture.with_suffix(".log").open("wb") as sink:
        command = [sys.executable, "-m", "gui", url, "--screenshot", str(picture)]
        return subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)


def _table(view: StationView) -> Table:
    return channels_table(view, f"{view.name} (SIMULATED, clock x{view.speed:g})")


def _end_runs(client: Client) -> None:
    for channel in client.status().channels:
        if channel.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            client.stop(channel.name, "demo")


def _results(folder: Path, picture: Path) -> int:
    database = f"sqlite:///{(folder / 'cellstation.db').as_posix()}"
    archive = Archive(database)
    print("SIMULATED results, of no real cell:")
    print(f"  database   {folder / 'cellstation.db'}")
    for view in archive.runs():
        stem = folder / f"SIMULATED-{view.run_id}"
        for form, suffix in (("bdf-csv", ".bdf.csv"), ("bdf-parquet", ".bdf.parquet")):
            # The second overwrites what stands beside the first: the same metadata, steps and spectra.
            exported = export(archive, view.run_id, form, stem.with_name(stem.name + suffix), overwrite=True)
            print(f"  export     {exported.files[0]}")
        report = stem.with_name(stem.name + ".html")
        write_report(archive, [view.run_id], report)
        print(f"  report     {report}")
    if picture.is_file():
        print(f"  screenshot {picture}")
    return 0
