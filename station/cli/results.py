"""runs, export, report. What draws and writes files is imported where it is used: it takes seconds."""

from __future__ import annotations

import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from station.cli.common import AsJson, Database, console, database_url, resolved_run, say_json

RunId = Annotated[str, typer.Argument(help="id of a run, as 'cellstation runs' lists it; 'last' is the newest")]


class Format(StrEnum):
    BDF_CSV = "bdf-csv"
    BDF_PARQUET = "bdf-parquet"


def add_to(app: typer.Typer) -> None:
    app.command()(runs)
    app.command()(export)
    app.command()(report)


def runs(db: Database = None, as_json: AsJson = False) -> None:
    """All runs in the database, newest first."""
    from station.store import Archive

    views = Archive(database_url(db)).runs()
    if as_json:
        say_json(views)
        return
    table = Table()
    for heading in ("run", "channel", "cell", "protocol", "state", "started", "cycles", "readings"):
        table.add_column(heading, no_wrap=heading == "run")  # an id is of use as a whole only
    for view in views:
        started = datetime.datetime.fromtimestamp(view.started, datetime.UTC).astimezone()
        table.add_row(
            view.run_id,
            view.channel,
            view.cell,
            view.protocol + (" (SIMULATED)" if view.simulated else ""),
            f"{view.state}{': ' + view.reason if view.reason else ''}",
            f"{started:%Y-%m-%d %H:%M}",
            str(view.cycles),
            str(view.readings),
        )
    console.print(table)


def export(
    run_id: RunId,
    output: Annotated[Path, typer.Option("-o", "--output", help="the file to write")],
    form: Annotated[Format, typer.Option("--format", help="file format")] = Format.BDF_CSV,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file if it exists")] = False,
    calibration: Annotated[
        str | None,
        typer.Option(help="pressures by this calibration ('mfsr-1 v3'), as 'calibration apply --list' shows them"),
    ] = None,
    db: Database = None,
) -> None:
    """Write a run's readings as a Battery Data Format file, with its metadata and spectra beside it."""
    from station.export import export as write_export
    from station.store import Archive

    archive = Archive(database_url(db))
    run = resolved_run(archive, run_id)
    write_export(archive, run, form, output, overwrite=overwrite, calibration=calibration)
    console.print(str(output), markup=False)


def report(
    run_id: RunId,
    output: Annotated[Path, typer.Option("-o", "--output", help="the HTML file to write")],
    db: Database = None,
) -> None:
    """Write a page about one run: the cell, the curves, the cycles, what it depended on."""
    from station.report import write_report
    from station.store import Archive

    archive = Archive(database_url(db))
    write_report(archive, resolved_run(archive, run_id), output)
    console.print(str(output), markup=False)
