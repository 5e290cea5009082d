"""The budget adds up, agrees with the propagation of distributions, and covers the truth as often as it says."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest

from calibration.data import Area, Dataset, Meter, Reference, TemperatureCoefficient, ZeroReading
from calibration.evaluate import Basis, evaluate
from calibration.record import Calibration, Place, UnderLoad
from calibration.results import Budget, Component, Evaluation
from tests.calibration.simulation import Design, SimulatedSensor, bent, calibrate, creep_hold, power, saturating

AREA = Area.disc(14e-3, 0.1e-3, "drawing")
BASIS = Basis(AREA, Reference(name="LC-1", relative_standard_uncertainty=0.002), Meter(name="DMM"), draws=20_000)
TODAY = datetime.date(2026, 11, 29)


def record(evaluation: Evaluation, data: Dataset, basis: Basis = BASIS) -> Calibration:
    return Calibration(
        sensor="mfsr-1",
        version=1,
        model=evaluation.choice.best.model,
        area=basis.area,
        evaluation=evaluation,
        data=data,
        reference=basis.reference,
        meter=basis.meter,
        temperature=basis.temperature,
        calibrated=TODAY,
        issued=datetime.datetime(2026, 11, 29, 12, 0),
    )


def component(budget: Budget, name: str) -> Component:
    return next(each for each in budget.components if each.name.startswith(name))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return calibrate(SimulatedSensor(power), Design(), np.random.default_rng(4))


@pytest.fixture(scope="module")
def evaluation(data: Dataset) -> Evaluation:
    return evaluate(data, BASIS)


def test_it_adds_up(evaluation: Evaluation) -> None:
    for budget in evaluation.budgets:
        squares = math.fsum(each.relative**2 for each in budget.components)
        assert budget.combined == pytest.approx(math.sqrt(squares), rel=1e-12)
        assert budget.expanded == pytest.approx(2 * budget.few_readings * budget.combined, rel=1e-12)
        assert budget.standard == pytest.approx(budget.expanded / 2, rel=1e-12)
        assert budget.expanded_force < budget.expanded
        assert budget.pressure_Pa == pytest.approx(budget.force_N / AREA.value_m2, rel=1e-12)


def test_every_component_that_is_wanted_is_stated(evaluation: Evaluation) -> None:
    names = [each.name for each in evaluation.budgets[0].components]
    for wanted in (
        "repeatability",
        "reproducibility after reinsertion",
        "reversibility",
        "interpolation",
        "creep",
        "zero",
        "resolution",
        "reference load cell",
        "meter",
        "temperature",
        "sensing area",
    ):
        assert wanted in names
    unevaluated = [each for each in evaluation.budgets[0].components if not each.evaluation]
    assert all(each.relative == 0 and each.note.startswith("not evaluated") for each in unevaluated)


def test_components_have_the_size_of_the_truth() -> None:
    """Over several calibrations of one sensor: 2 % of ln R after reinsertion is 2.35 % of force, and so on."""
    found = []
    for seed in range(8):
        budget = evaluate(calibrate(SimulatedSensor(power), Design(), np.random.default_rng(seed)), BASIS).budgets[2]
        parts = {name: component(budget, name).relative for name in ("repeat", "reproducib", "reversib", "interpol")}
        found.append(list(parts.values()))
    repeat, reproducible, reversible, interpolation = np.sqrt(np.mean(np.square(found), axis=0))
    assert repeat == pytest.approx(0.003 / 0.85, rel=0.15)
    assert reproducible == pytest.approx(0.02 / 0.85 * math.sqrt(1 + 1 / 4), rel=0.5)
    assert reversible == pytest.approx(math.log(1.04) / 2 / 0.85, rel=0.1)
    assert interpolation < 0.003
    assert component(
        evaluate(calibrate(SimulatedSensor(power), Design(), np.random.default_rng(1)), BASIS).budgets[0],
        "sensing area",
    ).relative == pytest.approx(0.0082, abs=1e-4)


def test_it_agrees_with_the_propagation_of_distributions() -> None:
    """Where many series leave every component near normal, both give the same interval (JCGM 101, 8)."""
    sensor = SimulatedSensor(power, hysteresis=0.01)
    many = evaluate(calibrate(sensor, Design(insertions=(1,) * 12), np.random.default_rng(2)), BASIS)
    for budget in many.budgets:
        assert budget.monte_carlo_standard == pytest.approx(budget.combined, rel=0.12)
        assert math.log(budget.high) == pytest.approx(0.98 * budget.expanded, rel=0.06)
        assert -math.log(budget.low) == pytest.approx(0.98 * budget.expanded, rel=0.06)


def test_few_insertions_widen_it() -> None:
    sensor = SimulatedSensor(power, insertion=0.05)
    two = evaluate(calibrate(sensor, Design(insertions=(1, 1)), np.random.default_rng(7)), BASIS)
    assert two.budgets[2].few_readings > 1.5
    assert any("two insertions" in said for said in two.warnings)
    many = evaluate(calibrate(SimulatedSensor(power), Design(insertions=(1,) * 10), np.random.default_rng(6)), BASIS)
    assert many.budgets[2].few_readings < 1.2


def test_zero_resolution_meter_and_temperature_come_in(data: Dataset) -> None:
    zeros = (ZeroReading(series=1, before=True, force_N=0.0), ZeroReading(series=1, before=False, force_N=0.05))
    basis = Basis(
        AREA,
        Reference(name="LC-1", standard_uncertainty_N=0.02, resolution_N=0.01),
        Meter(name="DMM", relative_standard_uncertainty=0.001, resolution_ohm=100.0),
        TemperatureCoefficient(per_K=-0.003, reference_degC=25.0, use_within_K=3.0),
        draws=2000,
    )
    low = evaluate(data.model_copy(update={"zeros": zeros}), basis).budgets[0]
    force, b = low.force_N, 0.85
    assert component(low, "zero").relative == pytest.approx(0.05 / math.sqrt(3) / force, rel=1e-6)
    assert component(low, "reference").relative == pytest.approx(0.02 / force, rel=1e-6)
    assert component(low, "meter").relative == pytest.approx(0.001 / b, rel=0.05)
    assert component(low, "temperature").relative == pytest.approx(0.009 / math.sqrt(3) / b, rel=0.05)
    of_cell = 0.01 / force / math.sqrt(6)
    of_meter = 100.0 / low.resistance_ohm / math.sqrt(12) / b
    assert component(low, "resolution").relative == pytest.approx(math.hypot(of_cell, of_meter), rel=0.05)


def test_creep_is_measured_and_corrected() -> None:
    rng = np.random.default_rng(9)
    sensor = SimulatedSensor(power, creep=0.03, insertion=0.001, hysteresis=0.0)
    data = calibrate(sensor, Design(), rng).model_copy(update={"creep": creep_hold(sensor, 80.0, rng)})
    calibration = record(evaluate(data, BASIS), data)
    creep = calibration.evaluation.creep
    assert creep is not None
    assert creep.per_decade == pytest.approx(0.03, abs=4 * creep.standard_uncertainty)
    assert 0 < creep.standard_uncertainty < 0.003
    later = 60.0 * 1000  # three decades: 9 % more conductance
    resistance = math.exp(float(power(np.log(50.0)))) / 1.09
    naive, corrected = calibration.pressure(resistance), calibration.pressure(resistance, UnderLoad.since(later))
    vague = calibration.pressure(resistance, UnderLoad(60.0 * 10, 60.0 * 1e5))
    assert naive is not None
    assert corrected is not None
    assert vague is not None
    true = 50.0 / AREA.value_m2
    assert naive.value_Pa > 1.08 * true
    assert corrected.value_Pa == pytest.approx(true, rel=0.01)
    assert vague.value_Pa == pytest.approx(true, rel=0.01)
    assert vague.expanded_uncertainty_Pa > 1.5 * corrected.expanded_uncertainty_Pa


def test_temperature_is_corrected(data: Dataset) -> None:
    basis = Basis(
        AREA,
        BASIS.reference,
        BASIS.meter,
        TemperatureCoefficient(per_K=-0.003, standard_uncertainty_per_K=0.0005, reference_degC=25.0),
        draws=2000,
    )
    calibration = record(evaluate(data, basis), data, basis)
    cold = calibration.pressure(3e5)
    warm = calibration.pressure(3e5 * math.exp(-0.003 * 20), temperature_degC=45.0)
    assert cold is not None
    assert warm is not None
    assert warm.value_Pa == pytest.approx(cold.value_Pa, rel=1e-9)
    assert warm.expanded_uncertainty_Pa > cold.expanded_uncertainty_Pa


def test_beyond_the_range_there_is_no_pressure_and_near_its_end_a_mark(data: Dataset, evaluation: Evaluation) -> None:
    calibration = record(evaluation, data)
    force = calibration.force_max_N * np.array([0.9, 1.0, 1 + evaluation.budgets[-1].expanded / 3, 1.3, 10.0])
    found = calibration.pressures(calibration.model.resistance_ohm(force))
    assert [Place(place) for place in found.place] == [
        Place.INSIDE, Place.INSIDE, Place.AT_END, Place.ABOVE, Place.ABOVE,
    ]  # fmt: skip
    assert np.isnan(found.value_Pa[3:]).all()
    assert np.isnan(found.expanded_uncertainty_Pa[3:]).all()
    assert found.value_Pa[2] > calibration.force_max_N / AREA.value_m2  # marked, not clipped
    below = calibration.pressures([float(calibration.model.resistance_ohm(0.5 * calibration.force_min_N)), 1e12])
    assert [Place(place) for place in below.place] == [Place.BELOW, Place.BELOW]
    none = calibration.pressures([math.nan, math.inf, 0.0, -5.0])
    assert {Place(place) for place in none.place} == {Place.NO_READING}
    assert calibration.pressure(1e12) is None


def test_one_and_many_readings_agree(data: Dataset, evaluation: Evaluation) -> None:
    calibration = record(evaluation, data)
    resistances = np.geomspace(2.6e5, 3e6, 7)
    many = calibration.pressures(resistances)
    for place, resistance in enumerate(resistances):
        one = calibration.pressure(float(resistance))
        assert one is not None
        assert one.value_Pa == many.value_Pa[place]
        assert one.low_Pa < one.value_Pa < one.high_Pa
        assert one.expanded_uncertainty_Pa == many.expanded_uncertainty_Pa[place]


@pytest.mark.parametrize(
    ("sensor", "design"),
    [
        (SimulatedSensor(power), Design()),
        (SimulatedSensor(bent, insertion=0.0, hysteresis=0.08), Design()),
        (SimulatedSensor(saturating, insertion=0.01, insertion_slope=0.005), Design(reference=0.01)),
    ],
    ids=["reinsertion rules", "hysteresis rules", "bent over, slopes differ"],
)
def test_the_true_pressure_lies_within_the_interval_as_often_as_stated(sensor: SimulatedSensor, design: Design) -> None:
    """`python -m benchmarks coverage` does this for 1,000 calibrations of more kinds of sensors."""
    rng = np.random.default_rng(1)
    low, high = design.ends
    hits: list[bool] = []
    for _ in range(16):
        data = calibrate(sensor, design, rng)
        basis = Basis(
            AREA, Reference(name="LC", relative_standard_uncertainty=design.reference), BASIS.meter, draws=4000
        )
        calibration = record(evaluate(data, basis), data, basis)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            for sign in (-1.0, 1.0):
                x = low + share * (high - low)
                reading = sensor.read(np.array([x]), sign, sensor.offset(rng), rng, low, high)
                found = calibration.pressures(np.exp(reading))
                if found.place[0] in (Place.INSIDE, Place.AT_END):
                    area = AREA.value_m2 * (1 + rng.normal(0, AREA.standard_uncertainty_m2 / AREA.value_m2))
                    hits.append(bool(found.low_Pa[0] <= math.exp(x) / area <= found.high_Pa[0]))
    assert len(hits) > 150
    assert 0.88 < np.mean(hits) < 0.995
