"""calibration certificate. What draws is imported where it is used: it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.cli.common import calibrations_folder, console


def add_to(app: typer.Typer) -> None:
    app.command()(certificate)


def certificate(
    sensor: Annotated[str, typer.Argument(help="name of a sensor, as 'cellstation calibration list' shows it")],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="of its calibration; otherwise the newest")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="FILE.pdf or FILE.html; without an ending both are written"),
    ] = None,
    calibrations: Annotated[
        Path | None,
        typer.Option("--calibrations", help="folder of the records; otherwise that of station.toml in this folder"),
    ] = None,
) -> None:
    """Write a calibration's certificate as a PDF, as an HTML page, or as both."""
    from calibration.certificate import write_html, write_pdf
    from calibration.registry import Registry

    registry = Registry(calibrations_folder(calibrations))
    record = registry.get(sensor, version or max(registry.versions(sensor), default=1))
    history = [entry.calibration for entry in registry.history(sensor)]
    stem = output or Path(f"{record.sensor}-v{record.version}")
    writers = {".pdf": write_pdf, ".html": write_html}
    wanted = [stem.suffix.lower()] if stem.suffix.lower() in writers else list(writers)
    for suffix in wanted:
        path = stem if len(wanted) == 1 else stem.with_name(stem.name + suffix)
        writers[suffix](record, path, history)
        console.print(str(path), markup=False)
