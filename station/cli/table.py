"""Starting a run for each row of a table: all are checked before the first is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import rich.table

from protocols.compile import read_protocol
from protocols.document import DocumentError, Problem
from protocols.table import CHANNEL, Checked, Table, Value, check_rows, read_table
from station.cli.common import console, protocol_path, say_json, who
from station.client import Client, ClientError
from station.readings import ChannelState, RunView


@dataclass(frozen=True)
class Started:
    """What became of a row: a run, or why there is none."""

    checked: Checked
    run: RunView | None
    refused: str = ""


def start_rows(station: Client, protocol: str, path: Path, given: Mapping[str, Value]) -> list[Started]:
    """Raises `DocumentError` before anything is started where a row is wrong or its channel is not free.

    What the station refuses all the same, because an instrument says so, stops no other row.
    """
    protocol_file, table = protocol_path(protocol), read_table(path)
    rows = check_rows(table, lambda row: read_protocol(protocol_file, {**given, **row}))
    if problems := list(_channel_problems(station, table, rows)):
        raise DocumentError(problems)
    return [_start(station, protocol_file, table, checked, given) for checked in rows]


def _channel_problems(station: Client, table: Table, rows: tuple[Checked, ...]) -> Iterator[Problem]:
    channels = {channel.name: channel for channel in station.status().channels}
    for row in (checked.row for checked in rows):
        field = row.fields.get(CHANNEL)
        if field is None:
            yield table.problem(row.line, field, "names no channel to run on")
        elif field.text not in channels:
            yield table.problem(
                row.line, field, f"there is no channel '{field.text}'; there are: {', '.join(channels)}"
            )
        elif (channel := channels[field.text]).state is not ChannelState.IDLE:
            yield table.problem(row.line, field, f"channel '{field.text}' is {channel.state}, not idle")


def _start(station: Client, protocol: Path, table: Table, checked: Checked, given: Mapping[str, Value]) -> Started:
    cell = table.cell_path(checked.row)
    try:
        view = station.start(
            checked.row.text(CHANNEL),
            protocol.read_text(encoding="utf-8-sig"),
            cell.read_text(encoding="utf-8-sig"),
            who(),
            parameters={**given, **checked.row.parameters},
            protocol_file=str(protocol),
            cell_file=str(cell),
            files=checked.protocol.files,
        )
    except ClientError as error:
        return Started(checked, None, str(error))
    return Started(checked, view)


def say_started(started: list[Started], *, as_json: bool) -> None:
    """A line for each row."""
    if as_json:
        say_json([_as_json(one) for one in started])
        return
    table = rich.table.Table()
    for heading in ("line", "channel", "cell", "parameters", "run"):
        table.add_column(heading)
    for one in started:
        row = one.checked.row
        parameters = ", ".join(f"{name}={value}" for name, value in row.parameters.items())
        said = f"{one.run.run_id}: {one.run.state}" if one.run else f"not started: {one.refused}"
        table.add_row(str(row.line), row.text(CHANNEL), one.checked.cell.cell, parameters, said)
    console.print(table)


def _as_json(one: Started) -> dict[str, str | int | None]:
    return {
        "line": one.checked.row.line,
        "channel": one.checked.row.text(CHANNEL),
        "cell": one.checked.cell.cell,
        "run_id": one.run.run_id if one.run else None,
        "state": one.run.state if one.run else None,
        "refused": one.refused,
    }
