"""What a document consists of, whatever it is written as. Text is plain, or `Markup` with sub, sup, i and b."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """What must not be overlooked."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what belongs to them."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    width: float = 1.0  # relative to the others
    number: bool = True  # set to the right


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text. `groups` are headings over columns, with how many each spans.

    The last `sums` rows are set apart; in these the first cell takes the place of `label_span` cells.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    width: float = 1.0  # as a share of the page's
    sums: int = 0
    label_span: int = 1
    groups: tuple[tuple[str, int], ...] = ()
    marked: tuple[int, ...] = ()  # rows that are set in grey


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with what it shows in words."""

    figure: Figure
    caption: str


@dataclass(frozen=True, slots=True)
class Source:
    """A text of many lines, as somebody wrote it: a file, say."""

    text: str


Block: TypeAlias = Text | Notice | Facts | Table | Picture | Source


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report; `banner` and `number` are on each page, the moment of issue (UTC) is in a PDF's properties."""

    title: str
    subtitle: str
    number: str
    banner: str
    statement: str
    notices: tuple[Notice, ...]
    sections: tuple[Section, ...]
    software: str
    issued: datetime.datetime
    end: str = "End of report"
