"""The virtual laboratory: every driver's instrument at once, each at a simulated cell."""

from drivers.simulated.laboratory.bench import Laboratory

__all__ = ["Laboratory"]
