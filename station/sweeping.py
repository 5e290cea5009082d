"""A channel's way to its impedance instrument: it waits for its turn, has its cell handed over, and measures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from drivers.interface import ImpedancePoint, ImpedanceSource, InstrumentError, Protection, Sweep
from protocols.program import SweepPlan
from station.channel import Surroundings
from station.handover import Handover
from station.readings import Level, Spectrum
from station.workers import Worker


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep gave: its points as measured, when it began, and how long another had the instrument before."""

    plan: SweepPlan
    rest_V: float | None  # that the cell was seen at before, the bias of a sweep about its open-circuit voltage
    began: float
    waited_s: float  # of the bench's time
    points: tuple[ImpedancePoint, ...]

    def spectrum(self, run_began: float, step: int, cycle: int) -> Spectrum:
        """As it is stored, but for its number."""
        plan, galvanostatic = self.plan, self.plan.amplitude_rms_A is not None
        return Spectrum(
            number=0,
            time=self.began,
            test_time_s=self.began - run_began,
            step=step,
            cycle=cycle,
            bias_V=None if galvanostatic else plan.bias_V if plan.bias_V is not None else self.rest_V,
            amplitude_rms_V=plan.amplitude_rms_V,
            bias_A=plan.bias_A if galvanostatic else None,
            amplitude_rms_A=plan.amplitude_rms_A,
            frequency_Hz=tuple(point.frequency_Hz for point in self.points),
            real_ohm=tuple(point.impedance_ohm.real for point in self.points),
            imaginary_ohm=tuple(point.impedance_ohm.imag for point in self.points),
        )


class Sweeper:
    """One sweep at a time, in a task of its own, that ends by `done` or `failed`, or by being broken off.

    When its turn has come, `make_way` is called: whatever drives the cell is off when it returns, with the voltage that
    the cell was seen at last.
    """

    def __init__(
        self,
        channel: str,
        around: Surroundings,
        impedance: Worker[ImpedanceSource],
        handover: Handover | None,
        say: Callable[[Level, str], None],
    ) -> None:
        self._channel, self._around, self._say = channel, around, say
        self._impedance, self._handover = impedance, handover
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None  # broken off, and gives the cell back
        self._has_cell = False
        self._measuring = False  # this very channel has the instrument and measures
        self._maybe_polarised = False  # by the impedance instrument

    @property
    def name(self) -> str:
        return self._impedance.name

    async def check(self, plan: SweepPlan, protection: Protection) -> None:
        """Raise `OutOfRange` where the instrument cannot do this; nothing is sent."""
        sweep = _sweep(plan, protection)
        await self._impedance.call(lambda instrument: instrument.check_sweep(sweep))

    def begin(
        self,
        plan: SweepPlan,
        protection: Protection,
        make_way: Callable[[], Awaitable[float | None]],
        done: Callable[[Swept], Awaitable[None]],
        failed: Callable[[InstrumentError], Awaitable[None]],
    ) -> None:
        self._task = asyncio.create_task(self._run(self._in_turn(plan, protection, make_way), done, failed))

    @property
    def busy(self) -> bool:
        """A sweep is waited for or measured."""
        return self._task is not None and not self._task.done()

    @property
    def has_cell(self) -> bool:
        """From the moment that its turn has come."""
        return self.busy and self._has_cell

    @property
    def must_wait(self) -> bool:
        """Another channel has the instrument now."""
        return not self._impedance.lender.is_free

    def raise_unforeseen(self) -> None:
        """Raise what nobody foresaw in a sweep that is over."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def interrupt(self) -> None:
        """Break off a sweep, even in the middle of a point of minutes; the cell is given back in the background."""
        task = self._task
        if task is None or task is asyncio.current_task():
            return
        self._task = None
        if not task.done():
            self._leaving = task
            task.cancel()
            if self._measuring and self._impedance.opened is not None:
                self._impedance.opened.interrupt()

    async def cancel(self) -> None:
        """Break off a sweep; returns when the cell is off the instrument again."""
        self.interrupt()
        task, self._leaving = self._leaving, None
        if task is not None and task is not asyncio.current_task():
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def left_polarised(self) -> None:
        """The station died in a sweep: the instrument may polarise the cell still. Nobody has it before `settled`."""
        self._maybe_polarised = True
        self._impedance.lender.unsettled(self._channel)

    def settled(self) -> None:
        """The cell is off the instrument, and that was seen."""
        self._impedance.lender.settled(self._channel)

    async def make_safe(self) -> None:
        """The instrument drives the cell no more; where another channel has it, it was made safe for that one."""
        if self._maybe_polarised and self._impedance.lender.holder is None:
            await self._impedance.call(lambda instrument: instrument.make_safe())
        self._maybe_polarised = False

    async def leave(self) -> None:
        """Off the instrument and with the switch open, whichever fails first; then it is free for others."""
        try:
            await self.cancel()
            await self.make_safe()
        finally:
            if self._handover is not None:
                await self._handover.open()
        self.settled()

    # --- a sweep

    async def _run(
        self,
        work: Coroutine[Any, Any, Swept],
        done: Callable[[Swept], Awaitable[None]],
        failed: Callable[[InstrumentError], Awaitable[None]],
    ) -> None:
        try:
            swept = await work
        except InstrumentError as error:
            if self._task is asyncio.current_task():
                await failed(error)
            else:  # it was broken off, and who did that has the lock
                self._say(Level.WARNING, f"while the sweep was broken off: {error}")
            return
        await done(swept)

    async def _in_turn(
        self, plan: SweepPlan, protection: Protection, make_way: Callable[[], Awaitable[float | None]]
    ) -> Swept:
        lender, speed = self._impedance.lender, self._around.clock.speed
        self._has_cell = False
        if lender.holder is not None:
            before = ", ".join((lender.holder, *lender.waiting))
            self._say(Level.INFO, f"waits for '{lender.name}'; before it: {before}")
        async with lender.to(self._channel, self._around.lend_within_s / speed) as loan:
            waited_s = loan.waited_s * speed if loan.ahead else 0.0
            if loan.ahead:
                self._say(Level.INFO, f"has '{lender.name}' after a wait of {waited_s:.0f} s")
            rest_V = await make_way()
            self._has_cell = True
            began, points = await self._handed_over(_sweep(plan, protection))
        return Swept(plan, rest_V, began, waited_s, points)

    async def _handed_over(self, sweep: Sweep) -> tuple[float, tuple[ImpedancePoint, ...]]:
        """Measure with the cell at the impedance instrument; before that is lent on, the cell is off it, confirmed."""
        if self._handover is None:
            return await self._measured(sweep)
        try:
            await self._handover.to_impedance()
            return await self._measured(sweep)
        finally:
            try:
                await asyncio.shield(self._handover.open())
            except InstrumentError:
                self._impedance.lender.unsettled(self._channel)  # the next one's cell would meet this one's
                raise

    async def _measured(self, sweep: Sweep) -> tuple[float, tuple[ImpedancePoint, ...]]:
        began = self._around.clock.now()
        points = await self._impedance.call(lambda instrument: instrument.sweep(sweep))
        measured: list[ImpedancePoint] = []
        self._measuring = self._maybe_polarised = True
        try:
            while (point := await self._impedance.call(lambda _: next(points, None))) is not None:
                measured.append(point)
        finally:
            self._measuring = False
            await asyncio.shield(self._impedance.call(lambda _: points.close()))
        self._maybe_polarised = False
        return began, tuple(measured)


def _sweep(plan: SweepPlan, protection: Protection) -> Sweep:
    return Sweep(
        plan.frequencies_Hz,
        plan.amplitude_rms_V,
        plan.bias_V,
        protection,
        amplitude_rms_A=plan.amplitude_rms_A,
        bias_A=plan.bias_A,
    )
