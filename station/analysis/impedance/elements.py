"""Elements of equivalent circuits: impedance and its derivatives by the logarithms of the parameters.

Conventions: Z in Ω, s = jω, ω = 2πf in rad/s, and −Im Z is positive where a cell is capacitive. All parameters are
positive. n lies in (0, 1].

Sources: constant-phase element: G. J. Brug et al., J. Electroanal. Chem. 176 (1984) 275. Finite-length diffusion:
D. R. Franceschetti and J. R. Macdonald, J. Electroanal. Chem. 101 (1979) 307. Gerischer: B. A. Boukamp and
H. J. M. Bouwmeester, Solid State Ionics 157 (2003) 29. Porous electrodes: R. de Levie, Adv. Electrochem.
Electrochem. Eng. 6 (1967) 329; N. Ogihara et al., J. Phys. Chem. C 119 (2015) 4612.
"""

from __future__ import annotations

import cmath
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]
# A number, or a column of them: then the impedance has a row for each.
Value: TypeAlias = Any


class Frequencies:
    """What elements need of the frequencies, computed once for many evaluations."""

    def __init__(self, frequency_Hz: Floats) -> None:
        self.omega: Floats = 2 * np.pi * np.asarray(frequency_Hz, dtype=float)
        self.log_omega: Floats = np.log(self.omega)
        self.s: Complexes = np.asarray(1j * self.omega, dtype=complex)
        self.log_s: Complexes = np.asarray(self.log_omega + 0.5j * np.pi, dtype=complex)
        self.ones: Complexes = np.ones(self.omega.size, dtype=complex)
        self.warburg: Complexes = (1 - 1j) / np.sqrt(self.omega)

    def power(self, n: Value) -> Complexes:
        """(jω)^n, the branch that a constant-phase element means."""
        turn = cmath.exp(0.5j * np.pi * n) if isinstance(n, float) else np.exp(0.5j * np.pi * n)
        powers: Complexes = np.exp(n * self.log_omega) * turn
        return powers


@dataclass(frozen=True, slots=True)
class ParameterKind:
    """One parameter of an element. `scaling` is the power of k by which it grows when the impedance grows by k."""

    name: str  # within the element; '' where the element has one main parameter, then called as the element is
    unit: str
    scaling: int


class Element(ABC):
    """One kind of element."""

    symbol: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    parameters: ClassVar[tuple[ParameterKind, ...]]

    @classmethod
    @abstractmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        """Z in Ω at the parameters `p`, in the order of `parameters`."""

    @classmethod
    @abstractmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        """∂Z/∂ln p of each parameter, where `z` is the impedance at `p`."""


class Resistor(Element):
    symbol, title, formula = "R", "resistance", "R"
    parameters = (ParameterKind("", "ohm", 1),)

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = p[0] * f.ones
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        return (z,)


class Inductor(Element):
    symbol, title, formula = "L", "inductance", "jωL"
    parameters = (ParameterKind("", "H", 1),)

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = p[0] * f.s
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        return (z,)


class Capacitor(Element):
    symbol, title, formula = "C", "capacitance", "1/(jωC)"
    parameters = (ParameterKind("", "F", -1),)

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = 1 / (p[0] * f.s)
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        return (-z,)


class ConstantPhase(Element):
    symbol, title, formula = "Q", "constant-phase element", "1/(Q(jω)^n)"
    parameters = (ParameterKind("", "S s^n", -1), ParameterKind("n", "", 0))

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = f.power(-p[1]) * (1 / p[0])
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        return -z, (-p[1]) * f.log_s * z


class Warburg(Element):
    symbol, title, formula = "W", "semi-infinite diffusion", "σ(1 − j)/√ω"
    parameters = (ParameterKind("", "ohm s^-0.5", 1),)

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = p[0] * f.warburg
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        return (z,)


class WarburgShort(Element):
    symbol, title = "Ws", "diffusion through a layer to a reservoir"
    formula = "Z0·tanh √(jωτ)/√(jωτ)"
    parameters = (ParameterKind("Z0", "ohm", 1), ParameterKind("tau", "s", 0))

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        x = np.sqrt(p[1] * f.s)
        z: Complexes = p[0] * np.tanh(x) / x
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        x = np.sqrt(p[1] * f.s)
        return z, 0.5 * (p[0] * (1 - np.tanh(x) ** 2) - z)


class WarburgOpen(Element):
    symbol, title = "Wo", "diffusion into a layer that ends"
    formula = "Z0·coth √(jωτ)/√(jωτ)"
    parameters = (ParameterKind("Z0", "ohm", 1), ParameterKind("tau", "s", 0))

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        x = np.sqrt(p[1] * f.s)
        z: Complexes = p[0] / (x * np.tanh(x))
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        x = np.sqrt(p[1] * f.s)
        return z, 0.5 * (p[0] * (1 - 1 / np.tanh(x) ** 2) - z)


class Gerischer(Element):
    symbol, title, formula = "G", "Gerischer: diffusion with reaction", "Z0/√(1 + jωτ)"
    parameters = (ParameterKind("Z0", "ohm", 1), ParameterKind("tau", "s", 0))

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        z: Complexes = p[0] / np.sqrt(1 + p[1] * f.s)
        return z

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        x = p[1] * f.s
        return z, -0.5 * z * x / (1 + x)


class BlockingPores(Element):
    symbol, title = "TLMQ", "porous electrode without charge transfer (transmission line)"
    formula = "√(R_ion·ζ)·coth √(R_ion/ζ), ζ = 1/(Q(jω)^n)"
    parameters = (ParameterKind("R_ion", "ohm", 1), ParameterKind("Q", "S s^n", -1), ParameterKind("n", "", 0))

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        return _line(p[0], np.sqrt(p[0] * p[1] * f.power(p[2])))

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        half = _half_slope(p[0], np.sqrt(p[0] * p[1] * f.power(p[2])), z)
        return z + half, half, p[2] * f.log_s * half


class ReactingPores(Element):
    symbol, title = "TLMR", "porous electrode with charge transfer (transmission line)"
    formula = "√(R_ion·ζ)·coth √(R_ion/ζ), 1/ζ = 1/R_ct + Q(jω)^n"
    parameters = (
        ParameterKind("R_ion", "ohm", 1),
        ParameterKind("R_ct", "ohm", 1),
        ParameterKind("Q", "S s^n", -1),
        ParameterKind("n", "", 0),
    )

    @classmethod
    def impedance(cls, f: Frequencies, p: Sequence[Value]) -> Complexes:
        return _line(p[0], np.sqrt(p[0] * (1 / p[1] + p[2] * f.power(p[3]))))

    @classmethod
    def derivatives(cls, f: Frequencies, p: Sequence[Value], z: Complexes) -> tuple[Complexes, ...]:
        charging = p[2] * f.power(p[3])
        admittance = 1 / p[1] + charging
        half = _half_slope(p[0], np.sqrt(p[0] * admittance), z)
        share = charging / admittance
        return z + half, -(1 - share) * half, share * half, p[3] * f.log_s * share * half


def _line(resistance: Value, u: Complexes) -> Complexes:
    """A transmission line that ends: R·coth(u)/u."""
    z: Complexes = resistance / (u * np.tanh(u))
    return z


def _half_slope(resistance: Value, u: Complexes, z: Complexes) -> Complexes:
    """½·∂Z/∂ln u of a line at constant R."""
    slope: Complexes = 0.5 * (resistance * (1 - 1 / np.tanh(u) ** 2) - z)
    return slope


ELEMENTS: dict[str, type[Element]] = {
    kind.symbol: kind
    for kind in (
        Resistor,
        Inductor,
        Capacitor,
        ConstantPhase,
        Warburg,
        WarburgShort,
        WarburgOpen,
        Gerischer,
        BlockingPores,
        ReactingPores,
    )
}
ELEMENTS["CPE"] = ConstantPhase
