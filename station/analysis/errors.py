"""What an analysis says when it cannot be done."""

from __future__ import annotations


class AnalysisError(ValueError):
    """The data or the question do not allow the analysis; the message says why, where, and what would help."""
