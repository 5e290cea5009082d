"""Ready cells: µm-Si ‖ Li half-cells, Si ‖ LFP full cells and Li ‖ Li symmetric cells, as coin or pouch.

Resistances are stated for 1 cm² and scale with the electrode's area. A half-cell's silicon is the positive
electrode, so that positive current delithiates it and raises the voltage; a full cell's is the negative one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from math import pi
from random import Random

from drivers.simulated.cell.electrodes import (
    VOLUME_IN_PHOSPHATE,
    ElectrodeParameters,
    HostParameters,
    MetalParameters,
    SiliconParameters,
)
from drivers.simulated.cell.impedance import Arc, Circuit, Tail
from drivers.simulated.cell.mechanics import Casing
from drivers.simulated.cell.ocv import iron_phosphate
from drivers.simulated.cell.sensor import SensorParameters

THEORETICAL_SILICON_mAh_g = 3579.0  # to Li3.75Si; the 1C of a half-cell
SILICON_IN_USE_mAh_g = 2960.0  # what takes part in the electrodes simulated here
SILICON_LOADING_mg_cm2 = 0.6
COUNTER_SHARE = 0.35  # of a half-cell's lithium that reaches the stack: stripping leaves pits, not a thinner foil
MILLIAMPERE_HOUR_C = 3.6
SENSOR_DISC_m2 = pi / 4.0 * 14e-3**2


class Format(enum.Enum):
    COIN = "coin"
    POUCH = "pouch"
    PRESS = "press"  # a pellet between steel pistons, as for solid electrolytes


CASINGS = {
    Format.COIN: Casing(preload_Pa=546e3, area_m2=SENSOR_DISC_m2, stiffness_N_m=6e6),
    Format.POUCH: Casing(preload_Pa=52e3, area_m2=7.5e-4, stiffness_N_m=2.5e6),
    Format.PRESS: Casing(preload_Pa=25e6, area_m2=pi / 4.0 * 10e-3**2, stiffness_N_m=2e7),
}


@dataclass(frozen=True, slots=True)
class CellParameters:
    """All that a simulated cell is made of."""

    name: str
    format: Format
    positive: ElectrodeParameters
    negative: ElectrodeParameters
    circuit: Circuit
    casing: Casing
    sensor: SensorParameters
    nominal_capacity_Ah: float  # 1C is this per hour
    voltage_window_V: tuple[float, float]
    active_mass_g: float
    electrode_area_cm2: float
    cells_in_series: int = 1  # `circuit` is that of all of them, `positive` and `negative` those of each

    def current_A(self, c_rate: float) -> float:
        return c_rate * self.nominal_capacity_Ah


# For 1 cm² each; the arcs are far enough apart to be told from each other in a spectrum.
HALF_CELL_CIRCUIT = Circuit(
    inductance_H=0.6e-6,
    ohmic_ohm=2.5,
    film=Arc.peaking_at(2.5e3, 4.5, n=0.85, growth_per_cycle=0.012),
    transfer=Arc.peaking_at(12.0, 7.5, n=0.80, growth_per_cycle=0.006),
    diffusion=Tail(q=1.8, n=0.6, time_constant_s=120.0),
)
FULL_CELL_CIRCUIT = replace(
    HALF_CELL_CIRCUIT,
    film=Arc.peaking_at(2.0e3, 6.0, n=0.85, growth_per_cycle=0.012),
    transfer=Arc.peaking_at(6.0, 12.0, n=0.80, growth_per_cycle=0.006),
)
SOLID_CIRCUIT = replace(
    HALF_CELL_CIRCUIT,
    ohmic_ohm=30.0,  # 0.6 mm at 2 mS/cm
    film=Arc.peaking_at(5.0e3, 8.0, n=0.85, growth_per_cycle=0.006),
    transfer=Arc.peaking_at(8.0, 15.0, n=0.80, growth_per_cycle=0.004),
    ohmic_activation_J_mol=32e3,
    pressure_exponent=0.05,
)
# Steady state passes the current fraction R1/(R1 + R4) = 0.3 of the initial current through the electrolyte.
SYMMETRIC_CIRCUIT = Circuit(
    inductance_H=0.6e-6,
    ohmic_ohm=10.0,
    film=Arc.peaking_at(8e3, 8.0, n=0.88),
    transfer=Arc.peaking_at(120.0, 45.0, n=0.85),
    diffusion=Tail(q=150.0**0.55 / 23.3, n=0.55, time_constant_s=150.0),
)


def silicon_half_cell(
    format: Format = Format.COIN,
    *,
    area_cm2: float = pi / 4.0 * 1.2**2,
    active_mass_mg: float | None = None,
    formed: bool = False,
) -> CellParameters:
    """µm-Si ‖ Li, 0.02 to 2 V; 1C = 3579 mA/g of silicon, 0.6 mg/cm² unless `active_mass_mg` is given."""
    mass_g = (active_mass_mg if active_mass_mg is not None else SILICON_LOADING_mg_cm2 * area_cm2) * 1e-3
    _positive(area_cm2=area_cm2, active_mass_mg=mass_g)
    area_m2 = area_cm2 * 1e-4
    silicon = SiliconParameters(
        capacity_C=mass_g * SILICON_IN_USE_mAh_g * MILLIAMPERE_HOUR_C,
        area_m2=area_m2,
        filling=formed_filling(formed),
        formed=formed,
    )
    return CellParameters(
        name="µm-Si ‖ Li",
        format=format,
        positive=silicon,
        negative=MetalParameters(area_m2, share=COUNTER_SHARE),
        circuit=HALF_CELL_CIRCUIT.scaled(1.0 / area_cm2),
        casing=CASINGS[format],
        sensor=SensorParameters(),
        nominal_capacity_Ah=mass_g * THEORETICAL_SILICON_mAh_g * 1e-3,
        voltage_window_V=(0.02, 2.0),
        active_mass_g=mass_g,
        electrode_area_cm2=area_cm2,
    )


def silicon_lfp_cell(
    format: Format = Format.POUCH,
    *,
    area_cm2: float | None = None,
    capacity_mAh: float | None = None,
    formed: bool = False,
) -> CellParameters:
    """Si ‖ LFP, 2 to 3.9 V.

    A pouch has 7.5 cm² and 11.7 mAh at C/10, a coin 1.131 cm² and as much for each cm², unless other values are
    given. `capacity_mAh` is that of the second cycle; the first charge is larger by what the silicon keeps. A
    formed cell is discharged and has its first cycle behind it; a new one rests below 1 V.
    """
    area = area_cm2 if area_cm2 is not None else {Format.COIN: pi / 4.0 * 1.2**2, Format.POUCH: 7.5}[format]
    capacity = capacity_mAh if capacity_mAh is not None else 11.7 / 7.5 * area
    _positive(area_cm2=area, capacity_mAh=capacity)
    capacity_C, area_m2 = capacity * MILLIAMPERE_HOUR_C, area * 1e-4
    return CellParameters(
        name="Si ‖ LFP",
        format=format,
        positive=HostParameters(
            iron_phosphate, capacity_C * 1.175, area_m2, 0.845 if formed else 0.99, VOLUME_IN_PHOSPHATE
        ),
        negative=SiliconParameters(capacity_C * 1.15, area_m2, filling=formed_filling(formed), formed=formed),
        circuit=FULL_CELL_CIRCUIT.scaled(1.0 / area),
        casing=CASINGS[format],
        sensor=SensorParameters(),
        nominal_capacity_Ah=capacity * 1e-3,
        voltage_window_V=(2.0, 3.9),
        active_mass_g=capacity * 1.15 / SILICON_IN_USE_mAh_g,
        electrode_area_cm2=area,
    )


def lithium_symmetric_cell(
    format: Format = Format.COIN, *, area_cm2: float = pi / 4.0 * 1.2**2, capacity_mAh: float = 10.0
) -> CellParameters:
    """Li ‖ Li; `capacity_mAh` only says what 1C means."""
    _positive(area_cm2=area_cm2, capacity_mAh=capacity_mAh)
    foil = MetalParameters(area_cm2 * 1e-4)
    return CellParameters(
        name="Li ‖ Li",
        format=format,
        positive=foil,
        negative=foil,
        circuit=SYMMETRIC_CIRCUIT.scaled(1.0 / area_cm2),
        casing=CASINGS[format],
        sensor=SensorParameters(),
        nominal_capacity_Ah=capacity_mAh * 1e-3,
        voltage_window_V=(-1.0, 1.0),
        active_mass_g=capacity_mAh / 3861.0,
        electrode_area_cm2=area_cm2,
    )


def scattered(cell: CellParameters, seed: int, relative: float = 0.03) -> CellParameters:
    """A sister cell from the same bench: resistances, capacity, preload and sensor differ by about `relative`."""
    random = Random(seed)

    def near_one() -> float:
        return random.lognormvariate(0.0, relative)

    capacity = near_one()
    return replace(
        cell,
        positive=_with_capacity(cell.positive, capacity),
        negative=_with_capacity(cell.negative, capacity),
        circuit=cell.circuit.scaled(near_one()),
        casing=replace(cell.casing, preload_Pa=cell.casing.preload_Pa * near_one()),
        sensor=replace(cell.sensor, anchor_ohm=cell.sensor.anchor_ohm * near_one()),
        nominal_capacity_Ah=cell.nominal_capacity_Ah * capacity,
        active_mass_g=cell.active_mass_g * capacity,
    )


def formed_filling(formed: bool) -> float:
    """Of discharged silicon: as it is made, or as its first cycle leaves it."""
    return 0.012 if formed else 0.0045


def _with_capacity(electrode: ElectrodeParameters, factor: float) -> ElectrodeParameters:
    if isinstance(electrode, SiliconParameters | HostParameters):
        return replace(electrode, capacity_C=electrode.capacity_C * factor)
    return electrode


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0.0:
            raise ValueError(f"{name} is {value}; a cell needs more than zero")
