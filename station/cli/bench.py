"""demo, virtual-bench, serve, gui. Each imports its own half of the program: none should wait for the others'."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from station.access import token
from station.cli.common import CONNECT_DEFAULT, Connect, console, say_json
from station.client import Client, ClientError


def add_to(app: typer.Typer) -> None:
    app.command()(demo)
    app.command("virtual-bench")(virtual_bench)
    app.command()(serve)
    app.command()(gui)


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="no window")] = False,
    speed: Annotated[float, typer.Option(min=1.0, help="how many times as fast as the wall's clock")] = 5000.0,
    seconds: Annotated[float | None, typer.Option(min=5.0, help="end after so many seconds")] = None,
    screenshot: Annotated[Path | None, typer.Option(help="where to put the dashboard's picture")] = None,
    output: Annotated[Path, typer.Option(help="folder for database, exports and reports")] = Path("demo-output"),
) -> None:
    """Virtual instruments, the station and the dashboard: two simulated cells cycle through library protocols."""
    from station import demonstration

    window = not headless and demonstration.has_display()
    raise typer.Exit(demonstration.run(output, speed, seconds, screenshot, window=window))


def virtual_bench(
    folder: Annotated[Path, typer.Option(help="where station.toml and the step files are written")] = Path("bench"),
    speed: Annotated[float, typer.Option(min=1.0, help="how many times as fast as the wall's clock")] = 1.0,
    epoch: Annotated[float | None, typer.Option(help="Unix time at which the scaled clock starts", hidden=True)] = None,
    port: Annotated[int, typer.Option(help="port of the station's service in station.toml")] = 8765,
    laboratory: Annotated[
        bool, typer.Option("--laboratory", help="an instrument for every driver, each at a simulated cell")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Start the virtual instruments alone and write a station.toml that reaches them. Ctrl-C ends it."""
    from drivers.simulated.bench import VirtualBench
    from drivers.simulated.clock import ScaledClock
    from drivers.simulated.laboratory import Laboratory
    from station.bench_station import write_station

    began = epoch if epoch is not None else time.time()
    folder.mkdir(parents=True, exist_ok=True)
    kind = Laboratory if laboratory else VirtualBench
    with kind(ScaledClock(speed, began), folder.resolve()) as bench:
        config = write_station(bench, folder, epoch=began, port=port)
        connections = bench.connections()
        if as_json:
            say_json([{"name": name, "driver": c.driver, "address": c.address} for name, c in connections.items()])
        else:
            console.print(f"SIMULATED instruments, clock x{speed:g}:")
            for name, connection in connections.items():
                console.print(f"  {name:16} {connection.driver:24} {connection.address}", markup=False)
            console.print(f"station: cellstation serve --config {config}", markup=False)
        sys.stdout.flush()
        _wait_for_end(with_parent)


def serve(
    config: Annotated[Path, typer.Option(help="the station's configuration")] = Path("station.toml"),
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the station: it owns the instruments and outlives every window. Ctrl-C opens all circuits."""
    from station.config import ConfigError, read_config
    from station.service import listen
    from station.service import serve as serve_station
    from station.station import Station

    settings = read_config(config)
    host, port = settings.station.host, settings.station.port
    try:
        listener = listen(host, port)
    except OSError as error:
        raise ConfigError(
            f"{config}: port {port} of {host} cannot be taken ({error.strerror}); does a station run already?"
        ) from None
    station = Station(settings)
    if with_parent:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    console.print(f"station '{settings.station.name}' on http://{host}:{listener.getsockname()[1]}", markup=False)
    serve_station(station, listener, token())


def gui(
    connect: Connect = CONNECT_DEFAULT,
    config: Annotated[Path, typer.Option(help="started where no station runs")] = Path("station.toml"),
    screenshot: Annotated[Path | None, typer.Option(help="write a picture of the window and end")] = None,
) -> None:
    """Open the dashboard; starts the station where none runs."""
    from station import demonstration

    try:
        with Client(connect, token()) as station:
            station.status()
    except ClientError:
        if not config.is_file():
            raise
        connect = demonstration.start_station(config)
    raise typer.Exit(demonstration.dashboard(connect, screenshot))


def _wait_for_end(with_parent: bool) -> None:
    try:
        if with_parent:
            sys.stdin.read()
        else:
            threading.Event().wait()
    except KeyboardInterrupt:
        pass


def _leave_with_parent() -> None:
    """The demonstration's station ends with it, however that ended."""
    sys.stdin.read()
    os._exit(0)
