"""status, run, pause, resume, skip, stop, confirm, clear-trip."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from protocols.compile import read_protocol
from station.cli.common import CONNECT_DEFAULT, AsJson, Connect, client, console, err, say_json, who
from station.client import Client
from station.readings import ChannelState, RunState, RunView
from station.tables import channels_table

Name = Annotated[str, typer.Argument(help="channel, as in station.toml")]


def add_to(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(run)
    app.command()(confirm)
    for verb, text in (
        ("pause", "Open the circuit and keep the place in the protocol."),
        ("resume", "Go on where the run was paused."),
        ("skip", "End the present step and go on with the next."),
        ("stop", "End the run with the circuit open."),
        ("clear-trip", "After looking into it: clear a trip; the run stays paused."),
    ):
        app.command(verb, help=text)(_command(verb))


def status(connect: Connect = CONNECT_DEFAULT, as_json: AsJson = False) -> None:
    """What every channel does now. Exits 1 where a channel is tripped or the database is in trouble."""
    with client(connect) as station:
        view = station.status()
    if as_json:
        say_json(view)
    else:
        title = f"{view.name}" + (f" – SIMULATED, clock x{view.speed:g}" if view.simulated else "")
        console.print(channels_table(view, title))
        if view.store != "ok":
            err.print(view.store, markup=False)
    bad = view.store != "ok" or any(channel.state is ChannelState.TRIPPED for channel in view.channels)
    raise typer.Exit(1 if bad else 0)


def run(
    protocol: Annotated[str, typer.Argument(help="a protocol file, or the name of a library protocol")],
    channel: Annotated[str, typer.Option("--channel", help="channel, as in station.toml")],
    cell: Annotated[str, typer.Option("--cell", help="a cell file, or the name of one in the station's folder")],
    parameters: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a parameter of the protocol; repeatable")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until the run has ended; exits 1 unless it finished")] = False,
    connect: Connect = CONNECT_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Start a protocol on a cell in a channel."""
    given = parse_parameters(parameters or [])
    protocol_text, protocol_file = _text_or_name(protocol)
    cell_text, cell_file = _text_or_name(cell)
    files = read_protocol(Path(protocol), given).files if protocol_text != protocol else {}
    with client(connect) as station:
        started = station.start(
            channel,
            protocol_text,
            cell_text,
            who(),
            parameters=given,
            protocol_file=protocol_file,
            cell_file=cell_file,
            files=files,
        )
        if wait:
            started = _wait(station, started)
    if as_json:
        say_json(started)
    else:
        console.print(
            f"{started.run_id}: {started.state}{f' ({started.reason})' if started.reason else ''}", markup=False
        )
    if wait and started.state is not RunState.FINISHED:
        raise typer.Exit(1)


def confirm(
    channel: Name,
    answer: Annotated[str, typer.Option("--answer", metavar="TEXT", help="kept with the run")] = "",
    connect: Connect = CONNECT_DEFAULT,
) -> None:
    """Answer what a channel asks its operator; the run goes on."""
    with client(connect) as station:
        station.confirm(channel, answer, who())


def parse_parameters(given: list[str]) -> dict[str, int | float | str]:
    """'cycles=3' to {'cycles': 3}."""
    parameters: dict[str, int | float | str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--set")
        parameters[name.strip()] = _value(value.strip())
    return parameters


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _wait(station: Client, started: RunView) -> RunView:
    while True:
        view = station.run(started.run_id)
        if view.state not in (RunState.RUNNING, RunState.PAUSED):
            return view
        time.sleep(0.5)


def _text_or_name(given: str) -> tuple[str, str]:
    """The text of a file, with its name for messages; or a name that the station knows."""
    path = Path(given)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path.read_text(encoding="utf-8").rstrip("\n") + "\n", str(path)
    return given, given


def _command(verb: str) -> Callable[..., None]:
    def command(channel: Name, connect: Connect = CONNECT_DEFAULT) -> None:
        with client(connect) as station:
            getattr(station, verb.replace("-", "_"))(channel, who())

    return command
