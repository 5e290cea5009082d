"""What simulated cells are made of, and how people write it: 'Si | Li', 'µm-Si ‖ LPSCl ‖ NCM90'.

Capacities, losses and fade are plausible numbers of this simulator, not data of one material.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from drivers.simulated.cell.electrodes import VOLUME_IN_NICKEL_OXIDE, VOLUME_IN_PHOSPHATE, VOLUME_IN_SELENIDE
from drivers.simulated.cell.ocv import iron_phosphate, nickel_rich_oxide, selenium_composite
from drivers.simulated.cell.tables import Curve

INDIUM_V = 0.62  # of In/InLi against lithium: Santhosha et al., Batteries & Supercaps 2 (2019) 524


@dataclass(frozen=True, slots=True)
class HostMaterial:
    """A positive electrode's material."""

    name: str
    pattern: str
    curve: Curve
    capacity_Ah_g: float
    built: float  # filling
    usable: float  # filling that a cell against lithium uses between its voltages at C/10
    window_V: tuple[float, float]  # usual, against lithium
    full_window_V: tuple[float, float]  # usual, against silicon
    volume_of_lithium: float
    fade_per_cycle: float


@dataclass(frozen=True, slots=True)
class SiliconMaterial:
    name: str
    pattern: str
    composite: bool = False  # with carbon; its capacity is stated as what it gives


@dataclass(frozen=True, slots=True)
class MetalMaterial:
    name: str
    pattern: str
    potential_V: float = 0.0


@dataclass(frozen=True, slots=True)
class BlockingMaterial:
    name: str
    pattern: str
    capacitance_F_cm2: float


Material: TypeAlias = HostMaterial | SiliconMaterial | MetalMaterial | BlockingMaterial

INDIUM = MetalMaterial("Li-In", r"li-?in|in-?li|in|indium|li0\.5in|lixin", INDIUM_V)
LFP = HostMaterial(
    "LFP",
    r"lfp|lifepo4",
    iron_phosphate,
    capacity_Ah_g=0.175,
    built=0.99,
    usable=0.985,
    window_V=(2.5, 3.8),
    full_window_V=(2.0, 3.9),
    volume_of_lithium=VOLUME_IN_PHOSPHATE,
    fade_per_cycle=1e-4,
)
NICKEL_RICH = HostMaterial(
    "NMC811 (also NCM811, NCM90)",
    r"(nmc|ncm)([89]\d{0,3})?|lini0\.[89].*o2",
    nickel_rich_oxide,
    capacity_Ah_g=0.200,
    built=0.93,
    usable=0.668,
    window_V=(2.8, 4.3),
    full_window_V=(2.5, 4.2),
    volume_of_lithium=VOLUME_IN_NICKEL_OXIDE,
    fade_per_cycle=3e-4,
)
SELENIUM = HostMaterial(
    "Se-Mo6Se8",
    r"se-?mo6se8|mo6se8-?se",
    selenium_composite,
    capacity_Ah_g=0.450,
    built=0.02,
    usable=0.97,
    window_V=(INDIUM_V + 0.9, INDIUM_V + 3.2),
    full_window_V=(1.0, 3.6),
    volume_of_lithium=VOLUME_IN_SELENIDE,
    fade_per_cycle=3e-4,
)
MATERIALS: tuple[Material, ...] = (
    LFP,
    NICKEL_RICH,
    SELENIUM,
    SiliconMaterial("Si-C", r"si(licon)?[-/](c|carbon|graphite|gr)|sic", composite=True),
    SiliconMaterial("Si", r"si(licon)?"),
    INDIUM,
    MetalMaterial("Li", r"li(thium)?(-?(metal|foil))?"),
    BlockingMaterial("steel", r"steel|stainless-?steel|sus(\d+l?)?|ss(\d+l?)?|ti|titanium|au|gold|pt|platinum", 10e-6),
    BlockingMaterial("carbon", r"c|carbon(-?black)?|vgcf|super-?p", 1e-3),
)
QUALIFIERS = r"(([\u00b5\u03bcu]m|nm|micro|nano|porous|columnar|bulk)-?)+"
PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉\u2010\u2011\u2012\u2013\u2212_", "0123456789------")
SOLID = (
    r"lps|li6ps5|argyrodite|lgps|lzo|llzo|latp|lagp|lic$|lyc|lipon|lisicon|sulfide|sulphide|halide|oxide|solid|sse?$"
)


def known_chemistries() -> str:
    names = ", ".join(material.name for material in MATERIALS)
    return (
        f"two electrodes out of {names}, such as 'Si | Li', 'Si | NMC811', 'Se-Mo6Se8 | Li-In', 'Li | Li' or "
        "'steel | LPSCl | steel'"
    )


def _material(text: str) -> Material | None:
    word = text.strip().lower().translate(PLAIN)
    word = re.sub(r"[\s-]+", "-", word)
    word = re.sub(r"(?<=[a-z])-(?=\d)", "", word)
    for candidate in (word, re.sub(f"^{QUALIFIERS}", "", word)):
        for material in MATERIALS:
            if re.fullmatch(material.pattern, candidate):
                return material
    return None


@dataclass(frozen=True, slots=True)
class Chemistry:
    """What a text such as 'Si | LPSCl | NCM90' says."""

    positive: Material
    negative: Material
    solid: bool  # the electrolyte is

    @classmethod
    def parse(cls, text: str) -> Chemistry:
        """Raises `ValueError` for what no simulated cell is made of, with a list of what there is."""
        separator = r"\|+|‖|∥" if re.search(r"[|‖∥]", text) else "/"
        parts = [part for part in re.split(separator, text) if part.strip()]
        if len(parts) < 2:
            raise ValueError(f"the chemistry {text!r} does not name two electrodes; known are {known_chemistries()}")
        first, last = parts[0], parts[-1]
        materials = []
        for part in (first, last):
            material = _material(part)
            if material is None:
                raise ValueError(
                    f"no simulated cell has an electrode of {part.strip()!r}; known are {known_chemistries()}"
                )
            materials.append(material)
        negative, positive = sorted(materials, key=_rank)
        if not _makes_a_cell(positive, negative):
            raise ValueError(f"no simulated cell is {text!r}; known are {known_chemistries()}")
        middle = " ".join(part.strip() for part in parts[1:-1]).lower()
        solid = bool(re.search(SOLID, middle)) or negative == INDIUM or isinstance(negative, BlockingMaterial)
        return cls(positive, negative, solid)


def _rank(material: Material) -> tuple[int, float]:
    """Which of two electrodes is the positive one; silicon is it in a half-cell."""
    match material:
        case MetalMaterial(potential_V=potential):
            return 0, potential
        case SiliconMaterial():
            return 1, 0.0
        case BlockingMaterial():
            return 2, 0.0
        case HostMaterial():
            return 3, 0.0


def _makes_a_cell(positive: Material, negative: Material) -> bool:
    match negative:
        case MetalMaterial():
            return True
        case SiliconMaterial():
            return isinstance(positive, HostMaterial) and positive.built > 0.5  # or nobody brings the lithium
        case BlockingMaterial():
            return isinstance(positive, BlockingMaterial)
        case HostMaterial():
            return False
