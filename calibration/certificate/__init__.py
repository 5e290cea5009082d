"""A calibration as a report for people: one HTML page, or a PDF, with what ISO/IEC 17025:2017 wants on a certificate.

Both say the same: `content` makes the document from the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibration.certificate.content import document, number
from calibration.document import document_html, document_pdf, write_whole
from calibration.record import Calibration

__all__ = ["number", "render_html", "render_pdf", "write_html", "write_pdf"]


def render_html(calibration: Calibration, history: Sequence[Calibration] = ()) -> str:
    """`history`: other versions of the sensor's calibration, for the drift."""
    return document_html(document(calibration, history))


def render_pdf(calibration: Calibration, history: Sequence[Calibration] = ()) -> bytes:
    """`history`: other versions of the sensor's calibration, for the drift. The same record gives the same bytes."""
    return document_pdf(document(calibration, history))


def write_html(calibration: Calibration, path: Path, history: Sequence[Calibration] = ()) -> None:
    """In place of a former file, whole or not at all. Raises OSError."""
    write_whole(path, render_html(calibration, history).encode())


def write_pdf(calibration: Calibration, path: Path, history: Sequence[Calibration] = ()) -> None:
    """In place of a former file, whole or not at all. Raises OSError."""
    write_whole(path, render_pdf(calibration, history))
