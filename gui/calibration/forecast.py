"""What a plan asks for: the loads over time, and how long it takes. An estimate for the technician's day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from calibration.procedure import Kind, Plan, Stage, Step
from calibration.procedure.plan import LEAST_SHARE
from gui.reduce import Array
from station.calibration_views import PlanOrder


@dataclass(frozen=True)
class Planned:
    """Corners of the staircase; `spans` are the stages with their names, beginnings and ends."""

    time_s: Array
    load_N: Array
    spans: tuple[tuple[Stage, str, float, float], ...]
    readings: int  # load steps at which a reading is taken

    @property
    def duration_s(self) -> float:
        return float(self.time_s[-1])


def plan_of(order: PlanOrder, *, driven: bool = False) -> Plan:
    """Raises `ValueError` in words where the order makes no plan."""
    least = order.least_load_N or LEAST_SHARE * order.full_load_N
    try:
        return Plan.model_validate(order.model_dump() | {"least_load_N": least, "driven": driven})
    except ValidationError as error:
        said = (str(each["msg"]).removeprefix("Value error, ") for each in error.errors(include_url=False))
        raise ValueError("; ".join(said)) from None


def planned(plan: Plan) -> Planned:
    times, loads = [0.0], [0.0]
    spans: list[tuple[Stage, str, float, float]] = []
    steps = plan.steps()
    for step in steps:
        begin, seconds = times[-1], plan.expected_s(step)
        approach = plan.expected_s(Step(kind=Kind.UNLOAD, stage=step.stage))  # it is nothing but the way there
        times += [begin + min(approach, seconds), begin + seconds]
        loads += [step.nominal_N, step.nominal_N]
        name = f"series {step.series}" if step.stage is Stage.SERIES else step.stage.value
        if spans and spans[-1][1] == name:
            spans[-1] = (step.stage, name, spans[-1][2], times[-1])
        else:
            spans.append((step.stage, name, begin, times[-1]))
    readings = sum(step.kind is Kind.POINT for step in steps)
    return Planned(np.array(times), np.array(loads), tuple(spans), readings)
