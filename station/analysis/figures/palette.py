"""Colours that all kinds of colour vision tell apart, with a marker and a line for print without colour.

Okabe and Ito's colours (https://jfly.uni-koeln.de/color/) tell samples apart; cividis (Nuñez, Anderton and Renslow,
PLoS ONE 13 (2018) e0199239) shows an order, such as that of cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5b6470"
OKABE_ITO = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)))
FEW = 6
"""Curves that a legend names; a bar of colours stands for more."""

Colour: TypeAlias = str | tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]


def look(place: int) -> Look:
    """Of the sample at this place, from 0; after seven they begin again."""
    at = place % len(OKABE_ITO)
    return Look(OKABE_ITO[at], MARKERS[at], LINES[at])


def darker_cividis() -> ListedColormap:
    """Without its lightest end, which is yellow on white."""
    whole = matplotlib.colormaps["cividis"]
    return ListedColormap([whole(0.85 * place / 255) for place in range(256)], "cividis without its light end")


def key(label: str, **look: Any) -> Line2D:
    """A line or marker for a legend."""
    return Line2D([], [], label=label, **look)


class Order:
    """Colours of things that have an order, by their number."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self.numbers = sorted(set(numbers))
        last = self.numbers[-1] if self.numbers[-1] > self.numbers[0] else self.numbers[0] + 1
        self._colours = darker_cividis()
        self._place = Normalize(self.numbers[0], last)

    @property
    def few(self) -> bool:
        return len(self.numbers) <= FEW

    def colour(self, number: float) -> Colour:
        red, green, blue, alpha = self._colours(float(self._place(number)))
        return (red, green, blue, alpha)

    def marker(self, number: float) -> str:
        return MARKERS[self.numbers.index(number) % len(MARKERS)] if self.few else "o"

    def bar(self, figure: Figure, axes: Axes | Sequence[Axes], label: str) -> None:
        given = [axes] if isinstance(axes, Axes) else list(axes)
        bar = figure.colorbar(ScalarMappable(self._place, self._colours), ax=given, label=label, aspect=28, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5, integer=all(number == int(number) for number in self.numbers)))
