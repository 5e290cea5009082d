"""The conformance suite for drivers: `from cellstation.testing import Case, DriverConformance`."""

from drivers.testing import *  # noqa: F403
from drivers.testing import __all__ as __all__
