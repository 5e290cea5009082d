"""How a sensor of the virtual bench was calibrated: its simulated readings, evaluated as real ones are."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np

from calibration.data import (
    Area,
    Conditions,
    CreepSample,
    Dataset,
    Direction,
    Meter,
    Point,
    Reference,
    TemperatureCoefficient,
    ZeroReading,
)
from calibration.evaluate import Basis, evaluate
from calibration.record import Calibration
from drivers.simulated.cell.sensor import Sensor, SensorParameters

FORCES_N = tuple(float(force) for force in np.geomspace(1.0, 400.0, 12))
SERIES_BEFORE, REINSERTIONS = 2, 3
DWELL_S, BURST, BURST_S = 30.0, 10, 10.0
CREEP_TIMES_S = tuple(float(time) for time in np.geomspace(10.0, 3600.0, 25))
TEMPERATURES_DEGC = (15.0, 25.0, 35.0)
LOAD_CELL = 5e-4  # relative standard uncertainty of the simulated load cell, and its noise
METER = 1e-4  # relative standard uncertainty of the simulated meter
DRAWS = 20_000  # of the Monte-Carlo propagation: for a record that nobody signs


@dataclass
class Press:
    """A simulated sensor under a load cell, put in anew where it begins; `time_s` counts from there."""

    parameters: SensorParameters
    random: Random
    time_s: float = 0.0
    sensor: Sensor = field(init=False)
    _loaded_at: float | None = None

    def __post_init__(self) -> None:
        self.sensor = Sensor(self.parameters, self.random, factor=self._contact())

    def reinsert(self) -> None:
        self.hold(0.0, 60.0)
        self.sensor.factor = self._contact()

    def _contact(self) -> float:
        """How the resistance differs from the truth by how the sensor comes to lie between the plates."""
        return self.random.lognormvariate(0.0, self.parameters.insertion)

    def hold(self, force_N: float, seconds: float) -> None:
        """Go to a load, and wait there."""
        if force_N and self._loaded_at is None:
            self._loaded_at = self.time_s
        elif not force_N:
            self._loaded_at = None
        self.sensor.advance(force_N / self.parameters.area_m2, 0.0)
        self.sensor.advance(force_N / self.parameters.area_m2, seconds)
        self.time_s += seconds

    @property
    def under_load_s(self) -> float:
        return 0.0 if self._loaded_at is None else self.time_s - self._loaded_at

    def force_N(self) -> float:
        """As the load cell indicates it."""
        return self.sensor.pressure_Pa * self.parameters.area_m2 * self.random.lognormvariate(0.0, LOAD_CELL)

    def read_ohm(self, temperature_degC: float | None = None) -> float:
        degC = self.parameters.reference_degC if temperature_degC is None else temperature_degC
        return self.sensor.read_ohm(degC)


def simulated_calibration(
    name: str, parameters: SensorParameters, today: datetime.date, batch: str | None = None
) -> Calibration:
    """Version 1 of a simulated sensor; it expires in ten years, for a scaled clock runs ahead of the wall's.

    Sensors of one `batch` have one response, which is measured once.
    """
    record = _evaluated(batch or name, parameters, today)
    if batch is None:
        return record
    note = "SIMULATED: readings of one simulated sensor, evaluated as real ones are, for all of its batch"
    return record.model_copy(update={"sensor": name, "note": note}).sealed()


@functools.cache
def _evaluated(name: str, parameters: SensorParameters, today: datetime.date, seed: int = 0) -> Calibration:
    random = Random(f"{name} {seed}")
    data = _measured(Press(parameters, random))
    coefficient = _coefficient(Press(parameters, random))
    area = Area.disc(parameters.diameter_m, source="diameter that the simulation was given")
    reference = Reference(
        name="simulated load cell",
        calibrated=today,
        expires=today + datetime.timedelta(days=3650),
        relative_standard_uncertainty=LOAD_CELL,
        statement="reads the simulated force with noise",
    )
    meter = Meter(name="simulated meter", relative_standard_uncertainty=METER)
    evaluation = evaluate(data, Basis(area, reference, meter, coefficient, draws=DRAWS))
    return Calibration(
        sensor=name,
        version=1,
        model=evaluation.choice.best.model,
        area=area,
        evaluation=evaluation,
        data=data,
        reference=reference,
        meter=meter,
        conditions=Conditions(
            operator="virtual bench",
            temperature_degC=parameters.reference_degC,
            fixture="simulated press",
            conditioning="none: a simulated sensor has no memory of its first loads",
            method="loads evenly spaced in ln F, up and down",
            dwell_s=DWELL_S,
        ),
        temperature=coefficient,
        calibrated=today,
        expires=today + datetime.timedelta(days=3650),
        issued=datetime.datetime.combine(today, datetime.time(), datetime.UTC),
        software=f"cellstation {importlib.metadata.version('cellstation')}",
        simulated=True,
        note="SIMULATED: readings of a simulated sensor, evaluated as real ones are",
    ).sealed()


def _measured(press: Press) -> Dataset:
    points: list[Point] = []
    zeros: list[ZeroReading] = []
    for series in range(1, SERIES_BEFORE + REINSERTIONS + 1):
        insertion = max(1, series - SERIES_BEFORE + 1)
        if insertion > 1:
            press.reinsert()
        else:
            press.hold(0.0, 60.0)
        zeros.append(ZeroReading(series=series, before=True, force_N=0.0))
        points += (_point(press, series, insertion, force, way) for force, way in _loads())
        press.hold(0.0, 60.0)
        zeros.append(ZeroReading(series=series, before=False, force_N=0.0))
    return Dataset(points=tuple(points), creep=tuple(_creep(press)), zeros=tuple(zeros))


def _loads() -> Iterator[tuple[float, Direction]]:
    return itertools.chain(
        ((force, Direction.UP) for force in FORCES_N), ((force, Direction.DOWN) for force in FORCES_N[-2::-1])
    )


def _point(press: Press, series: int, insertion: int, nominal_N: float, direction: Direction) -> Point:
    press.hold(nominal_N, DWELL_S)
    burst = []
    for _ in range(BURST):
        press.hold(nominal_N, BURST_S / BURST)
        burst.append((press.force_N(), press.read_ohm()))
    forces, resistances = zip(*burst, strict=True)
    return Point(
        series=series,
        insertion=insertion,
        direction=direction,
        forces_N=forces,
        resistances_ohm=resistances,
        nominal_N=nominal_N,
        time=press.time_s,
        under_load_s=press.under_load_s,
        temperature_degC=press.parameters.reference_degC,
    )


def _creep(press: Press) -> Iterator[CreepSample]:
    """At four fifths of the full load; sampled evenly over the logarithm of time."""
    force_N, before_s = 0.8 * FORCES_N[-1], 0.0
    for time_s in CREEP_TIMES_S:
        press.hold(force_N, time_s - before_s)
        before_s = time_s
        yield CreepSample(time_s=time_s, force_N=press.force_N(), resistance_ohm=press.read_ohm())


def _coefficient(press: Press) -> TemperatureCoefficient:
    """d ln R/dT from readings at three temperatures, when the sensor has settled under a constant force."""
    press.hold(math.sqrt(FORCES_N[0] * FORCES_N[-1]), press.parameters.settled_s)
    degC = np.repeat(TEMPERATURES_DEGC, 4 * BURST)
    ln_ohm = np.log([press.read_ohm(each) for each in degC.tolist()])
    warmer = degC - press.parameters.reference_degC
    (slope, _), covariance = np.polyfit(warmer, ln_ohm, 1, cov=True)
    return TemperatureCoefficient(
        per_K=float(slope),
        standard_uncertainty_per_K=math.sqrt(float(covariance[0, 0])),
        reference_degC=press.parameters.reference_degC,
        use_within_K=2.0,
        source="simulated readings at " + ", ".join(f"{each:g} °C" for each in TEMPERATURES_DEGC),
    )
