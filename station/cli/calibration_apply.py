"""calibration apply: the pressures of an old run by another calibration."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from station.cli.common import AsJson, Database, calibrations_folder, console, database_url, resolved_run, say_json, who
from station.cli.results import RunId

if TYPE_CHECKING:
    from calibration.record import Calibration
    from station.readings import DerivationView
    from station.store import Archive


def add_to(app: typer.Typer) -> None:
    app.command()(apply)


def apply(
    run_id: RunId,
    sensor: Annotated[str | None, typer.Option(help="whose calibration; otherwise the run's own sensor")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="of the calibration; otherwise the newest")] = None,
    show: Annotated[bool, typer.Option("--list", help="show the run's sets of pressures, and change nothing")] = False,
    calibrations: Annotated[
        Path | None, typer.Option(help="folder of the records; otherwise that of station.toml in this folder")
    ] = None,
    db: Database = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Derive the pressures of a run that is over with another version of its sensor's calibration.

    The former pressures are kept: 'export --calibration' writes them, and applying their version brings them back.
    """
    from station.derivation import carry_out, plan
    from station.store import Archive

    url = database_url(db)
    archive = Archive(url)
    run_id = resolved_run(archive, run_id)
    if show:
        _say(archive.derivations(run_id), as_json=as_json)
        return
    name = sensor or _sensor_of(archive, run_id)
    calibration = _record(calibrations_folder(calibrations), name, version)
    planned = plan(archive, run_id, calibration, who(), time.time())
    if planned.change is None:
        if not as_json:
            console.print(f"run {run_id} has the pressures by {calibration.id} already", markup=False)
    else:
        if not as_json:
            console.print(f"run {run_id}, {calibration.id}: {planned.change.in_words()}", markup=False)
        if not yes:
            typer.confirm("Give the run these pressures? The former ones are kept.", abort=True)
        carry_out(url, planned)
    if as_json:
        _say(archive.derivations(run_id), as_json=True)


def _sensor_of(archive: Archive, run_id: str) -> str:
    """As it was bound to the channel when the run began."""
    document = json.loads(archive.snapshot(run_id).document)
    bound = (document.get("channel") or {}).get("sensor") or {}
    name = bound.get("name") or (document.get("calibration") or {}).get("sensor")
    if not isinstance(name, str):
        raise typer.BadParameter("the run states no pressure sensor: say which", param_hint="--sensor")
    return name


def _record(folder: Path, sensor: str, version: int | None) -> Calibration:
    from calibration.record import CalibrationError
    from calibration.registry import Registry

    registry = Registry(folder)
    if version is not None:
        return registry.get(sensor, version)
    newest = registry.newest(sensor)
    if newest is None:
        raise CalibrationError(f"there is no calibration of sensor '{sensor}' in {folder}")
    return newest


def _say(known: tuple[DerivationView, ...], *, as_json: bool) -> None:
    if as_json:
        say_json(known)
        return
    table = Table()
    for heading in ("number", "calibration", "SHA-256", "under load since", "derived", "who", ""):
        table.add_column(heading)
    for one in known:
        table.add_row(
            str(one.number),
            one.calibration or "none",
            one.sha256[:12],
            "not known" if one.assembled is None else _moment(one.assembled),
            _moment(one.time),
            one.who,
            "current" if one.current else "kept",
        )
    console.print(table)


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
