"""NEWARE step files: the exact file, what it cannot say, and what a tester reads back from it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.interface import CyclerProgram, CyclerStep, OutOfRange, Protection, Refused, StepKind
from drivers.neware_stepfile import StepMap, step_file, step_map, wire_steps
from drivers.simulated.neware_stepfile import FileStep, StepFileError, StepType, parse_step_file

REST = CyclerStep(StepKind.REST, end_time_s=60.0)
CHARGE = CyclerStep(StepKind.CC, current_A=0.0005, end_voltage_V=4.2)
DISCHARGE = CyclerStep(StepKind.CC, current_A=-0.0005, end_voltage_V=2.5, end_time_s=36000.0)
CCCV = CyclerStep(StepKind.CCCV, current_A=0.0005, voltage_V=4.2, end_current_A=0.00005)
LIMITS = Protection(voltage_min_V=-0.05, voltage_max_V=4.3, current_max_A=0.002)


def program(*steps: CyclerStep, **changes: object) -> CyclerProgram:
    made = CyclerProgram("formation", steps, LIMITS, capacity_max_Ah=0.003, record_time_s=10.0, record_voltage_V=0.005)
    return replace(made, **changes)  # type: ignore[arg-type]


def loop(to: int, count: int) -> CyclerStep:
    return CyclerStep(StepKind.LOOP, loop_to=to, loop_count=count)


def written(made: CyclerProgram) -> str:
    return step_file(
        made, remark="cell 7", created=datetime(2026, 1, 2, 3, 4, 5), guid=UUID("12345678-1234-5678-1234-567812345678")
    )


GOLDEN = """<?xml version="1.0" encoding="utf-8"?>
<root>
  <config type="Step File" version="17" client_version="BTS Client 8.0.0.478(2024.06.24)(R3)" \
date="20260102030405" Guid="12345678-1234-5678-1234-567812345678">
    <Head_Info>
      <Operate Value="66" />
      <Scale Value="1" />
      <Start_Step Value="1" Hide_Ctrl_Step="0" />
      <Creator Value="cellstation" />
      <Remark Value="cell 7" />
      <RateType Value="103" />
    </Head_Info>
    <Whole_Prt>
      <Protect>
        <Main>
          <Volt>
            <Upper Value="43000.000000" />
            <Lower Value="-500.000000" />
          </Volt>
          <Curr>
            <Upper Value="2.000000" />
            <Lower Value="-2.000000" />
          </Curr>
          <Delay_Time Value="1000.000000" />
          <Cap>
            <Upper Value="10800.000000" />
          </Cap>
        </Main>
      </Protect>
      <Record>
        <Main>
          <Time Value="10000.000000" />
          <Volt Value="50.000000" />
        </Main>
      </Record>
    </Whole_Prt>
    <Step_Info Num="6">
      <Step1 Step_ID="1" Step_Type="4">
        <Limit>
          <Main>
            <Time Value="60000.000000" />
          </Main>
        </Limit>
      </Step1>
      <Step2 Step_ID="2" Step_Type="1">
        <Limit>
          <Main>
            <Curr Value="0.500000" />
            <Stop_Volt Value="42000.000000" />
          </Main>
        </Limit>
      </Step2>
      <Step3 Step_ID="3" Step_Type="3">
        <Limit>
          <Main>
            <Volt Value="42000.000000" />
            <Stop_Curr Value="0.050000" />
            <Curr Value="0.500000" />
          </Main>
        </Limit>
      </Step3>
      <Step4 Step_ID="4" Step_Type="2">
        <Limit>
          <Main>
            <Curr Value="0.500000" />
            <Time Value="36000000.000000" />
            <Stop_Volt Value="25000.000000" />
          </Main>
        </Limit>
      </Step4>
      <Step5 Step_ID="5" Step_Type="5">
        <Limit>
          <Other>
            <Start_Step Value="2" />
            <Cycle_Count Value="3" />
          </Other>
        </Limit>
      </Step5>
      <Step6 Step_ID="6" Step_Type="6" />
    </Step_Info>
    <SMBUS>
      <SMBUS_Info Num="0" AdjacentInterval="0" />
    </SMBUS>
  </config>
</root>
"""


def test_the_file_is_written_exactly_so() -> None:
    assert written(program(REST, CCCV, DISCHARGE, loop(2, 3))) == GOLDEN


def test_step_numbers_lead_back_from_the_file_to_the_program() -> None:
    mapped = step_map(program(REST, CCCV, DISCHARGE, loop(2, 3)))
    assert mapped == StepMap((1, 2, 2, 3, 4))
    assert [mapped.program_step(wire) for wire in range(1, 7)] == [1, 2, 2, 3, 4, 4]
    assert [mapped.wire_step(step) for step in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert [mapped.continues(wire) for wire in range(1, 7)] == [False, False, True, False, False, False]


def test_a_loop_over_cccv_steps_starts_at_the_right_step_of_the_file() -> None:
    steps = wire_steps(program(CCCV, CCCV, DISCHARGE, loop(3, 2), loop(2, 5)))
    assert [(step.origin, step.start_step) for step in steps if step.start_step] == [(4, 5), (5, 3)]


def test_a_hold_after_a_charge_to_its_voltage_carries_the_current() -> None:
    hold = CyclerStep(StepKind.CV, voltage_V=4.2, end_time_s=600.0)
    assert dict(wire_steps(program(CHARGE, hold))[1].limits)["Curr"] == 0.5
    discharging = CyclerStep(StepKind.CV, voltage_V=3.0, current_A=-0.001, end_time_s=600.0)
    assert wire_steps(program(discharging))[0].kind == 19


@pytest.mark.parametrize(
    ("steps", "error", "says"),
    [
        ([], Refused, "no steps"),
        ([CyclerStep(StepKind.REST)], Refused, "step 1.*end_time_s"),
        ([REST, CyclerStep(StepKind.CC, current_A=0.001)], Refused, "step 2.*never ends"),
        ([CyclerStep(StepKind.CC, end_time_s=1.0)], Refused, "step 1.*current_A"),
        ([replace(CHARGE, current_A=0.0)], OutOfRange, "step 1.*1 nA"),
        ([replace(CHARGE, current_A=float("nan"))], OutOfRange, "step 1"),
        ([replace(CHARGE, current_A=-0.0021)], OutOfRange, "step 1.*±0.002 A"),
        ([replace(CHARGE, end_voltage_V=4.31)], OutOfRange, "step 1.*4.31 V"),
        ([replace(CHARGE, end_current_A=0.0001)], Refused, "step 1.*end_current_A"),
        ([replace(CHARGE, end_time_s=-1.0)], OutOfRange, "step 1"),
        ([REST, CyclerStep(StepKind.CV, voltage_V=4.2, end_time_s=9.0)], Refused, "step 2.*current_A, with its sign"),
        ([CyclerStep(StepKind.CV, voltage_V=4.2, current_A=0.001)], Refused, "step 1.*never ends"),
        ([replace(CCCV, end_current_A=None)], Refused, "step 1.*never ends"),
        ([replace(CCCV, end_current_A=0.0005)], OutOfRange, "step 1.*end_current_A"),
        ([replace(CCCV, end_time_s=3600.0)], Refused, "step 1.*end_time_s.*CC and a CV"),
        ([loop(1, 2)], OutOfRange, "step 1.*loop_to 1"),
        ([REST, loop(1, 0)], OutOfRange, "step 2.*loop_count 0"),
        ([REST, REST, REST, loop(2, 2), REST, loop(3, 2)], Refused, "step 6.*crosses"),
    ],
)
def test_what_a_file_cannot_say_is_refused_with_the_step(steps: list[CyclerStep], error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        written(program(*steps))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"record_time_s": None, "record_voltage_V": None}, Refused),
        ({"record_time_s": 0.0}, OutOfRange),
        ({"capacity_max_Ah": float("inf")}, OutOfRange),
        ({"capacity_max_Ah": 0.0}, OutOfRange),
        ({"protection": Protection(4.2, 2.5, 0.001)}, OutOfRange),
        ({"protection": Protection(2.5, 4.2, float("nan"))}, OutOfRange),
    ],
)
def test_a_test_without_limits_is_not_written(changes: dict[str, object], error: type) -> None:
    with pytest.raises(error):
        written(program(REST, **changes))


# --- what the tester reads, with its own parser


volts = st.floats(0.0, 4.3)
amperes = st.floats(1e-6, 0.002)
seconds = st.floats(0.01, 1e7)
signs = st.sampled_from((1.0, -1.0))


@st.composite
def steps(draw: st.DrawFn) -> CyclerStep:
    kind = draw(st.sampled_from((StepKind.REST, StepKind.CC, StepKind.CV, StepKind.CCCV)))
    current, end = draw(amperes) * draw(signs), draw(st.floats(0.01, 0.99))
    match kind:
        case StepKind.REST:
            return CyclerStep(kind, end_time_s=draw(seconds))
        case StepKind.CC:
            return CyclerStep(kind, current_A=current, end_time_s=draw(seconds), end_voltage_V=draw(st.none() | volts))
        case StepKind.CV:
            end_A = draw(st.none() | st.just(abs(current) * end))
            return CyclerStep(
                kind, current_A=current, voltage_V=draw(volts), end_time_s=draw(seconds), end_current_A=end_A
            )
        case _:
            return CyclerStep(kind, current_A=current, voltage_V=draw(volts), end_current_A=abs(current) * end)


@st.composite
def programs(draw: st.DrawFn) -> CyclerProgram:
    body = draw(st.lists(steps(), min_size=1, max_size=6))
    if draw(st.booleans()):
        body.append(loop(draw(st.integers(1, len(body))), draw(st.integers(1, 9999))))
    return program(*body, record_voltage_V=draw(st.none() | st.floats(1e-4, 0.1)))


def near(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-6, abs=1.1e-9)


def expected(number: int, step: CyclerStep, map_: StepMap) -> list[FileStep]:
    current = abs(step.current_A or 0.0)
    charge = (step.current_A or 0.0) > 0
    cc = StepType.CC_CHARGE if charge else StepType.CC_DISCHARGE
    cv = StepType.CV_CHARGE if charge else StepType.CV_DISCHARGE
    first = map_.wire_step(number)
    match step.kind:
        case StepKind.REST:
            return [FileStep(first, StepType.REST, time_s=step.end_time_s)]
        case StepKind.CC:
            return [FileStep(first, cc, current, time_s=step.end_time_s, stop_voltage_V=step.end_voltage_V)]
        case StepKind.CV:
            return [FileStep(first, cv, current, step.voltage_V, step.end_time_s, stop_current_A=step.end_current_A)]
        case StepKind.CCCV:
            return [
                FileStep(first, cc, current, stop_voltage_V=step.voltage_V),
                FileStep(first + 1, cv, current, step.voltage_V, stop_current_A=step.end_current_A),
            ]
        case StepKind.LOOP:
            start = map_.wire_step(step.loop_to or 0)
            return [FileStep(first, StepType.LOOP, start_step=start, cycle_count=step.loop_count or 0)]


@settings(max_examples=80, deadline=None)
@given(programs())
def test_the_tester_reads_what_the_program_says(made: CyclerProgram) -> None:
    read = parse_step_file(written(made).encode())
    map_ = step_map(made)
    wanted = [wire for number, step in enumerate(made.steps, start=1) for wire in expected(number, step, map_)]
    assert read.steps[-1] == FileStep(len(wanted) + 1, StepType.END)
    for got, want in zip(read.steps, wanted, strict=False):
        assert (got.number, got.type, got.start_step, got.cycle_count) == (
            (want.number, want.type, want.start_step, want.cycle_count)
        )
        for name in ("current_A", "voltage_V", "time_s", "stop_voltage_V", "stop_current_A"):
            wish = getattr(want, name)
            assert getattr(got, name) == near(wish if wish or name != "current_A" else None), name
    whole = read.whole_test
    assert (whole.voltage_min_V, whole.voltage_max_V) == (near(-0.05), near(4.3))
    assert (whole.current_min_A, whole.current_max_A) == (near(-0.002), near(0.002))
    assert (whole.capacity_max_Ah, whole.delay_s) == (near(0.003), 1.0)
    assert (whole.record_time_s, whole.record_voltage_V) == (10.0, near(made.record_voltage_V))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Step File", "Report"),
        ('Num="6"', 'Num="7"'),
        ('Step_ID="6" Step_Type="6"', 'Step_ID="6" Step_Type="4"'),
        ('Step_Type="5"', 'Step_Type="99"'),
        ('Start_Step Value="2"', 'Start_Step Value="5"'),
        ('Curr Value="0.500000"', 'Curr Value="much"'),
        ("</root>", ""),
    ],
)
def test_the_virtual_tester_refuses_a_broken_file(old: str, new: str) -> None:
    assert old in GOLDEN
    with pytest.raises(StepFileError):
        parse_step_file(GOLDEN.replace(old, new))
