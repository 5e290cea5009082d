"""One execution of a protocol on a cell in a channel, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from calibration.record import Calibration
from protocols.cell import Cell, parse_cell
from protocols.compile import parse_protocol
from protocols.program import Program
from station.conversion import Conversion
from station.store import RunSnapshot


@dataclass(frozen=True)
class Request:
    """What someone asks to be run: the texts, and what messages call them."""

    protocol_text: str
    protocol_file: str
    cell_text: str
    cell_file: str
    parameters: dict[str, int | float | str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # texts that the protocol draws on, by the name it uses


@dataclass(frozen=True)
class Run:
    """A run, with the texts that it was made from."""

    run_id: str
    channel: str
    cell: Cell
    request: Request
    program: Program
    protocol_name: str
    started: float
    conversion: Conversion = field(default_factory=Conversion)  # of its pressure sensor's resistance, where it has one
    warnings: tuple[str, ...] = ()  # known before it began


def prepare(run_id: str, channel: str, request: Request, started: float) -> Run:
    """Read and compile; raises `DocumentError` with every problem in either file."""
    cell = parse_cell(request.cell_text, request.cell_file)
    protocol = parse_protocol(request.protocol_text, request.protocol_file, request.parameters, request.files)
    return Run(run_id, channel, cell, request, protocol.compile_for(cell), protocol.title, started)


def snapshot(run: Run, simulated: bool, depends_on: dict[str, object]) -> RunSnapshot:
    """What is stored when the run begins: everything that it depends on."""
    calibration = run.conversion.calibration
    document = {
        "cell": {"file": run.request.cell_file, "text": run.request.cell_text},
        "protocol": {"file": run.request.protocol_file, "text": run.request.protocol_text},
        "parameters": run.request.parameters,
        "files": run.request.files,
        "calibration": calibration.model_dump(mode="json") if calibration else None,
        "assembled": run.conversion.assembled,
        "warnings": run.warnings,
        **depends_on,
    }
    return RunSnapshot(
        run_id=run.run_id,
        channel=run.channel,
        cell=run.cell.cell,
        protocol=run.protocol_name,
        started=run.started,
        simulated=simulated,
        active_mass_g=run.cell.active_mass,
        electrode_area_cm2=run.cell.electrode_area,
        document=json.dumps(document, ensure_ascii=False, default=str),
    )


def revive(stored: RunSnapshot) -> Run:
    """The run as it was begun, for going on after the station died."""
    document = json.loads(stored.document)
    cell, protocol = document["cell"], document["protocol"]
    parameters, files = document["parameters"], document.get("files", {})  # no files in runs of version 0.1.0
    request = Request(protocol["text"], protocol["file"], cell["text"], cell["file"], parameters, files)
    run = prepare(stored.run_id, stored.channel, request, stored.started)
    return replace(run, conversion=_conversion(document, stored.started), warnings=tuple(document.get("warnings", ())))


def _conversion(document: Mapping[str, Any], started: float) -> Conversion:
    """As it was when the run began; without a calibration where its record is one of version 0.1.0."""
    kept = document.get("calibration")
    try:
        calibration = Calibration.model_validate(kept) if kept else None
    except ValidationError:
        calibration = None
    return Conversion(calibration, document.get("assembled"), started)
