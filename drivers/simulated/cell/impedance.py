"""One circuit for the spectrum and for the response in time: L - R1 - (R2 Q2) - (R3 Q3) - Q4.

In frequency the elements are what the names say: Z_Q = 1/(Q(jω)ⁿ), with Q in S·sⁿ. Two facts keep a true
constant-phase element out of an integration in time, and this is how both are met:

- It has no finite state. Each arc is therefore replaced in time by a ladder of RC pairs whose
  resistances are fitted, non-negative, to the arc's own spectrum, and add up to its resistance.
- Q4 alone would drift without end under a direct current, on top of the open-circuit curve, and the
  charge would be counted twice. Here it is the high-frequency side of bounded diffusion,
  Z4 = 1/(Q4 (jω + 1/τ)ⁿ) (Davidson and Cole's form): it is Q4 alone well above 1/(2πτ), and ends in
  the resistance τⁿ/Q4 below. The slow, capacitive rise belongs to the open-circuit curves, whose slope
  dU/dq adds 1/(jω dq/dU) to the spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, log10, pi
from operator import mul
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

GAS_CONSTANT = 8.314463  # J/(mol·K)


@dataclass(frozen=True, slots=True)
class Arc:
    """A resistance beside a constant-phase element, R ∥ Q."""

    resistance_ohm: float
    q: float  # S·sⁿ
    n: float
    growth_per_cycle: float = 0.0  # relative growth of the resistance per equivalent cycle

    @classmethod
    def peaking_at(cls, frequency_Hz: float, resistance_ohm: float, n: float, growth_per_cycle: float = 0.0) -> Arc:
        """The arc whose imaginary part peaks at `frequency_Hz`."""
        return cls(resistance_ohm, (2.0 * pi * frequency_Hz) ** -n / resistance_ohm, n, growth_per_cycle)

    @property
    def time_constant_s(self) -> float:
        return float((self.resistance_ohm * self.q) ** (1.0 / self.n))

    def impedance(self, omega: float) -> complex:
        return self.resistance_ohm / (1.0 + (1j * omega * self.time_constant_s) ** self.n)

    def scaled(self, factor: float) -> Arc:
        """The same time constant with `factor` times the resistance."""
        return replace(self, resistance_ohm=self.resistance_ohm * factor, q=self.q / factor)


@dataclass(frozen=True, slots=True)
class Tail:
    """A constant-phase element that is bounded below 1/(2πτ)."""

    q: float  # S·sⁿ
    n: float
    time_constant_s: float

    @property
    def resistance_ohm(self) -> float:
        return float(self.time_constant_s**self.n / self.q)

    def impedance(self, omega: float) -> complex:
        return complex(1.0 / (self.q * (1j * omega + 1.0 / self.time_constant_s) ** self.n))

    def scaled(self, factor: float) -> Tail:
        return replace(self, q=self.q / factor)


@dataclass(frozen=True, slots=True)
class Circuit:
    """The elements at 25 °C, at a middling filling, in a new cell."""

    inductance_H: float
    ohmic_ohm: float  # R1
    film: Arc  # R2, Q2
    transfer: Arc  # R3, Q3
    diffusion: Tail  # Q4
    ohmic_activation_J_mol: float = 15e3
    interface_activation_J_mol: float = 50e3
    diffusion_activation_J_mol: float = 30e3

    def scaled(self, factor: float) -> Circuit:
        """The same cell with 1/`factor` times the area: every resistance times `factor`."""
        return replace(
            self,
            ohmic_ohm=self.ohmic_ohm * factor,
            film=self.film.scaled(factor),
            transfer=self.transfer.scaled(factor),
            diffusion=self.diffusion.scaled(factor),
        )

    @property
    def direct_current_ohm(self) -> float:
        return self.ohmic_ohm + self.film.resistance_ohm + self.transfer.resistance_ohm + self.diffusion.resistance_ohm


class Factors(NamedTuple):
    """What state, age and temperature multiply each resistance by."""

    ohmic: float
    film: float
    transfer: float
    diffusion: float


def arrhenius(activation_J_mol: float, temperature_degC: float) -> float:
    """Relative resistance at a temperature, 1 at 25 °C."""
    return exp(activation_J_mol / GAS_CONSTANT * (1.0 / (temperature_degC + 273.15) - 1.0 / 298.15))


def ladder(element: Arc | Tail, times_s: npt.NDArray[np.float64]) -> list[float]:
    """Non-negative resistances of RC pairs with the given time constants that resemble `element`, with its total.

    Least squares over the real and imaginary part, relative to the element's resistance, from a decade below
    the slowest pair's corner to a decade above the fastest's.
    """
    omega = np.logspace(-log10(times_s.max()) - 1, -log10(times_s.min()) + 1, 20 * len(times_s))
    target = np.array([element.impedance(w) for w in omega]) / element.resistance_ohm
    pairs = 1.0 / (1.0 + 1j * omega[:, None] * times_s[None, :])
    total = np.full((1, len(times_s)), 1e3)  # a weight that makes the sum exact
    shares, _ = nnls(
        np.vstack([pairs.real, pairs.imag, total]), np.concatenate([target.real, target.imag, [1e3]]), maxiter=1000
    )
    return [float(r) for r in shares / shares.sum() * element.resistance_ohm]


class Kernel(NamedTuple):
    """What one step of a given length does to the RC pairs."""

    time_s: float
    decays: list[float]
    gains: list[float]  # Ω; voltage per ampere that grows on each pair
    film_ohm: float  # their sums
    transfer_ohm: float
    diffusion_ohm: float


@dataclass(slots=True)
class Polarisation:
    """The circuit in time: the voltage that the current leaves behind, for a current constant over each step."""

    circuit: Circuit
    times_s: list[float] = field(init=False)
    resistances: list[float] = field(init=False)
    voltages: list[float] = field(init=False)
    _ends: tuple[int, int] = field(init=False)  # of the film's and the transfer's part of the lists
    _kernel: Kernel = field(init=False)

    def __post_init__(self) -> None:
        c = self.circuit
        film = c.film.time_constant_s * np.logspace(-2.0, 2.0, 7)
        transfer = c.transfer.time_constant_s * np.logspace(-2.0, 2.0, 7)
        diffusion = c.diffusion.time_constant_s * np.logspace(-3.5, 0.0, 9)
        self.times_s = [*map(float, film), *map(float, transfer), *map(float, diffusion)]
        self.resistances = [*ladder(c.film, film), *ladder(c.transfer, transfer), *ladder(c.diffusion, diffusion)]
        self.voltages = [0.0] * len(self.times_s)
        self._ends = len(film), len(film) + len(transfer)
        self._kernel = self._make_kernel(0.0)

    def kernel(self, time_s: float) -> Kernel:
        """The kernel for a step of `time_s`; the last one is kept."""
        if time_s != self._kernel.time_s:
            self._kernel = self._make_kernel(time_s)
        return self._kernel

    def _make_kernel(self, time_s: float) -> Kernel:
        decays = [exp(-time_s / tau) for tau in self.times_s]
        gains = [r * (1.0 - e) for r, e in zip(self.resistances, decays, strict=True)]
        first, second = self._ends
        return Kernel(time_s, decays, gains, sum(gains[:first]), sum(gains[first:second]), sum(gains[second:]))

    def outlook(self, kernel: Kernel, factors: Factors) -> tuple[float, float]:
        """(a, b): at the end of the step, a current I makes the voltage a + b·I."""
        a = sum(map(mul, self.voltages, kernel.decays))
        b = (
            factors.ohmic * self.circuit.ohmic_ohm
            + factors.film * kernel.film_ohm
            + factors.transfer * kernel.transfer_ohm
            + factors.diffusion * kernel.diffusion_ohm
        )
        return a, b

    def advance(self, kernel: Kernel, factors: Factors, current_A: float) -> None:
        first, second = self._ends
        film, transfer, diffusion = (current_A * f for f in (factors.film, factors.transfer, factors.diffusion))
        drives = [film] * first + [transfer] * (second - first) + [diffusion] * (len(self.voltages) - second)
        self.voltages = [
            v * e + d * g for v, e, d, g in zip(self.voltages, kernel.decays, drives, kernel.gains, strict=True)
        ]


def impedance(circuit: Circuit, factors: Factors, slope_V_C: float, frequency_Hz: float) -> complex:
    """The circuit's impedance in Ω with the open-circuit voltage's slope dV/dq (V/C, positive)."""
    omega = 2.0 * pi * frequency_Hz
    return (
        1j * omega * circuit.inductance_H
        + factors.ohmic * circuit.ohmic_ohm
        + factors.film * circuit.film.impedance(omega)
        + factors.transfer * circuit.transfer.impedance(omega)
        + factors.diffusion * circuit.diffusion.impedance(omega)
        + slope_V_C / (1j * omega)
    )
