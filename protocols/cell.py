"""The device under test, as its file describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from protocols.document import Document
from protocols.limits import LimitsModel, Model
from protocols.quantities import AmpereHours, AmpereHoursPerGram, Grams, SquareCentimetres


class Cell(Model):
    """A cell: what a rate, a limit and a specific capacity refer to.

    The capacity that 1C refers to is `nominal_capacity`, or `specific_capacity` x `active_mass`.
    """

    cell: str = Field(min_length=1, description="name of this cell, unique in the laboratory")
    chemistry: str = Field("", description="such as 'Si | Li' or 'Si | LFP'")
    format: str = Field("", description="coin, pouch, ...")
    description: str = ""
    active_mass: Grams | None = Field(None, gt=0, description="mass of the limiting active material")
    electrode_area: SquareCentimetres | None = Field(None, gt=0, description="geometric electrode area")
    nominal_capacity: AmpereHours | None = Field(None, gt=0, description="capacity that 1C refers to")
    specific_capacity: AmpereHoursPerGram | None = Field(None, gt=0, description="theoretical; 1C in mA/g")
    limits: LimitsModel = LimitsModel()

    @model_validator(mode="after")
    def _one_capacity(self) -> Self:
        if self.nominal_capacity is None and self.specific_capacity is not None and self.active_mass is None:
            raise ValueError("'specific_capacity' needs 'active_mass', so that 1C is a current")
        return self

    @property
    def capacity_Ah(self) -> float | None:
        """What 1C refers to; None where the file does not say."""
        if self.nominal_capacity is not None:
            return self.nominal_capacity
        if self.specific_capacity is not None and self.active_mass is not None:
            return self.specific_capacity * self.active_mass
        return None


def read_cell(path: Path) -> Cell:
    """Raises `DocumentError` with every problem in the file."""
    return Document.read(path).as_model(Cell)


def parse_cell(text: str, file: str = "cell") -> Cell:
    return Document(text, file).as_model(Cell)
