"""A channel of a cycler that runs procedures stored on it: the station names one, looks at it, and watches."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import Any

from drivers.interface import CyclerState, InstrumentError, ProcedureCycler, ProcedureStatus
from protocols.abilities import Abilities
from protocols.program import Program, StoredProcedure
from station import procedure_follower
from station.alone_channel import LONGEST_START_S
from station.channel import ChannelError
from station.cycler_parts import Part, cut_at_procedures
from station.part_state import Doing
from station.parted_channel import OPEN, PartedChannel
from station.procedure_follower import Looked, LookState
from station.readings import ChannelState, Level, RunState
from station.run import Run
from station.sequencer import Sample

LONGEST_LABEL = 71
"""Characters of a test's name that every such cycler takes."""


class ProcedureChannel(PartedChannel[ProcedureCycler, ProcedureStatus, LookState]):
    """Has each procedure started, makes readings of what the cycler shows, and stops it where a limit is met."""

    def __init__(self, *bound: Any, holds_protection: bool) -> None:
        super().__init__(*bound)
        self._holds_protection = holds_protection

    # --- before a run

    def check(self, run: Run) -> None:
        super().check(run)
        self._parts_of(run)
        limits = self.limits_for(run).limits
        needed = ("voltage_min_V", "voltage_max_V", "current_max_A")
        unbounded = [name for name in needed if not math.isfinite(getattr(limits, name))]
        if unbounded and self._holds_protection:
            raise ChannelError(
                f"channel {self.name}: limits of voltage and current are put into the cycler; give them in "
                f"station.toml, in the cell or in the protocol (missing: {', '.join(unbounded)})"
            )

    @property
    def _abilities(self) -> Abilities:
        return replace(super()._abilities, has_procedures=True)

    def _cut(self, program: Program) -> tuple[Part, ...]:
        return cut_at_procedures(program, measures_impedance=self._measures_impedance)

    async def _check_test(self, run: Run, part: Program) -> None:
        name, label, protection = _procedure(part), label_of(run, 0), self._protection(run)
        await self._call(lambda cycler: cycler.check_procedure(self._position, name, label, protection))

    # --- commands

    def _first_state(self, run: Run, status: ProcedureStatus | None) -> LookState:
        if not self._holds_protection:
            self.say(
                Level.WARNING, "this cycler takes no limits from here: without the station its schedule's own hold"
            )
        return LookState(label=label_of(run, 0), start_time=run.started)

    def _loaded(self, run: Run, state: str | None) -> LookState:
        if state:
            return procedure_follower.load(state)
        return LookState(label=label_of(run, 0), start_time=run.started, doing=Doing.STARTING)

    async def _skip(self, reason: str) -> None:
        if self._state is not None and isinstance(self._parts[self._state.part], Program):
            raise ChannelError(f"channel {self.name}: the steps of a stored procedure cannot be skipped from here")
        await super()._skip(reason)

    async def _start_test(self, part: Program) -> None:
        assert self.run is not None and self._state is not None
        name, label, protection = _procedure(part), label_of(self.run, self._state.part), self._protection(self.run)
        self._state = procedure_follower.to_start(self._state, label)
        self.store()
        await self._committed(1.0)
        if self._handover is not None:
            await self._handover.to_source()
        await self._command(lambda cycler: cycler.start_procedure(self._position, name, label, protection))
        self._state = procedure_follower.started(self._state)
        self.store()

    async def _stop(self, reason: str) -> None:
        await self._open_circuit()
        self._store_last_step(reason)

    def _state_json(self) -> str | None:
        return procedure_follower.dump(self._state) if self._state is not None else None

    # --- the loop

    async def _look(self, status: ProcedureStatus) -> None:
        assert self._state is not None
        if status.label != self._state.label and (not self._state.begun or status.state is CyclerState.RUNNING):
            await self._not_ours(status)
            return
        if status.measurement is not None and status.state is CyclerState.RUNNING:
            await self._take_look(status)
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge(status.state)

    async def _take_look(self, status: ProcedureStatus) -> None:
        assert self.run is not None and self._state is not None and status.measurement is not None
        measured = status.measurement
        sample = self._surrounded(Sample(self.around.clock.now(), measured.voltage_V, measured.current_A))
        looked = procedure_follower.look(self._state, self.run.program.record, status, sample)
        if looked.uncounted_s:
            self.say(
                Level.WARNING,
                f"not seen for {looked.uncounted_s:.0f} s, over the end of a step: what charge was passed is in the "
                "cycler's own file and not counted here",
            )
        self.latest = sample
        self._keep(looked)
        if trip := self._check(sample):
            await self._trip(trip.reason)

    def _keep(self, looked: Looked) -> None:
        self._state = looked.state
        if looked.readings or looked.steps:
            self.store(looked.readings, looked.steps)

    async def _not_ours(self, status: ProcedureStatus) -> None:
        assert self._state is not None
        if self._state.begun:
            self._store_last_step("another test was started")
            self.say(Level.ALARM, f"someone started test '{status.label}' on this channel from another program")
            await self._end(RunState.STOPPED, "another test was started on this channel")
        elif time.monotonic() - self._restored_at > LONGEST_START_S:
            await self._never_started()

    async def _find_test(self, status: ProcedureStatus) -> None:
        assert self._state is not None
        part = self._parts[self._state.part]
        if status.label == self._state.label:
            self._state = procedure_follower.started(self._state)
            self.say(Level.WARNING, f"the cycler has test '{status.label}': it is followed from now on")
            self.store()
        elif time.monotonic() - self._restored_at < LONGEST_START_S:
            return  # it may have been told, and not show it yet
        elif self._state.step == 0 or status.state not in OPEN or not isinstance(part, Program):
            await self._never_started()
        else:
            self.say(Level.WARNING, "the station died before the cycler had started the next part: it is started now")
            try:
                await self._start_test(part)
            except InstrumentError as error:
                await self._trip(f"the cycler did not go on: {error}")

    async def _never_started(self) -> None:
        self.say(Level.ALARM, "the cycler does not show the test that it was to start; start the run again")
        await self._end(RunState.STOPPED, "never started by the cycler")

    def _store_last_test_step(self, part: Program, reason: str) -> None:
        assert self._state is not None
        self._keep(procedure_follower.ended(self._state, reason))


def _procedure(part: Program) -> str:
    (step,) = part.steps()
    assert isinstance(step.setpoint, StoredProcedure)
    return step.setpoint.name


def label_of(run: Run, part: int) -> str:
    """The name of a part's test on the cycler: the cell's, for people there, and the run's, so that it is new."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", run.cell.cell).lstrip("_.-") or "cell"
    name = run.run_id if part == 0 else f"{run.run_id}_{part + 1}"
    return f"{safe[: LONGEST_LABEL - 1 - len(name)]}_{name}"
