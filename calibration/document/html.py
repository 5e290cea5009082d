"""A document as one HTML page that needs nothing else."""

from __future__ import annotations

import io

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from calibration.document.blocks import Document, Facts, Notice, Picture, Source, Table, Text

KINDS = {"text": Text, "notice": Notice, "facts": Facts, "table": Table, "picture": Picture, "source": Source}


def document_html(document: Document) -> str:
    environment = Environment(
        loader=PackageLoader("calibration.document"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, kind in KINDS.items():
        environment.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters["svg"] = svg
    return environment.get_template("document.html.j2").render(document=document)


def svg(figure: Figure) -> Markup:
    """The figure as an <svg> element; letters are drawn as shapes, so that it looks the same everywhere."""
    content = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "document"}):  # the same names in the file each time
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    return Markup(text[text.index("<svg") :])
