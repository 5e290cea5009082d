"""Porosity and expansion of an electrode, from its thickness.

    ε = 1 − (m/(A·L))/ρ_solid,    1/ρ_solid = Σ w_i/ρ_i
    expansion = (L − L₀)/L₀

m is the mass of the coating alone, A its area, L its thickness without the current collector, w_i the mass shares and
ρ_i the densities of what it consists of. What pores take up of the particles' growth is porosity lost: the particles'
own growth is (1 − ε)L/((1 − ε₀)L₀) − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    mass_share: float
    density_g_cm3: float


def solid_density(components: Sequence[Component]) -> float:
    """Of the coating without pores, in g cm⁻³. Raises AnalysisError where the shares do not add up to 1."""
    total = sum(component.mass_share for component in components)
    if abs(total - 1) > 5e-3:
        raise AnalysisError(f"the mass shares add up to {total:.3f}; all that the coating consists of makes 1")
    for component in components:
        if not component.density_g_cm3 > 0 or component.mass_share < 0:
            raise AnalysisError(f"'{component.name}' has a density above zero and a share of zero or more")
    return 1 / sum(component.mass_share / total / component.density_g_cm3 for component in components)


def porosity(mass_g: Estimate, area_cm2: Estimate, thickness_um: Estimate, components: Sequence[Component]) -> Estimate:
    """ε of a coating, as a share. Raises AnalysisError where it comes out at less than nothing."""
    density = solid_density(components)
    for name, value in (("mass", mass_g), ("area", area_cm2), ("thickness", thickness_um)):
        if not value.value > 0:
            raise AnalysisError(f"the coating's {name} is {value.value:g}; it is above zero")
    solid = mass_g.value / (area_cm2.value * thickness_um.value * 1e-4) / density
    u = solid * root_sum_square(*(value.relative_u or 0.0 for value in (mass_g, area_cm2, thickness_um)))
    if solid > 1 + 2 * u:
        raise AnalysisError(
            f"the coating would be {100 * solid:.0f} % solid: its mass, its area, its thickness (without the "
            "current collector) or its composition is not right"
        )
    return Estimate(1 - solid, u)


def expansion(before_um: Estimate, after_um: Estimate) -> Estimate:
    """(L − L₀)/L₀; the two thicknesses as independent."""
    if not before_um.value > 0:
        raise AnalysisError(f"the thickness before is {before_um.value:g} µm; it is above zero")
    ratio = after_um.value / before_um.value
    return Estimate(ratio - 1, abs(ratio) * root_sum_square(before_um.relative_u or 0.0, after_um.relative_u or 0.0))


def particle_expansion(thickness: Estimate, porosity_before: Estimate, porosity_after: Estimate) -> Estimate:
    """Growth of the solid's volume, where the coating grew by the share `thickness`, and in no other direction."""
    before, after = 1 - porosity_before.value, 1 - porosity_after.value
    if not before > 0:
        raise AnalysisError("a coating of nothing but pores does not expand")
    ratio = (1 + thickness.value) * after / before
    relative = root_sum_square(
        (thickness.u or 0.0) / (1 + thickness.value),
        (porosity_before.u or 0.0) / before,
        (porosity_after.u or 0.0) / after,
    )
    return Estimate(ratio - 1, ratio * relative)


def expansion_per_capacity(before_um: Estimate, after_um: Estimate, capacity_mAh_cm2: Estimate) -> Estimate:
    """µm per mAh cm⁻² of charge that went in: 3.36 for dense silicon, 1.57 for graphite, 4.85 for lithium plated."""
    if not capacity_mAh_cm2.value > 0:
        raise AnalysisError("an expansion is given per charge above zero")
    value = (after_um.value - before_um.value) / capacity_mAh_cm2.value
    u = root_sum_square(before_um.u or 0.0, after_um.u or 0.0) / capacity_mAh_cm2.value
    return Estimate(value, root_sum_square(u, value * (capacity_mAh_cm2.relative_u or 0.0)))
