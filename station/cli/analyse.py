"""analyse …: derived quantities, from a run or from a file."""

from __future__ import annotations

import typer

from station.cli import analyse_cycling, analyse_impedance

app = typer.Typer(
    help="Derived quantities, from a run of the database or from a file.", no_args_is_help=True, rich_markup_mode=None
)
analyse_cycling.add_to(app)
analyse_impedance.add_to(app)
