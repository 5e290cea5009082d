"""How often the true pressure lies in the stated 95 % interval: 1,000 calibrations of each kind of simulated sensor."""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass, field

import numpy as np

from benchmarks.table import show
from calibration.data import Area, Dataset, Meter, Reference
from calibration.evaluate import Basis, evaluate
from calibration.record import Calibration, Place, UnderLoad
from tests.calibration.simulation import (
    REFERENCE_S,
    Design,
    SimulatedSensor,
    bent,
    calibrate,
    creep_hold,
    linear,
    power,
    saturating,
)

CALIBRATIONS = 1000
SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the range in ln F
USES = 2  # later readings at each, of either branch
DIAMETER_M, TOLERANCE_M = 14e-3, 0.1e-3


@dataclass(frozen=True)
class Case:
    name: str
    sensor: SimulatedSensor
    design: Design = field(default_factory=Design)


CASES = (
    Case("as the standard plan is", SimulatedSensor(power)),
    Case("noise and hysteresis alone", SimulatedSensor(power, insertion=0.0)),
    Case("hysteresis of 10 %", SimulatedSensor(power, insertion=0.0, hysteresis=0.10)),
    Case("branches apart at the ends too", SimulatedSensor(power, insertion=0.01, hysteresis=0.08, closing=False)),
    Case("bent in ln R, ln F", SimulatedSensor(bent)),
    Case("series resistance", SimulatedSensor(saturating, insertion=0.01)),
    Case("linear conductance, noise in G", SimulatedSensor(linear, noise_G_S=1e-8, insertion=0.01)),
    Case("slope differs between insertions", SimulatedSensor(power, insertion_slope=0.01)),
    Case("creep, read after a day", SimulatedSensor(power, insertion=0.01, creep=0.03)),
    Case("load cell of 1 % (standard)", SimulatedSensor(power, insertion=0.01), Design(reference=0.01)),
    Case("two insertions, 3 + 1 series", SimulatedSensor(power), Design(insertions=(3, 1))),
    Case("one insertion, four series", SimulatedSensor(power, insertion=0.0), Design(insertions=(4,))),
    Case("eight levels, single readings", SimulatedSensor(power, noise=0.01), Design(levels=8, burst=1)),
)


def record(data: Dataset, basis: Basis) -> Calibration:
    evaluation = evaluate(data, basis)
    return Calibration(
        sensor="simulated",
        version=1,
        model=evaluation.choice.best.model,
        area=basis.area,
        evaluation=evaluation,
        data=data,
        reference=basis.reference,
        meter=basis.meter,
        calibrated=datetime.date(2026, 1, 1),
        issued=datetime.datetime(2026, 1, 1),
        simulated=True,
    )


def hits(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of one calibration: at each share, how many later readings had the truth within, and how many had a value."""
    sensor, design = case.sensor, case.design
    data = calibrate(sensor, design, rng)
    if sensor.creep:
        data = data.model_copy(update={"creep": creep_hold(sensor, 80.0, rng)})
    area = Area.disc(DIAMETER_M, TOLERANCE_M, "as drawn")
    reference = Reference(name="simulated", relative_standard_uncertainty=design.reference)
    calibration = record(data, Basis(area, reference, Meter(name="simulated"), draws=20_000))
    true_area = np.pi / 4 * (DIAMETER_M + rng.uniform(-TOLERANCE_M, TOLERANCE_M)) ** 2
    low, high = design.ends
    after_s = 86400.0 if sensor.creep else REFERENCE_S
    within, valued = np.zeros(len(SHARES)), np.zeros(len(SHARES))
    for place, share in enumerate(SHARES):
        for _ in range(USES):
            x = low + share * (high - low)
            sign = float(rng.choice((-1.0, 1.0)))
            y = sensor.read(np.array([x]), sign, sensor.offset(rng), rng, low, high, after_s)
            found = calibration.pressures(np.exp(y), UnderLoad.since(after_s) if sensor.creep else None)
            if found.place[0] in (Place.INSIDE, Place.AT_END):
                valued[place] += 1
                within[place] += found.low_Pa[0] <= np.exp(x) / true_area <= found.high_Pa[0]
    return within, valued


def main(calibrations: int = CALIBRATIONS) -> None:
    rows = []
    for case in CASES:
        rng = np.random.default_rng(20261129)
        counted = [hits(case, rng) for _ in range(calibrations)]
        within, valued = (np.sum(column, axis=0) for column in zip(*counted, strict=True))
        by_share = " ".join(f"{100 * share:.0f}" for share in within / valued)
        rows.append((case.name, f"{100 * within.sum() / valued.sum():.1f}", by_share))
        print(f"{case.name}: {rows[-1][1]} %", file=sys.stderr)
    shares = ", ".join(f"{share:g}" for share in SHARES)
    headings = ("sensor and calibration", "truth within / %", f"at these shares of the range: {shares}")
    show(f"Coverage of the stated 95 % interval over {calibrations} calibrations each", headings, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALIBRATIONS)
