"""The device under test, as its file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from protocols.document import Document
from protocols.limits import LimitsModel, Model
from protocols.quantities import (
    AmpereHours,
    AmpereHoursPerGram,
    Celsius,
    Grams,
    Pascals,
    Share,
    SquareCentimetres,
    Volts,
)

KNOWN_REFERENCES: Mapping[str, float] = {"Li": 0.0, "Li-In": 0.62}
"""Potentials in V against Li⁺/Li. Li-In in its two-phase region: Santhosha et al., Batteries & Supercaps 2 (2019)."""
_SPELLINGS = {"li": "Li", "li+/li": "Li", "li/li+": "Li", "li-in": "Li-In", "liin": "Li-In", "in/inli": "Li-In"}


def reference_name(text: str) -> str:
    """'Li', 'Li-In', or the text itself where it is no spelling of a known reference."""
    plain = text.strip().replace("⁺", "+").replace("–", "-").lower()
    return _SPELLINGS.get(plain, text.strip())


class Reference(Model):
    """The electrode that the terminals' voltage is measured against: a known name, or any with its potential."""

    name: str = Field(min_length=1)
    potential: Volts | None = Field(None, description="against Li+/Li")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.potential is None and reference_name(self.name) not in KNOWN_REFERENCES:
            known = ", ".join(KNOWN_REFERENCES)
            raise ValueError(f"'{self.name}' is none of {known}; give {{name: …, potential: 0.5 V}} against Li+/Li")
        return self

    @property
    def volts(self) -> float:
        """Against Li⁺/Li."""
        return KNOWN_REFERENCES[reference_name(self.name)] if self.potential is None else self.potential


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
    reference: Reference | None = Field(None, description="what the terminals' voltage is against: 'Li-In', ...")
    state_of_charge: Share | None = Field(None, ge=0, le=1, description="when a run begins; 0 % is discharged")
    cells_in_series: int = Field(1, ge=1, description="of a bipolar stack")
    stack_pressure: Pascals | None = Field(None, gt=0, description="that the cell is assembled under")
    temperature: Celsius | None = Field(None, description="that the cell is run at, where nothing measures or sets it")
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
