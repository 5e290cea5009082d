"""calibration: the records of pressure sensors."""

from __future__ import annotations

import typer

from station.cli import calibration_apply

app = typer.Typer(help="Calibrations of pressure sensors.", no_args_is_help=True)
calibration_apply.add_to(app)


@app.callback()
def _group() -> None:
    """Keeps the command's name where it is the only one."""
