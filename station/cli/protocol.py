"""protocol list, show, check, schema, convert."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocols import library, schema
from protocols.cell import Cell, read_cell
from protocols.checks import remarks
from protocols.compile import Protocol, read_protocol
from protocols.document import DocumentError, Problem
from protocols.program import Program
from protocols.table import CHANNEL, Checked, Table, Value, check_rows, read_table
from station.cli.channels import SetParameters, parse_parameters
from station.cli.common import AsJson, console, protocol_path, say_json
from station.cli.convert import convert

if TYPE_CHECKING:
    from station.config import StationConfig

app = typer.Typer(help="The protocol library and protocol files.", no_args_is_help=True)
app.command()(convert)

Which = Annotated[str, typer.Argument(help="a protocol file, or the name of a library protocol")]


@app.command("list")
def list_protocols(as_json: AsJson = False) -> None:
    """The ready protocols, where they were published, and the cells that they are for."""
    found = {name: read_protocol(library.path(name)).content for name in library.names()}
    if as_json:
        say_json(
            [
                {"name": name, "title": one.protocol, "source": one.source, "cell": one.cell}
                for name, one in found.items()
            ]
        )
        return
    for name, one in found.items():
        console.print(f"{name:28} {one.protocol}", markup=False)
        console.print(f"{'':28} cell {one.cell or '-'}; {one.source or '-'}", style="dim", markup=False, soft_wrap=True)


@app.command()
def show(protocol: Which, parameters: SetParameters = None) -> None:
    """What a protocol does, in words, and what was published."""
    read = read_protocol(protocol_path(protocol), parse_parameters(parameters or []))
    console.print(read.title, style="bold", markup=False)
    for said in (read.content.source, f"Cell: {read.content.cell}" if read.content.cell else ""):
        if said:
            console.print(said, markup=False)
    for line in read.summary():
        console.print(line, markup=False)
    if read.content.result:
        console.print(f"Result: {read.content.result}", markup=False, soft_wrap=True)


@app.command("schema")
def show_schema(
    cell: Annotated[bool, typer.Option("--cell", help="of cell files instead of protocols")] = False,
) -> None:
    """The JSON Schema with which an editor completes and checks files while they are typed."""
    sys.stdout.write(schema.text(schema.cell_schema() if cell else schema.protocol_schema()))


@app.command()
def check(
    protocol: Which,
    cell: Annotated[
        Path | None,
        typer.Option("--cell", help="check for this cell too: masses, areas, limits; a library's has its own"),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="a CSV file: a row for each run, with its cell and parameters")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="check what this channel can do too")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="station.toml of the channels; that of this folder otherwise")
    ] = None,
    parameters: SetParameters = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong in a protocol file, with line and column; exits 1 where something is.

    Nothing is asked of an instrument: what station.toml and the drivers declare is looked at.
    """
    if table is not None and (cell is not None or channel is not None):
        raise typer.BadParameter("a table names the cell and the channel of each run", param_hint="--table")
    path, given = protocol_path(protocol), parse_parameters(parameters or [])
    bench = _Bench.read(config, needed=channel is not None)
    notes: list[Problem] = []
    try:
        if table is not None:
            said = _check_table(path, given, table, bench)
        else:
            said = _check_one(path, given, cell, channel, bench, notes)
    except DocumentError as error:
        if not as_json:
            raise
        say_json([_row(problem, "error") for problem in error.problems])
        raise typer.Exit(1) from None
    if as_json:
        say_json([_row(note, "note") for note in notes])
        return
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(f"{protocol}: {said}", markup=False, soft_wrap=True)


def _row(problem: Problem, severity: str) -> dict[str, str | int]:
    return {**asdict(problem), "severity": severity}


def _check_one(
    path: Path,
    given: Mapping[str, Value],
    cell_path: Path | None,
    channel: str | None,
    bench: _Bench,
    notes: list[Problem],
) -> str:
    read = read_protocol(path, given)
    cell, of = _cell(read, cell_path)
    if cell is None:
        if channel is not None:
            raise typer.BadParameter("a channel is checked with a cell; give --cell", param_hint="--channel")
        return "well-formed; give --cell to check rates and limits too"
    program = read.compile_for(cell)
    notes += remarks(program)
    on = ""
    if channel is not None:
        if problems := bench.problems(program, cell, channel):
            raise DocumentError(problems)
        notes += bench.notes(program, channel)
        on = f" on channel {channel}"
    return f"fine for {of}{on}: {program.cycles_planned} cycles"


def _cell(read: Protocol, given: Path | None) -> tuple[Cell | None, str]:
    """The one given, or the library's that the protocol names; and what to call it."""
    if given is not None:
        return read_cell(given), str(given)
    if read.content.cell in library.cell_names():
        return read_cell(library.cell_path(read.content.cell)), f"the library's cell {read.content.cell}"
    return None, ""


def _check_table(path: Path, given: Mapping[str, Value], table_path: Path, bench: _Bench) -> str:
    table = read_table(table_path)
    rows = check_rows(table, lambda row: read_protocol(path, {**given, **row}))
    if problems := [problem for row in rows for problem in _row_on_channel(table, row, bench)]:
        raise DocumentError(problems)
    return f"fine for each of the {len(rows)} rows of {table_path}"


def _row_on_channel(table: Table, checked: Checked, bench: _Bench) -> list[Problem]:
    """Where the station's configuration is at hand and the table names channels."""
    row = checked.row
    if bench.config is None or CHANNEL not in row.fields:
        return []
    field = row.fields[CHANNEL]
    found = bench.problems(checked.program, checked.cell, field.text)
    return [table.problem(row.line, field, f"{field.text}: {problem}") for problem in found]


class _Bench:
    """The station's configuration, where it is at hand; read only when it is wanted, for drivers take their time."""

    def __init__(self, config: StationConfig | None, file: Path) -> None:
        self.config, self._file = config, file

    @classmethod
    def read(cls, path: Path | None, *, needed: bool) -> _Bench:
        file = path or Path("station.toml")
        if path is None and not needed:
            return cls(None, file)
        from station.config import read_config

        return cls(read_config(file), file)

    def problems(self, program: Program, cell: Cell, channel: str) -> tuple[Problem, ...]:
        from station.abilities import channel_section, problems_on

        assert self.config is not None
        return problems_on(program, cell, self.config, channel_section(self.config, channel, self._file))

    def notes(self, program: Program, channel: str) -> tuple[Problem, ...]:
        from station.abilities import channel_section, notes_on

        assert self.config is not None
        return tuple(notes_on(program, self.config, channel_section(self.config, channel, self._file)))
