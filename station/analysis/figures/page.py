"""A figure with its data: sizes of journals, the house's style, files.

Columns of journals are 85 mm (single), 120 mm (one and a half) and 178 mm (double) wide. Letters are 7 to 7.5 pt at
that size, lines 0.5 pt or more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from station.analysis.errors import AnalysisError
from station.analysis.figures.palette import VERMILION

MM = 1 / 25.4
DPI = 600
SIMULATED = "SIMULATED"
STYLE: Any = {
    "font.size": 7.5,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelpad": 3.0,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 1.7,
    "ytick.minor.size": 1.7,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 6.8,
    "legend.handlelength": 1.9,
    "legend.labelspacing": 0.3,
    "legend.borderaxespad": 0.3,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,  # letters that can be edited, as journals ask for
    "svg.hashsalt": "cellstation",  # the same names in the file each time
}

P = ParamSpec("P")
R = TypeVar("R")


class Size(StrEnum):
    """The width of a journal's column."""

    SINGLE = "single"
    ONE_AND_A_HALF = "one-and-a-half"
    DOUBLE = "double"

    @property
    def width_mm(self) -> float:
        return {Size.SINGLE: 85.0, Size.ONE_AND_A_HALF: 120.0, Size.DOUBLE: 178.0}[self]


class Format(StrEnum):
    SVG = "svg"
    PDF = "pdf"
    PNG = "png"


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """What is drawn, and the numbers that are drawn, with quantity and unit in each column's name."""

    kind: str
    drawing: Drawing
    data: pd.DataFrame
    caption: str
    simulated: bool = False


def in_style(function: Callable[P, R]) -> Callable[P, R]:
    """matplotlib's settings are global; they are the house's while `function` draws."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return inner


def blank(size: Size, height_mm: float) -> Drawing:
    return Drawing(figsize=(size.width_mm * MM, height_mm * MM), layout="constrained")


def finished(kind: str, drawing: Drawing, data: pd.DataFrame, caption: str, *, simulated: bool) -> Figure:
    """With the word SIMULATED below and in each row of the data, where a simulated cell is drawn."""
    drawing.align_ylabels()
    if simulated:
        drawing.supxlabel(SIMULATED, color=VERMILION, fontsize=7.0, fontweight="bold", x=0.99, ha="right")
        data = data.assign(origin=SIMULATED)
        caption = f"{SIMULATED}: of a simulated cell, not of an experiment. {caption}"
    return Figure(kind, drawing, data, caption, simulated)


def legend_above(drawing: Drawing, handles: Sequence[Line2D] | None = None) -> None:
    """Above all panels, in rows of three or four."""
    count = (
        len(handles) if handles is not None else sum(len(axes.get_legend_handles_labels()[0]) for axes in drawing.axes)
    )
    columns = count if count <= 3 else math.ceil(count / math.ceil(count / 4))
    given = {} if handles is None else {"handles": list(handles)}
    drawing.legend(loc="outside upper center", ncols=columns, columnspacing=1.2, **given)


def save(figure: Figure, stem: Path, formats: Sequence[Format] = tuple(Format)) -> tuple[Path, ...]:
    """Write `stem`.svg and so on, and the data beside them as `stem`.csv; former files are replaced.

    Raises AnalysisError where a file cannot be written.
    """
    written: list[Path] = []
    try:
        with matplotlib.rc_context(STYLE):
            _settle(figure.drawing)
            for form in formats:
                path = _with_suffix(stem, form.value)
                figure.drawing.savefig(path, format=form.value, metadata=_metadata(figure, form))
                written.append(path)
        path = _with_suffix(stem, "csv")
        figure.data.to_csv(path, index=False)
    except OSError as error:
        raise AnalysisError(f"no figure was written to {path}: {error.strerror or error}") from error
    return (*written, path)


def _settle(drawing: Drawing) -> None:
    """Lay panels out once, so that they stand at the same place in each format."""
    if drawing.get_layout_engine() is not None:
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")


def _with_suffix(stem: Path, suffix: str) -> Path:
    """A point in the stem's name is not taken for a suffix."""
    return stem.with_name(f"{stem.name}.{suffix}")


def _metadata(figure: Figure, form: Format) -> dict[str, Any]:
    title = f"{SIMULATED} {figure.kind}" if figure.simulated else figure.kind
    if form is Format.PNG:
        return {"Title": title, "Description": figure.caption}
    if form is Format.SVG:
        return {"Title": title, "Description": figure.caption, "Date": None}
    return {"Title": title, "Subject": figure.caption, "CreationDate": None}
