"""The conformance case of the Arbor FG-50; in the project it is one entry of a tests/drivers/cases_*.py."""

from __future__ import annotations

from drivers.interface import ForceGauge, Instrument
from drivers.testing import Case, text_of_fixed_width
from examples.add_an_instrument.arbor_fg50 import ArborFg50
from examples.add_an_instrument.virtual_arbor_fg50 import VirtualArborFg50


def read_force(driver: Instrument) -> object:
    assert isinstance(driver, ForceGauge)
    return driver.read_force()


CASES = [
    Case(
        name="arbor-fg50",
        virtual=lambda: VirtualArborFg50(lambda: 12.345),
        open=lambda address: ArborFg50(address, timeout_s=0.3),
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=text_of_fixed_width,
    )
]
