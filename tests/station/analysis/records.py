"""Records of cells whose answers are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from station.analysis.diffusion import surface
from station.analysis.record import Record, record

Floats = NDArray[np.float64]


def ideal_cell(
    cycles: int = 3,
    *,
    efficiency: float = 0.99,
    current_A: float = 1e-3,
    capacity_Ah: float = 2e-3,
    resistance_ohm: float = 50.0,
    hold_s: float = 0.0,
    rest_s: float = 600.0,
    every_s: float = 10.0,
    charge_first: bool = True,
) -> Record:
    """Voltage 3 V + Q/capacity · 1 V + R·I; each half-cycle passes `capacity_Ah`, the second `efficiency` of it.

    Each phase has rows of its own, the first at the moment of the last one of the phase before. A hold after a charge
    lets the current decay to a tenth with time constant hold_s/ln 10.
    """
    times: list[Floats] = []
    volts: list[Floats] = []
    amperes: list[Floats] = []
    now_s, charge_Ah = 0.0, 0.0 if charge_first else capacity_Ah

    def phase(seconds: float, current: Floats, t: Floats, at_V: float | None = None) -> None:
        nonlocal now_s, charge_Ah
        passed = np.concatenate(([0.0], np.cumsum((current[1:] + current[:-1]) / 2 * np.diff(t)))) / 3600
        level = 3.0 + (charge_Ah + passed) / capacity_Ah
        times.append(now_s + t)
        amperes.append(current)
        volts.append(level + resistance_ohm * current if at_V is None else np.full(len(t), at_V))
        now_s += seconds
        charge_Ah += passed[-1]

    def drive(sign: float, amount_Ah: float) -> None:
        seconds = amount_Ah * 3600 / current_A
        t = np.linspace(0.0, seconds, max(3, round(seconds / every_s)))
        phase(seconds, np.full(len(t), sign * current_A), t)

    def rest() -> None:
        t = np.linspace(0.0, rest_s, max(2, round(rest_s / every_s)))
        phase(rest_s, np.zeros(len(t)), t)

    signs = (1.0, -1.0) if charge_first else (-1.0, 1.0)
    for _ in range(cycles):
        for sign, share in zip(signs, (1.0, efficiency), strict=True):
            drive(sign, share * capacity_Ah)
            if hold_s and sign > 0:
                t = np.linspace(0.0, hold_s, max(3, round(hold_s / every_s)))
                phase(hold_s, current_A * 10 ** (-t / hold_s), t, float(volts[-1][-1]))
            rest()
    return record(np.concatenate(times), np.concatenate(volts), np.concatenate(amperes))


def titration(
    D: float = 1e-15,
    radius_m: float = 2.5e-6,
    *,
    pulses: int = 2,
    pulse_s: float = 600.0,
    rest_s: float = 7200.0,
    rows: int = 200,
    slope_V: float = -0.4,
    share: float = 0.01,
    current_A: float = 1e-4,
    ohmic_V: float = 0.0,
    noise_V: float = 0.0,
) -> Record:
    """GITT of one sphere with a potential linear in concentration: each pulse takes up `share` of its capacity.

    The surface follows the exact solution, superposed over the beginnings and ends of all pulses.
    """
    per_pulse_V = slope_V * share
    starts = [rest_s + k * (pulse_s + rest_s) for k in range(pulses)]
    times = [np.linspace(0.0, rest_s, rows)]
    amperes = [np.zeros(rows)]
    for start in starts:
        times += [start + np.linspace(0.0, pulse_s, rows), start + pulse_s + np.linspace(0.0, rest_s, rows)]
        amperes += [np.full(rows, -current_A), np.zeros(rows)]
    time_s, current = np.concatenate(times), np.concatenate(amperes)
    T = pulse_s * D / radius_m**2
    volts = np.full(len(time_s), 0.5)
    for start in starts:
        for moment, sign in ((start, 1.0), (start + pulse_s, -1.0)):
            since = np.maximum(time_s - moment, 0.0) * D / radius_m**2
            volts += sign * per_pulse_V * surface(since) / (3 * T)
    volts -= ohmic_V * (current != 0)
    if noise_V:
        volts += np.random.default_rng(5).normal(0.0, noise_V, len(volts))
    return record(time_s, volts, current)
