"""A whole calibration of a synthetic sensor with known numbers."""

from __future__ import annotations

import datetime
from functools import cache

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
from calibration.results import Evaluation

AREA = Area.disc(14e-3, 0.1e-3, "disc of 14 mm, drawing MFSR-14 rev. B")
B = 0.85
A_OHM = 0.288e6 * (546e3 * AREA.value_m2) ** B  # 0.288 MΩ at 546 kPa
LEVELS_N = np.geomspace(2.0, 110.0, 10)
HYSTERESIS, CREEP_PER_DECADE, DWELL_S = 0.05, 0.03, 45.0
START = datetime.datetime(2026, 9, 21, 9, 0, tzinfo=datetime.UTC).timestamp()
REASON = "screw slipped while the burst was taken"


@cache
def dataset(seed: int = 7, factor: float = 1.0) -> Dataset:
    """Five series up and down, the last three after the sensor was taken out; one point excluded."""
    rng = np.random.default_rng(seed)
    points: list[Point] = []
    for series, insertion in enumerate((1, 1, 2, 3, 4), start=1):
        seat = 0.012 * rng.standard_normal()
        up = [(float(level), Direction.UP) for level in LEVELS_N]
        for nominal, direction in up + [(level, Direction.DOWN) for level, _ in reversed(up[:-1])]:
            force = nominal * (1 + 0.01 * rng.standard_normal()) * (1 + 1e-4 * rng.standard_normal(10))
            bend = HYSTERESIS / 2 * (1 if direction is Direction.DOWN else -1) * (1 - nominal / LEVELS_N[-1])
            offset = seat - bend + 0.004 * rng.standard_normal()
            resistance = factor * A_OHM * force.mean() ** -B * np.exp(offset + 0.003 * rng.standard_normal(10))
            slipped = series == 2 and direction is Direction.UP and nominal == up[4][0]
            points.append(
                Point(
                    series=series,
                    insertion=insertion,
                    direction=direction,
                    nominal_N=round(nominal, 2),
                    forces_N=tuple(force.round(4)),
                    resistances_ohm=tuple((resistance * (1.3 if slipped else 1)).round(1)),
                    time=START + 60 * len(points),
                    under_load_s=DWELL_S,
                    temperature_degC=round(22.9 + 0.2 * rng.random(), 1),
                    excluded=REASON if slipped else "",
                )
            )
    times = np.geomspace(2.0, 3600.0, 40)
    shift = np.log1p(CREEP_PER_DECADE * np.log10(times / DWELL_S))
    held = factor * A_OHM * 88.0**-B * np.exp(-shift + 0.002 * rng.standard_normal(40))
    creep = tuple(
        CreepSample(time_s=round(float(t), 2), force_N=88.0, resistance_ohm=round(float(r), 1))
        for t, r in zip(times, held, strict=True)
    )
    zeros = tuple(
        ZeroReading(
            series=series,
            before=before,
            force_N=0.0 if before else 0.004 * series,
            resistance_ohm=None if before else 3.1e7,
        )
        for series in range(1, 6)
        for before in (True, False)
    )
    return Dataset(points=tuple(points), creep=creep, zeros=zeros)


REFERENCE = Reference(
    name="S-beam 200 N",
    serial="LC-4471",
    certificate="K-2026-0815",
    laboratory="Example Force Laboratory",
    calibrated=datetime.date(2026, 3, 2),
    expires=datetime.date(2028, 3, 1),
    relative_standard_uncertainty=0.0005,
    standard_uncertainty_N=0.01,
    resolution_N=0.01,
    statement="second-degree polynomial of the indication in mV/V",
)
METER = Meter(
    name="Keithley DAQ6510",
    identity="KEITHLEY INSTRUMENTS,MODEL DAQ6510,04401234,1.7.12b",
    settings="2-wire, 10 MΩ range, NPLC 1",
    relative_standard_uncertainty=0.0003,
    resolution_ohm=1.0,
)
TEMPERATURE = TemperatureCoefficient(
    per_K=-0.0036, standard_uncertainty_per_K=0.001, reference_degC=23.0, use_within_K=2.0, source="data sheet"
)


@cache
def evaluation(data: Dataset) -> Evaluation:
    return evaluate(data, Basis(AREA, REFERENCE, METER, TEMPERATURE, draws=20_000))


def calibration(**changes: object) -> Calibration:
    """Signed and sealed; `changes` replace fields before it is sealed."""
    data = changes.get("data", dataset())
    assert isinstance(data, Dataset)
    found = evaluation(data)
    values: dict[str, object] = {
        "sensor": "mfsr-07",
        "version": 2,
        "model": found.choice.best.model,
        "area": AREA,
        "evaluation": found,
        "data": data,
        "reference": REFERENCE,
        "meter": METER,
        "conditions": Conditions(
            operator="A. Technician",
            laboratory="Battery Laboratory, Example Institute",
            place="Room 214, Example Street 1, Exampletown",
            customer="Cell group, Example Institute",
            temperature_degC=23.0,
            temperature_within_K=0.5,
            humidity_percent=41,
            fixture="two steel discs of 14 mm with a PTFE puck, as in the coin cell",
            conditioning="4 loadings to 121 N (110 % of full load)",
            method="load steps up and down against a load cell, procedure 1.0",
            dwell_s=DWELL_S,
        ),
        "temperature": TEMPERATURE,
        "calibrated": datetime.date(2026, 9, 21),
        "expires": datetime.date(2027, 9, 21),
        "issued": datetime.datetime(2026, 9, 21, 16, 40, tzinfo=datetime.UTC),
        "authorised_by": "Dr B. Metrologist",
        "software": "cellstation 0.1.0",
    }
    return Calibration.model_validate({**values, **changes}).sealed()


def earlier() -> Calibration:
    """The version before, half a year ago: 3 % less resistance at the same force."""
    return calibration(
        version=1,
        data=dataset(seed=8, factor=0.97),
        calibrated=datetime.date(2026, 3, 20),
        expires=datetime.date(2027, 3, 20),
        issued=datetime.datetime(2026, 3, 20, 15, 5, tzinfo=datetime.UTC),
    )
