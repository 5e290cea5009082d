"""From the options of 'calibrate' to what the station is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import typer
from pydantic import ValidationError

from calibration.data import Area, Meter
from calibration.units import Kind, UnitError, quantity, share
from station.calibration_views import CalibrationOptions, InstrumentView, PlanOrder, SessionOrder, StabilityOrder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as typed."""

    sensor: str
    meter: str | None
    meter_channel: int | None
    meter_uncertainty: str | None
    gauge: str | None
    reference: str | None
    frame: str | None
    full_load: str | None
    least_load: str | None
    diameter: str | None
    diameter_tolerance: str
    area: str | None
    area_tolerance: str
    area_source: str
    levels: int | None
    conditioning: int | None
    series: int | None
    reinsertions: int | None
    dwell: str | None
    burst: int | None
    creep: str | None
    within: str | None
    window: str | None
    operator: str
    place: str
    laboratory: str
    customer: str
    fixture: str
    temperature: float | None
    humidity: float | None


def order_of(asked: Asked, options: CalibrationOptions) -> SessionOrder:
    """What is not said is taken where there is one choice alone. Raises `typer.BadParameter`."""
    known = next((sensor for sensor in options.sensors if sensor.name == asked.sensor), None)
    meter = asked.meter or _only(options.meters, "--meter", "meter that reads the sensor in the press")
    channel = asked.meter_channel
    if channel is None:
        bound = known is not None and known.meter == meter and known.meter_channel is not None
        channel = known.meter_channel if bound and known is not None else 1
    return _checked(
        SessionOrder,
        sensor=asked.sensor,
        meter=meter,
        meter_channel=channel,
        gauge=asked.gauge or _only(options.gauges, "--gauge", "load cell"),
        reference=asked.reference,
        frame=asked.frame,
        area=_area(asked),
        plan=_plan(asked),
        meter_statement=_meter(meter, asked.meter_uncertainty),
        operator=asked.operator,
        place=asked.place,
        laboratory=asked.laboratory,
        customer=asked.customer,
        fixture=asked.fixture,
        temperature_degC=asked.temperature,
        humidity_percent=asked.humidity,
    )


def _plan(asked: Asked) -> PlanOrder:
    if asked.full_load is None:
        raise typer.BadParameter("is needed: the largest force of use, such as '100 N'", param_hint="--full-load")
    values: dict[str, object] = {
        "full_load_N": _quantity(asked.full_load, Kind.FORCE, "--full-load"),
        "least_load_N": _quantity(asked.least_load, Kind.FORCE, "--least-load"),
        "levels": asked.levels,
        "conditioning_cycles": asked.conditioning,
        "series_before": asked.series,
        "reinsertions": asked.reinsertions,
        "dwell_s": _quantity(asked.dwell, Kind.TIME, "--dwell"),
        "burst": asked.burst,
        "creep_s": _quantity(asked.creep, Kind.TIME, "--creep"),
        "tolerance": _share(asked.within, "--within"),
    }
    given = {key: value for key, value in values.items() if value is not None}
    if (window := _quantity(asked.window, Kind.TIME, "--window")) is not None:
        given["stability"] = StabilityOrder(window_s=window)
    return _checked(PlanOrder, **given)


def _area(asked: Asked) -> Area:
    """Its tolerance is rectangular."""
    if (asked.area is None) == (asked.diameter is None):
        raise typer.BadParameter("what area does the force act on? One of --diameter '14 mm' and --area '154 mm^2'")
    if asked.diameter is not None:
        diameter = _quantity(asked.diameter, Kind.LENGTH, "--diameter") or 0.0
        tolerance = _quantity(asked.diameter_tolerance, Kind.LENGTH, "--diameter-tolerance") or 0.0
        return Area.disc(diameter, tolerance, asked.area_source)
    value = _quantity(asked.area, Kind.AREA, "--area")
    tolerance = _quantity(asked.area_tolerance, Kind.AREA, "--area-tolerance") or 0.0
    u = tolerance / math.sqrt(3)
    return _checked(Area, value_m2=value, standard_uncertainty_m2=u, source=asked.area_source or "as stated")


def _meter(name: str, limits: str | None) -> Meter | None:
    """Limits of error are rectangular."""
    relative = _share(limits, "--meter-uncertainty")
    return None if relative is None else Meter(name=name, relative_standard_uncertainty=relative / math.sqrt(3))


def _only(choices: Sequence[InstrumentView], option: str, what: str) -> str:
    if len(choices) == 1:
        return choices[0].name
    there = ", ".join(choice.name for choice in choices) or "none"
    raise typer.BadParameter(f"which {what}? There are: {there}", param_hint=option)


def _quantity(text: str | None, kind: Kind, option: str) -> float | None:
    if text is None:
        return None
    try:
        return 0.0 if text.strip() == "0" else quantity(text, kind)
    except UnitError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _share(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    value = share(text)
    if value is None:
        raise typer.BadParameter(f"'{text}' is no share; write it like '0.05 %'", param_hint=option)
    return value


def _checked(kind: type[T], **values: object) -> T:
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
