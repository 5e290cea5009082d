import pytest

from gui import quantities


@pytest.mark.parametrize(
    ("amperes", "text"),
    [
        (1.5, "+1.500 A"),
        (-0.0123456, "−12.35 mA"),
        (0.00084, "+0.8400 mA"),
        (-4.2e-6, "−4.200 µA"),
        (1e-12, "0.0000 µA"),
        (0.0, "0.0000 mA"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_current_is_signed_and_in_the_unit_that_suits(amperes: float | None, text: str) -> None:
    assert quantities.current(amperes) == text


@pytest.mark.parametrize(
    ("pascals", "U", "text"),
    [
        (546_213.0, 3_140.0, "546.2 ± 3.1 kPa"),
        (546_213.0, 14_200.0, "546 ± 14 kPa"),
        (546_213.0, 214.0, "546.21 ± 0.21 kPa"),
        (-1_234.0, 2_000.0, "−1.2 ± 2.0 kPa"),
        (546_213.0, None, "546.2 ± ? kPa"),
        (None, 3_140.0, "–"),
    ],
)
def test_pressure_is_rounded_to_its_uncertainty(pascals: float | None, U: float | None, text: str) -> None:
    assert quantities.pressure(pascals, U) == text


def test_capacity_has_no_sign_and_efficiency_is_a_percentage() -> None:
    assert quantities.capacity(-0.0023456) == "2.346 mAh"
    assert quantities.specific_capacity(-812.44) == "812.4 mAh/g"
    assert quantities.percent(0.998) == "99.80 %"


@pytest.mark.parametrize(("seconds", "text"), [(59, "00:00:59"), (3 * 3600 + 245, "03:04:05"), (183_845, "2 d 03:04")])
def test_duration(seconds: float, text: str) -> None:
    assert quantities.duration(seconds) == text


@pytest.mark.parametrize(("hertz", "text"), [(1e6, "1 MHz"), (1258.9, "1.26 kHz"), (50.0, "50 Hz"), (0.1, "100 mHz")])
def test_frequency(hertz: float, text: str) -> None:
    assert quantities.frequency(hertz) == text


@pytest.mark.parametrize(
    ("newtons", "text"),
    [(84.05, "84.05 N"), (0.02345, "0.023 N"), (-0.351, "−0.351 N"), (120.0, "120.0 N"), (None, "–")],
)
def test_force(newtons: float | None, text: str) -> None:
    assert quantities.force(newtons) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0768, "7.7 %"), (0.0082, "0.82 %"), (0.00058, "0.058 %"), (0.123, "12 %"), (1e-6, "< 0.01 %"), (0.0, "0 %")],
)
def test_shares_have_two_digits(fraction: float, text: str) -> None:
    assert quantities.share(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.0, "5 s"), (88.0, "90 s"), (100.0, "2 min"), (2880.0, "48 min"), (7800.0, "2 h 10 min"), (7190.0, "2 h")],
)
def test_times_to_wait_as_one_says_them(seconds: float, text: str) -> None:
    assert quantities.about(seconds) == text
