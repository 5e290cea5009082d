"""A run, or several compared, as one document that needs nothing else: for the lab book, a meeting, a paper's appendix.

Numbers are results of `station.analysis`; each is printed with the readings it is from and the function that gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibration.document import document_html, document_pdf, write_whole
from station.analysis.cycles import Accuracy
from station.report.content import document
from station.report.reported import read
from station.store import Archive, StoreError

__all__ = ["SUFFIXES", "write_report"]

SUFFIXES = (".html", ".pdf")


def write_report(archive: Archive, run_ids: Sequence[str], path: Path, accuracy: Accuracy | None = None) -> None:
    """Write the report of these runs to `path`, an .html or a .pdf, in place of a former one.

    `accuracy` is that of the instrument; without it, capacities have no uncertainty but that of their scatter. Raises
    StoreError where a run is not there or the file cannot be written.
    """
    content = document([read(archive, run_id) for run_id in run_ids], accuracy)
    try:
        if path.suffix.lower() == ".pdf":
            write_whole(path, document_pdf(content))
        else:
            write_whole(path, document_html(content).encode())
    except OSError as error:
        raise StoreError(f"no report was written to {path}: {error.strerror or error}") from error
