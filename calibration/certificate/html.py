"""A certificate as one HTML page that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from calibration.certificate.content import document
from calibration.certificate.document import Facts, Notice, Picture, Table, Text
from calibration.certificate.files import write_whole
from calibration.record import Calibration


def render_html(calibration: Calibration, history: Sequence[Calibration] = ()) -> str:
    """`history`: other versions of the sensor's calibration, for the drift."""
    environment = Environment(
        loader=PackageLoader("calibration.certificate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, kind in (("text", Text), ("notice", Notice), ("facts", Facts), ("table", Table), ("picture", Picture)):
        environment.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters["svg"] = svg
    return environment.get_template("certificate.html.j2").render(document=document(calibration, history))


def write_html(calibration: Calibration, path: Path, history: Sequence[Calibration] = ()) -> None:
    """In place of a former file, whole or not at all. Raises OSError."""
    write_whole(path, render_html(calibration, history).encode())


def svg(figure: Figure) -> Markup:
    """The figure as an <svg> element; letters are drawn as shapes, so that it looks the same everywhere."""
    content = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "certificate"}):  # the same names in the file each time
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    return Markup(text[text.index("<svg") :])
