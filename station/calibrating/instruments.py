"""What a calibration reads and drives: the load cell, the sensor's meter, and the press where there is one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from calibration.procedure import Sample
from drivers.interface import (
    ForceGauge,
    InstrumentError,
    NoReading,
    Press,
    PressureFrame,
    Resistance,
    ResistanceMeter,
    SensorPress,
)
from drivers.simulated.clock import Clock
from station.workers import Worker


@dataclass(frozen=True)
class DrivenPress:
    """A press by force, or a frame by pressure: force / `area_m2`."""

    worker: Worker[Press] | Worker[PressureFrame]
    area_m2: float | None  # of a frame; None: the press takes forces

    async def check(self, force_N: float) -> None:
        """Raise `OutOfRange` where it cannot go there. Nothing is moved."""
        await self._call(force_N, "check_force", "check_pressure")

    async def go(self, force_N: float) -> None:
        await self._call(force_N, "set_force", "set_pressure")

    async def insert(self, sensor: str) -> None:
        """Of a `SensorPress` alone."""
        await self.worker.call(lambda press: cast(SensorPress, press).insert(sensor))

    async def _call(self, force_N: float, by_force: str, by_pressure: str) -> None:
        name, value = (by_force, force_N) if self.area_m2 is None else (by_pressure, force_N / self.area_m2)
        await self.worker.call(lambda press: getattr(press, name)(value))


@dataclass(frozen=True)
class Instruments:
    """Of one session. `channels` are read together, so that a meter that others use too need not be set up anew."""

    gauge: Worker[ForceGauge]
    meter: Worker[ResistanceMeter]
    meter_channel: int
    channels: Sequence[int]
    press: DrivenPress | None
    force_N: Callable[[float], float]  # of an indication, by the load cell's certificate
    clock: Clock

    async def sample(self, zero_indication: float) -> Sample:
        """Both at once; what an instrument does not say is said as trouble."""
        (force, no_force), (ohm, no_ohm) = await asyncio.gather(self._indication(), self._resistance())
        overload = force is NoReading.OVERLOAD
        if overload:
            no_force = f"{self.gauge.name} says overload: take load off at once"
        elif isinstance(force, NoReading):
            no_force = f"{self.gauge.name} has no reading ({force.value})"
        if ohm is NoReading.NOT_AVAILABLE:
            no_ohm = f"{self.meter.name} has no reading of channel {self.meter_channel} (not available)"
        indication = force if isinstance(force, float) and math.isfinite(force) else None
        return Sample(
            time=self.clock.now(),
            indication=indication,
            force_N=None if indication is None else self.force_N(indication - zero_indication),
            resistance_ohm=ohm if isinstance(ohm, float) else None,
            open=ohm is NoReading.OVERLOAD,
            overload=overload,
            trouble="; ".join(text for text in (no_force, no_ohm) if text),
        )

    async def _indication(self) -> tuple[float | NoReading | None, str]:
        try:
            value = await self.gauge.call(lambda gauge: gauge.read_force())
        except InstrumentError as error:
            return None, f"no force: {self.gauge.name}: {error}"
        return value if isinstance(value, NoReading) else float(value), ""

    async def _resistance(self) -> tuple[Resistance | None, str]:
        try:
            said = await self.meter.call(lambda meter: meter.read_resistances(self.channels))
        except InstrumentError as error:
            return None, f"no resistance: {self.meter.name}: {error}"
        value = said.get(self.meter_channel, NoReading.NOT_AVAILABLE)
        return value if isinstance(value, NoReading) else float(value), ""
