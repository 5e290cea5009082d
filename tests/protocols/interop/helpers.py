"""Protocols and cells that the tests of this folder share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from protocols import interop
from protocols.cell import Cell
from protocols.compile import Protocol, parse_protocol

GOLDEN = Path(__file__).parent / "golden"
CREATED = datetime(2026, 1, 1)
CELL = Cell.model_validate({"cell": "coin 1", "nominal_capacity": "45 mAh", "electrode_area": "1.5 cm^2"})


def protocol(steps: str, head: str = "") -> Protocol:
    """`steps` as the lines below `steps:`, without indentation."""
    lines = "\n".join(f"  {line}" for line in steps.strip("\n").splitlines())
    return parse_protocol(f"protocol: a test\n{head}steps:\n{lines}\n", "ours.yaml")


def written(steps: str, to: str, cell: Cell | None = CELL, head: str = "") -> interop.Converted:
    return interop.write(protocol(steps, head), to, cell, created=CREATED)


def read_back(converted: interop.Converted, format_name: str) -> Protocol:
    file = f"back{interop.FORMATS[format_name].extension}"
    return parse_protocol(interop.read(converted.data, format_name, file).text, "back.yaml")


def remarks(converted: interop.Converted) -> list[str]:
    return [f"{remark.where.line}: {remark.done}: {remark.what}" for remark in converted.report]
