"""Sensors with a known truth, pressed as a technician would, and read later in a cell.

Written from what makers and users report of such sensors, not from the evaluation: a curve, noise of each reading, a
response that differs at each insertion, two branches, creep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.data import CreepSample, Dataset, Direction, Point

REFERENCE_S = 60.0  # after loading, at which the curve is stated


@dataclass(frozen=True)
class SimulatedSensor:
    """The truth. Scatters are standard deviations of ln R; `hysteresis` is the excess conductance on the way down."""

    ln_ohm: Callable[[np.ndarray], np.ndarray]  # of ln F, in the middle of the branches
    noise: float = 0.003
    insertion: float = 0.02
    insertion_slope: float = 0.0  # of ln R per unit of ln F about the middle
    hysteresis: float = 0.04
    closing: bool = True  # the branches meet at full load
    creep: float = 0.0  # per decade of time
    noise_G_S: float = 0.0  # of conductance, on top

    def branch(self, x: np.ndarray, sign: float, low: float, high: float) -> np.ndarray:
        share = (x - low) / (high - low)
        width = 4 * share * (1 - share) if self.closing else 1.0
        return -sign * np.log1p(self.hysteresis) / 2 * width

    def read(self, x, sign, offset, rng, low, high, under_load_s=REFERENCE_S):
        x = np.asarray(x, dtype=float)
        middle = (low + high) / 2
        y = self.ln_ohm(x) + self.branch(x, sign, low, high) + offset[0] + offset[1] * (x - middle)
        y = y - np.log1p(self.creep * np.log10(under_load_s / REFERENCE_S)) + rng.normal(0, self.noise, x.shape)
        if self.noise_G_S:
            conductance = np.exp(-y) + rng.normal(0, self.noise_G_S, x.shape)
            y = -np.log(np.maximum(conductance, np.exp(-y) * 0.05))
        return y

    def offset(self, rng):
        return rng.normal(0, self.insertion), rng.normal(0, self.insertion_slope)


@dataclass(frozen=True)
class Design:
    levels: int = 10
    low_N: float = 2.0
    high_N: float = 100.0
    insertions: tuple[int, ...] = (2, 1, 1, 1)  # series in each
    burst: int = 5
    force_noise: float = 0.001
    reference: float = 0.0  # relative standard uncertainty of the load cell, drawn once for each calibration

    @property
    def ends(self):
        return np.log(self.low_N), np.log(self.high_N)


def calibrate(sensor: SimulatedSensor, design: Design, rng: np.random.Generator) -> Dataset:
    low, high = design.ends
    levels = np.linspace(low, high, design.levels)
    error = rng.normal(0, design.reference)
    points, series = [], 0
    for insertion, count in enumerate(design.insertions, 1):
        offset = sensor.offset(rng)
        for _ in range(count):
            series += 1
            up = [(x, -1.0, Direction.UP) for x in levels]
            down = [(x, 1.0, Direction.DOWN) for x in levels[-2::-1]]
            for x, sign, direction in up + down:
                true = np.full(design.burst, x + rng.normal(0, 0.01))
                y = sensor.read(true, sign, offset, rng, low, high)
                force = np.exp(true + error + rng.normal(0, design.force_noise, true.shape))
                points.append(
                    Point(
                        series=series,
                        insertion=insertion,
                        direction=direction,
                        nominal_N=float(np.exp(x)),
                        forces_N=tuple(force.tolist()),
                        resistances_ohm=tuple(np.exp(y).tolist()),
                    )
                )
    return Dataset(points=tuple(points))


def creep_hold(
    sensor: SimulatedSensor, force_N: float, rng: np.random.Generator, longest_s=3600.0
) -> tuple[CreepSample, ...]:
    times = np.geomspace(10.0, longest_s, 40)
    x = np.log(force_N)
    base = sensor.ln_ohm(np.array([x]))[0]
    y = base - np.log1p(sensor.creep * np.log10(times / REFERENCE_S)) + rng.normal(0, sensor.noise, times.shape)
    return tuple(
        CreepSample(time_s=t, force_N=force_N, resistance_ohm=float(np.exp(v))) for t, v in zip(times, y, strict=True)
    )


def power(x):
    return np.log(0.288e6) - 0.85 * (x - np.log(84.05))


def bent(x):
    return power(x) + 0.03 * (x - 3) ** 2


def saturating(x):
    return np.log(1e6 / np.exp(x) + 2e4)


def linear(x):
    return -np.log(3.4e-8 * np.exp(x) + 2e-8)
