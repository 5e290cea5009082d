"""Conductivity over temperature with its Arrhenius and Vogel–Tammann–Fulcher fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator

from station.analysis.errors import AnalysisError
from station.analysis.figures.page import Figure, Size, blank, finished, in_style
from station.analysis.figures.palette import GREY, key, look
from station.analysis.impedance.conductivity import VTF, Arrhenius
from station.analysis.record import Floats

FINE = 100
LINES = (("Arrhenius", "--"), ("VTF", "-"))


@dataclass(frozen=True, slots=True, eq=False)
class Conductivity:
    """One material's conductivities with what was fitted to them."""

    name: str
    arrhenius: Arrhenius
    vtf: VTF | None = None


@in_style
def conductivity(samples: Sequence[Conductivity], *, size: Size = Size.SINGLE, simulated: bool = False) -> Figure:
    """σ in S cm⁻¹ over 1000 K/T, the temperature in °C above; broken lines are Arrhenius, solid ones VTF fits.

    Columns: sample, of ('measured', 'Arrhenius', 'VTF'), temperature_K, conductivity_S_per_m.
    """
    if not samples:
        raise AnalysisError("there is no conductivity to draw")
    table = pd.concat([part for sample in samples for part in _parts(sample)], ignore_index=True)
    drawing = blank(size, 72.0 if size is Size.SINGLE else 82.0)
    axes = drawing.subplots()
    for place, sample in enumerate(samples):
        as_ = look(place)
        for of, rows in table[table["sample"] == sample.name].groupby("of", sort=False):
            x, y = 1e3 / rows["temperature_K"], rows["conductivity_S_per_m"] / 100
            if of == "measured":
                axes.semilogy(x, y, as_.marker, color=as_.colour, markerfacecolor="white", zorder=3)
            else:
                axes.semilogy(x, y, dict(LINES)[str(of)], color=as_.colour, linewidth=0.8)
    axes.set(xlabel="1000 K / T", ylabel="Conductivity / S cm⁻¹")
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    _degrees_above(axes, table["temperature_K"].to_numpy(dtype=np.float64))
    handles = [key(color=GREY, linestyle=line, label=of) for of, line in LINES if of in set(table["of"])]
    named = [key(linestyle="", markerfacecolor="white", **_marks(n, one.name)) for n, one in enumerate(samples)]
    axes.legend(handles=[*named, *handles], loc="lower left")
    caption = f"Conductivity over temperature. {' '.join(_said(sample) for sample in samples)}"
    return finished("conductivity", drawing, table, caption, simulated=simulated)


def _parts(sample: Conductivity) -> list[pd.DataFrame]:
    fit = sample.arrhenius
    fine = 1 / np.linspace(1 / fit.temperature_K.max(), 1 / fit.temperature_K.min(), FINE)
    drawn: list[tuple[str, Floats, Floats]] = [
        ("measured", fit.temperature_K, fit.conductivity_S_per_m),
        ("Arrhenius", fine, fit.conductivity(fine)),
    ]
    if sample.vtf is not None:
        drawn.append(("VTF", fine, sample.vtf.conductivity(fine)))
    return [
        pd.DataFrame({"sample": sample.name, "of": of, "temperature_K": kelvin, "conductivity_S_per_m": sigma})
        for of, kelvin, sigma in drawn
    ]


def _marks(place: int, name: str) -> dict[str, str]:
    as_ = look(place)
    return {"color": as_.colour, "marker": as_.marker, "label": name}


def _said(sample: Conductivity) -> str:
    """The fits' results, with standard uncertainties."""
    fit, curved = sample.arrhenius, sample.vtf
    of = "σ" if fit.form == "sigma" else "σT"
    text = f"{sample.name}: Arrhenius of {of}, Eₐ = ({fit.activation_energy_eV}) eV"
    if curved is not None:
        text += f"; VTF, B·k = ({curved.pseudo_activation_energy_eV}) eV, T₀ = ({curved.t0_K}) K"
    return text + "."


def _degrees_above(axes: Axes, kelvin: Floats) -> None:
    low, high = kelvin.min() - 273.15, kelvin.max() - 273.15
    step = next((size for size in (5, 10, 20, 25, 50, 100, 200) if (high - low) / size <= 6), 500)
    degrees = np.arange(np.ceil(low / step) * step, high + 1e-9, step)
    above = axes.secondary_xaxis("top", functions=(lambda x: x, lambda x: x))
    above.xaxis.set_major_locator(FixedLocator((1e3 / (degrees + 273.15)).tolist()))
    above.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{1e3 / x - 273.15:.0f}".replace("-", "−")))
    above.set_xlabel("Temperature / °C")
