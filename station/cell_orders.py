"""What a person does to a cell is kept with what its pressure sensor says: the in-cell zero, the built-in pressure."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field

from calibration.record import Calibration
from station.cell_events import CLOCKS_DIFFER_S, moment
from station.channel import Channel, ChannelError
from station.conversion import Conversion
from station.readings import CellEvent, CellEventKind


class CellEventOrder(BaseModel):
    """What was done, in which channel the cell is, and when; None: now."""

    kind: CellEventKind
    channel: str
    at: float | None = Field(None, description="seconds since the Unix epoch")
    note: str = ""
    who: str = ""


def make_event(
    cell: str, order: CellEventOrder, channel: Channel, calibration: Calibration | None, now: float
) -> CellEvent:
    """The event, with what the channel's sensor says now. Raises `ChannelError` where it cannot be."""
    at, who, sensor = order.at if order.at is not None else now, order.who or "someone", channel.sensor
    if at > now + CLOCKS_DIFFER_S:
        raise ChannelError(f"{moment(at)} has not come yet: at the station it is {moment(now)}")
    _check_place(cell, order, channel)
    said = sensor.newest if sensor is not None else None
    if sensor is None or said is None:
        if order.kind is CellEventKind.ZERO:
            why = "has no pressure sensor" if sensor is None else f"hears nothing of sensor {sensor.name}"
            raise ChannelError(f"channel {channel.name} {why}: there is no zero to record")
        return CellEvent(cell, at, order.kind, channel.name, note=_note(order, "the sensor was not read"), who=who)
    gauge = channel.environment.temperature
    temperature_degC = gauge.newest if gauge is not None else None
    event = CellEvent(
        cell, at, order.kind, channel.name, sensor.name, said.time, temperature_degC=temperature_degC, who=who
    )
    if said.resistance_ohm is None:
        return replace(event, note=_note(order, "the sensor was open: no resistance"))
    assembled = at if order.kind is CellEventKind.ASSEMBLED else None
    pressed = Conversion(calibration, assembled, now).pressed(said.time, said.resistance_ohm, temperature_degC)
    mark = f"{pressed.mark} the range of its calibration" if pressed.mark else ""
    return replace(
        event,
        resistance_ohm=said.resistance_ohm,
        pressure_Pa=pressed.pressure_Pa,
        pressure_U_Pa=pressed.pressure_U_Pa,
        calibration=pressed.calibration,
        note=_note(order, mark),
    )


def _check_place(cell: str, order: CellEventOrder, channel: Channel) -> None:
    run = channel.run
    if run is not None and run.cell.cell != cell:
        raise ChannelError(f"channel {channel.name} runs cell {run.cell.cell}, not {cell}")
    if run is not None and order.kind is CellEventKind.ZERO:
        raise ChannelError(f"channel {channel.name} runs cell {cell}: its sensor is under load, that is no zero")


def _note(order: CellEventOrder, added: str) -> str:
    return "; ".join(part for part in (order.note.strip(), added) if part)
