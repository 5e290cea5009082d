"""Fits of impedance without start values: how many reach the truth, and in what time on one core.

Spectra are L-R1-(Q2R2)-(Q3R3)-Q4, 1 MHz to 0.1 Hz, 71 points, 0.5 % noise on each part; what is not R3 is drawn as a
silicon half-cell may show it. Times are of the processor, and what took long is taken again and the shortest counts, so
that a busy machine counts less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from benchmarks.table import percentile, show
from station.analysis.impedance import (
    CircuitFit,
    ImpedanceSpectrum,
    circuit_of,
    distribution_of_relaxation_times,
    fit_circuit,
    from_arrays,
    kramers_kronig,
    select_circuit,
)
from station.analysis.impedance.elements import Frequencies
from station.analysis.impedance.solver import minimise

R3_OHM = (7.1, 16.0, 31.2, 485.6)
SPECTRA = 250  # for each R3
CIRCUIT = circuit_of("half-cell")
FREQUENCY_HZ = np.logspace(6, -1, 71)
NOISE = 0.005
LONG_S, AGAIN = 0.03, 2
WITHIN = 3  # standard errors


@dataclass
class Tally:
    """What became of the spectra of one R3."""

    times_s: list[float]
    within: list[np.ndarray]
    best: list[bool]  # whether no descent from the truth finds better


def drawn(rng: np.random.Generator, r3_ohm: float) -> np.ndarray:
    """Parameters in the circuit's order: L, R1, Q2, n2, R2, Q3, n3, R3, Q4, n4."""
    return np.array(
        [
            10 ** rng.uniform(-7, -6),
            rng.uniform(2, 5),
            10 ** rng.uniform(-6, -5),
            rng.uniform(0.85, 0.95),
            rng.uniform(2, 6),
            10 ** rng.uniform(-4, -3),
            rng.uniform(0.7, 0.9),
            r3_ohm,
            10 ** rng.uniform(-2, -1),
            rng.uniform(0.5, 0.7),
        ]
    )


def measured(rng: np.random.Generator, truth: np.ndarray) -> ImpedanceSpectrum:
    z = CIRCUIT.impedance(FREQUENCY_HZ, truth)
    z = z + NOISE * np.abs(z) * (rng.normal(size=z.size) + 1j * rng.normal(size=z.size))
    return from_arrays(FREQUENCY_HZ, z.real, z.imag)


def timed(spectrum: ImpedanceSpectrum) -> tuple[float, CircuitFit]:
    began = time.process_time()
    fit = fit_circuit(spectrum, CIRCUIT)
    return time.process_time() - began, fit


def tally(r3_ohm: float, seed: int = 0) -> Tally:
    rng, result = np.random.default_rng(seed), Tally([], [], [])
    for _ in range(SPECTRA):
        truth = drawn(rng, r3_ohm)
        spectrum = measured(rng, truth)
        took_s, fit = timed(spectrum)
        for _ in range(AGAIN):
            if took_s < LONG_S:
                break
            took_s = min(took_s, timed(spectrum)[0])
        result.times_s.append(took_s)
        result.within.append(
            np.array([abs(p.value - t) < WITHIN * p.standard_error for p, t in zip(fit.parameters, truth, strict=True)])
        )
        best = fit_circuit(spectrum, CIRCUIT, start=dict(zip(CIRCUIT.names, truth, strict=True)))
        result.best.append(fit.sum_of_squares <= best.sum_of_squares * 1.001)
    return result


def _row(name: str, result: Tally) -> tuple[str, ...]:
    within = np.array(result.within)
    r3, times = CIRCUIT.names.index("R3"), [1e3 * each for each in result.times_s]
    return (
        name,
        f"{len(times)}",
        f"{100 * np.mean(result.best):.1f} %",
        f"{100 * within[:, r3].mean():.1f} %",
        f"{100 * within.mean():.1f} %",
        f"{percentile(times, 0.5):.1f} ms",
        f"{percentile(times, 0.99):.1f} ms",
        f"{max(times):.1f} ms",
    )


def against_scipy() -> tuple[float, float, float]:
    """Seconds of one evaluation, of one descent here, and of the same by scipy's trust region with bounds."""
    rng = np.random.default_rng(1)
    truth = drawn(rng, 16.0)
    spectrum, f = measured(rng, truth), Frequencies(FREQUENCY_HZ)
    begin = np.log(truth) + rng.uniform(-0.3, 0.3, truth.size) * (truth < 0.4)  # exponents stay
    low, high = np.full(truth.size, -40.0), np.where([name[0] == "n" for name in CIRCUIT.names], 0.0, 40.0)
    begin = np.minimum(begin, high)
    weight = np.repeat(1 / spectrum.modulus_ohm, 2)

    def model(x: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        z, slopes = CIRCUIT.root.evaluate(f, np.exp(x).tolist())
        return (z - spectrum.impedance_ohm).view(float) * weight, lambda: np.array(slopes()).view(float) * weight

    def by_scipy() -> float:
        return 2 * float(
            least_squares(lambda x: model(x)[0], begin, lambda x: model(x)[1]().T, bounds=(low, high)).cost
        )

    ours = minimise(model, begin, low, high).sum_of_squares
    assert abs(ours - by_scipy()) < 1e-3 * ours
    values = truth.tolist()
    return (
        _seconds(lambda: CIRCUIT.root.evaluate(f, values), 2000),
        _seconds(lambda: minimise(model, begin, low, high), 100),
        _seconds(by_scipy, 50),
    )


def _seconds(what: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        what()
    return (time.process_time() - began) / times


def main() -> None:
    tallies = {r3_ohm: tally(r3_ohm) for r3_ohm in R3_OHM}
    everything = Tally(*([], [], []))
    for each in tallies.values():
        everything.times_s += each.times_s
        everything.within += each.within
        everything.best += each.best
    rows = [_row(f"R3 = {r3_ohm} Ω", each) for r3_ohm, each in tallies.items()]
    headings = ("", "spectra", "best minimum", "R3 within 3 SE", "all within 3 SE", "median", "99 %", "longest")
    show("L-R1-(Q2R2)-(Q3R3)-Q4 without start values", headings, [*rows, _row("all", everything)])
    evaluation, descent, by_scipy = against_scipy()
    spectrum = measured(np.random.default_rng(2), drawn(np.random.default_rng(2), 16.0))
    others = (
        ("one evaluation of the circuit, 71 points", evaluation),
        ("one descent from start values near the truth", descent),
        ("the same descent by scipy.optimize.least_squares", by_scipy),
        ("Kramers–Kronig test", _seconds(lambda: kramers_kronig(spectrum), 20)),
        ("relaxation times, regularisation chosen", _seconds(lambda: distribution_of_relaxation_times(spectrum), 5)),
        ("choice among eight circuits", _seconds(lambda: select_circuit(spectrum), 3)),
    )
    show("Times of the processor", ("", "each"), [(name, f"{1e3 * took:.3f} ms") for name, took in others])


if __name__ == "__main__":
    main()
