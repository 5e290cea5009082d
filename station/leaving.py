"""What an orderly stop of the station leaves behind: climate chambers at their safe temperatures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.interface import Chamber, InstrumentError
from station.alone_channel import AloneChannel
from station.channel import Channel, ChannelError
from station.journal import Journal
from station.readings import ChannelState, Level
from station.workers import Worker


@dataclass(frozen=True)
class ChamberToLeave:
    """A chamber with a `safe_temperature_degC`, and the channels whose cells are in it."""

    worker: Worker[Chamber]
    safe_temperature_degC: float
    channels: tuple[Channel, ...]

    @property
    def occupied_by(self) -> list[str]:
        """Channels whose cyclers go on without the station: their cells keep the temperature that they were given."""
        return [
            channel.name
            for channel in self.channels
            if isinstance(channel, AloneChannel) and channel.run is not None and channel.state is ChannelState.RUNNING
        ]


async def hold_runs(chambers: Iterable[ChamberToLeave]) -> None:
    """Pause the runs whose chamber will be taken elsewhere: nobody but a person shall let them go on in it."""
    for chamber in chambers:
        if chamber.occupied_by:
            continue
        for channel in chamber.channels:
            if channel.state is ChannelState.RUNNING:
                with contextlib.suppress(ChannelError):  # it ended or tripped meanwhile
                    await channel.pause("the station")
                    channel.say(
                        Level.WARNING,
                        f"the station's stop takes {chamber.worker.name} to {chamber.safe_temperature_degC:g} °C: "
                        "set it again before you resume",
                    )


async def leave(chambers: Iterable[ChamberToLeave], journal: Journal) -> None:
    """Take each to its safe temperature, and say what became of it."""
    for chamber in chambers:
        name, safe_degC = chamber.worker.name, chamber.safe_temperature_degC
        if busy := chamber.occupied_by:
            journal.say(Level.WARNING, f"{name} is left as it is: the cyclers of {', '.join(busy)} go on in it")
            continue
        try:
            await chamber.worker.call(lambda instrument, degC=safe_degC: instrument.set_temperature(degC))  # type: ignore[misc]
            journal.say(Level.INFO, f"{name} goes to its safe temperature, {safe_degC:g} °C")
        except InstrumentError as error:
            journal.say(Level.ALARM, f"{name} could not be taken to its safe temperature, {safe_degC:g} °C: {error}")
