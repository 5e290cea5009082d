"""calibration list, show, fit, apply. What computes is imported where it is used."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from station.cli import calibration_apply, calibration_certificate, calibration_fit
from station.cli.common import AsJson, calibrations_folder, console, say_json

if TYPE_CHECKING:
    from calibration.record import Calibration
    from calibration.registry import Drift, Entry

app = typer.Typer(help="Calibrations of pressure sensors.", no_args_is_help=True)
calibration_apply.add_to(app)
calibration_fit.add_to(app)
calibration_certificate.add_to(app)

Folder = Annotated[
    Path | None,
    typer.Option("--calibrations", help="folder of the records; otherwise that of station.toml in this folder"),
]


@app.command("list")
def list_calibrations(calibrations: Folder = None, as_json: AsJson = False) -> None:
    """All sensors with their newest calibration; exits 1 where a record cannot be used."""
    from calibration.record import CalibrationError
    from calibration.registry import Registry
    from station.cli.calibration_tables import print_list

    registry = Registry(calibrations_folder(calibrations))
    found, damaged = [], False
    for sensor in registry.sensors():
        try:
            newest = registry.newest(sensor)
        except CalibrationError as error:
            print(error, file=sys.stderr)
            damaged = True
            continue
        if newest is not None:
            found.append((newest, len(registry.versions(sensor))))
    if as_json:
        say_json([_line(record, versions) for record, versions in found])
    elif found:
        print_list(found, _today())
    elif not damaged:
        console.print(f"{registry.folder}: no calibrations", markup=False)
    if damaged:
        raise typer.Exit(1)


@app.command()
def show(
    sensor: Annotated[str, typer.Argument(help="name of a sensor, as 'cellstation calibration list' shows it")],
    version: Annotated[int | None, typer.Option("--version", min=1, help="otherwise the newest")] = None,
    calibrations: Folder = None,
    as_json: AsJson = False,
) -> None:
    """A sensor's calibration: the curve, its range, the budget, and how it drifted since the ones before."""
    from calibration.registry import Registry
    from station.cli.calibration_tables import print_history, print_record

    registry = Registry(calibrations_folder(calibrations))
    record = registry.get(sensor, version or max(registry.versions(sensor), default=1))
    history = registry.history(sensor)
    if as_json:
        say_json(_detail(record, history))
        return
    print_record(record, _today())
    print_history(history)


def _today() -> datetime.date:
    return datetime.datetime.now().astimezone().date()


def _line(record: Calibration, versions: int) -> dict[str, Any]:
    budgets = record.evaluation.budgets
    return {
        "sensor": record.sensor,
        "version": record.version,
        "versions": versions,
        "calibrated": record.calibrated.isoformat(),
        "expires": record.expires.isoformat() if record.expires else None,
        "expired": record.expired(_today()),
        "model": record.model.kind,
        "force_min_N": record.force_min_N,
        "force_max_N": record.force_max_N,
        "expanded_mid_range": budgets[len(budgets) // 2].expanded if budgets else None,
        "simulated": record.simulated,
    }


def _detail(record: Calibration, history: tuple[Entry, ...]) -> dict[str, Any]:
    parts = ("model", "area", "reference", "meter", "conditions", "temperature", "note", "sha256")
    return {
        **_line(record, len(history)),
        **record.model_dump(mode="json", include={*parts}),
        "evaluation": record.evaluation.model_dump(mode="json", exclude={"table"}),
        "history": [
            {
                "version": entry.calibration.version,
                "calibrated": entry.calibration.calibrated.isoformat(),
                "expired": entry.expired,
                "drift": _drift(entry.drift) if entry.drift else None,
            }
            for entry in history
        ],
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "since": drift.earlier,
        "mean": drift.mean,
        "largest": float(drift.change[drift.worst]),
        "at_N": float(drift.forces_N[drift.worst]),
        "combined_expanded": float(drift.combined[drift.worst]),
        "within": drift.within,
    }
