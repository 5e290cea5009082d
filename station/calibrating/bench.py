"""One session at the bench: reads its instruments, feeds the procedure, carries out what follows, keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import replace

from calibration.procedure import (
    Command,
    Deed,
    Doing,
    Note,
    Reseat,
    Sample,
    Say,
    SetForce,
    State,
    Unload,
    act,
    advance,
)
from drivers.interface import InstrumentError
from station.calibrating.instruments import Instruments
from station.calibrating.session import Session, Sessions
from station.calibrating.view import Trace, view_of
from station.calibration_views import CalibrationView
from station.journal import Journal
from station.readings import Level

log = logging.getLogger(__name__)
SHORTEST_PERIOD_S = 0.01  # on the wall's clock
TRACE = 600  # samples for the live curves


class Bench:
    """A session that goes on. Whoever changes it holds `lock`."""

    def __init__(self, session: Session, instruments: Instruments, sessions: Sessions, journal: Journal) -> None:
        self.session = session
        self.lock = asyncio.Lock()
        self._instruments, self._sessions, self._journal = instruments, sessions, journal
        self._trace: deque[tuple[float, float | None, float | None]] = deque(maxlen=TRACE)
        self._wanted: SetForce | Unload | None = None  # of the press, not confirmed yet
        self._press_trouble = ""
        self._silent = ""

    @property
    def measuring(self) -> bool:
        """Whether instruments are needed."""
        return not self.session.state.over and self.session.state.step is not None

    @property
    def driven(self) -> bool:
        return self._instruments.press is not None

    async def loop(self, period_s: float) -> None:
        """Until all is measured, or the session is abandoned."""
        clock = self._instruments.clock
        while self.measuring:
            sample = await self._instruments.sample(self.session.state.zero_indication)
            async with self.lock:
                await self._take(sample)
            await asyncio.sleep(max(period_s / clock.speed, SHORTEST_PERIOD_S))
        while self._wanted is not None:  # a press that has to let go still
            await self._drive()
            await asyncio.sleep(max(period_s / clock.speed, SHORTEST_PERIOD_S))

    async def do(self, deed: Deed, doing: Doing) -> None:
        """Carry out a person's deed. Raises `ProcedureError`; the lock is held by the caller."""
        state, commands = act(self.session.plan, self.session.state, deed, doing)
        said = " ".join(filter(None, (str(deed), _what(doing))))
        note = Note(time=doing.time, text=said, who=doing.who)
        self.session = self.session.model_copy(update={"state": state, "deeds": (*self.session.deeds, note)})
        await self._carry_out(commands)
        await self._save()
        self._journal.say(Level.INFO, f"calibration {self.session.id}: {said}", who=doing.who)

    async def let_go(self) -> None:
        """Bring the press to no force and keep the session: the station ends."""
        press = self._instruments.press
        if press is not None and self.measuring:
            try:
                await press.go(0.0)
            except InstrumentError as error:
                text = f"calibration {self.session.id}: the press was not unloaded: {error}"
                self._journal.say(Level.ALARM, text)
        with contextlib.suppress(OSError):
            await self._save()

    def view(self) -> CalibrationView:
        began = self.session.began
        trace: Trace = [(time - began, force, ohm) for time, force, ohm in self._trace]
        return view_of(self.session, trace, self._press_trouble)

    # --- one sample

    async def _take(self, sample: Sample) -> None:
        """Feed the procedure; the lock is held."""
        if self._press_trouble:
            sample = replace(sample, trouble="; ".join(filter(None, (sample.trouble, self._press_trouble))))
        before = self.session.state
        state, commands = advance(self.session.plan, before, sample)
        self.session = self.session.at(state)
        self._trace.append((state.time, state.last.force_N, state.last.resistance_ohm))
        self._tell(sample)
        await self._carry_out(commands)
        if _to_be_kept(before, self.session.state):
            await self._save()

    def _tell(self, sample: Sample) -> None:
        """Trouble is said once, and its end."""
        if sample.trouble and not self._silent:
            self._journal.say(Level.WARNING, f"calibration {self.session.id}: {sample.trouble}")
        elif self._silent and not sample.trouble:
            self._journal.say(Level.INFO, f"calibration {self.session.id}: all instruments answer again")
        self._silent = sample.trouble

    # --- what follows

    async def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case Say(text, warning):
                    level = Level.WARNING if warning else Level.INFO
                    self._journal.say(level, f"calibration {self.session.id}: {text}")
                case SetForce() | Unload():
                    self._wanted = command
                case Reseat():
                    await self._reseat()
        await self._drive()

    async def _drive(self) -> None:
        """Ask the press for what is wanted of it, until it has said that it will."""
        press, wanted = self._instruments.press, self._wanted
        if press is None or wanted is None:
            self._wanted = None
            return
        force = min(wanted.force_N, self.session.plan.limit_N) if isinstance(wanted, SetForce) else 0.0
        try:
            await press.go(force)
            self._wanted, self._press_trouble = None, ""
        except InstrumentError as error:
            self._press_trouble = f"the press does not go to {force:.3g} N: {error}"

    async def _reseat(self) -> None:
        press = self._instruments.press
        assert press is not None
        try:
            await press.insert(self.session.sensor)
        except InstrumentError as error:
            self._press_trouble = f"the press did not put the sensor in again: {error}"
            return
        self._press_trouble = ""
        doing = Doing(self._instruments.clock.now(), press.worker.name, reason="taken out and put back by the press")
        await self.do(Deed.CONFIRM, doing)

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self._sessions.save, self.session)
        except OSError as error:
            text = f"calibration {self.session.id} cannot be kept in {self._sessions.folder}: {error}"
            log.error(text)
            self._journal.say(Level.ALARM, text)


def _to_be_kept(before: State, after: State) -> bool:
    """A session is written anew after each point and each step; what lies between is measured again."""
    parts = ("points", "zeros", "creep", "done", "notes", "overloaded")
    return any(getattr(before, part) != getattr(after, part) for part in parts)


def _what(doing: Doing) -> str:
    point = f"point {doing.point}" if doing.point is not None else ""
    return f"{point}{': ' if point and doing.reason else ''}{doing.reason}"
