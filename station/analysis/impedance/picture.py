"""A picture of a spectrum: Nyquist and Bode with the fit, the residuals, the relaxation times."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from station.analysis.impedance.drt import DRT
from station.analysis.impedance.elements import Complexes, Floats, Frequencies
from station.analysis.impedance.fit import CircuitFit
from station.analysis.impedance.kramers_kronig import KramersKronig
from station.figures import BLUE, GREEN, GREY, VERMILION, prefix_scale

FINE = 400  # frequencies of the fit's curve


def fit_figure(fit: CircuitFit, test: KramersKronig | None, relaxation: DRT | None, title: str = "") -> Figure:
    """Four panels: the spectrum with the fit in the complex plane and over frequency, residuals, and γ(τ) if known."""
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    (nyquist, bode), (residuals, times) = figure.subplots(2, 2)
    spectrum = fit.spectrum
    fine = np.geomspace(spectrum.frequency_Hz[-1], spectrum.frequency_Hz[0], FINE)
    values = [each.value for each in fit.parameters]
    curve, _ = fit.circuit.root.evaluate(Frequencies(fine), values)
    _nyquist(nyquist, spectrum.impedance_ohm, curve)
    _bode(bode, spectrum.frequency_Hz, spectrum.impedance_ohm, fine, curve)
    _residuals(residuals, fit, test)
    if relaxation is None:
        times.set_axis_off()
    else:
        _times(times, relaxation)
    figure.suptitle(title or fit.circuit.text)
    return figure


def _nyquist(axes: Axes, measured: Complexes, curve: Complexes) -> None:
    scale = prefix_scale(float(np.abs(measured).max()), "Ω")
    axes.plot(measured.real * scale.factor, -measured.imag * scale.factor, "o", ms=4, mfc="none", color=BLUE)
    axes.plot(curve.real * scale.factor, -curve.imag * scale.factor, color=VERMILION)
    axes.set(xlabel=f"Re Z / {scale.unit}", ylabel=f"−Im Z / {scale.unit}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(["measured", "fit"], frameon=False)


def _bode(axes: Axes, frequency: Floats, measured: Complexes, fine: Floats, curve: Complexes) -> None:
    axes.loglog(frequency, np.abs(measured), "o", ms=4, mfc="none", color=BLUE)
    axes.loglog(fine, np.abs(curve), color=VERMILION)
    axes.set(xlabel="frequency / Hz", ylabel="|Z| / Ω")
    phase = axes.twinx()
    phase.semilogx(frequency, -np.angle(measured, deg=True), "s", ms=3, mfc="none", color=GREEN)
    phase.semilogx(fine, -np.angle(curve, deg=True), color=GREEN)
    phase.set_ylabel("−phase / °", color=GREEN)


def _residuals(axes: Axes, fit: CircuitFit, test: KramersKronig | None) -> None:
    frequency = fit.spectrum.frequency_Hz
    drawn = [(fit.residuals, "-", "fit")]
    if test is not None:
        drawn.append((test.residuals, ":", "Kramers–Kronig"))
        axes.axhspan(-100 * test.limit, 100 * test.limit, color=GREY, alpha=0.12, lw=0)
    for residuals, mark, name in drawn:
        axes.semilogx(frequency, 100 * residuals.real, mark, color=BLUE, label=f"{name}, real")
        axes.semilogx(frequency, 100 * residuals.imag, mark, color=VERMILION, label=f"{name}, imaginary")
    axes.set(xlabel="frequency / Hz", ylabel="residual / %")
    axes.legend(frameon=False, fontsize="small")


def _times(axes: Axes, relaxation: DRT) -> None:
    low, high = (np.clip(relaxation.gamma_ohm + by * relaxation.gamma_error_ohm, 0, None) for by in (-2, 2))
    axes.fill_between(relaxation.tau_s, low, high, color=BLUE, alpha=0.2, lw=0)
    axes.semilogx(relaxation.tau_s, relaxation.gamma_ohm, color=BLUE)
    for edge in (1 / (2 * np.pi * relaxation.spectrum.frequency_Hz[at]) for at in (0, -1)):
        axes.axvline(float(edge), color=GREY, lw=0.6)  # beyond, nothing was measured
    axes.set(xlabel="τ / s", ylabel="γ / Ω", title=f"λ = {relaxation.regularisation:.1e}")
