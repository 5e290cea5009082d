"""One execution of a protocol on a cell in a channel, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from protocols.cell import Cell, parse_cell
from protocols.compile import parse_protocol
from protocols.program import Program
from station.store import RunSnapshot


@dataclass(frozen=True)
class Run:
    """A run, with the texts that it was made from."""

    run_id: str
    channel: str
    cell: Cell
    cell_text: str
    program: Program
    protocol_name: str
    protocol_text: str
    started: float


def prepare(
    run_id: str, channel: str, cell_text: str, cell_file: str, protocol_text: str, protocol_file: str, started: float
) -> Run:
    """Read and compile; raises `DocumentError` with every problem in either file."""
    cell = parse_cell(cell_text, cell_file)
    protocol = parse_protocol(protocol_text, protocol_file)
    return Run(run_id, channel, cell, cell_text, protocol.compile_for(cell), protocol.title, protocol_text, started)


def snapshot(run: Run, simulated: bool, depends_on: dict[str, object]) -> RunSnapshot:
    """What is stored when the run begins: everything that it depends on."""
    document = {
        "cell": {"file": run.cell.cell, "text": run.cell_text},
        "protocol": {"file": run.program.file, "text": run.protocol_text},
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
    return prepare(
        stored.run_id,
        stored.channel,
        document["cell"]["text"],
        document["cell"]["file"],
        document["protocol"]["text"],
        document["protocol"]["file"],
        stored.started,
    )
