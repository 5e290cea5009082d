"""cell zero, assembled, events: what is done to a cell and its pressure sensor by hand."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Annotated

import typer

from station.cell_events import in_words
from station.cli.common import CONNECT_DEFAULT, AsJson, Connect, client, console, say_json, who
from station.readings import CellEvent, CellEventKind

app = typer.Typer(help="What is done to a cell by hand.", no_args_is_help=True)
CellName = Annotated[str, typer.Argument(metavar="CELL", help="a cell file, or a cell's name")]
ChannelName = Annotated[str, typer.Option("--channel", help="where the cell is, as in station.toml")]
Note = Annotated[str, typer.Option("--note", help="kept with it")]


@app.command()
def zero(
    cell: CellName, channel: ChannelName, note: Note = "", connect: Connect = CONNECT_DEFAULT, as_json: AsJson = False
) -> None:
    """Before assembly: keep the resistance of the channel's pressure sensor without load."""
    _record(connect, cell, CellEventKind.ZERO, channel, None, note, as_json=as_json)


@app.command()
def assembled(
    cell: CellName,
    channel: ChannelName,
    at: Annotated[str | None, typer.Option("--at", help="when, such as '2026-09-21 14:30'; otherwise now")] = None,
    note: Note = "",
    connect: Connect = CONNECT_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The cell was closed: keep the time, from which its sensor creeps, and the built-in pressure as it is now."""
    _record(connect, cell, CellEventKind.ASSEMBLED, channel, _time(at), note, as_json=as_json)


@app.command()
def events(cell: CellName, connect: Connect = CONNECT_DEFAULT, as_json: AsJson = False) -> None:
    """What was done to a cell, oldest first."""
    with client(connect) as station:
        found = station.cell_events(_name(cell))
    if as_json:
        say_json([_plain(event) for event in found])
        return
    for event in found:
        console.print(f"{_moment(event.time)}  {event.who}  {in_words(event)}", markup=False)
    if not found:
        console.print(f"nothing is recorded of cell {_name(cell)}", markup=False)


def _record(
    connect: str, cell: str, kind: CellEventKind, channel: str, at: float | None, note: str, *, as_json: bool
) -> None:
    with client(connect) as station:
        event = station.record_cell_event(_name(cell), kind, channel, who(), at=at, note=note)
    if as_json:
        say_json(_plain(event))
    else:
        console.print(in_words(event), markup=False)


def _name(given: str) -> str:
    """What the cell calls itself, where a file is given."""
    path = Path(given)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        return given
    from protocols.cell import read_cell

    return read_cell(path).cell


def _time(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        return datetime.datetime.fromisoformat(given).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(f"'{given}' is no time, such as '2026-09-21 14:30'", param_hint="--at") from None


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def _plain(event: CellEvent) -> dict[str, object]:
    return dataclasses.asdict(event)
