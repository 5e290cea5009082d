"""The Arbor TX-7's driver through Cellstation's conformance suite."""

from __future__ import annotations

from arbor_driver.tx7 import ArborTx7
from arbor_driver.virtual import VirtualTx7

from cellstation.testing import Case, DriverConformance, text_of_fixed_width
from drivers.interface import NoReading, Thermometer


class TestArborTx7(DriverConformance):
    cases = (
        Case(
            name="arbor-tx7",
            virtual=lambda: VirtualTx7(lambda: 25.5),
            open=lambda address: ArborTx7(address, timeout_s=0.3),
            exchange=lambda driver: driver.read_temperature_degC(),  # type: ignore[attr-defined]
            roles=(Thermometer,),
            undetectable=text_of_fixed_width,
        ),
    )


def test_an_unplugged_sensor_is_no_temperature() -> None:
    with VirtualTx7(lambda: None) as virtual, ArborTx7(virtual.address) as thermometer:
        assert thermometer.read_temperature_degC() is NoReading.NOT_AVAILABLE
