"""Safety: what is met trips, what is no number trips, and the message says whose limit it was."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.limits import Limits
from station.safety import LimitsInForce
from station.sequencer import Sample

LIMITS = Limits(0.0, 4.0, 0.01, 1e5, 1e6, 0.0, 60.0)
INSIDE = Sample(0.0, 2.0, 5e-3, 3e5, 5e5, 5e4, "mfsr-1 v1", 25.0)
FORCE = LimitsInForce().narrowed_by(LIMITS, "cell coin-1")


def reason(sample: Sample, force: LimitsInForce = FORCE) -> str | None:
    trip = force.check(sample)
    return trip.reason if trip else None


def test_inside_all_limits_nothing_trips() -> None:
    assert reason(INSIDE) is None
    assert reason(replace(INSIDE, pressure_Pa=None, temperature_degC=None)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"voltage_V": 4.0}, "voltage 4 V meets the limit of 4 V of cell coin-1"),
        ({"voltage_V": 4.1}, "voltage 4.1 V meets the limit of 4 V of cell coin-1"),
        ({"voltage_V": 0.0}, "voltage 0 V meets the limit of 0 V of cell coin-1"),
        ({"voltage_V": -0.2}, "voltage -0.2 V meets the limit of 0 V of cell coin-1"),
        ({"current_A": 0.01}, "current 10 mA meets the limit of 10 mA of cell coin-1"),
        ({"current_A": -0.01}, "current 10 mA meets the limit of 10 mA of cell coin-1"),
        ({"pressure_Pa": 1e6}, "pressure 1000 kPa meets the limit of 1000 kPa of cell coin-1"),
        ({"pressure_Pa": 1e5}, "pressure 100 kPa meets the limit of 100 kPa of cell coin-1"),
        ({"temperature_degC": 60.0}, "temperature 60 °C meets the limit of 60 °C of cell coin-1"),
        ({"temperature_degC": 0.0}, "temperature 0 °C meets the limit of 0 °C of cell coin-1"),
    ],
)
def test_a_limit_trips_when_it_is_met(changes: dict[str, float], said: str) -> None:
    assert reason(replace(INSIDE, **changes)) == said


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("voltage_V", (math.nextafter(4.0, 0), math.nextafter(0.0, 1))),
        ("current_A", (math.nextafter(0.01, 0), -math.nextafter(0.01, 0), 0.0)),
        ("pressure_Pa", (math.nextafter(1e6, 0), math.nextafter(1e5, 1e6))),
        ("temperature_degC", (math.nextafter(60.0, 0), math.nextafter(0.0, 1))),
    ],
)
def test_a_hair_inside_does_not_trip(name: str, inside: tuple[float, ...]) -> None:
    for value in inside:
        assert reason(replace(INSIDE, **{name: value})) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["voltage_V", "current_A", "pressure_Pa", "temperature_degC"])
@pytest.mark.parametrize("force", [FORCE, LimitsInForce()])
def test_what_is_no_number_trips_even_without_a_limit(name: str, value: float, force: LimitsInForce) -> None:
    said = reason(replace(INSIDE, **{name: value}), force)
    assert said == f"{name.split('_')[0]} is not a number"


def test_the_surroundings_are_checked_while_the_circuit_is_open() -> None:
    assert FORCE.check_surroundings(5e5, 25.0) is None
    assert FORCE.check_surroundings(None, None) is None
    trip = FORCE.check_surroundings(2e6, None)
    assert trip is not None
    assert "pressure 2000 kPa" in trip.reason
    assert FORCE.check_surroundings(None, math.nan) is not None


def test_the_message_names_who_set_the_narrowest_limit() -> None:
    force = (
        LimitsInForce()
        .narrowed_by(Limits(voltage_max_V=5.0, current_max_A=1.0), "the station")
        .narrowed_by(Limits(voltage_max_V=4.2), "channel A1")
        .narrowed_by(Limits(voltage_max_V=4.5, current_max_A=0.005), "cell coin-1")
        .narrowed_by(Limits(voltage_max_V=4.2), "protocol 'x'")
    )
    assert reason(replace(INSIDE, voltage_V=4.3, current_A=0.0), force) == (
        "voltage 4.3 V meets the limit of 4.2 V of channel A1"
    )
    assert reason(replace(INSIDE, current_A=-0.006), force) == "current 6 mA meets the limit of 5 mA of cell coin-1"


numbers = st.floats(-100, 100)
limits = st.builds(
    Limits,
    *(st.one_of(st.just(math.inf if "_max_" in one.name else -math.inf), numbers) for one in fields(Limits)),
)
samples = st.builds(
    Sample,
    st.just(0.0),
    numbers,
    numbers,
    st.none(),
    st.one_of(st.none(), numbers),
    st.none(),
    st.none(),
    st.one_of(st.none(), numbers),
)


@given(st.lists(limits, max_size=4), samples)
def test_what_trips_any_of_them_trips_all_of_them_together(several: list[Limits], sample: Sample) -> None:
    together = LimitsInForce()
    for index, one in enumerate(several):
        together = together.narrowed_by(one, f"number {index}")
    alone = [LimitsInForce().narrowed_by(one, "it").check(sample) for one in several]
    assert (together.check(sample) is not None) is any(trip is not None for trip in alone)


@given(limits, limits)
def test_to_narrow_never_widens(one: Limits, other: Limits) -> None:
    before = LimitsInForce().narrowed_by(one, "one")
    after = before.narrowed_by(other, "other")
    for each in fields(Limits):
        old, new = getattr(before.limits, each.name), getattr(after.limits, each.name)
        assert new <= old if "_max_" in each.name else new >= old
        assert new in (getattr(one, each.name), getattr(other, each.name))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(), None),
        (LIMITS, None),
        (Limits(voltage_min_V=4.0), "the limits of voltage leave nothing between 4 and 4"),
        (Limits(pressure_min_Pa=2e6), "the limits of pressure leave nothing between 2e+06 and 1e+06"),
        (Limits(temperature_max_degC=-1.0), "the limits of temperature leave nothing between 0 and -1"),
        (Limits(current_max_A=0.0), "the limit of current is not above zero"),
        (Limits(current_max_A=math.nan), None),
    ],
)
def test_limits_that_no_cell_could_satisfy(limits: Limits, said: str | None) -> None:
    assert FORCE.narrowed_by(limits, "protocol 'x'").contradiction() == said


@given(limits, limits, samples)
def test_where_nothing_can_be_satisfied_it_is_said(one: Limits, other: Limits, sample: Sample) -> None:
    force = LimitsInForce().narrowed_by(one, "one").narrowed_by(other, "other")
    whole = replace(sample, pressure_Pa=sample.pressure_Pa or 0.0, temperature_degC=sample.temperature_degC or 0.0)
    if force.contradiction():
        assert force.check(whole) is not None


@pytest.mark.parametrize(
    ("limits", "pressure", "temperature"),
    [
        (Limits(), False, False),
        (Limits(pressure_min_Pa=1.0), True, False),
        (Limits(pressure_max_Pa=1.0), True, False),
        (Limits(temperature_min_degC=1.0), False, True),
        (Limits(temperature_max_degC=1.0), False, True),
    ],
)
def test_which_sensors_a_limit_needs(limits: Limits, pressure: bool, temperature: bool) -> None:
    assert limits.watches_pressure() is pressure
    assert limits.watches_temperature() is temperature
