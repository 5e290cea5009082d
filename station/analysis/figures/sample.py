"""What figures of cycling are of: a cell's cycles under a name, and what its capacities are given per."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from station.analysis.cycles import Cycle
from station.analysis.errors import AnalysisError
from station.analysis.halfcycles import HalfCycle
from station.analysis.record import Record


@dataclass(frozen=True, slots=True)
class CapacityUnit:
    """A unit of capacity, and how much of it is 1 Ah in this cell."""

    unit: str = "mAh"
    per_Ah: float = 1e3

    @classmethod
    def of(cls, mass_g: float | None) -> CapacityUnit:
        """Per gram where the mass is known."""
        return cls("mAh/g", 1e3 / mass_g) if mass_g else cls()

    @property
    def column(self) -> str:
        """'capacity_mAh_g', as a name of a column."""
        return "capacity_" + self.unit.replace("/", "_").replace("²", "2")

    @property
    def label(self) -> str:
        """'Capacity / mAh g⁻¹'."""
        amount, _, per = self.unit.partition("/")
        inverse = {"g": " g⁻¹", "cm²": " cm⁻²", "": ""}
        return f"Capacity / {amount}{inverse.get(per, '/' + per)}"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One cell's readings and cycles."""

    name: str
    record: Record
    cycles: tuple[Cycle, ...]
    capacity: CapacityUnit = CapacityUnit()
    simulated: bool = False
    nominal_capacity_Ah: float | None = None  # that 1C refers to
    cut: HalfCycle | None = None  # that the run was cut in, or goes on in: see `cycles.cut_half`

    @property
    def uncut_cycles(self) -> tuple[Cycle, ...]:
        """Those that the run was not cut in, whether they have both halves or one."""
        return tuple(cycle for cycle in self.cycles if self.cut is None or cycle.number != self.cut.cycle)

    @property
    def complete_cycles(self) -> tuple[Cycle, ...]:
        """Those with both half-cycles whole."""
        return tuple(cycle for cycle in self.uncut_cycles if math.isfinite(cycle.coulombic_efficiency))

    @property
    def compared_cycles(self) -> tuple[Cycle, ...]:
        """What can be compared: those that were not cut, or the one there is."""
        return self.uncut_cycles or self.cycles


def said_of_cut(samples: Iterable[Sample], drawn: str = "", numbers: Iterable[int] = ()) -> str:
    """For a caption: the cycles that runs were cut in are left out, or, those among `numbers`, `drawn`."""
    among = set(numbers)
    several = len(samples := list(samples)) > 1
    said = ""
    for sample in samples:
        if sample.cut is not None:
            which = f"Cycle {sample.cut.cycle}{f' of {sample.name}' if several else ''}"
            how = drawn if sample.cut.cycle in among else "is left out"
            said += f" {which}, in which the run was cut or goes on, {how}."
    return said


def common_unit(samples: Sequence[Sample]) -> CapacityUnit:
    """The unit of them all. Raises AnalysisError where they differ, or there is none."""
    if not samples:
        raise AnalysisError("there is no cell to draw")
    units = {sample.capacity.unit for sample in samples}
    if len(units) > 1:
        raise AnalysisError(f"capacities in one figure are of one unit, not of {' and '.join(sorted(units))}")
    return samples[0].capacity
