"""Calibrations as the service tells of them: a session goes on by one tick each time that it is looked at.

The technician's hands are part of it: the force comes to its target by itself, but a question waits for its answer.
"""

from __future__ import annotations

import datetime
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from calibration.data import Conditions, DataError, Dataset, Meter, Point, Reference
from calibration.evaluate import Basis, evaluate
from calibration.record import Calibration
from station.calibration_views import (
    CalibrationOptions,
    CalibrationView,
    Deed,
    DeedOrder,
    InstrumentView,
    PointView,
    ReferenceView,
    SensorInCell,
    SensorView,
    SessionOrder,
    SessionView,
    Stage,
    TraceView,
)
from tests.calibration.simulation import Design, SimulatedSensor, bent, calibrate, creep_hold

DAY = datetime.date(2026, 3, 2)
BEGUN = 1.7724e9
TICK_S = 2.0
SENSOR = SimulatedSensor(bent, noise=0.002, insertion=0.012, hysteresis=0.045, creep=0.02)
WORK = (Deed.TAKE, Deed.SKIP, Deed.PAUSE, Deed.REPEAT, Deed.EXCLUDE, Deed.INCLUDE, Deed.ABANDON)
FINAL = (Deed.REPEAT, Deed.EXCLUDE, Deed.INCLUDE, Deed.FIT, Deed.SIGN, Deed.ABANDON)


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Step:
    stage: Stage
    title: str
    target_N: float | None
    instruction: str
    point: int | None = None  # that is read here
    asks: bool = False


@dataclass
class FakeSession:
    session: str
    order: SessionOrder
    pace: int = 3  # ticks that a load step takes
    outlier: int | None = 17
    seed: int = 4
    done: int = 0
    tick: int = 0
    clock_s: float = 0.0
    paused: bool = False
    trouble: str = ""
    stage: Stage | None = None  # where it is over
    record: str | None = None
    marks: dict[int, str] = field(default_factory=dict)
    trace: list[tuple[float, float, float]] = field(default_factory=list)

    @cached_property
    def data(self) -> Dataset:
        plan = self.order.plan
        least = plan.least_load_N or plan.full_load_N / 50
        insertions = (plan.series_before, *[1] * plan.reinsertions)
        design = Design(plan.levels, least, plan.full_load_N, insertions, burst=5, reference=0.002)
        rng = np.random.default_rng(self.seed)
        made = calibrate(SENSOR, design, rng)
        points = list(made.points)
        if self.outlier is not None and self.outlier < len(points):
            bad = points[self.outlier]
            wrong = tuple(ohm * 1.3 for ohm in bad.resistances_ohm)
            points[self.outlier] = bad.model_copy(update={"resistances_ohm": wrong})
        creep = creep_hold(SENSOR, plan.creep_share * plan.full_load_N, rng, plan.creep_s) if plan.creep_s else ()
        return Dataset(points=tuple(points), creep=creep)

    @cached_property
    def steps(self) -> list[Step]:
        plan = self.order.plan
        hands = "Turn the screw until the force is on its target" if self.order.frame is None else "The frame goes to"
        steps = [
            Step(
                Stage.ZERO, "Zero, before all", None, "Take all load off, tare the load cell, then confirm.", asks=True
            )
        ]
        for n in range(plan.conditioning_cycles):
            load = plan.conditioning_share * plan.full_load_N
            title = f"Conditioning {n + 1} of {plan.conditioning_cycles}"
            steps.append(Step(Stage.CONDITIONING, title, load, f"{hands}: {load:.4g} N. Then let go."))
        total, insertion = plan.series_before + plan.reinsertions, 1
        for index, point in enumerate(self.data.points):
            if point.insertion > insertion:
                insertion = point.insertion
                words = "Take the sensor out, turn it by a third, put it back and close the press. Then confirm."
                steps.append(Step(Stage.REINSERTION, f"Reinsertion {insertion - 1}", None, words, asks=True))
            title = f"Series {point.series} of {total}, going {point.direction.value}"
            steps.append(Step(Stage.SERIES, title, point.nominal_N, f"{hands}: {point.nominal_N:.4g} N.", point=index))
        if plan.creep_s:
            load = plan.creep_share * plan.full_load_N
            steps.append(Step(Stage.CREEP, "Creep", load, f"Hold {load:.4g} N; the readings are taken by themselves."))
        return steps

    @property
    def step(self) -> Step | None:
        return self.steps[self.done] if self.done < len(self.steps) else None

    # --- time

    def advance(self) -> None:
        step = self.step
        self.clock_s += TICK_S
        self._trace()
        if step is None or self.paused or step.asks or self.trouble or self.stage is not None:
            return
        self.tick += 1
        if self.tick > self.pace:
            self.done, self.tick = self.done + 1, 0

    def play(self, steps: int, ticks: int = 0) -> None:
        """As if somebody had worked: until so many steps are done."""
        while self.done < steps:
            if self.step is not None and self.step.asks:
                self.done += 1
            self.advance()
        for _ in range(ticks - self.tick):
            self.advance()

    @property
    def share(self) -> float:
        return self.tick / self.pace

    def force_N(self) -> float:
        step = self.step
        if step is None or not step.target_N:
            return 0.02
        before = self.steps[self.done - 1].target_N or 0.0
        way = 1 - math.exp(-9 * self.share)
        return step.target_N * 1.006 + (before - step.target_N) * (1 - way) + 0.004 * math.sin(self.clock_s)

    def resistance_ohm(self) -> float | None:
        force = self.force_N()
        if force < 0.1:
            return None
        return float(np.exp(SENSOR.ln_ohm(np.log(force)))) * (1 + 0.004 * math.sin(self.clock_s * 1.7))

    def _trace(self) -> None:
        self.trace.append((self.clock_s, self.force_N(), self.resistance_ohm() or math.nan))
        del self.trace[:-300]

    # --- what is told

    def points(self) -> tuple[PointView, ...]:
        taken = [step.point for step in self.steps[: self.done] if step.point is not None]
        return tuple(self._point(index, self.data.points[index]) for index in taken)

    def _point(self, index: int, point: Point) -> PointView:
        return PointView(
            index=index,
            series=point.series,
            insertion=point.insertion,
            direction=point.direction,
            nominal_N=point.nominal_N,
            force_N=point.force_N,
            resistance_ohm=point.resistance_ohm,
            excluded=self.marks.get(index, ""),
        )

    def measured(self) -> Dataset:
        taken = [view.index for view in self.points()]
        points = (self.data.points[k].model_copy(update={"excluded": self.marks.get(k, "")}) for k in taken)
        return Dataset(points=tuple(points), creep=self.data.creep if self.step is None else ())

    def view(self) -> CalibrationView:
        step = self.step
        stage = self.stage or (step.stage if step else Stage.REVIEW)
        deeds = WORK if step else FINAL
        if step is not None and step.asks:
            deeds = (Deed.CONFIRM, *deeds[1:])
        if self.paused:
            deeds = (Deed.RESUME, *(deed for deed in deeds if deed not in (Deed.PAUSE, Deed.TAKE)))
        target = step.target_N if step else None
        t, force, ohm = zip(*self.trace, strict=True) if self.trace else ((), (), ())
        near = target is not None and abs(self.force_N() / target - 1) < self.order.plan.tolerance
        left = sum(70.0 for _ in self.steps[self.done :]) + (self.order.plan.creep_s if step else 0.0)
        return CalibrationView(
            session=self.session,
            sensor=self.order.sensor,
            stage=stage,
            paused=self.paused,
            title=step.title if step else "Look at the points and the fit, then sign",
            instruction=step.instruction if step else "All is measured.",
            target_N=target,
            tolerance_N=target * self.order.plan.tolerance if target else None,
            force_N=self.force_N(),
            resistance_ohm=self.resistance_ohm(),
            resistance_open=self.resistance_ohm() is None,
            force_ok=near,
            force_stable=near and self.share > 0.4,
            resistance_stable=near and self.share > 0.55,
            taking=(self.share - 0.7) / 0.3 if self.share > 0.7 and near else None,
            waited_s=self.tick * TICK_S,
            dwell_left_s=max(0.0, (0.5 - self.share) * 60) if near else 0.0,
            step=self.done,
            steps=len(self.steps),
            remaining_s=left if step else None,
            points=self.points(),
            trace=TraceView(
                time_s=t, force_N=force, resistance_ohm=tuple(None if math.isnan(value) else value for value in ohm)
            ),
            deeds=() if self.stage else deeds,
            trouble=self.trouble,
            driven=self.order.frame is not None,
            simulated=True,
            record=self.record,
        )

    def do(self, deed: Deed, order: DeedOrder) -> None:
        if deed not in self.view().deeds:
            raise Refused(409, f"{self.session}: not now: {deed.value}")
        if deed is Deed.CONFIRM or deed is Deed.TAKE:
            self.done, self.tick = self.done + 1, 0
        elif deed in (Deed.PAUSE, Deed.RESUME):
            self.paused = deed is Deed.PAUSE
        elif deed is Deed.EXCLUDE and order.point is not None:
            self.marks[order.point] = order.reason
        elif deed is Deed.INCLUDE and order.point is not None:
            self.marks.pop(order.point, None)
        elif deed is Deed.SKIP:
            here = self.step
            while here is not None and self.step is not None and self.step.stage is here.stage:
                self.done, self.tick = self.done + 1, 0
        elif deed is Deed.ABANDON:
            self.stage = Stage.ABANDONED

    def draft(self, version: int) -> Calibration:
        reference = Reference(
            name="S-beam 500 N", serial="40113", certificate="D-K-2291", relative_standard_uncertainty=0.002
        )
        meter = Meter(name="scanner", identity="KEITHLEY 2700", relative_standard_uncertainty=5e-4, resolution_ohm=1.0)
        try:
            found = evaluate(
                self.measured(), Basis(self.order.area, reference, meter, self.order.temperature, draws=4000)
            )
        except DataError as error:
            raise Refused(422, str(error)) from None
        return Calibration(
            sensor=self.order.sensor,
            version=version,
            model=found.choice.best.model,
            area=self.order.area,
            evaluation=found,
            data=self.measured(),
            reference=reference,
            meter=meter,
            conditions=Conditions(operator=self.order.operator, place=self.order.place),
            calibrated=DAY,
            issued=datetime.datetime(2026, 3, 2, 15, 0, tzinfo=datetime.UTC),
            simulated=True,
        )


class FakeCalibrations:
    """`deeds` are the (deed, session, order) received; `refuse[deed]` makes one fail with these words."""

    def __init__(self, pace: int = 3) -> None:
        self.pace = pace
        self.sessions: dict[str, FakeSession] = {}
        self.records: dict[str, list[Calibration]] = {}
        self.deeds: list[tuple[str, str, DeedOrder]] = []
        self.taken_up: list[tuple[str, str]] = []
        self.refuse: dict[str, str] = {}
        self.in_cells: tuple[SensorInCell, ...] = ()

    def begin(self, order: SessionOrder) -> FakeSession:
        name = f"{order.sensor}-{len(self.sessions) + 1}"
        self.sessions[name] = FakeSession(name, order, self.pace)
        return self.sessions[name]

    def remember(self, order: SessionOrder, versions: int = 2) -> None:
        """Calibrations of earlier years."""
        for age in range(versions, 0, -1):
            session = FakeSession("earlier", order, outlier=None, seed=age)
            session.done = len(session.steps)
            year = DAY.year - age
            changes = {"calibrated": DAY.replace(year=year), "expires": DAY.replace(year=year + 1)}
            version = 1 + versions - age
            record = session.draft(version).model_copy(update=changes | {"authorised_by": "Anna"})
            self.records.setdefault(order.sensor, []).append(record.sealed())

    def options(self) -> CalibrationOptions:
        channels = tuple(range(1, 9))
        return CalibrationOptions(
            sensors=(
                SensorView(
                    name="mfsr-A1",
                    channel="A1",
                    meter="scanner",
                    meter_channel=3,
                    version=2,
                    calibrated=datetime.date(2025, 2, 20),
                    expires=datetime.date(2026, 2, 20),
                    expired=True,
                    versions=2,
                ),
                SensorView(name="mfsr-A2", channel="A2", meter="scanner", meter_channel=4),
            ),
            meters=(InstrumentView(name="scanner", driver="keithley2700", channels=channels, detail="Keithley 2700"),),
            gauges=(InstrumentView(name="press", driver="modbus-load-cell", detail="S-beam, 500 N"),),
            frames=(InstrumentView(name="frame", driver="frame", detail="presses by itself"),),
            references=("s-beam-40113",),
            in_cells=self.in_cells,
            reference_details=(
                ReferenceView(
                    name="s-beam-40113",
                    cell="S-beam 500 N, no. 40113",
                    detail="certificate D-K-2291",
                    expires=datetime.date(2027, 5, 31),
                ),
            ),
            sessions=tuple(
                SessionView(
                    session=each.session,
                    sensor=each.order.sensor,
                    stage=each.view().stage,
                    started=BEGUN,
                    step=each.done,
                    steps=len(each.steps),
                    operator=each.order.operator,
                )
                for each in self.sessions.values()
                if each.stage is None
            ),
            simulated=True,
        )

    def get(self, parts: list[str], query: dict[str, str]) -> object:
        match parts:
            case ["calibration"]:
                return self.options()
            case ["calibration", name]:
                self._find(name).advance()
                return self._find(name).view()
            case ["calibration", name, "draft"]:
                session = self._find(name)
                return session.draft(1 + len(self.records.get(session.order.sensor, ())))
            case ["calibrations", sensor]:
                return list(reversed(self.records.get(sensor, [])))
            case ["calibrations", sensor, version, "certificate"]:
                return f"%{query['format'].upper()} certificate of {sensor} v{version}".encode()
        raise Refused(404, f"there is no /{'/'.join(parts)}")

    def post(self, parts: list[str], body: dict[str, Any]) -> CalibrationView:
        match parts:
            case ["calibration"]:
                return self.begin(SessionOrder.model_validate(body)).view()
            case ["calibration", name, "take-up"]:
                self.taken_up.append((name, body["who"]))
                self._find(name).paused = False
                return self._find(name).view()
            case ["calibration", name, deed]:
                order = DeedOrder.model_validate_json(json.dumps(body))
                self.deeds.append((deed, name, order))
                if deed in self.refuse:
                    raise Refused(409, self.refuse[deed])
                session = self._find(name)
                session.do(Deed(deed), order)
                if deed == Deed.SIGN:
                    self._sign(session, order)
                return session.view()
        raise Refused(404, f"there is no /{'/'.join(parts)}")

    def _sign(self, session: FakeSession, order: DeedOrder) -> None:
        versions = self.records.setdefault(session.order.sensor, [])
        draft = session.draft(1 + len(versions))
        changes = {"authorised_by": order.authorised_by, "expires": order.expires, "note": order.note}
        versions.append(draft.model_copy(update=changes).sealed())
        session.stage, session.record = Stage.SIGNED, versions[-1].id

    def _find(self, name: str) -> FakeSession:
        if name not in self.sessions:
            raise Refused(404, f"there is no calibration session {name!r}")
        return self.sessions[name]
