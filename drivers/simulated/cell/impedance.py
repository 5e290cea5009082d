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

from dataclasses import dataclass, replace
from math import exp, log10, pi
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

GAS_CONSTANT = 8.314463  # J/(mol·K)
FORGOTTEN = 1e-6  # what a step may leave of a pair's voltage for it to be in its steady state
KEPT_KERNELS = 256


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
class DoubleLayer:
    """What a constant-phase element has beyond the capacitor that it becomes below 1/(2πτ).

    The whole double layer is Z = (1 + jωτ)^(1-n)/(jωC): the element 1/(Q (jω)ⁿ) with Q = C τ^(n-1) well above
    1/(2πτ), and the capacitor C below. The capacitor itself, 1/(jωC), is the blocking electrodes' own. Like the
    inductance this acts in the spectrum alone: the current that leaks past the capacitor would flow through it.
    """

    capacitance_F: float
    n: float
    time_constant_s: float
    resistance_ohm = 0.0

    def impedance(self, omega: float) -> complex:
        whole = (1.0 + 1j * omega * self.time_constant_s) ** (1.0 - self.n)
        return complex((whole - 1.0) / (1j * omega * self.capacitance_F))

    def scaled(self, factor: float) -> DoubleLayer:
        return replace(self, capacitance_F=self.capacitance_F / factor)


@dataclass(frozen=True, slots=True)
class Circuit:
    """The elements at 25 °C, at a middling filling, in a new cell."""

    inductance_H: float
    ohmic_ohm: float  # R1
    film: Arc  # R2, Q2
    transfer: Arc  # R3, Q3
    diffusion: Tail | DoubleLayer  # Q4
    ohmic_activation_J_mol: float = 15e3
    interface_activation_J_mol: float = 50e3
    diffusion_activation_J_mol: float = 30e3
    pressure_exponent: float = 0.0  # R1 falls with the stack's pressure to the power of minus this
    reference_Pa: float = 25e6

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


def contact(circuit: Circuit, pressure_Pa: float) -> float:
    """Relative ohmic resistance at a stack pressure, 1 at the reference; below 10 kPa it gets no worse."""
    if circuit.pressure_exponent == 0.0:
        return 1.0
    return float((max(1e4, pressure_Pa) / circuit.reference_Pa) ** -circuit.pressure_exponent)


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


Pair: TypeAlias = tuple[int, float, float]
"""Of an RC pair: its place, what a step leaves of its voltage, and the voltage per ampere that a step adds, in Ω."""


class Kernel(NamedTuple):
    """What one step of a given length does to the RC pairs: to those that remember what was before, and the rest."""

    film: tuple[Pair, ...]
    transfer: tuple[Pair, ...]
    diffusion: tuple[Pair, ...]
    film_ohm: float  # voltage per ampere that a step adds to all of the film's pairs
    transfer_ohm: float
    diffusion_ohm: float
    settled: tuple[tuple[int, float], ...]  # place and resistance of the pairs that end it in their steady state
    settled_film_ohm: float  # their sums
    settled_transfer_ohm: float
    settled_diffusion_ohm: float


class Polarisation:
    """The circuit in time: the voltage that the current leaves behind, for a current constant over each step.

    A pair much faster than the step ends it in its steady state. Only when a step of another length follows is
    that state written down, so that long steps cost no more than the few pairs slower than themselves.
    """

    def __init__(self, circuit: Circuit) -> None:
        film = circuit.film.time_constant_s * np.logspace(-2.0, 2.0, 7)
        transfer = circuit.transfer.time_constant_s * np.logspace(-2.0, 2.0, 7)
        diffusion = circuit.diffusion.time_constant_s * np.logspace(-3.5, 0.0, 9)
        self.ohmic_ohm = circuit.ohmic_ohm
        self.times_s = [*map(float, film), *map(float, transfer), *map(float, diffusion)]
        self.resistances = [
            *ladder(circuit.film, film),
            *ladder(circuit.transfer, transfer),
            *(ladder(circuit.diffusion, diffusion) if isinstance(circuit.diffusion, Tail) else [0.0] * len(diffusion)),
        ]
        self.voltages = [0.0] * len(self.times_s)
        self._ends = len(film), len(film) + len(transfer)
        self._kernels: dict[float, Kernel] = {}
        self._last_s, self._last = 0.0, self._make_kernel(0.0)  # the last one asked for
        self._unwritten: tuple[tuple[int, float], ...] = ()  # pairs that the last step left in their steady state
        self._drives = 0.0, 0.0, 0.0  # what drove the pairs of film, transfer and diffusion in it

    def _make_kernel(self, time_s: float) -> Kernel:
        decays = [exp(-time_s / tau) for tau in self.times_s]
        gains = [r * (1.0 - e) for r, e in zip(self.resistances, decays, strict=True)]
        settled = [r if e <= FORGOTTEN else 0.0 for r, e in zip(self.resistances, decays, strict=True)]
        pairs = [pair for pair in zip(range(len(decays)), decays, gains, strict=True) if pair[1] > FORGOTTEN]
        first, second = self._ends
        return Kernel(
            film=tuple([pair for pair in pairs if pair[0] < first]),
            transfer=tuple([pair for pair in pairs if first <= pair[0] < second]),
            diffusion=tuple([pair for pair in pairs if pair[0] >= second]),
            film_ohm=sum(gains[:first]),
            transfer_ohm=sum(gains[first:second]),
            diffusion_ohm=sum(gains[second:]),
            settled=tuple([(place, resistance) for place, resistance in enumerate(settled) if resistance]),
            settled_film_ohm=sum(settled[:first]),
            settled_transfer_ohm=sum(settled[first:second]),
            settled_diffusion_ohm=sum(settled[second:]),
        )

    def outlook(self, time_s: float, factors: Factors) -> tuple[float, float]:
        """(a, b): at the end of a step, a current I makes the voltage a + b·I."""
        kernel = self._kernel(time_s)
        voltages, a = self.voltages, 0.0
        for pairs in kernel[:3]:
            for place, decay, _ in pairs:
                a += voltages[place] * decay
        ohmic, film, transfer, diffusion = factors
        return a, (
            ohmic * self.ohmic_ohm
            + film * kernel.film_ohm
            + transfer * kernel.transfer_ohm
            + diffusion * kernel.diffusion_ohm
        )

    def advance(self, time_s: float, factors: Factors, current_A: float) -> float:
        """Let the current flow; returns the voltage that it makes at the end of the step."""
        kernel = self._last if time_s == self._last_s else self._kernel(time_s)
        ohmic, film, transfer, diffusion = factors
        film *= current_A
        transfer *= current_A
        diffusion *= current_A
        self._unwritten, self._drives = kernel.settled, (film, transfer, diffusion)
        voltages = self.voltages
        films, transfers, diffusions, _, _, _, _, film_ohm, transfer_ohm, diffusion_ohm = kernel
        total = (
            ohmic * self.ohmic_ohm * current_A + film * film_ohm + transfer * transfer_ohm + diffusion * diffusion_ohm
        )
        for place, decay, gain in films:
            voltages[place] = voltage = voltages[place] * decay + film * gain
            total += voltage
        for place, decay, gain in transfers:
            voltages[place] = voltage = voltages[place] * decay + transfer * gain
            total += voltage
        for place, decay, gain in diffusions:
            voltages[place] = voltage = voltages[place] * decay + diffusion * gain
            total += voltage
        return total

    def _kernel(self, time_s: float) -> Kernel:
        """The kernel for a step of `time_s`; those in use are kept."""
        if time_s == self._last_s:
            return self._last
        kernel = self._kernels.get(time_s)
        if kernel is None:
            if len(self._kernels) >= KEPT_KERNELS:
                self._kernels.clear()
            kernel = self._kernels[time_s] = self._make_kernel(time_s)
        if self._unwritten:
            self._write_settled()
        self._last_s, self._last = time_s, kernel
        return kernel

    def _write_settled(self) -> None:
        film, transfer, diffusion = self._drives
        first, second = self._ends
        for place, resistance in self._unwritten:
            drive = film if place < first else transfer if place < second else diffusion
            self.voltages[place] = drive * resistance
        self._unwritten = ()


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
