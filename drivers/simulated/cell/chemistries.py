"""A cell from what a cell's file states: its chemistry in words, and a few plain values.

What is not stated is as usual for such cells: plausible numbers of this simulator, not data of one material.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf, pi

from drivers.simulated.cell.blocking import BlockingParameters
from drivers.simulated.cell.electrodes import (
    VOLUME_IN_INDIUM,
    VOLUME_IN_METAL,
    ElectrodeParameters,
    HostParameters,
    MetalParameters,
    SiliconParameters,
)
from drivers.simulated.cell.impedance import Arc, Circuit, DoubleLayer
from drivers.simulated.cell.materials import (
    INDIUM,
    BlockingMaterial,
    Chemistry,
    HostMaterial,
    Material,
    MetalMaterial,
    SiliconMaterial,
)
from drivers.simulated.cell.parameters import (
    CASINGS,
    COUNTER_SHARE,
    FULL_CELL_CIRCUIT,
    HALF_CELL_CIRCUIT,
    SOLID_CIRCUIT,
    SYMMETRIC_CIRCUIT,
    CellParameters,
    Format,
    SILICON_IN_USE_mAh_g,
    SILICON_LOADING_mg_cm2,
    THEORETICAL_SILICON_mAh_g,
    formed_filling,
)
from drivers.simulated.cell.sensor import SensorParameters

THEORETICAL_SILICON_Ah_g = THEORETICAL_SILICON_mAh_g * 1e-3
SILICON_IN_USE_Ah_g = SILICON_IN_USE_mAh_g * 1e-3
LITHIUM_Ah_g = 3.861
SILICON_USABLE = 0.985  # of the silicon that takes part
NO_ARC = 1e-6  # of the electrolyte's resistance: an electrode that blocks has no arc of its own
SILICON_EXCESS = 1.15  # of a full cell's silicon over its capacity
KEPT_BY_SILICON = 0.17  # of a full cell's capacity, in its first cycle
PROVIDED_FOR_SILICON = 0.19  # of it, in its positive electrode
COULOMBS_PER_Ah = 3600.0


def parameters_for(
    chemistry: str,
    *,
    format: str = "",
    capacity_Ah: float | None = None,
    electrode_area_cm2: float | None = None,
    active_mass_g: float | None = None,
    specific_capacity_Ah_g: float | None = None,
    cells_in_series: int = 1,
    stack_pressure_Pa: float | None = None,
    formed: bool = False,
) -> CellParameters:
    """The simulated cell that comes closest to what is stated; what is not stated is as usual for such cells.

    `chemistry` names the electrodes in either order, with the electrolyte between them if need be: 'Si | Li',
    'µm-Si ‖ LFP', 'Si-C || LPSCl || NCM90', 'steel / LPSCl / steel'. The capacity is `capacity_Ah`, or else
    `specific_capacity_Ah_g` times `active_mass_g`; a cell gives it at C/10 between its usual voltages. In a half-cell
    of silicon it is the theoretical one, of which 2960/3579 take part, unless the specific capacity is stated as
    less than 2960 mAh/g or the silicon comes with carbon. `stack_pressure_Pa` is that of the cell as built. `formed`
    cells are discharged and have their first cycle behind them. All values are of one cell of `cells_in_series`.

    Raises `ValueError` for an unknown chemistry or format and for values that are not above zero.
    """
    made_of = Chemistry.parse(chemistry)
    _check(
        capacity_Ah=capacity_Ah,
        electrode_area_cm2=electrode_area_cm2,
        active_mass_g=active_mass_g,
        specific_capacity_Ah_g=specific_capacity_Ah_g,
        cells_in_series=cells_in_series,
        stack_pressure_Pa=stack_pressure_Pa,
    )
    shape = _format(format, made_of.solid)
    size = _size(made_of, shape, capacity_Ah, electrode_area_cm2, active_mass_g, specific_capacity_Ah_g)
    positive, negative = _electrodes(made_of, size, formed)
    casing = CASINGS[shape]
    low, high = _window_V(made_of)
    return CellParameters(
        name=chemistry.strip(),
        format=shape,
        positive=positive,
        negative=negative,
        circuit=_circuit(made_of).scaled(cells_in_series / size.area_cm2),
        casing=replace(
            casing,
            preload_Pa=casing.preload_Pa if stack_pressure_Pa is None else stack_pressure_Pa,
            stack_compliance_m_Pa=casing.stack_compliance_m_Pa * cells_in_series,
        ),
        sensor=SensorParameters(),
        nominal_capacity_Ah=size.capacity_Ah,
        voltage_window_V=(low * cells_in_series, high * cells_in_series),
        active_mass_g=size.mass_g,
        electrode_area_cm2=size.area_cm2,
        cells_in_series=cells_in_series,
    )


def _check(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0.0 < value < inf:
            raise ValueError(f"{name} is {value}; a cell needs a finite value above zero")


FORMATS: tuple[tuple[Format, str], ...] = (
    (Format.COIN, r"coin|button|cr\d|swagelok|t-cell|three"),
    (Format.POUCH, r"pouch|prismatic|laminate"),
    (Format.PRESS, r"press|pellet|mou?ld|die|peek|piston"),
)
AREAS_cm2 = {Format.COIN: pi / 4.0 * 1.2**2, Format.POUCH: 7.5, Format.PRESS: pi / 4.0}


def _format(text: str, solid: bool) -> Format:
    if not text.strip():
        return Format.PRESS if solid else Format.COIN
    for shape, pattern in FORMATS:
        if re.search(pattern, text.lower()):
            return shape
    raise ValueError(f"no simulated cell has the format {text!r}; known are coin, pouch and press")


@dataclass(frozen=True, slots=True)
class Size:
    capacity_Ah: float  # what 1C refers to
    area_cm2: float
    mass_g: float
    theoretical: bool  # of silicon: not all of the capacity takes part


def _size(
    made_of: Chemistry,
    shape: Format,
    capacity_Ah: float | None,
    area_cm2: float | None,
    mass_g: float | None,
    specific_Ah_g: float | None,
) -> Size:
    limiting = made_of.positive
    theoretical = isinstance(limiting, SiliconMaterial) and not limiting.composite
    if specific_Ah_g is not None:
        theoretical = theoretical and specific_Ah_g >= SILICON_IN_USE_Ah_g
    usual_Ah_g, usual_Ah_cm2 = _usual(limiting)
    specific_Ah_g = specific_Ah_g or usual_Ah_g
    if capacity_Ah is None and mass_g is not None:
        capacity_Ah = mass_g * specific_Ah_g
    if area_cm2 is None:
        area_cm2 = AREAS_cm2[shape]
        if capacity_Ah is not None and (shape is Format.POUCH or capacity_Ah > 2.0 * usual_Ah_cm2 * area_cm2):
            area_cm2 = capacity_Ah / usual_Ah_cm2
    if capacity_Ah is None:
        capacity_Ah = usual_Ah_cm2 * area_cm2
    return Size(capacity_Ah, area_cm2, mass_g or capacity_Ah / specific_Ah_g, theoretical)


def _usual(material: Material) -> tuple[float, float]:
    """Specific (Ah/g) and areal (Ah/cm²) capacity where neither is stated."""
    match material:
        case HostMaterial(capacity_Ah_g=specific):
            return specific, 2e-3
        case SiliconMaterial(composite=True):
            return 1.2, 2e-3
        case SiliconMaterial():
            return THEORETICAL_SILICON_Ah_g, SILICON_LOADING_mg_cm2 * 1e-3 * THEORETICAL_SILICON_Ah_g
        case MetalMaterial():
            return LITHIUM_Ah_g, 9e-3
        case BlockingMaterial():
            return 1.0, 1e-3  # only for 1C to mean something


def _electrodes(made_of: Chemistry, size: Size, formed: bool) -> tuple[ElectrodeParameters, ElectrodeParameters]:
    area_m2, capacity_C = size.area_cm2 * 1e-4, size.capacity_Ah * COULOMBS_PER_Ah
    match made_of.positive, made_of.negative:
        case HostMaterial() as host, SiliconMaterial() as silicon:
            host_C = capacity_C * (1.0 + PROVIDED_FOR_SILICON) / host.usable
            kept = KEPT_BY_SILICON * capacity_C / host_C if formed else 0.0
            return (
                _host(host, host_C, area_m2, host.built - kept),
                _silicon(silicon, SILICON_EXCESS * capacity_C, area_m2, formed),
            )
        case HostMaterial() as host, MetalMaterial() as metal:
            return _host(host, capacity_C / host.usable, area_m2, host.built), _metal(metal, area_m2)
        case SiliconMaterial() as silicon, MetalMaterial() as metal:
            share = SILICON_IN_USE_Ah_g / THEORETICAL_SILICON_Ah_g if size.theoretical else 1.0 / SILICON_USABLE
            return _silicon(silicon, share * capacity_C, area_m2, formed), _metal(metal, area_m2, COUNTER_SHARE)
        case positive, negative:
            return _simple(positive, area_m2), _simple(negative, area_m2)


def _simple(material: Material, area_m2: float) -> ElectrodeParameters:
    match material:
        case MetalMaterial():
            return _metal(material, area_m2)
        case BlockingMaterial():
            return BlockingParameters(material.capacitance_F_cm2 * area_m2 * 1e4, area_m2)
        case HostMaterial() | SiliconMaterial():
            raise AssertionError(f"{material.name} is in cells with a capacity alone")


def _host(host: HostMaterial, capacity_C: float, area_m2: float, filling: float) -> HostParameters:
    return HostParameters(host.curve, capacity_C, area_m2, filling, host.volume_of_lithium, host.fade_per_cycle)


def _silicon(silicon: SiliconMaterial, capacity_C: float, area_m2: float, formed: bool) -> SiliconParameters:
    parameters = SiliconParameters(capacity_C, area_m2, filling=formed_filling(formed), formed=formed)
    return replace(parameters, share_empty=0.3, share_full=0.6) if silicon.composite else parameters


def _metal(metal: MetalMaterial, area_m2: float, share: float = 1.0) -> MetalParameters:
    if metal == INDIUM:
        share, volume = COUNTER_SHARE, VOLUME_IN_INDIUM
    else:
        volume = VOLUME_IN_METAL
    return MetalParameters(area_m2, share=share, potential_V=metal.potential_V, volume_of_lithium=volume)


def _window_V(made_of: Chemistry) -> tuple[float, float]:
    match made_of.positive, made_of.negative:
        case HostMaterial() as host, SiliconMaterial():
            return host.full_window_V
        case HostMaterial() as host, MetalMaterial(potential_V=potential):
            return host.window_V[0] - potential, host.window_V[1] - potential
        case SiliconMaterial(), MetalMaterial(potential_V=potential):
            return 0.02 - potential, (2.0 if potential == 0.0 else 1.5) - potential
        case BlockingMaterial(), MetalMaterial(potential_V=potential):
            return 2.0 - potential, 5.5 - potential
        case _:
            return -1.0, 1.0


def _circuit(made_of: Chemistry) -> Circuit:
    """For 1 cm²."""
    match made_of.positive, made_of.negative:
        case BlockingMaterial() as one, BlockingMaterial() as other:
            return blocking_circuit(1.0 / (1.0 / one.capacitance_F_cm2 + 1.0 / other.capacitance_F_cm2))
        case BlockingMaterial() as blocker, _:
            return blocking_circuit(blocker.capacitance_F_cm2)
        case MetalMaterial(), _:
            solid = replace(SYMMETRIC_CIRCUIT, ohmic_ohm=SOLID_CIRCUIT.ohmic_ohm, pressure_exponent=0.05)
            return solid if made_of.solid else SYMMETRIC_CIRCUIT
        case SiliconMaterial(), _:
            return SOLID_CIRCUIT if made_of.solid else HALF_CELL_CIRCUIT
        case _:
            return SOLID_CIRCUIT if made_of.solid else FULL_CELL_CIRCUIT


def blocking_circuit(
    capacitance_F_cm2: float,
    *,
    conductivity_S_cm: float = 2e-3,
    thickness_cm: float = 0.06,
    activation_J_mol: float = 32e3,
    pressure_exponent: float = 0.05,
) -> Circuit:
    """For 1 cm² of an electrolyte at 25 °C and 25 MPa, with a constant-phase double layer on each side.

    The resistance follows exp(E/RT); the double layer has n = 0.9 above 16 mHz, and is a capacitor below.
    """
    resistance = thickness_cm / conductivity_S_cm
    none = Arc.peaking_at(1e5, NO_ARC * resistance, n=0.9)
    return Circuit(
        inductance_H=SOLID_CIRCUIT.inductance_H,
        ohmic_ohm=resistance,
        film=none,
        transfer=none,
        diffusion=DoubleLayer(capacitance_F_cm2, n=0.9, time_constant_s=10.0),
        ohmic_activation_J_mol=activation_J_mol,
        diffusion_activation_J_mol=0.0,
        pressure_exponent=pressure_exponent,
    )
