"""Cycling data by the kind of file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from station.analysis.errors import AnalysisError
from station.analysis.files import biologic, chi, neware
from station.analysis.files.columns import as_cycling, is_heading, is_heading_at_open_circuit
from station.analysis.files.table import content_of, read_parquet, read_text_table, read_workbook
from station.analysis.record import Record


def read_cycling(path: Path) -> Record:
    """Readings from a file of Cellstation or of another program, by its suffix and its content.

    Text with a heading (Battery Data Format, EC-Lab .mpt, exports of Arbin, Maccor, LAND, NEWARE, CH Instruments),
    Parquet, .xlsx, BioLogic .mpr, NEWARE .nda and .ndax. Raises AnalysisError that names the file and the line or the
    column, and OSError where it cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix in neware.SUFFIXES:
        return as_cycling(neware.read(path))
    if suffix in (".xlsx", ".xlsm"):
        return as_cycling(read_workbook(path, is_heading))
    if suffix == ".xls":
        raise AnalysisError(f"{path}: workbooks of before 2007 are not read; save it as .xlsx or .csv")
    content = content_of(path)
    if content.startswith(biologic.MAGIC):
        return as_cycling(biologic.read(path, content))
    if chi.is_chi(content):
        return as_cycling(chi.cycling(path, content))
    if content.startswith(b"PAR1"):
        return as_cycling(read_parquet(path, content))
    if biologic.is_text_of_open_circuit(content):
        table = read_text_table(path, is_heading_at_open_circuit, content)
        return as_cycling(replace(table, frame=biologic.at_open_circuit(table.frame)))
    return as_cycling(read_text_table(path, is_heading, content))
