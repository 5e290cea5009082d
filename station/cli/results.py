"""runs, export, report. What draws and writes files is imported where it is used: it takes seconds."""

from __future__ import annotations

import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from station.cli.common import AsJson, Database, console, database_url, resolved_run, say_json

if TYPE_CHECKING:
    from station.analysis.cycles import Accuracy

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
    run_ids: Annotated[
        list[str], typer.Argument(help="ids of runs, as 'cellstation runs' lists them; 'last' is the newest")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="FILE.html or FILE.pdf; without an ending both are written")
    ],
    current_gain_error: Annotated[
        str | None, typer.Option("--current-gain-error", help="standard uncertainty of the current's scale: '0.02 %'")
    ] = None,
    current_offset_error: Annotated[
        str | None, typer.Option("--current-offset-error", help="standard uncertainty of its zero: '50 nA'")
    ] = None,
    db: Database = None,
) -> None:
    """Write a document about a run, or a comparison of several: cell, results with uncertainties, figures, events."""
    from station.report import SUFFIXES, write_report
    from station.store import Archive

    accuracy = _accuracy(current_gain_error, current_offset_error)
    archive = Archive(database_url(db))
    runs = list(dict.fromkeys(resolved_run(archive, run_id) for run_id in run_ids))
    given = output.suffix.lower() in SUFFIXES
    paths = [output] if given else [output.with_name(output.name + suffix) for suffix in SUFFIXES]
    for path in paths:
        write_report(archive, runs, path, accuracy)
        console.print(str(path), markup=False)


def _accuracy(gain: str | None, offset: str | None) -> Accuracy | None:
    from protocols.quantities import QuantityError, share
    from station.analysis.cycles import Accuracy
    from station.cli.analysed import optional

    if gain is None and offset is None:
        return None
    try:
        relative = 0.0 if gain is None else share(gain)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint="--current-gain-error") from error
    return Accuracy(relative, optional(offset, "A", "a current", "--current-offset-error") or 0.0)
