"""A document for people, built once from blocks and written as one HTML page or as a PDF; both say the same."""

from calibration.document.blocks import (
    Block,
    Column,
    Document,
    Facts,
    Notice,
    Picture,
    Section,
    Source,
    Table,
    Text,
)
from calibration.document.files import write_whole
from calibration.document.html import document_html
from calibration.document.pdf import document_pdf

__all__ = [
    "Block",
    "Column",
    "Document",
    "Facts",
    "Notice",
    "Picture",
    "Section",
    "Source",
    "Table",
    "Text",
    "document_html",
    "document_pdf",
    "write_whole",
]
