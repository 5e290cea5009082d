"""The suite that any driver must pass, this project's own and those of others' packages. Needs pytest.

A driver's package derives a class from `DriverConformance` and gives it its cases; docs/add-an-instrument.md shows it.
"""

import pytest

pytest.register_assert_rewrite("drivers.testing.suite", "drivers.testing.roles")

from drivers.testing.case import (  # noqa: E402
    Case,
    Start,
    checksummed,
    hexadecimal_without_checksum,
    modbus_tcp_registers,
    text_of_fixed_width,
    text_without_checksum,
)
from drivers.testing.compare import same, until_it_answers  # noqa: E402
from drivers.testing.faults import (  # noqa: E402
    FaultAt,
    FaultProxy,
    Kind,
    Spoil,
    cut_after,
    double,
    dribble,
    garble,
    swallow,
)
from drivers.testing.suite import DriverConformance  # noqa: E402
from drivers.testing.sweep import Tally, sweep  # noqa: E402

__all__ = [
    "Case",
    "DriverConformance",
    "FaultAt",
    "FaultProxy",
    "Kind",
    "Spoil",
    "Start",
    "Tally",
    "checksummed",
    "cut_after",
    "double",
    "dribble",
    "garble",
    "hexadecimal_without_checksum",
    "modbus_tcp_registers",
    "same",
    "swallow",
    "sweep",
    "text_of_fixed_width",
    "text_without_checksum",
    "until_it_answers",
]
