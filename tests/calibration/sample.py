"""A whole calibration of a synthetic sensor with known numbers."""

from __future__ import annotations

import datetime
import math
from typing import Any

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
from calibration.models import LinearConductance, PowerLaw
from calibration.record import Calibration
from calibration.results import (
    Budget,
    Candidate,
    Choice,
    Component,
    Creep,
    Distribution,
    Evaluation,
    LevelQuantities,
    Quantities,
    Table,
    Variable,
)

AREA = Area.disc(14e-3, 0.1e-3, "disc of 14 mm, drawing MFSR-14 rev. B")
B = 0.85
A_OHM = 0.288e6 * (546e3 * AREA.value_m2) ** B  # 0.288 MΩ at 546 kPa
LEVELS_N = np.geomspace(2.0, 110.0, 10)
HYSTERESIS, CREEP_PER_DECADE, DWELL_S = 0.05, 0.03, 45.0
START = datetime.datetime(2026, 9, 21, 9, 0, tzinfo=datetime.UTC).timestamp()
REASON = "screw slipped while the burst was taken"


def dataset(seed: int = 7) -> Dataset:
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
            resistance = A_OHM * force.mean() ** -B * np.exp(offset + 0.003 * rng.standard_normal(10))
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
    held = A_OHM * 88.0**-B * np.exp(-shift + 0.002 * rng.standard_normal(40))
    creep = tuple(
        CreepSample(time_s=round(float(t), 2), force_N=88.0, resistance_ohm=round(float(r), 1))
        for t, r in zip(times, held, strict=True)
    )
    zeros = tuple(
        ZeroReading(series=series, before=before, force_N=0.002 * series, resistance_ohm=None if before else 3.1e7)
        for series in range(1, 6)
        for before in (True, False)
    )
    return Dataset(points=tuple(points), creep=creep, zeros=zeros)


def part(
    name: str, relative: float, evaluation: str, shape: Distribution = Distribution.NORMAL, **more: Any
) -> Component:
    return Component(name=name, relative=relative, evaluation=evaluation, distribution=shape, **more)


def budget(force_N: float) -> Budget:
    low_end = 0.03 * (LEVELS_N[0] / force_N) ** 0.8
    parts = (
        part("repeatability of a reading", 0.006, "A", degrees_of_freedom=36.0),
        part("reproducibility after reinsertion", 0.016, "A", Distribution.STUDENT, degrees_of_freedom=3.0),
        part("reversibility", 0.01 * (1 - force_N / 150), "A", Distribution.TWO_POINT),
        part("interpolation", 0.004, "A", degrees_of_freedom=8.0),
        part("creep", 0.005, "A", degrees_of_freedom=37.0, note="until twice the dwell"),
        part("zero", low_end / 3, "B", Distribution.RECTANGULAR),
        part("resolution of the load cell", 0.0029 / force_N, "B", Distribution.RECTANGULAR),
        part("reference load cell", 0.001, "B"),
        part("meter", 0.0003, "B", Distribution.RECTANGULAR),
        part("temperature", 0.004, "B", Distribution.RECTANGULAR, note="± 2 K around 23 °C"),
        part("load cell's drift", 0.0, "", note="not known: one certificate only"),
        part("sensing area", AREA.standard_uncertainty_m2 / AREA.value_m2, "B", Distribution.RECTANGULAR),
    )
    combined = math.sqrt(math.fsum(part.relative**2 for part in parts))
    nu = combined**4 / math.fsum(p.relative**4 / p.degrees_of_freedom for p in parts if p.degrees_of_freedom)
    without_area = math.sqrt(math.fsum(part.relative**2 for part in parts[:-1]))
    few = 1.0 + 1.2 / nu
    expanded = 2 * few * combined
    return Budget(
        force_N=force_N,
        pressure_Pa=force_N / AREA.value_m2,
        resistance_ohm=float(A_OHM * force_N**-B),
        components=parts,
        combined=combined,
        degrees_of_freedom=nu,
        few_readings=few,
        expanded=expanded,
        expanded_force=2 * few * without_area,
        low=math.exp(-expanded),
        high=math.exp(expanded),
        monte_carlo_standard=combined * 1.003,
        monte_carlo_draws=100_000,
    )


def evaluation() -> Evaluation:
    budgets = tuple(budget(float(force)) for force in LEVELS_N)
    ln_ohm = np.log(A_OHM) - B * np.log(LEVELS_N[::-1])
    grid = np.linspace(ln_ohm[0], ln_ohm[-1], 101)
    expanded = np.interp(grid, ln_ohm, [each.expanded for each in budgets[::-1]])
    force = np.interp(grid, ln_ohm, [each.expanded_force for each in budgets[::-1]])
    power = PowerLaw(a_ohm=A_OHM, b=B)
    straight = LinearConductance(slope_S_N=3.9e-8, offset_S=1.2e-7)
    return Evaluation(
        choice=Choice(
            variable=Variable.LN_RESISTANCE,
            candidates=(
                Candidate(
                    model=power,
                    covariance=((9.0e8, 12.0), (12.0, 4.0e-7)),
                    parameters_fitted=2,
                    aicc=-712.4,
                    residual=0.021,
                    left_out_error=0.024,
                ),
                Candidate(model=straight, parameters_fitted=2, aicc=-401.9, residual=0.11, left_out_error=0.12),
            ),
            rejected=(("inverse force with a series resistance", "negative resistance at the highest force"),),
            suspects=(31,),
        ),
        budgets=budgets,
        table=Table(
            ln_ohm_first=float(grid[0]),
            ln_ohm_step=float(grid[1] - grid[0]),
            expanded=tuple(expanded),
            expanded_force=tuple(force),
            low=tuple(-expanded),
            high=tuple(expanded),
        ),
        creep=Creep(
            per_decade=CREEP_PER_DECADE,
            standard_uncertainty=0.0012,
            reference_s=DWELL_S,
            force_N=88.0,
            longest_s=3600.0,
            residual=0.002,
        ),
        quantities=Quantities(
            of="the sensor",
            levels=tuple(
                LevelQuantities(
                    force_N=float(force),
                    reproducibility=3.1,
                    repeatability=0.9,
                    interpolation=-0.4,
                    reversibility=None if force == LEVELS_N[-1] else 4.8,
                )
                for force in LEVELS_N
            ),
            zero=0.02,
            creep=2.9,
            classification="unclassified: reproducibility of 3.1 % is above the 0.40 % of class 2",
        ),
        force_min_N=float(LEVELS_N[0]),
        force_max_N=float(LEVELS_N[-1]),
        ln_ohm_least=float(ln_ohm[0]),
        ln_ohm_most=float(ln_ohm[-1]),
        warnings=("the temperature coefficient is the maker's, not measured here",),
    )


def calibration(**changes: object) -> Calibration:
    """Signed and sealed; `changes` replace fields before it is sealed."""
    values: dict[str, object] = {
        "sensor": "mfsr-07",
        "version": 2,
        "model": PowerLaw(a_ohm=A_OHM, b=B),
        "area": AREA,
        "evaluation": evaluation(),
        "data": dataset(),
        "reference": Reference(
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
        ),
        "meter": Meter(
            name="Keithley DAQ6510",
            identity="KEITHLEY INSTRUMENTS,MODEL DAQ6510,04401234,1.7.12b",
            settings="2-wire, 10 MΩ range, NPLC 1",
            relative_standard_uncertainty=0.0003,
            resolution_ohm=1.0,
        ),
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
        "temperature": TemperatureCoefficient(
            per_K=-0.0036, standard_uncertainty_per_K=0.001, reference_degC=23.0, use_within_K=2.0, source="data sheet"
        ),
        "calibrated": datetime.date(2026, 9, 21),
        "expires": datetime.date(2027, 9, 21),
        "issued": datetime.datetime(2026, 9, 21, 16, 40, tzinfo=datetime.UTC),
        "authorised_by": "Dr B. Metrologist",
        "software": "cellstation 0.1.0",
    }
    return Calibration.model_validate({**values, **changes}).sealed()


def earlier() -> Calibration:
    """The version before: 3 % less resistance at the same force, half a year ago."""
    return calibration(
        version=1,
        model=PowerLaw(a_ohm=0.97 * A_OHM, b=B),
        calibrated=datetime.date(2026, 3, 20),
        expires=datetime.date(2027, 3, 20),
        issued=datetime.datetime(2026, 3, 20, 15, 5, tzinfo=datetime.UTC),
    )
