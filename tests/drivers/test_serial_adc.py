"""The ADC with a divider: ratiometric, with its quantisation, and what is no reading."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.interface import BadReply, NoReading, OutOfRange, Resistance
from drivers.serial_adc import SerialAdc, checksum
from drivers.simulated.force_lines import VirtualSerialAdc
from drivers.simulated.wiring import FixedCell
from tests.drivers.test_force_gauges import Heart

IDENTITY = "CELLSTATION ADC 1,4,32767"


def sealed(text: str) -> str:
    return f"{text}*{checksum(text):02X}"


def reading(said: str, **more: float) -> Resistance:
    with Heart({"?": sealed(IDENTITY), "A1": said}, b"\n") as heart:
        with SerialAdc(heart.address, reference_ohm=100e3, boot_s=0.0, timeout_s=0.3, **more) as adc:  # type: ignore[arg-type]
            found = adc.read_resistances([1])[1]
        assert heart.received == ["?", "A1"]
    return found


def test_the_checksum_is_that_of_nmea() -> None:
    assert checksum("GPGLL,5300.97914,N,00259.98174,E,125926,A") == 0x28


def test_it_is_ratiometric() -> None:
    assert reading(sealed("A1,6600,26400")) == pytest.approx(300e3)
    assert reading(sealed("A1,3300,13200")) == pytest.approx(300e3), "at half the supply too"
    assert reading(sealed("A1,13200,26400")) == pytest.approx(100e3)
    assert reading(sealed("A1,6600,26400") + "\r") == pytest.approx(300e3)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("A1,15,26400", NoReading.OVERLOAD),  # open
        ("A1,0,26400", NoReading.OVERLOAD),
        ("A1,-3,26400", NoReading.OVERLOAD),
        ("A1,26385,26400", NoReading.NOT_AVAILABLE),  # short
        ("A1,26400,26400", NoReading.NOT_AVAILABLE),
        ("A1,32767,32767", NoReading.NOT_AVAILABLE),  # the supply is beyond the range
        ("A1,0,0", NoReading.NOT_AVAILABLE),  # the supply is off
    ],
)
def test_open_short_and_saturated_are_no_readings(said: str, why: NoReading) -> None:
    assert reading(sealed(said)) is why


@pytest.mark.parametrize(
    "said", ["A1,6600,26400", "A1,6600,26400*00", sealed("A2,6600,26400"), sealed("E"), sealed("A1,6600"), "", "*41"]
)
def test_what_is_no_reading_is_an_error(said: str) -> None:
    with pytest.raises(BadReply):
        reading(said)


@given(st.floats(5e3, 20e6))
@settings(max_examples=200, deadline=None)
def test_a_reading_is_within_its_stated_quantisation(resistance_ohm: float) -> None:
    """Half a count of the tap, and half a count of the supply."""
    board = VirtualSerialAdc.__new__(VirtualSerialAdc)  # its arithmetic alone, without a socket
    board.supply_V, board.reference_ohm = 3.3, 100e3
    reference = board._counts(3.3)
    counts = board._counts(3.3 * 100e3 / (100e3 + resistance_ohm))
    measured = 100e3 * (reference / counts - 1)
    adc = SerialAdc.__new__(SerialAdc)
    adc.reference_ohm = 100e3
    step = adc.resolution_ohm(max(resistance_ohm, measured), reference)
    assert abs(measured - resistance_ohm) <= 0.51 * step + (resistance_ohm + 100e3) * 0.51 / reference


def test_the_resolution_that_is_stated_is_that_of_one_count() -> None:
    adc = SerialAdc.__new__(SerialAdc)
    adc.reference_ohm = 100e3
    one_more = 100e3 * (26400 / 6601 - 1)
    assert adc.resolution_ohm(300e3, 26400) == pytest.approx(300e3 - one_more, rel=1e-3)
    assert adc.resolution_ohm(100e3, 26400) == pytest.approx(15.15, rel=1e-3)


def test_each_channel_has_its_sensor() -> None:
    cells = {1: FixedCell(sensor_ohm=50e3), 2: FixedCell(sensor_ohm=1e6), 3: FixedCell(sensor_ohm=math.inf)}
    with (
        VirtualSerialAdc(cells) as board,
        SerialAdc(board.address, reference_ohm=100e3, timeout_s=0.3) as adc,
    ):
        found = adc.read_resistances([3, 1, 2])
        assert list(found) == [3, 1, 2]
        assert found[1] == pytest.approx(50e3, rel=1e-3) and found[2] == pytest.approx(1e6, rel=1e-3)
        assert found[3] is NoReading.OVERLOAD
        assert adc.identify() == "CELLSTATION ADC 1,3,32767"
        with pytest.raises(OutOfRange, match="no channel 4"):
            adc.check_channels([4])
