"""The hand-over of a cell between two instruments, with a fault at each of its steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from drivers.interface import InstrumentError, NotSafe, OutOfRange, Switch
from drivers.modbus_relays import ModbusRelays
from drivers.simulated.switches import VirtualModbusRelays
from drivers.testing import FaultProxy, Spoil, cut_after, garble, swallow
from station.handover import Handover
from station.workers import Worker

ROUTES = {
    "smu": {"cell": "A1", "to": "smu", "relays": [1, 2]},
    "eis": {"cell": "A1", "to": "eis", "relays": [3, 4]},
    "other": {"cell": "A2", "to": "eis", "relays": [5, 6]},
}
SMU, EIS = frozenset({1, 2}), frozenset({3, 4})
EXCHANGES = 7  # two relays opened, read back; the rivals looked at; two relays closed, read back


@dataclass
class Bench:
    """A board behind a line that can be spoiled."""

    board: VirtualModbusRelays
    proxy: FaultProxy
    worker: Worker[Switch]
    handover: Handover

    @property
    def closed(self) -> frozenset[int]:
        return self.board.contacts.closed

    def never_on_two(self) -> bool:
        return not any(closed & SMU and closed & EIS for closed in self.board.contacts.history)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with VirtualModbusRelays(rtu=True) as board, FaultProxy(board.port) as proxy:
        address = proxy.address(board.resource)

        def opened() -> Switch:
            return ModbusRelays(address, routes=ROUTES, read_back="inputs", settle_s=0.0, timeout_s=0.1)

        worker: Worker[Switch] = Worker("matrix", opened)
        yield Bench(board, proxy, worker, Handover(worker, "smu", "eis"))
        proxy.spoil = None
        asyncio.run(worker.close())


class AtReply:
    """Spoils the `number`-th reply (from 0), and lets the others pass."""

    def __init__(self, number: int, spoil: Spoil) -> None:
        self.number, self.spoil, self.seen = number, spoil, 0

    def __call__(self, chunk: bytes) -> bytes | Sequence[bytes | float | None] | None:
        self.seen += 1
        return self.spoil(chunk) if self.seen == self.number + 1 else chunk


async def insist(act: Callable[[], object], within_s: float = 10.0) -> None:
    """As a channel does after a trip: again, until it is confirmed."""
    until = time.monotonic() + within_s
    while True:
        try:
            await act()  # type: ignore[misc]
            return
        except InstrumentError:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)


def test_there_and_back_by_break_before_make(bench: Bench) -> None:
    async def go() -> None:
        await bench.handover.check()
        await bench.handover.to_source()
        assert bench.handover.at_source and bench.closed == SMU
        await bench.handover.to_source()  # it is there: nothing is sent
        await bench.handover.to_impedance()
        assert not bench.handover.at_source and bench.closed == EIS
        await bench.handover.to_source()
        assert bench.closed == SMU
        await bench.handover.open()
        assert bench.closed == frozenset()

    asyncio.run(go())
    f = frozenset
    there = [f(), f({1}), f({1, 2}), f({2}), f(), f({3}), f({3, 4}), f({4}), f(), f({1}), f({1, 2}), f({2}), f()]
    assert bench.board.contacts.history == there, "open in between, each time"


FAULTS = [
    *(pytest.param(number, swallow, id=f"silence at {number}") for number in range(EXCHANGES)),
    *(pytest.param(number, garble, id=f"garbled at {number}") for number in range(EXCHANGES)),
    *(pytest.param(number, cut_after(3), id=f"hung up at {number}") for number in (0, 2, 3, 5)),
]


@pytest.mark.parametrize(("number", "spoil"), FAULTS)
@pytest.mark.parametrize("away", [True, False], ids=["to the analyser", "to the source"])
def test_a_fault_at_any_step_leaves_the_cell_on_one_at_most_and_then_open(
    bench: Bench, number: int, spoil: Spoil, away: bool
) -> None:
    async def go() -> None:
        begin, act = bench.handover.to_source, bench.handover.to_impedance
        if not away:
            begin, act = act, begin
        await begin()
        bench.proxy.spoil = AtReply(number, spoil)
        with pytest.raises(InstrumentError):
            await act()
        assert not bench.handover.at_source
        assert bench.never_on_two()
        await insist(bench.handover.open)
        assert bench.closed == frozenset(), "open after a failure"
        await act()
        assert bench.closed == (EIS if away else SMU), "and in use again when the line is sound"

    asyncio.run(go())
    assert bench.never_on_two()


def test_a_line_that_stays_dead_is_never_taken_for_open(bench: Bench) -> None:
    async def go() -> None:
        await bench.handover.to_source()
        bench.proxy.spoil = swallow
        for act in (bench.handover.open, bench.handover.to_impedance):
            with pytest.raises(InstrumentError):
                await act()
        assert not bench.handover.at_source, "where it is now nobody knows"

    asyncio.run(go())
    assert bench.never_on_two()


def test_a_welded_contact_keeps_the_analyser_off_the_cell(bench: Bench) -> None:
    async def go() -> None:
        await bench.handover.to_source()
        bench.board.contacts.welded = {2}
        with pytest.raises(NotSafe, match="route 'smu' was to be opened, and relay 2 reads back closed"):
            await bench.handover.to_impedance()
        with pytest.raises(NotSafe):
            await bench.handover.open()

    asyncio.run(go())
    assert bench.closed == {2} and bench.never_on_two()


def test_a_contact_that_does_not_close_is_told_and_the_cell_is_open(bench: Bench) -> None:
    bench.board.contacts.dead = {4}

    async def go() -> None:
        await bench.handover.to_source()
        with pytest.raises(NotSafe, match="relay 4 reads back open"):
            await bench.handover.to_impedance()

    asyncio.run(go())
    assert bench.closed == frozenset()


def test_two_cells_never_have_one_analyser(bench: Bench) -> None:
    other = Handover(bench.worker, "nowhere", "other")

    async def go() -> None:
        await bench.worker.call(lambda switch: switch.connect("other"))
        with pytest.raises(NotSafe, match="route 'eis' was not closed: 'other' is not open"):
            await bench.handover.to_impedance()
        with pytest.raises(OutOfRange, match="no route 'nowhere'"):
            await other.check()

    asyncio.run(go())
    assert bench.closed == {5, 6}


def test_after_a_restart_the_switch_is_asked(bench: Bench) -> None:
    async def go() -> None:
        assert not await bench.handover.find()
        await bench.handover.to_source()
        again = Handover(bench.worker, "smu", "eis")
        assert not again.at_source
        assert await again.find() and again.at_source
        await again.to_impedance()
        assert not await Handover(bench.worker, "smu", "eis").find()

    asyncio.run(go())
