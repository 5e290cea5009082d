"""Distributions of relaxation times, over cycles where there are many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from station.analysis.errors import AnalysisError
from station.analysis.figures.page import Figure, Size, blank, finished, in_style, legend_above
from station.analysis.figures.palette import GREY, Order, key, look
from station.analysis.impedance.drt import DRT


@in_style
def relaxation_times(
    found: Sequence[tuple[str, float | None, DRT]], *, size: Size = Size.SINGLE, simulated: bool = False
) -> Figure:
    """γ over τ of each spectrum (a name, the number that gives its colour, what was found).

    Columns: spectrum, tau_s, gamma_ohm, gamma_error_ohm (standard error). With one spectrum, its band of ±2 standard
    errors is drawn. Grey lines stand where the measured frequencies end.
    """
    if not found:
        raise AnalysisError("there is no spectrum with relaxation times")
    table = pd.concat([relaxation_table(name, drt) for name, _, drt in found], ignore_index=True)
    drawing = blank(size, 62.0 if size is Size.SINGLE else 78.0)
    axes = drawing.subplots()
    numbers = [number for _, number, _ in found if number is not None]
    order = Order(numbers) if len(numbers) == len(found) > 1 else None
    handles = []
    for place, (name, number, drt) in enumerate(found):
        ordered = order is not None and number is not None
        colour = order.colour(number) if ordered and order is not None and number is not None else look(place).colour
        if len(found) == 1:
            draw_relaxation(axes, drt, look(0).colour)
        else:
            line = "-" if ordered else look(place).line
            axes.semilogx(drt.tau_s, drt.gamma_ohm, color=colour, linestyle=line, linewidth=0.9)
            handles.append(key(color=colour, linestyle=line, label=name))
    axes.set(xlabel="Relaxation time τ / s", ylabel="γ / Ω")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(LogLocator(numticks=9))
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=99))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if order is not None and not order.few:
        order.bar(drawing, axes, "Cycle")
    elif handles:
        legend_above(drawing, handles)
    lambdas = sorted({f"{drt.regularisation:.1e}" for _, _, drt in found})
    said = lambdas[0] if len(lambdas) == 1 else f"{lambdas[0]} to {lambdas[-1]}"
    band = " The band is ±2 standard errors." if len(found) == 1 else ""
    caption = f"Distribution of relaxation times, regularisation λ = {said}.{band}"
    return finished("drt", drawing, table, caption, simulated=simulated)


def draw_relaxation(axes: Axes, drt: DRT, colour: str) -> None:
    low, high = (np.clip(drt.gamma_ohm + by * drt.gamma_error_ohm, 0, None) for by in (-2, 2))
    axes.fill_between(drt.tau_s, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.semilogx(drt.tau_s, drt.gamma_ohm, color=colour)
    for edge in (1 / (2 * np.pi * drt.spectrum.frequency_Hz[at]) for at in (0, -1)):
        axes.axvline(float(edge), color=GREY, linewidth=0.6, linestyle=":")


def relaxation_table(name: str, drt: DRT) -> pd.DataFrame:
    columns = {"tau_s": drt.tau_s, "gamma_ohm": drt.gamma_ohm, "gamma_error_ohm": drt.gamma_error_ohm}
    return pd.DataFrame({"spectrum": name, "of": "relaxation times", **columns})
