"""A channel of a cycler that runs procedures stored on it: the station names one, looks at it, and watches."""

from __future__ import annotations

import math
import re
import time

from drivers.interface import CyclerState, InstrumentError, ProcedureCycler, ProcedureStatus, Protection
from protocols.abilities import Abilities
from protocols.checks import problem_at
from protocols.document import DocumentError
from protocols.limits import Limits
from protocols.program import Program, Step, StoredProcedure
from station import procedure_follower
from station.alone_channel import LONGEST_START_S, AloneChannel
from station.channel import ChannelError, Progress, Surroundings
from station.cycler_feed import CyclerFeed
from station.environment import NOTHING, Environment
from station.procedure_follower import Looked, LookState
from station.readings import ChannelState, Level, RunState
from station.run import Run
from station.sensors import Sensor
from station.sequencer import Sample

LONGEST_LABEL = 71
"""Characters of a test's name that every such cycler takes."""


class ProcedureChannel(AloneChannel[ProcedureCycler, ProcedureStatus]):
    """Has the procedure started, makes readings of what the cycler shows, and stops it where a limit is met."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        limits: Limits,
        sensor: Sensor | None,
        feed: CyclerFeed[ProcedureCycler, ProcedureStatus],
        position: str,
        environment: Environment = NOTHING,
        *,
        holds_protection: bool,
    ) -> None:
        super().__init__(name, around, limits, sensor, feed, position, environment)
        self._holds_protection = holds_protection
        self._state: LookState | None = None
        self._restored_at = -math.inf  # on the monotonic clock

    # --- before a run

    def check(self, run: Run) -> None:
        super().check(run)
        procedure_of(run.program)
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
        watched = super()._abilities
        return Abilities(
            has_pressure=watched.has_pressure, has_temperature=watched.has_temperature, has_procedures=True
        )

    async def check_ranges(self, run: Run) -> None:
        step, name = procedure_of(run.program)
        label, protection = label_of(run), self._protection(run)
        try:
            await self._call(lambda cycler: cycler.check_procedure(self._position, name, label, protection))
        except InstrumentError as error:
            raise DocumentError([problem_at(step, str(error))]) from None

    def _protection(self, run: Run) -> Protection:
        limits = self.limits_for(run).limits
        return Protection(limits.voltage_min_V, limits.voltage_max_V, limits.current_max_A)

    # --- commands

    async def _start(self, run: Run) -> None:
        """What is about to be started is written down first, so that a station that dies meanwhile finds it."""
        _, name = procedure_of(run.program)
        label, protection = label_of(run), self._protection(run)
        if not self._holds_protection:
            self.say(
                Level.WARNING, "this cycler takes no limits from here: without the station its schedule's own hold"
            )
        self._state = LookState(label, run.started)
        self.store()
        await self._committed(1.0)
        try:
            await self._command(lambda cycler: cycler.start_procedure(self._position, name, label, protection))
        except InstrumentError as error:
            self.say(Level.ALARM, f"the cycler did not start: {error}")
            await self._end(RunState.STOPPED, f"not started: {error}")
            raise ChannelError(f"channel {self.name} did not start: {error}") from error
        self._restored_at = time.monotonic()

    async def _skip(self, reason: str) -> None:
        raise ChannelError(f"channel {self.name}: the steps of a stored procedure cannot be skipped from here")

    async def _stop(self, reason: str) -> None:
        await self._open_circuit()
        self._store_last_step(reason)

    def _restore(self, run: Run, state: str | None) -> None:
        self._state = procedure_follower.load(state) if state else LookState(label_of(run), run.started)
        self._restored_at = time.monotonic()

    def _state_json(self) -> str | None:
        return procedure_follower.dump(self._state) if self._state is not None else None

    # --- the loop

    async def _tick(self, status: ProcedureStatus) -> None:
        self._heard(status)
        if self.state is ChannelState.TRIPPED:
            if not self._open_circuit_confirmed:
                await self._make_safe()
            return
        if self.run is None or self._state is None:
            return
        if status.label != self._state.label and (not self._state.begun or status.state is CyclerState.RUNNING):
            await self._not_ours(status)
            return
        if status.measurement is not None and status.state is CyclerState.RUNNING:
            await self._look(status)
        if self.run is not None and self.state in (ChannelState.RUNNING, ChannelState.PAUSED):
            await self._judge(status.state)

    async def _look(self, status: ProcedureStatus) -> None:
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
            self.say(Level.ALARM, "the cycler does not show the test that it was to start; start the run again")
            await self._end(RunState.STOPPED, "never started by the cycler")

    def _store_last_step(self, reason: str) -> None:
        if self.run is not None and self._state is not None:
            self._keep(procedure_follower.ended(self._state, reason))

    def _progress(self) -> Progress | None:
        last = self._state.last if self._state else None
        if last is None:
            return None
        return Progress(last.step_name, last.cycle, last.test_time_s, last.step_time_s, last.step_capacity_Ah)


def procedure_of(program: Program) -> tuple[Step, str]:
    """The protocol's one step and what it names; raises `DocumentError` that names each other step."""
    steps = program.steps()
    match steps:
        case [Step(setpoint=StoredProcedure(name)) as step]:
            return step, name
    said = "this channel's cycler runs procedures that are stored on it: the protocol names one with 'procedure'"
    raise DocumentError([problem_at(step, said) for step in steps])


def label_of(run: Run) -> str:
    """The name of the run's test on the cycler: the cell's, for people there, and the run's, so that it is new."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", run.cell.cell).lstrip("_.-") or "cell"
    return f"{safe[: LONGEST_LABEL - 1 - len(run.run_id)]}_{run.run_id}"
