"""Steps that would meet a limit of station or channel are found before a run; the sample that trips is stored."""

from __future__ import annotations

import pytest

from protocols.limits import Limits
from station import sequencer
from station.preflight import beyond_limits
from station.run import Request, prepare
from station.sequencer import Sample

CELL = "cell: c\nnominal_capacity: 1 mAh\n"
PROTOCOL = "protocol: p\nsteps:\n  - charge: {at: 2 mA, until: {voltage: 2 V}}\n  - hold: {at: 1.5 V, for: 1 h}\n"
RUN = prepare("run", "A1", Request(PROTOCOL, "p.yaml", CELL, "c.yaml"), 0.0)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(current_max_A=2e-3), ["p.yaml:3:5: step '1 charge 2 mA': 2 mA is not below the limit in force, 2 mA"]),
        (Limits(voltage_max_V=2.0), ["2 V is not between the limits in force, -inf V and 2 V"]),
        (Limits(voltage_min_V=1.6), ["p.yaml:4:5: step '2 hold 1.5 V'"]),
        (Limits(voltage_min_V=0.0, voltage_max_V=2.1, current_max_A=3e-3), []),
    ],
)
def test_a_step_beyond_the_limits_in_force_is_named(limits: Limits, said: list[str]) -> None:
    problems = beyond_limits(RUN.program, limits)
    assert len(problems) == len(said)
    assert all(words in str(problem) for problem, words in zip(problems, said, strict=True))


def test_the_sample_that_trips_is_stored_with_its_charge() -> None:
    state = sequencer.begin(RUN.program, 0.0).state
    for at in (1.0, 2.0):
        state = sequencer.advance(RUN.program, state, Sample(at, 1.0, 2e-3)).state
    outcome = sequencer.record(RUN.program, state, Sample(3.0, 2.3, 2e-3))
    assert outcome.commands == () and outcome.steps == ()
    assert (outcome.readings[-1].voltage_V, outcome.readings[-1].test_time_s) == (2.3, 3.0)
    assert outcome.readings[-1].step_capacity_Ah == pytest.approx(2e-3 * 2 / 3600)
    assert sequencer.record(RUN.program, state, Sample(3.0, float("nan"), 2e-3)).readings == ()
