"""All calibrations of a station: begins them, takes them up, hands deeds to them, signs them."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from calibration.data import Meter, Reference
from calibration.load_cell import LoadCellCertificate
from calibration.procedure import Deed, Doing, Plan, act, begin, take_up
from calibration.record import Calibration, CalibrationError
from calibration.reference import certificate_named
from calibration.registry import Registry, read_calibration
from calibration.results import Evaluation
from drivers.interface import ForceGauge, Instrument, Press, PressureFrame, ResistanceMeter, SensorPress
from drivers.registry import DRIVERS
from drivers.simulated.clock import Clock
from station.calibrating.bench import Bench
from station.calibrating.instruments import DrivenPress, Instruments
from station.calibrating.occupied import in_cells, require_free, require_out_of_press
from station.calibrating.session import Session, SessionError, Sessions, plan_of
from station.calibrating.signing import evaluated, record_of
from station.calibrating.view import resting_view
from station.calibration_views import (
    CalibrationView,
    DeedOrder,
    SensorInCell,
    SessionOrder,
    SessionView,
)
from station.channel import Channel
from station.config import StationConfig, has_capability
from station.journal import Journal
from station.readings import Level
from station.workers import Worker

log = logging.getLogger(__name__)
I = TypeVar("I", bound=Instrument)  # noqa: E741


@dataclass
class Desk:
    """`workers` and `channels` are the station's; `calibrated` is told the sensor of each record that was signed."""

    config: StationConfig
    clock: Clock
    journal: Journal
    workers: Mapping[str, Worker[Instrument]]
    channels: Mapping[str, Channel]
    registry: Registry
    calibrated: Callable[[str], object]
    _benches: dict[str, Bench] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _evaluations: dict[str, tuple[int, Evaluation]] = field(default_factory=dict)
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.folder = self.config.station.calibrations
        self.sessions = Sessions(self.folder / "sessions")

    # --- what is

    def view(self, name: str) -> CalibrationView:
        """Raises `KeyError` where there is no such session."""
        bench = self._benches.get(name)
        return bench.view() if bench is not None else resting_view(self.sessions.load(name))

    def open_sessions(self) -> tuple[SessionView, ...]:
        """Those that can be gone on with, newest first."""
        live = {name: bench.session for name, bench in self._benches.items()}
        kept = {session.id: session for session in self.sessions.all()} | live
        return tuple(kept[name].view() for name in sorted(kept, reverse=True) if not kept[name].state.over)

    def in_cells(self) -> tuple[SensorInCell, ...]:
        return in_cells(self.channels.values())

    def session(self, name: str) -> Session:
        bench = self._benches.get(name)
        return bench.session if bench is not None else self.sessions.load(name)

    # --- begin and take up

    async def begin(self, order: SessionOrder) -> CalibrationView:
        """Look at everything before anything is moved; then the session is kept and measures."""
        async with self._beginning:
            session, instruments = await self._prepared(order)
            bench = Bench(session, lambda: instruments, self.sessions, self.journal)
            await asyncio.to_thread(self.sessions.save, session)
            self._measure(bench)
        text = f"calibration {session.id} of sensor {order.sensor} begun, {session.plan.full_load_N:g} N full load"
        self.journal.say(Level.INFO, text, who=order.operator or "someone")
        for warning in session.warnings:
            self.journal.say(Level.WARNING, f"calibration {session.id}: {warning}")
        return bench.view()

    async def take_up(self, name: str, who: str) -> CalibrationView:
        """Go on with a session that was left; one that goes on already is only shown."""
        async with self._beginning:
            if name in self._benches:
                return self._benches[name].view()
            session = self.sessions.load(name)
            if session.state.over:
                raise SessionError(f"this calibration is {session.state.stage}: it cannot be taken up")
            bench = self._bench(session)
            if bench.measuring:
                self._require_free(session.order, name)
                _ = bench.instruments  # whether they are there
                bench.session = session.at(take_up(session.plan, session.state, self.clock.now()))
            self._measure(bench)
        self.journal.say(Level.INFO, f"calibration {name} is taken up again", who=who)
        return bench.view()

    async def do(self, name: str, deed: Deed, order: DeedOrder) -> CalibrationView:
        """Raises `ProcedureError`, `SessionError`, and `DataError` where a fit is asked for too early."""
        doing = Doing(self.clock.now(), order.who or "someone", order.point, order.reason, order.whole_stage)
        if name not in self._benches:
            session = self.sessions.load(name)
            if deed is Deed.ABANDON:
                return await self._abandon(session, doing)
            if session.state.step is not None:
                raise SessionError("this calibration was interrupted: take it up first")
            self._benches[name] = self._bench(session)
        bench = self._benches[name]
        if deed is Deed.FIT:
            await self.evaluation(bench.session)
        async with bench.lock:
            if deed is Deed.SIGN:
                await self._sign(bench, order, doing)
            else:
                if deed is Deed.REPEAT and not bench.measuring:
                    self._require_free(bench.session.order, name)
                    _ = bench.instruments
                await bench.do(deed, doing)
        self._measure(bench)
        return bench.view()

    async def _abandon(self, session: Session, doing: Doing) -> CalibrationView:
        """One that nobody has taken up: its instruments may serve another by now, and are let alone."""
        state, _ = act(session.plan, session.state, Deed.ABANDON, doing)
        session = session.at(state)
        await asyncio.to_thread(self.sessions.save, session)
        self.journal.say(Level.INFO, f"calibration {session.id} is abandoned: {state.abandoned}", who=doing.who)
        return resting_view(session)

    async def close(self) -> None:
        """The station ends: presses let go, sessions stay to be taken up."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        ends = await asyncio.gather(*(bench.let_go() for bench in self._benches.values()), return_exceptions=True)
        for error in ends:
            if isinstance(error, BaseException):
                log.error("a calibration did not end in order", exc_info=error)

    # --- the record

    async def evaluation(self, session: Session) -> Evaluation:
        """Of the points as they are now, remembered until they change. Raises `DataError`."""
        data = session.state.dataset()
        known = self._evaluations.get(session.id)
        key = hash(data.model_dump_json())
        if known is not None and known[0] == key:
            return known[1]
        evaluation = await asyncio.to_thread(evaluated, session)
        self._evaluations[session.id] = (key, evaluation)
        return evaluation

    async def draft(self, name: str) -> Calibration:
        """The record as it would be signed now."""
        session = self.session(name)
        if session.state.record is not None:
            raise SessionError(f"this calibration is signed already: {session.state.record}")
        evaluation = await self.evaluation(session)
        version = await asyncio.to_thread(self.next_version, session.sensor)
        return record_of(session, evaluation, version, self.clock.now())

    def next_version(self, sensor: str) -> int:
        return max(self.registry.versions(sensor), default=0) + 1

    async def _sign(self, bench: Bench, order: DeedOrder, doing: Doing) -> None:
        """The bench's lock is held, so that nothing changes between the evaluation and the record."""
        session = bench.session
        if session.state.step is not None or session.state.over:
            await bench.do(Deed.SIGN, doing)  # which says why not
        if not order.authorised_by.strip():
            raise SessionError("a record is signed by somebody: 'authorised_by' is empty")
        today = datetime.datetime.fromtimestamp(self.clock.now(), datetime.UTC).date()
        if order.expires is not None and order.expires <= today:
            raise SessionError(f"a calibration that expires on {order.expires} is expired today")
        evaluation = await self.evaluation(session)
        record = await asyncio.to_thread(self._add, session, evaluation, order)
        await bench.do(Deed.SIGN, Doing(doing.time, order.authorised_by, record=record.id))
        text = f"calibration {record.id} is signed by {order.authorised_by}"
        self.journal.say(Level.INFO, text, who=doing.who)
        try:
            self.calibrated(record.sensor)
        except CalibrationError as error:
            self.journal.say(Level.ALARM, f"{record.id} is signed, and cannot be used: {error}")

    def _add(self, session: Session, evaluation: Evaluation, order: DeedOrder) -> Calibration:
        """To the registry; once only, though the station died between that and the session's own file."""
        data = session.state.dataset()
        for version in self.registry.versions(session.sensor):
            known = self.registry.get(session.sensor, version)
            if known.data == data:
                return known
        record = record_of(session, evaluation, self.next_version(session.sensor), self.clock.now(), order)
        path = self.registry.add(record)
        return read_calibration(path)

    # --- putting a session together

    async def _prepared(self, order: SessionOrder) -> tuple[Session, Instruments]:
        """Raises before anything is loaded: `SessionError`, `InstrumentError`, `CalibrationError`, `DataError`."""
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", order.sensor) is None:
            raise SessionError(f"'{order.sensor}' is no name of a sensor: letters, digits, '.', '_' and '-'")
        self._require_free(order)
        frame = self._driver(order.frame) if order.frame is not None else None
        reseats = frame is not None and has_capability(frame, SensorPress)
        plan = plan_of(order.plan, driven=frame is not None, reseats=reseats)
        certificate = self._certificate(order.reference)
        instruments = self._instruments(order, certificate)
        self._require_range(order, plan, certificate)
        await instruments.meter.call(lambda meter: meter.check_channels([order.meter_channel]))
        meter = await instruments.meter.call(lambda meter: meter.identify())
        gauge = await instruments.gauge.call(lambda gauge: gauge.identify())
        if instruments.press is not None:
            await instruments.press.check(0.0)
            most = max(plan.full_load_N, plan.conditioning_share * plan.full_load_N)
            await instruments.press.check(most)
            if reseats:
                await instruments.press.insert(order.sensor)
        now = self.clock.now()
        session = Session(
            id=self._new_id(now, order.sensor),
            order=order,
            plan=plan,
            reference=_reference(certificate, order.gauge, gauge),
            meter=order.meter_statement or Meter(name=order.meter, identity=meter),
            began=now,
            simulated=self.config.simulation is not None,
            state=begin(plan, now),
            warnings=tuple(self._warnings(order, certificate, now)),
        )
        return session, instruments

    def _bench(self, session: Session) -> Bench:
        """Of a session that was kept; its instruments are looked for once they are needed."""

        def instruments() -> Instruments:
            certificate = self._certificate(session.order.reference)
            if certificate is not None and certificate.reference() != session.reference:
                raise SessionError(
                    f"the certificate '{session.order.reference}' was changed since this calibration began: put the "
                    "former file back, or abandon this calibration and begin another"
                )
            return self._instruments(session.order, certificate)

        return Bench(session, instruments, self.sessions, self.journal)

    def _measure(self, bench: Bench) -> None:
        """Have the session read its instruments, unless it does so already or needs none."""
        name = bench.session.id
        self._benches[name] = bench
        running = self._tasks.get(name)
        if not bench.measuring or (running is not None and not running.done()):
            return
        task = asyncio.create_task(bench.loop(self.config.station.poll), name=f"calibration {name}")
        task.add_done_callback(self._ended)
        self._tasks[name] = task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A session ends when all is measured; what else ended it is a mistake of ours, and is said loudly."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("%s ended", task.get_name(), exc_info=error)
        text = f"internal error in {task.get_name()}: {error!r}; take the load off, restart the station and take it up"
        self.journal.say(Level.ALARM, text)
        bench = self._benches[task.get_name().removeprefix("calibration ")]
        self._tasks[f"rescue of {bench.session.id}"] = asyncio.create_task(bench.let_go())

    def _instruments(self, order: SessionOrder, certificate: LoadCellCertificate | None) -> Instruments:
        bound = sorted(
            channel.sensor.channel
            for channel in self.config.channels.values()
            if channel.sensor is not None and channel.sensor.meter == order.meter
        )
        return Instruments(
            gauge=self._worker(order.gauge, "load cell", ForceGauge),  # type: ignore[type-abstract]
            meter=self._worker(order.meter, "meter", ResistanceMeter),  # type: ignore[type-abstract]
            meter_channel=order.meter_channel,
            channels=bound if order.meter_channel in bound else [order.meter_channel],
            press=self._press(order),
            force_N=_force_by(certificate),
            clock=self.clock,
        )

    def _press(self, order: SessionOrder) -> DrivenPress | None:
        if order.frame is None:
            return None
        if has_capability(self._driver(order.frame), Press):
            return DrivenPress(self._worker(order.frame, "press", Press), None)  # type: ignore[type-abstract]
        frame = self._worker(order.frame, "frame", PressureFrame)  # type: ignore[type-abstract]
        return DrivenPress(frame, order.frame_area_m2 or order.area.value_m2)

    def _driver(self, name: str) -> type[Instrument]:
        section = self.config.instruments.get(name)
        if section is None:
            known = ", ".join(self.config.instruments) or "none"
            raise SessionError(f"there is no instrument '{name}'; there are: {known}")
        return DRIVERS[section.driver]

    def _worker(self, name: str, use: str, capability: type[I]) -> Worker[I]:
        if not has_capability(self._driver(name), capability):
            driver = self.config.instruments[name].driver
            raise SessionError(f"instrument '{name}' ({driver}) cannot be used as the {use}: no {capability.__name__}")
        return self.workers[name]  # type: ignore[return-value]

    def _certificate(self, name: str | None) -> LoadCellCertificate | None:
        if name is None:
            return None
        return certificate_named(self.folder / "references", name)

    # --- what stands against it

    def _require_free(self, order: SessionOrder, but: str = "") -> None:
        others = {name: other for name, other in self._measuring().items() if name != but}
        require_free(order, others, self.channels.values(), self.config)

    def require_out_of_press(self, channel: Channel) -> None:
        """Before a run; raises `SessionError` where its sensor is in a calibration that measures."""
        require_out_of_press(channel, self._measuring())

    def _measuring(self) -> dict[str, SessionOrder]:
        return {name: bench.session.order for name, bench in self._benches.items() if bench.measuring}

    def _require_range(self, order: SessionOrder, plan: Plan, certificate: LoadCellCertificate | None) -> None:
        capacity_N = self.config.instruments[order.gauge].settings.get("capacity_N")
        if isinstance(capacity_N, int | float) and plan.limit_N > capacity_N:
            raise SessionError(
                f"load cell {order.gauge} is for {capacity_N:g} N; a full load of {plan.full_load_N:g} N may reach "
                f"{plan.limit_N:.4g} N"
            )
        if certificate is not None:
            for force in (plan.least_load_N, plan.full_load_N):
                certificate.force_of_indicated_N(force)

    def _warnings(self, order: SessionOrder, certificate: LoadCellCertificate | None, now: float) -> list[str]:
        today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
        said: list[str] = []
        if certificate is None:
            said.append(f"no certificate of load cell {order.gauge} was named: its indication is taken as it is")
        elif certificate.expired(today):
            said.append(f"the certificate of load cell {order.gauge} expired on {certificate.expires}")
        if order.meter_statement is None:
            said.append(f"nothing was stated of the uncertainty of meter {order.meter}")
        return said

    def _new_id(self, now: float, sensor: str) -> str:
        stem = f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y%m%dT%H%M%S}-{sensor}"
        taken = {session.id for session in self.sessions.all()} | set(self._benches)
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        return next(name for name in numbered if name not in taken)


def _force_by(certificate: LoadCellCertificate | None) -> Callable[[float], float]:
    """Continued beyond the certificate's range, for readings without load and for conditioning."""
    return float if certificate is None else certificate.estimate_of_indicated_N


def _reference(certificate: LoadCellCertificate | None, name: str, identity: str) -> Reference:
    if certificate is not None:
        return certificate.reference()
    return Reference(name=name, statement=f"{identity}: its indication in N as it is, without a certificate")
