"""What makes no calibration is found, with its place; published and noisy data of real kinds of sensors pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.checks import problems, warnings
from calibration.data import Area, DataError, Dataset, Direction, Meter, Point, Reference
from calibration.evaluate import Basis, evaluate

FORCES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
OHMS = (102300.0, 60450.0, 29120.0, 15240.0, 8953.0, 4331.0, 2208.0)
UP, DOWN = Direction.UP, Direction.DOWN


def series(
    forces: Sequence[float], ohms: Sequence[float], number: int = 1, direction: Direction = UP, first_line: int = 2
) -> tuple[Point, ...]:
    return tuple(
        Point(series=number, direction=direction, forces_N=(f,), resistances_ohm=(r,), place=f"line {line}")
        for line, (f, r) in enumerate(zip(forces, ohms, strict=True), first_line)
    )


def found(*points: Point) -> str:
    return "\n".join(problems(Dataset(points=points)))


def changed(place: int, ohm: float) -> list[float]:
    return [*OHMS[:place], ohm, *OHMS[place + 1 :]]


def test_good_data_have_no_problem() -> None:
    assert found(*series(FORCES, OHMS)) == ""


def test_no_point_at_all() -> None:
    assert "no point" in found()
    excluded = [point.model_copy(update={"excluded": "slipped"}) for point in series(FORCES, OHMS)]
    assert "no point" in found(*excluded)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_too_few_forces(count: int) -> None:
    assert f"{count} different force" in found(*series(FORCES[:count], OHMS[:count]))


def test_repeats_are_no_further_forces() -> None:
    points = [p for n in range(5) for p in series(FORCES[:4], np.array(OHMS[:4]) * (1 + 0.01 * n), n + 1)]
    assert "4 different forces; at least 5 are needed" in found(*points)


def test_too_narrow_a_range() -> None:
    forces = np.linspace(10, 20, 8)
    assert "a factor of 2; at least 3" in found(*series(forces, 1e5 / forces))


def test_a_series_of_one_point() -> None:
    said = found(*series(FORCES, OHMS), *series(FORCES[:1], OHMS[:1], 2, first_line=40))
    assert "series 2 has a single point (line 40)" in said


@pytest.mark.parametrize("ohm", [9.9e37, 9.91e37])
def test_an_overload(ohm: float) -> None:
    assert "line 4: overload" in found(*series(FORCES, changed(2, ohm)))


@pytest.mark.parametrize(("factor", "unit"), [(1e-6, "MΩ where Ω is stated"), (1e-3, "kΩ where Ω is stated")])
def test_resistances_in_another_unit(factor: float, unit: str) -> None:
    said = found(*series(FORCES, np.array(OHMS) * factor))
    assert "implausible" in said
    assert unit in said


def test_resistances_too_large() -> None:
    assert "Ω where MΩ is stated" in found(*series(FORCES, np.array(OHMS) * 1e6))


def test_forces_in_another_unit() -> None:
    said = found(*series(np.array(FORCES) * 1e4, OHMS))
    assert "implausible" in said
    assert "N where kN is stated" in said


def test_swapped_columns() -> None:
    assert "look swapped" in found(*series(OHMS, FORCES))
    rising = found(*series(FORCES, OHMS[::-1]))
    assert "resistance rises with force" in rising
    assert "swapped" in rising


def test_a_rise_is_named_with_its_points() -> None:
    said = found(*series(FORCES, changed(4, 18050.0)))
    assert "not monotone" in said
    assert "line 5 (10 N, 15.24 kΩ) to line 6 (20 N, 18.05 kΩ)" in said


def test_a_sensor_that_turns_round() -> None:
    ohms = (102300.0, 60450.0, 29120.0, 35200.0, 48000.0, 73000.0, 99000.0)
    assert "not monotone" in found(*series(FORCES, ohms))


def test_an_outlier_among_other_series_is_left_to_the_fit() -> None:
    """Where two others show what the sensor does there, a robust fit deals with it."""
    others = [p for n in (2, 3, 4) for p in series(FORCES, np.array(OHMS) * (1 + 0.01 * n), n)]
    assert found(*series(FORCES, changed(4, 18050.0)), *others) == ""


def test_one_stuck_reading() -> None:
    said = found(*series(FORCES, changed(3, OHMS[2])))
    assert "line 4 (5 N, 29.12 kΩ) and line 5 (10 N, 29.12 kΩ)" in said
    assert "stuck" in said


def test_a_meter_that_hangs() -> None:
    assert "one resistance (29.12 kΩ) at all forces" in found(*series(FORCES, [29120.0] * len(FORCES)))


def test_equal_resistances_of_few_digits_are_not_stuck() -> None:
    """A curve that was read off a data sheet to two digits, saturating."""
    forces = (0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 70.0, 100.0)
    ohms = (30e3, 10e3, 6e3, 3.5e3, 2e3, 1.2e3, 750, 450, 300, 300)
    assert found(*series(forces, ohms)) == ""
    assert found(*series((10, 11.5, 20, 40, 80), (1200, 1200, 700, 400, 210))) == ""


PUBLISHED = {
    "a thick-film sensor's data sheet": (
        (0.196, 0.49, 0.98, 2.45, 4.9, 9.81, 19.6, 39.2, 68.6, 98.1),
        (30e3, 10e3, 6e3, 3.5e3, 2e3, 1.25e3, 750, 450, 300, 250),
    ),
    "linear in conductance, in MΩ": (
        (4.4, 22, 44, 66, 88, 111),
        (5.1e6, 1.05e6, 5.2e5, 3.4e5, 2.6e5, 2.0e5),
    ),
    "carbon-filled film, to tens of ohms": ((5, 10, 20, 40, 80, 160), (1900, 800, 350, 150, 70, 31)),
    "a stiff sensor with a low exponent": ((1, 2, 4, 8, 16, 32), (9800, 8100, 6600, 5500, 4500, 3700)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_curves_pass(name: str) -> None:
    assert found(*series(*PUBLISHED[name])) == ""


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.integers(6, 20),
    exponent=st.floats(0.5, 1.2),
    noise=st.floats(0.001, 0.08),
    between=st.floats(0.0, 0.2),
    several=st.integers(1, 5),
    digits=st.integers(3, 6),
)
def test_noisy_repeats_pass(
    seed: int, levels: int, exponent: float, noise: float, between: float, several: int, digits: int
) -> None:
    """Readings that scatter by up to 8 %, insertions by up to 20 %, over two decades."""
    generator = np.random.default_rng(seed)
    forces = np.geomspace(0.5, 50, levels)
    points: list[Point] = []
    for number in range(1, several + 1):
        for direction in (UP, DOWN):
            ohm = 1e5 * forces**-exponent * np.exp(generator.normal(0, noise, levels) + generator.normal(0, between))
            rounded = [float(f"{value:.{digits - 1}e}") for value in ohm]
            points += series(forces, rounded, number, direction)
    said = found(*points)
    assert "stuck" not in said
    assert "swapped" not in said
    assert "implausible" not in said


def test_what_should_be_known() -> None:
    few = warnings(Dataset(points=series(FORCES[:5], OHMS[:5])))
    assert any("5 forces only" in said for said in few)
    gap = warnings(Dataset(points=series((1, 1.5, 2, 3, 60, 80, 100, 120), np.linspace(9e4, 1e4, 8))))
    assert any("nothing between 3 N and 60 N" in said for said in gap)
    falling = warnings(Dataset(points=series(FORCES[::-1], OHMS[::-1], direction=DOWN)))
    assert any("unloading" in said for said in falling)


def test_the_evaluation_refuses_them() -> None:
    basis = Basis(Area.disc(14e-3), Reference(name="cell"), Meter(name="dmm"))
    with pytest.raises(DataError) as caught:
        evaluate(Dataset(points=series(FORCES, changed(3, OHMS[2]))), basis)
    assert "stuck" in str(caught.value)
