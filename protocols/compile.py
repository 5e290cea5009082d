"""From a protocol file and a cell to a program, with every mistake found before a cell is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.builder import Builder, Here
from protocols.cell import Cell
from protocols.checks import check
from protocols.document import Document, DocumentError
from protocols.language import ProtocolFile
from protocols.limits import Limits
from protocols.program import Program
from protocols.source import Files, Source, read_source
from protocols.techniques import add_steps, markers, record_rule
from protocols.words import in_words


@dataclass(frozen=True)
class Protocol:
    """A protocol file that was read and is well-formed; `compile_for` makes it ready for a cell."""

    source: Source
    files: Mapping[str, str] = field(default_factory=dict)  # texts that it draws on, by their relative paths

    @property
    def document(self) -> Document:
        return self.source.document

    @property
    def content(self) -> ProtocolFile:
        return self.source.content

    @property
    def title(self) -> str:
        return self.content.protocol

    def compile_for(self, cell: Cell) -> Program:
        """Raises `DocumentError` with every problem: missing mass or area, a step that cannot end, ..."""
        own = _limits(self.source)
        builder = Builder(cell, own.narrowed_by(cell.limits.limits()))
        start = Here(self.source)
        add_steps(builder, start.at("steps"), self.content.steps)
        rules = [markers(builder, start.at("markers"), self.content.markers)]
        operations = builder.finish()
        program = Program(
            self.title,
            self.document.file,
            operations,
            record_rule(self.content.record),
            own,
            markers=tuple(rule for group in rules for rule in group),
            capacity_Ah=cell.capacity_Ah,
            state_of_charge=cell.state_of_charge,
            current_max_A=builder.limits.current_max_A,
        )
        if problems := check(program):
            raise DocumentError(problems)
        return program

    def summary(self) -> tuple[str, ...]:
        """The steps in words, a line each."""
        return tuple(in_words(self.content.steps))


def _limits(source: Source) -> Limits:
    """Of the file and of all that it includes."""
    limits = source.content.limits.limits()
    for part in source.includes.values():
        limits = limits.narrowed_by(_limits(part))
    return limits


def read_protocol(path: Path, parameters: Mapping[str, Any] | None = None) -> Protocol:
    """Raises `DocumentError` with every problem in the file."""
    return _protocol(Document.read(path), parameters, Files(folder=path.parent))


def parse_protocol(
    text: str,
    file: str = "protocol",
    parameters: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> Protocol:
    """`files` are the texts that the protocol draws on; the library's are known without."""
    return _protocol(Document(text, file), parameters, Files(given=dict(files or {})))


def _protocol(document: Document, parameters: Mapping[str, Any] | None, files: Files) -> Protocol:
    return Protocol(read_source(document, parameters or {}, files), files.given)
