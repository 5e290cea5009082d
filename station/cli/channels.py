"""status, run, pause, resume, skip, stop, confirm, clear-trip."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from protocols.compile import read_protocol
from protocols.table import Value, value_of
from station.cli.common import CONNECT_DEFAULT, AsJson, Connect, client, console, err, say_json, who
from station.cli.table import say_started, start_rows
from station.client import Client
from station.readings import ChannelState, RunState, RunView
from station.tables import channels_table

Name = Annotated[str, typer.Argument(help="channel, as in station.toml")]
SetParameters = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a parameter of the protocol; repeatable")
]


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
    channel: Annotated[str | None, typer.Option("--channel", help="channel, as in station.toml")] = None,
    cell: Annotated[
        str | None, typer.Option("--cell", help="a cell file, or the name of one in the station's folder")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="a CSV file with the columns channel, cell and parameters: a run for each row"),
    ] = None,
    parameters: SetParameters = None,
    wait: Annotated[bool, typer.Option("--wait", help="until the run has ended; exits 1 unless it finished")] = False,
    connect: Connect = CONNECT_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Start a protocol on a cell in a channel, or with --table on many."""
    given = parse_parameters(parameters or [])
    with client(connect) as station:
        if table is not None:
            if channel is not None or cell is not None:
                raise typer.BadParameter("the table names channels and cells", param_hint="--table")
            fine = _run_table(station, protocol, table, given, wait=wait, as_json=as_json)
        elif channel is None or cell is None:
            missing = "--channel" if channel is None else "--cell"
            raise typer.BadParameter("is needed, or a table of runs (--table)", param_hint=missing)
        else:
            view = _start(station, protocol, channel, cell, given)
            for warning in view.warnings:
                err.print(f"{view.channel}: {warning}", markup=False, soft_wrap=True)
            view = _wait(station, view) if wait else view
            fine = not wait or view.state is RunState.FINISHED
            if as_json:
                say_json(view)
            else:
                said = f"{view.state}{f' ({view.reason})' if view.reason else ''}"
                console.print(f"{view.run_id}: {said}", markup=False)
    if not fine:
        raise typer.Exit(1)


def _run_table(
    station: Client, protocol: str, table: Path, given: dict[str, Value], *, wait: bool, as_json: bool
) -> bool:
    """Whether every row was started and, where it was waited for, finished."""
    started = start_rows(station, protocol, table, given)
    for view in (one.run for one in started if one.run is not None):
        for warning in view.warnings:
            err.print(f"{view.channel}: {warning}", markup=False, soft_wrap=True)
    if wait:
        started = [replace(one, run=_wait(station, one.run)) if one.run else one for one in started]
    say_started(started, as_json=as_json)
    return all(one.run is not None and (not wait or one.run.state is RunState.FINISHED) for one in started)


def _start(station: Client, protocol: str, channel: str, cell: str, parameters: dict[str, Value]) -> RunView:
    protocol_text, protocol_file = _text_or_name(protocol)
    cell_text, cell_file = _text_or_name(cell)
    files = read_protocol(Path(protocol), parameters).files if protocol_text != protocol else {}
    return station.start(
        channel,
        protocol_text,
        cell_text,
        who(),
        parameters=parameters,
        protocol_file=protocol_file,
        cell_file=cell_file,
        files=files,
    )


def confirm(
    channel: Name,
    answer: Annotated[str, typer.Option("--answer", metavar="TEXT", help="kept with the run")] = "",
    connect: Connect = CONNECT_DEFAULT,
) -> None:
    """Answer what a channel asks its operator; the run goes on."""
    with client(connect) as station:
        station.confirm(channel, answer, who())


def parse_parameters(given: list[str]) -> dict[str, Value]:
    """'cycles=3' to {'cycles': 3}."""
    parameters: dict[str, Value] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--set")
        parameters[name.strip()] = value_of(value.strip())
    return parameters


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
