"""There and back again: what a format can say comes back as it was written, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols import interop
from protocols.cell import Cell
from protocols.compile import parse_protocol
from protocols.interop.loops import written_out
from protocols.interop.plan import Amount, Drive, Hold, Loop, Plan, PlanItem, Recording, Rest, Scan, Sweep, Unit
from protocols.interop.report import Where
from protocols.interop.text import protocol_text
from protocols.language import ProtocolFile
from protocols.limits import Limits
from protocols.program import Program

CELL = Cell.model_validate({"cell": "c", "nominal_capacity": "45 mAh"})
HERE = Where("ours")
RESOLVED = 9  # decimals of a current in A: the least that any of the files has


def _rounded(low: float, high: float, digits: int) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: float(f"{value:.{digits}g}"))


LIMITS = Limits(voltage_min_V=-0.1, voltage_max_V=5.1, current_max_A=1.0)
times = st.one_of(st.integers(1, 200_000).map(float), _rounded(1, 1e6, 5))
volts = st.integers(1, 4999).map(lambda millivolts: millivolts / 1000)
currents = st.builds(Amount, _rounded(1e-5, 0.9, 4), st.just(Unit.AMPERE))
rates = st.builds(
    Amount, st.one_of(_rounded(1e-3, 20, 4), st.integers(2, 200).map(lambda hours: 1 / hours)), st.just(Unit.C_RATE)
)


def _cccv(charge: bool, amount: Amount, voltage_V: float, part: float) -> tuple[PlanItem, ...]:
    end = Amount(round(float(f"{amount.value * part:.4g}"), RESOLVED), amount.unit)
    drive = Drive(charge, amount, voltage_V, where=HERE)
    return drive, Hold(voltage_V, end, None, amount, charge, where=HERE)


def _timed_hold(drive: Drive, time_s: float) -> tuple[PlanItem, ...]:
    assert drive.voltage_V is not None
    return drive, Hold(drive.voltage_V, None, time_s, drive.amount, drive.charge, where=HERE)


def _bodies(
    amounts: st.SearchStrategy[Amount], *, timed: bool, sweeps: bool
) -> st.SearchStrategy[tuple[PlanItem, ...]]:
    """Single steps, and pairs that belong together; `timed` where a step without a time is given one."""
    where = st.just(HERE)
    maybe_time = times if timed else st.none() | times
    drives = st.builds(Drive, st.booleans(), amounts, volts, maybe_time, where=where)
    kinds: list[st.SearchStrategy[tuple[PlanItem, ...]]] = [
        st.builds(Rest, times, where=where).map(lambda rest: (rest,)),
        drives.map(lambda drive: (drive, Rest(60.0, where=HERE))),
        st.builds(Drive, st.booleans(), amounts, st.none(), times, where=where).map(lambda drive: (drive,)),
        st.builds(_timed_hold, drives, times),
    ]
    if not timed:
        kinds.append(st.builds(_cccv, st.booleans(), amounts, volts, st.floats(0.01, 0.9)))
    if sweeps:
        sweep = st.builds(
            lambda low, decades, per_decade, volts: Sweep(low * 10**decades, low, per_decade, volts, where=HERE),
            st.sampled_from([0.01, 0.1, 1.0]), st.integers(1, 6), st.integers(1, 20), st.sampled_from([0.005, 0.01]),
        )  # fmt: skip
        kinds.append(sweep.map(lambda one: (one,)))
        scan = st.builds(Scan, volts, volts, _rounded(1e-5, 0.1, 4), where=where)
        kinds.append(scan.filter(lambda one: one.start_V != one.end_V).map(lambda one: (one,)))
    return st.one_of(kinds)


def _plans(amounts: st.SearchStrategy[Amount], *, timed: bool = False, sweeps: bool = False) -> st.SearchStrategy[Plan]:
    bodies = _bodies(amounts, timed=timed, sweeps=sweeps)

    def several(inside: st.SearchStrategy[tuple[PlanItem, ...]]) -> st.SearchStrategy[tuple[PlanItem, ...]]:
        return st.lists(inside, min_size=1, max_size=4).map(lambda parts: tuple(one for part in parts for one in part))

    def loops(inside: st.SearchStrategy[tuple[PlanItem, ...]]) -> st.SearchStrategy[tuple[PlanItem, ...]]:
        return st.builds(Loop, several(inside), st.integers(2, 500), where=st.just(HERE)).map(lambda loop: (loop,))

    items = several(st.recursive(bodies, lambda inside: st.one_of(inside, loops(inside)), max_leaves=6))
    return st.builds(
        Plan,
        st.just("a test"),
        st.just("ours"),
        items,
        st.builds(Recording, times),
        st.just(Limits() if timed else LIMITS),
    )


def _same(one: object, other: object) -> bool:
    """Whether two contents are the same, but for the last digits and for how a quantity was spelt."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return all(_same(one.get(key), other.get(key)) for key in keys - {"text", "name", "notes"})
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "__slots__") and type(one) is type(other):  # Rate, Potential
        names = [name for name in one.__slots__ if name != "text"]
        return all(_same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other


def _content(content: ProtocolFile) -> dict[str, object]:
    return content.model_dump(exclude={"parameters"})


def _check(plan: Plan, format_name: str) -> None:
    ours = parse_protocol(protocol_text(plan, "a test", ()), "ours.yaml")
    there = interop.write(ours, format_name, CELL)
    assert not there.losses, there.losses
    back = interop.read(there.data, format_name, "back")
    assert not back.losses, back.losses
    again = parse_protocol(back.text, "back.yaml")
    before, after = _content(ours.content), _content(again.content)
    before["protocol"] = after["protocol"]
    assert _same(before, after), f"{ours.document.text}\n{there.text}\n{back.text}"
    _check_programs(ours.compile_for(CELL), again.compile_for(CELL))


def _check_programs(one: Program, other: Program) -> None:
    assert [type(operation) for operation in one.operations] == [type(operation) for operation in other.operations]
    assert one.cycles_planned == other.cycles_planned


@settings(max_examples=15, deadline=None)
@given(_plans(currents | rates, sweeps=True))
def test_unicycler(plan: Plan) -> None:
    _check(plan, "unicycler")


@settings(max_examples=15, deadline=None)
@given(_plans(currents))
@example(Plan("a test", "ours", _cccv(True, Amount(3.125e-5, Unit.AMPERE), 4.2, 0.01), Recording(30.0), LIMITS))
def test_neware(plan: Plan) -> None:
    _check(plan, "neware")


@settings(max_examples=15, deadline=None)
@given(_plans(currents | rates, timed=True))
def test_pybamm(plan: Plan) -> None:
    _check(plan, "pybamm")


@pytest.mark.parametrize("name", ["biologic", "tomato"])
@settings(max_examples=8, deadline=None)
@given(plan=_plans(currents))
def test_the_others_can_be_written(name: str, plan: Plan) -> None:
    ours = parse_protocol(protocol_text(plan, "a test", ()), "ours.yaml")
    if name == "biologic" or written_out(plan.items, 2000) is not None:
        assert interop.write(ours, name, CELL).data
