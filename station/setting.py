"""What is set around a cell beside everything else: a chamber, a frame, a trigger line. Nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from drivers.interface import InstrumentError, OutOfRange
from station.commands import Ask, PulseTrigger, SetStackPressure, SetTemperature
from station.environment import Environment
from station.readings import Level
from station.workers import Patience

LOST_AFTER_S = 60.0
"""How long a chamber or a frame may refuse its set point before `failed` is told."""


class Setter:
    """One set point at a time is asked for until the instrument has said that it has it."""

    def __init__(
        self, environment: Environment, say: Callable[[Level, str], None], failed: Callable[[str], Awaitable[None]]
    ) -> None:
        self._environment, self._say, self._failed = environment, say, failed
        self._setting: asyncio.Task[None] | None = None
        self._pulses: set[asyncio.Task[None]] = set()

    def carry_out(self, command: PulseTrigger | SetTemperature | SetStackPressure | Ask) -> None:
        environment = self._environment
        match command:
            case PulseTrigger(marker) if environment.trigger is not None:
                self._pulses.add(asyncio.create_task(self._pulse(marker)))
            case SetTemperature(degC) if environment.chamber is not None:
                chamber = environment.chamber
                self._begin(chamber.name, lambda: chamber.call(lambda c: c.set_temperature(degC)))
            case SetStackPressure(pascals) if environment.frame is not None:
                frame = environment.frame
                self._begin(frame.name, lambda: frame.call(lambda f: f.set_pressure(pascals)))
            case SetTemperature() | SetStackPressure():  # it was there when the run began
                self._say(Level.ALARM, "what this step sets is not bound to this channel any more")
            case _:
                pass  # a question is shown by `view`; a marker without a line is stored all the same

    def give_up(self) -> None:
        """The step that wanted it is over."""
        if self._setting is not None and not self._setting.done() and self._setting is not asyncio.current_task():
            self._say(Level.WARNING, "the step was over before its set point was taken")
            self._setting.cancel()

    def interrupt(self) -> None:
        if self._setting is not None and self._setting is not asyncio.current_task():
            self._setting.cancel()

    async def cancel(self) -> None:
        setting, self._setting = self._setting, None
        if setting is not None and not setting.done() and setting is not asyncio.current_task():
            setting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await setting

    def raise_unforeseen(self) -> None:
        """Raise what nobody foresaw in what is over."""
        for task in (self._setting, *self._pulses):
            if task is not None and task.done() and not task.cancelled():
                task.result()
        self._pulses = {task for task in self._pulses if not task.done()}

    async def _pulse(self, marker: str) -> None:
        assert self._environment.trigger is not None
        try:
            await self._environment.trigger.call(lambda line: line.pulse())
        except InstrumentError as error:
            self._say(Level.WARNING, f"the trigger line may not have been pulsed for marker '{marker}': {error}")

    def _begin(self, name: str, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._setting = asyncio.create_task(self._keep_setting(name, act))

    async def _keep_setting(self, name: str, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        patience = Patience(LOST_AFTER_S)
        while True:
            try:
                await act()
                return
            except InstrumentError as error:
                if patience.bad():
                    self._say(Level.WARNING, f"setting {name} failed, trying again: {error}")
                if patience.lost or isinstance(error, OutOfRange):
                    await self._failed(f"{name} could not be set: {error}")
                    return
                await asyncio.sleep(1.0)
