"""analyse: derived quantities, from a run or from a file."""

from __future__ import annotations

import typer

from station.cli import analyse_impedance

app = typer.Typer(help="Derived quantities, from a run or from a file.", no_args_is_help=True)
analyse_impedance.add_to(app)
