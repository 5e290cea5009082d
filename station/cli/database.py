"""db upgrade, check, backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from station.cli.common import Database, console, database_url

app = typer.Typer(help="The station's database.", no_args_is_help=True)


@app.command()
def upgrade(db: Database = None) -> None:
    """Bring the database to this version's schema; creates it where it is missing."""
    from station import store

    url = database_url(db)
    store.upgrade(url)
    console.print(f"{url}: up to date", markup=False)


@app.command()
def check(db: Database = None) -> None:
    """Look for damage, gaps and runs without an end; exits 1 where something is found."""
    from station import store

    url = database_url(db)
    problems = store.check(url)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise typer.Exit(1)
    console.print(f"{url}: fine", markup=False)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="the file to write")],
    db: Database = None,
) -> None:
    """Copy the database while the station runs."""
    from station import store

    url = database_url(db)
    store.backup(url, target)
    console.print(str(target), markup=False)
