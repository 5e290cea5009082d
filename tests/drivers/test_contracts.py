"""All drivers of this project through the suite that any driver must pass."""

from drivers.testing import DriverConformance
from tests.drivers.collect import all_cases


class TestEveryDriver(DriverConformance):
    cases = tuple(all_cases())
