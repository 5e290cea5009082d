"""A document as a PDF: A4, its number on each page, figures as vectors, all letters embedded.

The text is set by reportlab with room left for the figures, which matplotlib writes as PDF and pypdf puts in.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import matplotlib
from markupsafe import escape
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from pypdf import PdfReader, PdfWriter, Transformation
from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Preformatted,
    Spacer,
)
from reportlab.platypus import Table as Grid

from calibration.document.blocks import Block, Document, Facts, Notice, Section, Source, Table, Text

INK, SOFT, LINE, ALARM, ALARM_WASH = (HexColor(c) for c in ("#1b2430", "#5b6470", "#dde1e6", "#8a3b00", "#fbf3ec"))
LEFT, TOP, BOTTOM = 18 * mm, 24 * mm, 20 * mm
WIDTH = A4[0] - 2 * LEFT
LINE_OF_SOURCE = 120  # letters that fit into a line
SHORT_TABLE = 24  # rows that are kept on one page
FONT, BOLD, FIXED = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"


def document_pdf(content: Document) -> bytes:
    """The same document gives the same bytes."""
    _register_fonts()
    placed: list[Placed] = []
    text = _set(content, placed)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(text)))
    for one, figure in zip(placed, PdfReader(io.BytesIO(_figures_pdf(placed))).pages, strict=True):
        placed_at = Transformation().scale(one.scale).translate(one.x, one.y)
        writer.pages[one.page - 1].merge_transformed_page(figure, placed_at)
    stamp = f"D:{content.issued.astimezone(datetime.UTC):%Y%m%d%H%M%S}Z"
    writer.add_metadata({"/CreationDate": stamp, "/ModDate": stamp})
    for page in writer.pages:
        page.compress_content_streams()
    result = io.BytesIO()
    writer.write(result)
    return result.getvalue()


# --- figures


@dataclass
class Placed:
    """A figure and where its lower left corner came to lie."""

    figure: Figure
    page: int
    x: float
    y: float
    scale: float  # below 1 where it is wider than the page


class Room(Flowable):
    """Leaves the room that a figure takes, and notes where."""

    def __init__(self, figure: Figure, placed: list[Placed]) -> None:
        super().__init__()
        self._figure, self._placed = figure, placed
        width, height = (72.0 * float(inches) for inches in figure.get_size_inches())
        self._scale = min(1.0, WIDTH / width)
        self.width, self.height = self._scale * width, self._scale * height

    def wrap(self, *_available: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        x, y = self.canv.absolutePosition(0, 0)
        self._placed.append(Placed(self._figure, self.canv.getPageNumber(), x, y, self._scale))


def _figures_pdf(placed: Sequence[Placed]) -> bytes:
    """A page each, as large as the figure."""
    content = io.BytesIO()
    truetype = matplotlib.rc_context({"pdf.fonttype": 42})  # as the text has
    with truetype, PdfPages(content, metadata={"CreationDate": None}) as pages:
        for one in placed:
            pages.savefig(one.figure)
    return content.getvalue()


# --- text


def _set(content: Document, placed: list[Placed]) -> bytes:
    result = io.BytesIO()
    template = BaseDocTemplate(
        result,
        pagesize=A4,
        title=f"{content.title} {content.number}",
        subject=content.subtitle,
        author="",
        creator=content.software,
        invariant=1,
        initialFontName=FONT,
        lang="en",
    )
    frame = Frame(LEFT, BOTTOM, WIDTH, A4[1] - TOP - BOTTOM, 0, 0, 0, 0)
    template.addPageTemplates([PageTemplate(frames=[frame])])
    template.build(_story(content, placed), canvasmaker=lambda *args, **kwargs: _Numbered(content, *args, **kwargs))
    return result.getvalue()


class _Numbered(Canvas):
    """Draws the margins of all pages at the end, when their number is known."""

    def __init__(self, content: Document, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._content = content
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # as reportlab's own examples do

    def save(self) -> None:
        for page in self._pages:
            self.__dict__.update(page)
            self._margins(len(self._pages))
            super().showPage()
        super().save()

    def _margins(self, pages: int) -> None:
        top = A4[1] - 13 * mm
        if self._content.banner:
            self.setFillColor(ALARM)
            self.rect(LEFT, top - 2 * mm, WIDTH, 6.5 * mm, stroke=0, fill=1)
            self.setFillColor(white)
            self.setFont(BOLD, 7.5)
            self.drawCentredString(A4[0] / 2, top + 0.4 * mm, self._content.banner)
        else:
            self.setFillColor(SOFT)
            self.setFont(FONT, 7.5)
            self.drawString(LEFT, top, self._content.title)
            self.drawRightString(A4[0] - LEFT, top, self._content.number)
        self.setStrokeColor(LINE)
        self.line(LEFT, 14.5 * mm, A4[0] - LEFT, 14.5 * mm)
        self.setFillColor(SOFT)
        self.setFont(FONT, 7.5)
        self.drawString(LEFT, 10 * mm, f"{self._content.title}  ·  {self._content.number}")
        self.drawRightString(A4[0] - LEFT, 10 * mm, f"page {self.getPageNumber()} of {pages}")


def _story(content: Document, placed: list[Placed]) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph(escape(content.title), _style("title", size=19, bold=True)),
        Paragraph(
            f"{escape(content.subtitle)}  ·  report {escape(content.number)}", _style("subtitle", size=9, soft=True)
        ),
        Spacer(0, 2.5 * mm),
        Paragraph(escape(content.statement), _style("statement", size=7.5, soft=True)),
    ]
    story += [_notice(notice) for notice in content.notices]
    for number, section in enumerate(content.sections, start=1):
        story += _section(number, section, placed)
    end = Paragraph(escape(content.end), _style("end", size=9, bold=True, align=TA_CENTER))
    return [*story, Spacer(0, 6 * mm), end]


def _section(number: int, section: Section, placed: list[Placed]) -> list[Flowable]:
    """The heading is kept with what comes first, and a text before a table with that table's beginning."""
    title = f"{number}. {escape(section.title)}"
    first, *others = section.blocks
    together = [
        Paragraph(title, _style("heading", size=11, bold=True, before=5 * mm, after=1.5 * mm)),
        *_block(first, placed),
    ]
    if isinstance(first, Text) and others and not _is_long(others[0]):
        together += _block(others.pop(0), placed)
    story: list[Flowable] = [CondPageBreak(45 * mm), KeepTogether(together)]
    for block in others:
        flowables = _block(block, placed)
        story += [CondPageBreak(35 * mm), *flowables] if _is_long(block) else [KeepTogether(flowables)]
    return story


def _is_long(block: Block) -> bool:
    if isinstance(block, Source):
        return block.text.count("\n") > SHORT_TABLE
    return isinstance(block, Table) and len(block.rows) > SHORT_TABLE


def _block(block: Block, placed: list[Placed]) -> list[Flowable]:
    gap = Spacer(0, 2 * mm)
    if isinstance(block, Text):
        return [
            Paragraph(escape(block.text), _style("small", size=7, soft=True) if block.small else _style("text")),
            gap,
        ]
    if isinstance(block, Notice):
        return [_notice(block)]
    if isinstance(block, Facts):
        return [_facts(block), gap]
    if isinstance(block, Source):
        return [Preformatted(block.text, _style("source", size=6.5, fixed=True), maxLineLength=LINE_OF_SOURCE), gap]
    caption = Paragraph(escape(block.caption), _style("caption", size=7, soft=True))
    if isinstance(block, Table):
        return [caption, Spacer(0, 1 * mm), _grid(block), Spacer(0, 3 * mm)]
    return [Room(block.figure, placed), caption, gap]


def _notice(notice: Notice) -> Flowable:
    box = Grid(
        [[Paragraph(escape(notice.text), _style("notice"))]], colWidths=[WIDTH], spaceBefore=2 * mm, spaceAfter=1 * mm
    )
    box.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), ALARM_WASH),
            ("LINEBEFORE", (0, 0), (0, -1), 2, ALARM),
            ("LEFTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ]
    )
    return box


def _facts(facts: Facts) -> Flowable:
    name, value = _style("name", soft=True), _style("text")
    rows = [[Paragraph(escape(left), name), Paragraph(escape(right), value)] for left, right in facts.rows]
    grid = Grid(rows, colWidths=[45 * mm, WIDTH - 45 * mm])
    grid.setStyle([*PADDING, ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE), ("LEFTPADDING", (0, 0), (0, -1), 0)])
    return grid


PADDING: list[Any] = [
    ("FONTNAME", (0, 0), (-1, -1), FONT),  # of empty cells too: a font that is not embedded would be named
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("TOPPADDING", (0, 0), (-1, -1), 1.6),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
    ("LEFTPADDING", (0, 0), (-1, -1), 2),
    ("RIGHTPADDING", (0, 0), (-1, -1), 3),
]
DENSE_PADDING = [*PADDING, ("TOPPADDING", (0, 0), (-1, -1), 0.4), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2)]


def _grid(table: Table) -> Flowable:
    heads = [_cell(column.heading, column.number, bold=True) for column in table.columns]
    rows = [heads] + [
        [
            _cell(text, column.number, bold=place >= len(table.rows) - table.sums, soft=place in table.marked)
            for text, column in zip(row, table.columns, strict=True)
        ]
        for place, row in enumerate(table.rows)
    ]
    style = [*(DENSE_PADDING if _is_long(table) else PADDING)]
    if table.groups:
        rows.insert(0, _group_row(table, style))
    head = 2 if table.groups else 1
    whole = sum(column.width for column in table.columns)
    style += [
        ("VALIGN", (0, 0), (-1, head - 1), "BOTTOM"),
        ("LINEBELOW", (0, head - 1), (-1, head - 1), 0.7, INK),
        ("LINEBELOW", (0, head), (-1, -1), 0.4, LINE),
    ]
    for place, (left, right) in enumerate(pairwise(table.columns), start=1):
        if left.number and not right.number:
            style.append(("LEFTPADDING", (place, 0), (place, -1), 9))
    if table.sums:
        style.append(("LINEABOVE", (0, -table.sums), (-1, -table.sums), 0.7, INK))
        style += [("SPAN", (0, -row), (table.label_span - 1, -row)) for row in range(1, table.sums + 1)]
    widths = [WIDTH * table.width * column.width / whole for column in table.columns]
    grid = Grid(rows, colWidths=widths, repeatRows=head, hAlign="LEFT")
    grid.setStyle(style)
    return grid


def _group_row(table: Table, style: list[Any]) -> list[Any]:
    """Headings over several columns; their spans and lines are added to the style."""
    cells: list[Any] = []
    for heading, span in table.groups:
        first = len(cells)
        style.append(("SPAN", (first, 0), (first + span - 1, 0)))
        if heading:
            style.append(("LINEBELOW", (first, 0), (first + span - 1, 0), 0.4, SOFT))
        cells += [_cell(heading, number=bool(heading), bold=True), *[""] * (span - 1)]
    return cells


def _cell(text: str, number: bool, bold: bool = False, soft: bool = False) -> Paragraph:
    return Paragraph(escape(text), _style("cell", size=7, bold=bold, soft=soft, align=TA_RIGHT if number else 0))


@cache
def _style(
    name: str,
    size: float = 8,
    *,
    bold: bool = False,
    soft: bool = False,
    fixed: bool = False,
    align: Literal[0, 1, 2] = 0,
    before: float = 0,
    after: float = 0,
) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        fontName=FIXED if fixed else BOLD if bold else FONT,
        fontSize=size,
        leading=size * 1.38,
        spaceBefore=before,
        spaceAfter=after,
        textColor=SOFT if soft else INK,
        alignment=align,
        splitLongWords=True,
        allowWidows=0,
        allowOrphans=0,
    )


@cache
def _register_fonts() -> None:
    """DejaVu, which has all signs that are used here, and which matplotlib brings along."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD, FIXED, "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    pdfmetrics.registerFontFamily(FONT, FONT, BOLD, "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
    # Within bold text there is the slant alone to mark.
    pdfmetrics.registerFontFamily(BOLD, BOLD, BOLD, "DejaVuSans-BoldOblique", "DejaVuSans-BoldOblique")
