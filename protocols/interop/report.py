"""What became of each part of a protocol that was converted: nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from protocols.document import DocumentError, Problem


class Done(StrEnum):
    """What was done with something that the other format cannot say, or says otherwise."""

    LEFT_OUT = "left out"
    APPROXIMATED = "approximated"
    NOTE = "note"  # nothing is lost; a person should know it


@dataclass(frozen=True, slots=True)
class Where:
    """A part of the file that is converted: its line, and the step in words where it is one."""

    file: str
    line: int = 1
    step: str = ""
    column: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is not in the result as it was written."""

    where: Where
    what: str
    done: Done

    @property
    def is_loss(self) -> bool:
        return self.done is not Done.NOTE

    def __str__(self) -> str:
        step = f"{self.where.step}: " if self.where.step else ""
        return f"{self.where.file}:{self.where.line}: {self.done}: {step}{self.what}"


@dataclass
class Report:
    """Collects remarks, and the problems for which nothing may be written."""

    remarks: list[Remark] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def left_out(self, where: Where, what: str) -> None:
        self.remarks.append(Remark(where, what, Done.LEFT_OUT))

    def approximated(self, where: Where, what: str) -> None:
        self.remarks.append(Remark(where, what, Done.APPROXIMATED))

    def note(self, where: Where, what: str) -> None:
        self.remarks.append(Remark(where, what, Done.NOTE))

    def refuse(self, where: Where, what: str) -> None:
        """What cannot be converted without making it unsafe, endless or something else."""
        step = f"{where.step}: " if where.step else ""
        self.problems.append(Problem(where.file, where.line, where.column, f"{step}{what}"))

    def finish(self) -> tuple[Remark, ...]:
        """The remarks in the order of the file. Raises `DocumentError` with every problem."""
        if self.problems:
            raise DocumentError(sorted(dict.fromkeys(self.problems), key=lambda p: (p.file, p.line, p.column)))
        once: dict[str, Remark] = {}
        for remark in self.remarks:
            once.setdefault(str(remark), remark)
        return tuple(sorted(once.values(), key=lambda r: (r.where.file, r.where.line)))
