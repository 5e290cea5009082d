"""protocol list, show, check, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocols import library
from protocols.cell import read_cell
from protocols.compile import Protocol, read_protocol
from station.cli.channels import parse_parameters
from station.cli.common import AsJson, console, say_json
from station.cli.convert import convert

app = typer.Typer(help="The protocol library and protocol files.", no_args_is_help=True)
app.command()(convert)

Which = Annotated[str, typer.Argument(help="a protocol file, or the name of a library protocol")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a parameter; repeatable")]


@app.command("list")
def list_protocols(as_json: AsJson = False) -> None:
    """The ready protocols."""
    found = {name: read_protocol(library.path(name)).content for name in library.names()}
    if as_json:
        say_json(
            [{"name": name, "title": content.protocol, "source": content.source} for name, content in found.items()]
        )
        return
    for name, content in found.items():
        console.print(f"{name:28} {content.protocol}", markup=False)


@app.command()
def show(protocol: Which, parameters: Set = None) -> None:
    """What a protocol does, in words."""
    read = _read(protocol, parameters)
    console.print(read.title, style="bold", markup=False)
    if read.content.source:
        console.print(read.content.source, markup=False)
    for line in read.summary():
        console.print(line, markup=False)


@app.command()
def check(
    protocol: Which,
    cell: Annotated[Path | None, typer.Option("--cell", help="check for this cell too: masses, areas, limits")] = None,
    parameters: Set = None,
) -> None:
    """Say what is wrong in a protocol file, with line and column; exits 1 where something is."""
    read = _read(protocol, parameters)
    if cell is not None:
        program = read.compile_for(read_cell(cell))
        console.print(f"{protocol}: fine for {cell}: {program.cycles_planned} cycles", markup=False)
    else:
        console.print(f"{protocol}: well-formed; give --cell to check rates and limits too", markup=False)


def _read(protocol: str, parameters: list[str] | None) -> Protocol:
    path = Path(protocol)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        path = library.path(protocol)
    return read_protocol(path, parse_parameters(parameters or []))
