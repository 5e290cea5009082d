"""What every driver does, whatever it drives; `roles.py` has what each capability promises.

Each test runs with the real driver and its virtual instrument, and between them a proxy that spoils the traffic.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from drivers.interface import (
    ImpedanceSource,
    Instrument,
    InstrumentError,
    InstrumentTimeout,
    ProcedureCycler,
    ProgramCycler,
    Source,
    Unreachable,
    WrongInstrument,
)
from drivers.scpi import ScpiInstrument
from drivers.testing.bench import Bench, Stranger, bench_for, role_of
from drivers.testing.case import Case
from drivers.testing.compare import same, until_it_answers
from drivers.testing.faults import cut_after, double, dribble, garble, swallow
from drivers.testing.roles import ByRole
from drivers.testing.statics import faults_of
from drivers.testing.sweep import sweep

EXHAUSTIVE = "CELLSTATION_EXHAUSTIVE"
"""Set in the environment to strike each byte of each reply; otherwise a few of them are struck."""
POSITIONS = 2


class DriverConformance(ByRole):
    """Derive a class whose name begins with 'Test', give it `cases`, and pytest runs all that a driver owes.

    class TestArborFg50(DriverConformance):
        cases = (Case(name="arbor-fg50", virtual=…, open=…, exchange=…, roles=(ForceGauge,)),)
    """

    cases: ClassVar[Sequence[Case]] = ()

    def __init_subclass__(cls) -> None:
        """What none of the cases claims is not asked of them."""
        for name in dir(cls):
            role = role_of(getattr(cls, name))
            if role is not None and not any(role in case.roles for case in cls.cases):
                setattr(cls, name, None)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        role = role_of(metafunc.function)
        cases = [case for case in self.cases if role is None or role in case.roles]
        for wanted in {"bench", "case"} & set(metafunc.fixturenames):
            metafunc.parametrize(wanted, cases, ids=lambda case: case.name, indirect=wanted == "bench")

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        yield from bench_for(request.param)

    # --- what it states

    def test_it_states_its_limits_units_and_safe_state(self, bench: Bench) -> None:
        assert not faults_of(type(bench.driver))

    def test_it_has_the_roles_that_its_case_claims(self, bench: Bench) -> None:
        assert isinstance(bench.driver, Instrument)
        for role in bench.case.roles:
            assert isinstance(bench.driver, role)

    def test_what_sets_something_going_has_its_start_in_the_case(self, case: Case) -> None:
        sets_going = {Source, ProgramCycler, ProcedureCycler, ImpedanceSource} & set(case.roles)
        assert not sets_going or case.start is not None, "state Case.start: what must never be sent twice"

    def test_it_says_what_it_is_and_where(self, bench: Bench) -> None:
        assert bench.driver.identify().strip()
        assert bench.driver.address == bench.address

    # --- its life

    def test_it_goes_to_its_safe_state(self, bench: Bench) -> None:
        until_it_answers(bench.driver.make_safe)
        assert bench.right() is not None

    def test_it_can_be_closed_twice_and_not_used_after(self, bench: Bench) -> None:
        bench.driver.close()
        bench.driver.close()
        with pytest.raises(InstrumentError):
            bench.exchange()

    def test_leaving_the_context_closes_it(self, bench: Bench) -> None:
        with bench.driver as entered:
            assert entered is bench.driver
        with pytest.raises(InstrumentError):
            bench.exchange()

    # --- its line

    def test_silence_is_a_time_out_within_its_limit_and_no_answer_comes_late(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.spoil = swallow
        began = time.monotonic()
        with pytest.raises(InstrumentTimeout) as caught:
            bench.exchange()
        assert time.monotonic() - began < bench.case.longest_s
        assert bench.address in str(caught.value)
        bench.proxy.spoil = None
        assert same(bench.right(), right)

    @pytest.mark.parametrize("count", [0, 3])
    def test_a_cut_reply_is_an_error_never_a_value(self, bench: Bench, count: int) -> None:
        right = bench.right()
        bench.proxy.spoil = cut_after(count)
        with pytest.raises(InstrumentError):
            bench.exchange()
        bench.proxy.spoil = None
        assert same(bench.right(), right)

    def test_a_garbled_reply_is_an_error_never_a_value(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.spoil = garble
        with pytest.raises(InstrumentError):
            bench.exchange()
        bench.proxy.spoil = None
        assert same(bench.right(), right)

    def test_a_doubled_reply_is_never_taken_for_the_next_answer(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.spoil = double
        for _ in range(3):
            try:
                assert same(bench.exchange(), right)
            except InstrumentError:
                continue
        bench.proxy.spoil = None
        assert same(bench.right(), right)

    def test_a_reply_byte_by_byte_is_the_same_reply(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.spoil = dribble
        assert same(bench.exchange(), right)

    def test_a_dropped_link_comes_back_by_itself(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.drop()
        assert same(bench.right(), right)

    def test_a_link_that_cannot_be_made_is_unreachable_until_it_can(self, bench: Bench) -> None:
        right = bench.right()
        bench.proxy.refuse = True
        bench.proxy.drop()
        with pytest.raises(InstrumentError):
            bench.exchange()
        with pytest.raises(Unreachable):
            bench.exchange()
        bench.proxy.refuse = False
        assert same(bench.right(), right)

    def test_nobody_at_the_address(self, case: Case) -> None:
        virtual = case.virtual()
        virtual.stop()
        began = time.monotonic()
        with pytest.raises(InstrumentError):
            case.open(virtual.address)
        assert time.monotonic() - began < case.longest_s

    def test_a_stranger_at_the_address_is_not_opened(self, case: Case) -> None:
        with case.virtual() as virtual, case.open(virtual.address) as driver:
            error = WrongInstrument if isinstance(driver, ScpiInstrument) else InstrumentError
        began = time.monotonic()
        with Stranger(virtual.resource) as stranger, pytest.raises(error):
            case.open(stranger.address)
        assert time.monotonic() - began < case.longest_s

    # --- each byte of each reply

    @pytest.mark.timeout(0 if EXHAUSTIVE in os.environ else 120)
    def test_a_fault_at_any_byte_is_an_error_or_changes_nothing(self, case: Case) -> None:
        positions = None if EXHAUSTIVE in os.environ else POSITIONS
        for act in (case.exchange, *([case.start.act] if case.start else [])):
            tally = sweep(case, act=act, positions=positions)
            assert not tally.failures, "\n".join(tally.failures)
