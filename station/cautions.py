"""What must be known of a pressure sensor before a run: it stops nobody, and is written into the run's record."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from calibration.record import Calibration
from station.conversion import LONGEST_BEFORE_A_RUN_S, Conversion

NEAR_ENOUGH_K = 3.0
"""How far from the calibration's temperature a cell may be where the record does not say it."""


def day(time: float) -> datetime.date:
    """The day of a time in seconds since the Unix epoch (UTC)."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).date()


def of_calibration(sensor: str, calibration: Calibration | None, today: datetime.date) -> tuple[str, ...]:
    """What stands against it today: it is missing, it has expired, its load cell's certificate has."""
    if calibration is None:
        return (f"sensor {sensor} has no calibration: resistance is stored, pressure is not known",)
    said = []
    if calibration.expired(today):
        said.append(f"the calibration {calibration.id} expired on {calibration.expires}")
    certificate = calibration.reference.expires
    if certificate is not None and certificate < today:
        then = " before it was made" if certificate < calibration.calibrated else ""
        said.append(
            f"the certificate of load cell {calibration.reference.name}, which {calibration.id} rests on, "
            f"expired on {certificate}{then}"
        )
    return tuple(said)


def before_run(
    sensor: str, conversion: Conversion, cell: str, today: datetime.date, temperatures_degC: Iterable[float]
) -> tuple[str, ...]:
    """All that is to be said; `temperatures_degC`: of the cell now, and those that the run sets."""
    calibration = conversion.calibration
    said = list(of_calibration(sensor, calibration, today))
    if calibration is None:
        return tuple(said)
    if conversion.assembled is None:
        days = LONGEST_BEFORE_A_RUN_S / 86400
        said.append(
            f"when cell {cell} was assembled is not recorded ('cellstation cell assembled'): its sensor may have been "
            f"under load up to {days:g} days before the run, and the uncertainty of the pressure allows for that"
        )
    return (*said, *_too_warm_or_cold(calibration, temperatures_degC))


def _too_warm_or_cold(calibration: Calibration, temperatures_degC: Iterable[float]) -> Iterator[str]:
    known = _temperature_degC(calibration)
    if known is None:
        return
    middle, half = known
    outside = sorted({each for each in temperatures_degC if abs(each - middle) > half})
    if outside:
        degrees = ", ".join(f"{each:.1f} °C" for each in outside)
        done = "corrected with its coefficient" if calibration.temperature else "not corrected"
        yield f"{degrees} is not within {middle:g} °C ± {half:g} K, that {calibration.id} was made for: {done}"


def _temperature_degC(calibration: Calibration) -> tuple[float, float] | None:
    """The temperature that it was made at, and how far from there it holds."""
    coefficient, conditions = calibration.temperature, calibration.conditions
    stated = conditions.temperature_within_K or 0.0
    if coefficient is not None:
        return coefficient.reference_degC, max(coefficient.use_within_K, stated) or NEAR_ENOUGH_K
    if conditions.temperature_degC is None:
        return None
    return conditions.temperature_degC, stated or NEAR_ENOUGH_K
