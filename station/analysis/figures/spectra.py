"""Figures of impedance: Nyquist, Bode with residuals, the Kramers–Kronig test, all that is said of one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from station.analysis.errors import AnalysisError
from station.analysis.figures.page import Figure, Size, blank, finished, in_style, legend_above
from station.analysis.figures.palette import BLUE, GREY, VERMILION, Order, key, look
from station.analysis.figures.relaxation import draw_relaxation, relaxation_table
from station.analysis.figures.scales import Scale, prefix_scale
from station.analysis.impedance.drt import DRT
from station.analysis.impedance.elements import Complexes, Floats, Frequencies
from station.analysis.impedance.fit import CircuitFit
from station.analysis.impedance.kramers_kronig import KramersKronig
from station.analysis.impedance.spectrum import ImpedanceSpectrum

FINE = 400
"""Frequencies of a fit's curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A spectrum under a name; `number` gives its colour where spectra have an order ('cycle 7': 7)."""

    name: str
    spectrum: ImpedanceSpectrum
    number: float | None = None
    fit: CircuitFit | None = None


@in_style
def nyquist(spectra: Sequence[Drawn], *, size: Size = Size.SINGLE, simulated: bool = False) -> Figure:
    """−Im Z over Re Z, both to one scale; markers are measured, lines fitted.

    Columns: spectrum, of ('measured' or 'fit'), frequency_Hz, real_ohm, imaginary_ohm (Im Z itself).
    """
    table = _table(spectra)
    scale = _impedance_scale(spectra)
    order = _order(spectra)
    plane = _Plane.of(spectra, scale)
    drawing = blank(size, plane.height_mm(size, beside_mm=17.0 if order is not None and not order.few else 0.0))
    axes = drawing.subplots()
    for place, one in enumerate(spectra):
        colour, marker = _look(one, place, order)
        _points(axes, one.spectrum.impedance_ohm, scale, color=colour, marker=marker)
        if one.fit is not None:
            _, curve = _curve(one.fit)
            axes.plot(curve.real * scale.factor, -curve.imag * scale.factor, color=colour, linewidth=0.8)
    plane.show(axes, scale)
    _name(drawing_axes=axes, spectra=spectra, order=order)
    fitted = [one.fit.circuit.text for one in spectra if one.fit is not None]
    caption = "Impedance in the complex plane, both axes to one scale."
    caption += f" Markers: measured; lines: fit of {fitted[0]}." if fitted else ""
    return finished("nyquist", drawing, table, caption, simulated=simulated)


@in_style
def bode(spectra: Sequence[Drawn], *, size: Size = Size.SINGLE, simulated: bool = False) -> Figure:
    """|Z| and phase over frequency, and the fits' residuals below; columns as of `nyquist`, with the residuals.

    Residuals are (Z − Ẑ)/|Z| in %, real (filled) and imaginary (open) parts.
    """
    table = _table(spectra)
    fitted = any(one.fit is not None for one in spectra)
    scale = _impedance_scale(spectra)
    drawing = blank(size, 112.0 if fitted else 84.0)
    panels = drawing.subplots(3 if fitted else 2, 1, sharex=True, height_ratios=(3, 3, 2) if fitted else (1, 1))
    modulus, phase = panels[0], panels[1]
    order = _order(spectra)
    for place, one in enumerate(spectra):
        colour, marker = _look(one, place, order)
        open_: Any = {"marker": marker, "linestyle": "", "markerfacecolor": "white", "color": colour, "markersize": 2.8}
        z, frequency = one.spectrum.impedance_ohm, one.spectrum.frequency_Hz
        modulus.loglog(frequency, np.abs(z) * scale.factor, **open_)
        phase.semilogx(frequency, -np.angle(z, deg=True), **open_)
        if one.fit is not None:
            fine, curve = _curve(one.fit)
            modulus.loglog(fine, np.abs(curve) * scale.factor, color=colour, linewidth=0.8)
            phase.semilogx(fine, -np.angle(curve, deg=True), color=colour, linewidth=0.8)
            joined = len(spectra) <= 2
            draw_residuals(panels[2], frequency, one.fit.residuals, colour, colour, joined=joined)
    _plain_decades(modulus, np.concatenate([one.spectrum.modulus_ohm for one in spectra]) * scale.factor)
    modulus.set_ylabel(f"|Z| / {scale.unit}")
    phase.set_ylabel("−Phase / °")
    if fitted:
        panels[2].set_ylabel("Residual / %")
        panels[2].legend(handles=_parts(GREY, GREY), loc="upper left", ncols=2, bbox_to_anchor=(0, 1.12))
    _decades(panels[-1])
    panels[-1].set_xlabel("Frequency / Hz")
    _name(drawing_axes=list(panels), spectra=spectra, order=order)
    caption = "Modulus and phase over frequency. Markers: measured; lines: fit."
    caption += " Residuals are (Z − Ẑ)/|Z|." if fitted else ""
    return finished("bode", drawing, table, caption, simulated=simulated)


@in_style
def consistency(
    tests: Sequence[tuple[str, KramersKronig]], *, size: Size = Size.SINGLE, simulated: bool = False
) -> Figure:
    """Residuals of the Kramers–Kronig test in % over frequency, with the limit of a consistent point; a panel each.

    Columns: spectrum, frequency_Hz, residual_real_percent, residual_imaginary_percent, limit_percent, consistent.
    """
    if not tests:
        raise AnalysisError("there is no spectrum that was tested")
    if len(tests) > 6:
        raise AnalysisError(f"a figure of {len(tests)} tests cannot be read; choose six spectra at the most")
    table = pd.concat([_test_table(name, test) for name, test in tests], ignore_index=True)
    drawing = blank(size, 18.0 + 34.0 * len(tests))
    panels = drawing.subplots(len(tests), 1, sharex=True, squeeze=False).ravel().tolist()
    for axes, (name, test) in zip(panels, tests, strict=True):
        draw_residuals(axes, test.spectrum.frequency_Hz, test.residuals, BLUE, VERMILION)
        axes.axhspan(-100 * test.limit, 100 * test.limit, color=GREY, alpha=0.13, linewidth=0)
        axes.set_ylabel("Residual / %")
        if len(tests) > 1:
            axes.set_title(name, loc="left")
    _decades(panels[-1])
    panels[-1].set_xlabel("Frequency / Hz")
    band = key(color=GREY, alpha=0.3, linewidth=5, label="consistent")
    legend_above(drawing, [*_parts(BLUE, VERMILION), band])
    caption = "Kramers–Kronig test: residuals (Z − Z_KK)/|Z|. " + (tests[0][1].verdict if len(tests) == 1 else "")
    return finished("kramers-kronig", drawing, table, caption.strip(), simulated=simulated)


@in_style
def impedance(
    one: Drawn,
    test: KramersKronig | None,
    relaxation: DRT | None,
    *,
    size: Size = Size.DOUBLE,
    simulated: bool = False,
) -> Figure:
    """All of one spectrum: Nyquist, Bode, residuals of the fit and of the test, relaxation times.

    Columns as of `bode`, with `kk_residual_…` where it was tested; relaxation times stand below, with tau_s and
    gamma_ohm.
    """
    if one.fit is None:
        raise AnalysisError("this figure is of a spectrum with a fit")
    table = _table([one])
    if test is not None:
        tested = _test_table(one.name, test).rename(columns=lambda name: name.replace("residual_", "kk_residual_"))
        table = table.merge(tested, on=["spectrum", "frequency_Hz"], how="left")
    narrow = size is Size.SINGLE
    drawing = blank(size, 176.0 if narrow else 0.72 * size.width_mm)
    plane, modulus, residuals, times = drawing.subplots(*((4, 1) if narrow else (2, 2))).ravel().tolist()
    z, frequency, scale = one.spectrum.impedance_ohm, one.spectrum.frequency_Hz, _impedance_scale([one])
    fine, curve = _curve(one.fit)
    _points(plane, z, scale, color=BLUE, marker="o", label="measured")
    plane.plot(curve.real * scale.factor, -curve.imag * scale.factor, color=VERMILION, label="fit")
    _Plane.of([one], scale).show(plane, scale)
    plane.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    _bode_panel(modulus, frequency, z, fine, curve, scale)
    draw_residuals(residuals, frequency, one.fit.residuals, BLUE, VERMILION)
    if test is not None:
        residuals.semilogx(frequency, 100 * test.residuals.real, ":", color=BLUE, linewidth=0.8)
        residuals.semilogx(frequency, 100 * test.residuals.imag, ":", color=VERMILION, linewidth=0.8)
        residuals.axhspan(-100 * test.limit, 100 * test.limit, color=GREY, alpha=0.13, linewidth=0)
    residuals.set(xlabel="Frequency / Hz", ylabel="Residual / %")
    dotted = [key(color=GREY, linestyle=":", label="Kramers–Kronig")] if test is not None else []
    handles = [*_parts(BLUE, VERMILION), *dotted]
    residuals.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, columnspacing=1.0)
    _decades(residuals)
    if relaxation is None:
        times.set_axis_off()
    else:
        draw_relaxation(times, relaxation, BLUE)
        times.set(xlabel="Relaxation time τ / s", ylabel="γ / Ω", ylim=(0, None))
        _decades(times)
        table = pd.concat([table, relaxation_table(one.name, relaxation)], ignore_index=True)
    caption = f"Fit of {one.fit.circuit.text}."
    return finished("impedance", drawing, table, caption, simulated=simulated)


# --- parts


def _bode_panel(axes: Axes, frequency: Floats, z: Complexes, fine: Floats, curve: Complexes, scale: Scale) -> None:
    """Modulus on the left and phase on the right."""
    axes.loglog(frequency, np.abs(z) * scale.factor, "o", markerfacecolor="white", color=BLUE, label="|Z|")
    axes.loglog(fine, np.abs(curve) * scale.factor, color=VERMILION)
    axes.set(xlabel="Frequency / Hz", ylabel=f"|Z| / {scale.unit}")
    _plain_decades(axes, np.abs(z) * scale.factor)
    phase = axes.twinx()
    phase.spines["right"].set_visible(True)
    phase.semilogx(frequency, -np.angle(z, deg=True), "s", color=GREY, markerfacecolor="white", markersize=2.6)
    phase.semilogx(fine, -np.angle(curve, deg=True), "--", color=VERMILION, linewidth=0.8)
    phase.set_ylabel("−Phase / °")
    handles = [
        key(color=BLUE, marker="o", linestyle="", markerfacecolor="white", label="|Z|"),
        key(color=GREY, marker="s", linestyle="", markerfacecolor="white", label="−phase"),
    ]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    _decades(axes)


def draw_residuals(
    axes: Axes, frequency_Hz: Floats, residuals: Complexes, real: Any, imaginary: Any, joined: bool = True
) -> None:
    """Of both parts, in %; many are drawn without lines that join them."""
    axes.axhline(0, color="0.75", linewidth=0.6, zorder=0)
    looks: Any = {"linewidth": 0.6 if joined else 0.0, "markersize": 2.6 if joined else 1.6}
    axes.semilogx(frequency_Hz, 100 * residuals.real, "o-", color=real, **looks)
    axes.semilogx(
        frequency_Hz,
        100 * residuals.imag,
        "s--",
        color=imaginary,
        markerfacecolor="white",
        **looks,
    )


def _parts(real: str, imaginary: str) -> list[Line2D]:
    return [
        key(color=real, marker="o", markersize=2.6, linewidth=0.6, label="real"),
        key(
            color=imaginary,
            marker="s",
            linestyle="--",
            markersize=2.6,
            linewidth=0.6,
            markerfacecolor="white",
            label="imaginary",
        ),
    ]


def _points(axes: Axes, z: Complexes, scale: Scale, **look: Any) -> None:
    looks: dict[str, Any] = {"linestyle": "", "markerfacecolor": "white", "markersize": 3.0, **look}
    axes.plot(z.real * scale.factor, -z.imag * scale.factor, **looks)


@dataclass(frozen=True, slots=True)
class _Plane:
    """Limits of the complex plane, as drawn: its height is 0.5 to 0.85 of its width, more room being above."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, spectra: Sequence[Drawn], scale: Scale) -> _Plane:
        z = np.concatenate([one.spectrum.impedance_ohm for one in spectra]) * scale.factor
        room = 0.06 * max(float(np.ptp(z.real)), float(np.ptp(z.imag)), 1e-12)
        left, right = min(0.0, float(z.real.min()) - room), float(z.real.max()) + room
        low, high = min(0.0, float(-z.imag.max())) - room, float(-z.imag.min()) + room
        high = max(high, low + 0.5 * (right - left))
        return cls(left, max(right, left + (high - low) / 0.85), low, high)

    def height_mm(self, size: Size, beside_mm: float) -> float:
        width_mm = size.width_mm - 16.0 - beside_mm
        return min(19.0 + width_mm * (self.high - self.low) / (self.right - self.left), 130.0)

    def show(self, axes: Axes, scale: Scale) -> None:
        axes.set(xlabel=f"Re Z / {scale.unit}", ylabel=f"−Im Z / {scale.unit}")
        axes.set(xlim=(self.left, self.right), ylim=(self.low, self.high))
        axes.set_aspect("equal", adjustable="box")
        axes.axhline(0, color="0.75", linewidth=0.6, zorder=0)


def _decades(axes: Axes) -> None:
    """A name at each decade or each second one, as there is room, and short lines between."""
    axes.xaxis.set_major_locator(LogLocator(numticks=9))
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=99))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _plain_decades(axes: Axes, values: Floats) -> None:
    """1, 10, 100; and 2, 5, 20 between where there are few decades."""
    wide = float(values.max() / values.min()) > 100
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=99))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _impedance_scale(spectra: Sequence[Drawn]) -> Scale:
    if not spectra:
        raise AnalysisError("there is no spectrum to draw")
    return prefix_scale(max(float(one.spectrum.modulus_ohm.max()) for one in spectra), "Ω")


def _curve(fit: CircuitFit) -> tuple[Floats, Complexes]:
    fine = np.geomspace(fit.spectrum.frequency_Hz[-1], fit.spectrum.frequency_Hz[0], FINE)
    curve, _ = fit.circuit.root.evaluate(Frequencies(fine), [each.value for each in fit.parameters])
    return fine, curve


def _order(spectra: Sequence[Drawn]) -> Order | None:
    """None where spectra are samples, not members of a series."""
    numbers = [one.number for one in spectra if one.number is not None]
    return Order(numbers) if len(numbers) == len(spectra) > 1 else None


def _look(one: Drawn, place: int, order: Order | None) -> tuple[Any, str]:
    if order is None or one.number is None:
        return look(place).colour, look(place).marker
    return order.colour(one.number), order.marker(one.number)


def _name(drawing_axes: Axes | list[Axes], spectra: Sequence[Drawn], order: Order | None) -> None:
    """A legend where spectra are few, a bar of colours where they are many."""
    axes = drawing_axes if isinstance(drawing_axes, Axes) else drawing_axes[0]
    drawing = axes.get_figure(root=True)
    assert drawing is not None
    if len(spectra) == 1:
        return
    if order is not None and not order.few:
        order.bar(drawing, drawing_axes, "Cycle")
        return
    handles = []
    for place, one in enumerate(spectra):
        colour, marker = _look(one, place, order)
        handles.append(key(color=colour, marker=marker, linestyle="", markerfacecolor="white", label=one.name))
    legend_above(drawing, handles)


# --- data


def _table(spectra: Sequence[Drawn]) -> pd.DataFrame:
    if not spectra:
        raise AnalysisError("there is no spectrum to draw")
    parts = []
    for one in spectra:
        measured = _rows(one.name, "measured", one.spectrum.frequency_Hz, one.spectrum.impedance_ohm)
        if one.fit is not None:
            measured["residual_real_percent"] = 100 * one.fit.residuals.real
            measured["residual_imaginary_percent"] = 100 * one.fit.residuals.imag
        parts.append(measured)
        if one.fit is not None:
            parts.append(_rows(one.name, "fit", *_curve(one.fit)))
    return pd.concat(parts, ignore_index=True)


def _rows(name: str, of: str, frequency_Hz: Floats, z: Complexes) -> pd.DataFrame:
    columns = {"frequency_Hz": frequency_Hz, "real_ohm": z.real, "imaginary_ohm": z.imag}
    return pd.DataFrame({"spectrum": name, "of": of, **columns})


def _test_table(name: str, test: KramersKronig) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "spectrum": name,
            "frequency_Hz": test.spectrum.frequency_Hz,
            "residual_real_percent": 100 * test.residuals.real,
            "residual_imaginary_percent": 100 * test.residuals.imag,
            "limit_percent": 100 * test.limit,
            "consistent": test.consistent_points,
        }
    )
