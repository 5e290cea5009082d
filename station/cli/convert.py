"""protocol convert: from and to the formats of other software."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.cli.channels import SetParameters, parse_parameters
from station.cli.common import AsJson, say_json

if TYPE_CHECKING:
    from protocols.interop import Converted, Remark

FORMATS_HELP = "cellstation, pybamm, unicycler, neware, biologic (to only), chi (to only) or tomato (to only)"


def convert(
    file: Annotated[str, typer.Argument(help="a protocol file of ours or of another program, or a library protocol")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=FORMATS_HELP)],
    source: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="of FILE; otherwise by its extension")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="the file to write; otherwise stdout")] = None,
    cell: Annotated[
        Path | None, typer.Option("--cell", help="makes currents in mA of C-rates, and adds limits")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="write nothing where anything would be lost")] = False,
    parameters: SetParameters = None,
    as_json: AsJson = False,
) -> None:
    """Say a protocol in another format, or read one; what the format cannot say is reported on stderr."""
    converted = _converted(file, to, source, cell, parameters)
    refused = strict and bool(converted.losses)
    if as_json:
        say_json(
            {
                "to": to,
                "output": str(output) if output is not None else None,
                "written": not refused,
                "report": [_plain(remark) for remark in converted.report],
                "text": converted.text if output is None and not refused else None,
            }
        )
    else:
        for remark in converted.report:
            print(remark, file=sys.stderr)
    if refused:
        print(f"{file}: {len(converted.losses)} losses; nothing was written (--strict)", file=sys.stderr)
        raise typer.Exit(1)
    if output is not None:
        output.write_bytes(converted.data)
    elif not as_json:
        sys.stdout.buffer.write(converted.data)
        sys.stdout.buffer.flush()


def _converted(file: str, to: str, source: str | None, cell: Path | None, parameters: list[str] | None) -> Converted:
    from protocols import interop, library
    from protocols.cell import read_cell
    from protocols.compile import parse_protocol, read_protocol

    for name in (to, source):
        if name is not None and name not in (interop.OURS, *interop.FORMATS):
            known = ", ".join((interop.OURS, *interop.FORMATS))
            raise typer.BadParameter(f"'{name}' is no format; there are: {known}")
    path = Path(file)
    if not path.is_file() and file in library.names():
        path, source = library.path(file), interop.OURS
    data = path.read_bytes()
    known = source or interop.guess(file, data)
    if (known == interop.OURS) == (to == interop.OURS):
        raise typer.BadParameter(f"from {known} to {to}: one of both is {interop.OURS}; convert in two steps")
    device = read_cell(cell) if cell is not None else None
    if to != interop.OURS:
        _check(to, interop.FORMATS[to].can_write, "--to")
        return interop.write(read_protocol(path, parse_parameters(parameters or [])), to, device)
    _check(known, interop.FORMATS[known].can_read, "--from")
    if parameters:
        raise typer.BadParameter("--set is for a protocol of ours; other files have no parameters")
    converted = interop.read(data, known, file)
    protocol = parse_protocol(converted.text, f"{file} as a protocol of ours")
    if device is not None:
        protocol.compile_for(device)
    return converted


def _check(name: str, possible: bool, option: str) -> None:
    if not possible:
        raise typer.BadParameter(f"'{name}' cannot be used with {option}: it is {FORMATS_HELP}")


def _plain(remark: Remark) -> dict[str, str | int]:
    where = remark.where
    place: dict[str, str | int] = {"file": where.file, "line": where.line, "step": where.step}
    return {**place, "what": remark.what, "done": remark.done.value}
