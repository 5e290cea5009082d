"""What a calibration needs and another has: instruments of another calibration, a sensor that lies in a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from station.calibrating.session import SessionError
from station.calibration_views import SensorInCell, SessionOrder
from station.channel import Channel
from station.config import StationConfig


def in_cells(channels: Iterable[Channel]) -> tuple[SensorInCell, ...]:
    """The sensors of the channels whose runs are on, paused and tripped ones among them."""
    return tuple(
        SensorInCell(
            sensor=sensor.name,
            meter=sensor.meter,
            meter_channel=sensor.channel,
            channel=channel.name,
            cell=run.cell.cell,
            run_id=run.run_id,
        )
        for channel in channels
        if (sensor := channel.sensor) is not None and (run := channel.run) is not None
    )


def require_free(
    order: SessionOrder, others: Mapping[str, SessionOrder], channels: Iterable[Channel], config: StationConfig
) -> None:
    """A load cell, a meter's channel and a press serve one calibration at a time; what is in a cell, none.

    `others` are those that measure, by their sessions' names. Raises `SessionError`.
    """
    for name, other in others.items():
        if shared := _shared(order, other):
            raise SessionError(f"{' and '.join(shared)} is used by calibration {name}: end it, or abandon it")
    for sensor in in_cells(channels):
        if said := sensor.against(order.sensor, order.meter, order.meter_channel):
            raise SessionError(said)
    for name, channel in config.channels.items():
        if order.frame is not None and channel.frame == order.frame:
            raise SessionError(f"frame {order.frame} clamps the cell of channel {name}: it cannot press a sensor")


def _shared(order: SessionOrder, other: SessionOrder) -> list[str]:
    same = (
        (f"sensor {order.sensor}", order.sensor == other.sensor),
        (f"load cell {order.gauge}", order.gauge == other.gauge),
        (
            f"channel {order.meter_channel} of {order.meter}",
            (order.meter, order.meter_channel) == (other.meter, other.meter_channel),
        ),
        (f"press {order.frame}", order.frame is not None and order.frame == other.frame),
    )
    return [what for what, is_shared in same if is_shared]


def require_out_of_press(channel: Channel, calibrated: Mapping[str, SessionOrder]) -> None:
    """Before a run: neither its sensor nor the meter's channel that reads it is in a calibration that measures.

    Raises `SessionError`.
    """
    if (sensor := channel.sensor) is None:
        return
    for name, order in calibrated.items():
        if order.sensor == sensor.name:
            what = f"sensor {sensor.name}"
        elif (order.meter, order.meter_channel) == (sensor.meter, sensor.channel):
            what = f"what reads sensor {sensor.name}"
        else:
            continue
        raise SessionError(
            f"{what} of channel {channel.name} is used by calibration {name}, which goes on: end it, or abandon it, "
            "and put the sensor into the cell first"
        )
