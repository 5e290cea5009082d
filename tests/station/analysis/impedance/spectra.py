"""Synthetic spectra with known truth."""

from __future__ import annotations

import numpy as np

from station.analysis.impedance import ImpedanceSpectrum, circuit_of, from_arrays

HALF_CELL = "L-R1-(Q2R2)-(Q3R3)-Q4"
TRUTH = {
    "L": 3e-7,
    "R1": 3.0,
    "Q2": 4e-6,
    "n2": 0.9,
    "R2": 3.0,
    "Q3": 3e-4,
    "n3": 0.8,
    "R3": 16.0,
    "Q4": 0.02,
    "n4": 0.6,
}
FREQUENCY_HZ = np.logspace(6, -1, 71)


def synthetic(
    circuit: str = HALF_CELL,
    values: dict[str, float] | None = None,
    *,
    noise: float = 0.005,
    seed: int = 0,
    frequency_Hz: np.ndarray = FREQUENCY_HZ,
) -> ImpedanceSpectrum:
    """With normal noise on each part, relative to |Z|."""
    z = circuit_of(circuit).impedance(frequency_Hz, TRUTH if values is None else values)
    rng = np.random.default_rng(seed)
    z = z + noise * np.abs(z) * (rng.normal(size=z.size) + 1j * rng.normal(size=z.size))
    return from_arrays(frequency_Hz, z.real, z.imag)


def random_half_cell(rng: np.random.Generator, r3_ohm: float) -> dict[str, float]:
    """What a silicon half-cell may show beside a given charge-transfer resistance."""
    return {
        "L": 10 ** rng.uniform(-7, -6),
        "R1": rng.uniform(2, 5),
        "Q2": 10 ** rng.uniform(-6, -5),
        "n2": rng.uniform(0.85, 0.95),
        "R2": rng.uniform(2, 6),
        "Q3": 10 ** rng.uniform(-4, -3),
        "n3": rng.uniform(0.7, 0.9),
        "R3": r3_ohm,
        "Q4": 10 ** rng.uniform(-2, -1),
        "n4": rng.uniform(0.5, 0.7),
    }
