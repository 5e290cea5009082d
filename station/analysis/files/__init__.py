"""Data that Cellstation did not take: cycling and impedance in the files of other instruments and programs.

    from station.analysis.files import read_cycling, read_spectra

    record = read_cycling(Path("theirs.mpr"))          # for everything in station.analysis
    spectra = read_spectra(Path("theirs.DTA"))         # for everything in station.analysis.impedance

The kind of a file is told by its suffix and its content. Current is positive on charge in what is returned.
"""

from station.analysis.files.cycling import read_cycling
from station.analysis.files.origin import is_simulated
from station.analysis.files.spectra import read_spectra

SUFFIXES = frozenset(
    (
        *(".bdf", ".csv", ".dta", ".gz", ".mpr", ".mpt", ".nda", ".ndax"),
        *(".par", ".parquet", ".tsv", ".txt", ".xls", ".xlsx", ".z"),
    )
)
"""Of names that are taken for files, even where there is none."""

__all__ = ["SUFFIXES", "is_simulated", "read_cycling", "read_spectra"]
