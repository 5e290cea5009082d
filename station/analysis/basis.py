"""What capacities and energies are given per: masses by name, an area, a volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from station.analysis.errors import AnalysisError


@dataclass(frozen=True, slots=True)
class Basis:
    """The masses in g under the names that a paper states them by ('active', 'silicon', 'electrode')."""

    masses_g: Mapping[str, float] = field(default_factory=dict)
    area_cm2: float | None = None
    volume_cm3: float | None = None

    def __post_init__(self) -> None:
        named = {f"the mass '{name}'": mass_g for name, mass_g in self.masses_g.items()}
        for what, value in {**named, "the area": self.area_cm2, "the volume": self.volume_cm3}.items():
            if value is not None and not value > 0:
                raise AnalysisError(f"{what} is {value:g}; capacities are given per something above zero")

    def capacities(self) -> Iterator[tuple[str, float]]:
        """Unit of a capacity, as names of columns write it, and what one Ah is in it."""
        yield "mAh", 1e3
        for name, mass_g in self.masses_g.items():
            yield f"mAh_g_{name}", 1e3 / mass_g
        if self.area_cm2 is not None:
            yield "mAh_cm2", 1e3 / self.area_cm2
        if self.volume_cm3 is not None:
            yield "mAh_cm3", 1e3 / self.volume_cm3

    def energies(self) -> Iterator[tuple[str, float]]:
        """Unit of an energy and what one Wh is in it; Wh kg⁻¹ is mWh g⁻¹, and Wh L⁻¹ is mWh cm⁻³."""
        for unit, scale in self.capacities():
            yield unit.replace("mAh", "mWh"), scale
