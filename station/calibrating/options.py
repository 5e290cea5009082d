"""What there is to choose from, for a calibration."""

from __future__ import annotations

import datetime
from pathlib import Path

from calibration.record import Calibration, CalibrationError
from calibration.reference import certificates, read_certificate
from drivers.interface import ForceGauge, Press, PressureFrame, ResistanceMeter
from drivers.registry import DRIVERS
from station.calibrating.desk import Desk
from station.calibration_views import CalibrationOptions, InstrumentView, ReferenceView, SensorView
from station.config import StationConfig, has_capability


def options(desk: Desk) -> CalibrationOptions:
    """Reads the folder of calibrations, so it may take a moment."""
    config = desk.config
    today = datetime.datetime.fromtimestamp(desk.clock.now(), datetime.UTC).date()
    folder = desk.folder / "references"
    references = tuple(_reference(folder / f"{name}.toml", today) for name in certificates(folder))
    return CalibrationOptions(
        sensors=_sensors(desk, today),
        meters=_instruments(config, ResistanceMeter),
        gauges=_instruments(config, ForceGauge),
        frames=_instruments(config, Press, PressureFrame),
        references=tuple(each.name for each in references),
        reference_details=references,
        sessions=desk.open_sessions(),
        in_cells=desk.in_cells(),
        simulated=config.simulation is not None,
    )


def _sensors(desk: Desk, today: datetime.date) -> tuple[SensorView, ...]:
    """Those that a channel names, and those that have a calibration."""
    bound = {channel.sensor.name: name for name, channel in desk.config.channels.items() if channel.sensor is not None}
    return tuple(_sensor(desk, name, bound.get(name), today) for name in sorted({*bound, *desk.registry.sensors()}))


def _sensor(desk: Desk, name: str, channel: str | None, today: datetime.date) -> SensorView:
    binding = desk.config.channels[channel].sensor if channel is not None else None
    versions, newest = desk.registry.versions(name), _newest(desk, name)
    return SensorView(
        name=name,
        channel=channel,
        meter=binding.meter if binding else None,
        meter_channel=binding.channel if binding else None,
        version=newest.version if newest else None,
        calibrated=newest.calibrated if newest else None,
        expires=newest.expires if newest else None,
        expired=newest.expired(today) if newest else False,
        versions=len(versions),
    )


def _newest(desk: Desk, sensor: str) -> Calibration | None:
    """None where its file cannot be used: the registry's own commands say why."""
    try:
        return desk.registry.newest(sensor)
    except CalibrationError:
        return None


def _instruments(config: StationConfig, *capabilities: type) -> tuple[InstrumentView, ...]:
    found: list[InstrumentView] = []
    for name, section in config.instruments.items():
        if not any(has_capability(DRIVERS[section.driver], capability) for capability in capabilities):
            continue
        channels = tuple(
            sorted(
                channel.sensor.channel
                for channel in config.channels.values()
                if channel.sensor is not None and channel.sensor.meter == name
            )
        )
        found.append(InstrumentView(name=name, driver=section.driver, channels=channels, detail=section.address))
    return tuple(found)


def _reference(path: Path, today: datetime.date) -> ReferenceView:
    try:
        stated = read_certificate(path)
    except CalibrationError as error:
        return ReferenceView(name=path.stem, detail=str(error))
    return ReferenceView(
        name=path.stem,
        cell=" ".join(filter(None, (stated.name, stated.serial))),
        expires=stated.expires,
        expired=stated.expired(today),
        detail=", ".join(filter(None, (stated.certificate, stated.laboratory))),
    )
