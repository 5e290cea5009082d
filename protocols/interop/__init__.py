"""Exchange of protocols with other software: PyBaMM, aurora-unicycler, NEWARE, BioLogic, CHI, tomato.

`write` says a protocol of ours in another format, `read` makes one of ours of another's file. Both come with a report:
what a format cannot say is left out or approximated and named, never dropped in silence, and what would make the result
unsafe or endless is refused with a `DocumentError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from protocols.cell import Cell
from protocols.compile import Protocol
from protocols.document import DocumentError, Problem
from protocols.interop import (
    biologic,
    chi,
    neware,
    neware_reader,
    pybamm_reader,
    pybamm_writer,
    tomato,
    unicycler_reader,
    unicycler_writer,
)
from protocols.interop.expand import plan_of
from protocols.interop.plan import Hold, Loop, Plan, PlanItem, Unit, amounts, goes_on_at, in_amperes, steps
from protocols.interop.positions import decoded
from protocols.interop.report import Done, Remark, Report, Where
from protocols.interop.text import protocol_text

__all__ = ["FORMATS", "OURS", "Converted", "Done", "Format", "Remark", "Where", "guess", "read", "write"]

OURS = "cellstation"


@dataclass(frozen=True, slots=True)
class Converted:
    """The text of the other file, as it is encoded there, and what is not in it as it was written."""

    text: str
    report: tuple[Remark, ...]
    encoding: str = "utf-8"
    newline: str = "\n"

    @property
    def data(self) -> bytes:
        """What belongs into the file."""
        return self.text.replace("\n", self.newline).encode(self.encoding)

    @property
    def losses(self) -> tuple[Remark, ...]:
        return tuple(remark for remark in self.report if remark.is_loss)


@dataclass(frozen=True, slots=True)
class Format:
    """One format that protocols are exchanged in."""

    name: str
    extension: str
    description: str
    reader: Callable[[bytes, str, Report], Plan] | None = None
    writer: Callable[[Plan, Report, datetime], str] | None = None
    in_amperes: bool = False  # it knows no C-rates
    impedance: bool = False  # it knows spectra
    encoding: str = "utf-8"
    newline: str = "\n"

    @property
    def can_read(self) -> bool:
        return self.reader is not None

    @property
    def can_write(self) -> bool:
        return self.writer is not None


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format(
            "pybamm",
            ".py",
            "PyBaMM experiment: a Python file (or a JSON list) of strings and tuples",
            lambda data, file, report: pybamm_reader.read(decoded(data, file), file, report),
            lambda plan, report, _: pybamm_writer.write(plan, report),
        ),
        Format(
            "unicycler",
            ".json",
            "aurora-unicycler protocol (JSON)",
            lambda data, file, report: unicycler_reader.read(decoded(data, file), file, report),
            lambda plan, report, _: unicycler_writer.write(plan, report),
            impedance=True,
        ),
        Format("neware", ".xml", "NEWARE BTS 8 step file (XML)", neware_reader.read, neware.write, in_amperes=True),
        Format(
            "biologic",
            ".mps",
            "BioLogic EC-Lab settings, Modulo Bat",
            None,
            lambda plan, report, _: biologic.write(plan, report),
            in_amperes=True,
            impedance=True,
            encoding=biologic.ENCODING,
            newline=biologic.NEWLINE,
        ),
        Format(
            "chi",
            ".mcr",
            "CH Instruments macro",
            None,
            lambda plan, report, _: chi.write(plan, report),
            in_amperes=True,
            impedance=True,
            encoding=chi.ENCODING,
        ),
        Format(
            "tomato",
            ".yml",
            "tomato payload 2.2 (YAML)",
            None,
            lambda plan, report, _: tomato.write(plan, report),
            in_amperes=True,
        ),
    )
}


def write(
    protocol: Protocol, format_name: str, cell: Cell | None = None, *, created: datetime | None = None
) -> Converted:
    """A protocol of ours in another format. `created` is the date in the file, where it has one (now).

    Raises `DocumentError` with every reason why it cannot be written, and `KeyError` for a format that is not known.
    """
    chosen = _format(format_name)
    if chosen.writer is None:
        raise KeyError(f"protocols cannot be written as '{format_name}'")
    report = Report()
    plan = plan_of(protocol, cell, report, impedance=chosen.impedance)
    if not plan.items:
        report.refuse(plan.where, f"nothing is left of it that {chosen.name} could say")
    report.finish()
    if chosen.in_amperes:
        plan = _with_currents(plan, chosen, report)
    text = chosen.writer(plan, report, created or datetime.now().astimezone())
    return Converted(text, report.finish(), chosen.encoding, chosen.newline)


def read(data: bytes | str, format_name: str, file: str) -> Converted:
    """Another's file as the text of a protocol of ours. `file` names it in messages and in the text.

    Raises `DocumentError` with every problem, and `KeyError` for a format that is not known or cannot be read.
    """
    chosen = _format(format_name)
    if chosen.reader is None:
        raise KeyError(f"protocols cannot be read from '{format_name}'; write them only")
    report = Report()
    plan = chosen.reader(data.encode("utf-8", "replace") if isinstance(data, str) else data, file, report)
    _remark_on_holds(plan.items, report)
    remarks = report.finish()
    return Converted(protocol_text(plan, chosen.description, remarks), remarks)


def guess(file: str, data: bytes) -> str:
    """The format of a file by its extension and content: a name of `FORMATS` or `OURS`."""
    by_extension = {one.extension: one.name for one in FORMATS.values()}
    by_extension |= {".yaml": OURS, ".yml": OURS, ".txt": "pybamm"}
    name = by_extension.get(PurePath(file).suffix.lower())
    if name == "unicycler":
        return "pybamm" if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") else name
    if name is None:
        said = "does not say by its extension what it is; give --from"
        raise DocumentError([Problem(file, 1, 1, f"{said} {', '.join((OURS, *FORMATS))}")])
    return name


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise KeyError(f"no format '{name}'; there are: {', '.join(FORMATS)}")
    return FORMATS[name]


def _with_currents(plan: Plan, chosen: Format, report: Report) -> Plan:
    """With currents in A for all rates; that takes a cell."""
    rates = [item for item in steps(plan.items) if any(one.unit is Unit.C_RATE for one in amounts(item))]
    if rates and plan.capacity_Ah is None:
        for item in rates:
            report.refuse(item.where, f"{chosen.name} wants currents in mA: give a cell, so that 1C is a current")
        report.finish()
    return replace(plan, items=in_amperes(plan.items, plan.capacity_Ah or 1.0))


def _remark_on_holds(items: tuple[PlanItem, ...], report: Report) -> None:
    before: PlanItem | None = None
    for item in items:
        if isinstance(item, Loop):
            _remark_on_holds(item.items, report)
        elif isinstance(item, Hold) and item.limit is None and not goes_on_at(item, before):
            report.note(item.where, "says no largest current for the hold; the channel's own limit is what bounds it")
        before = item
