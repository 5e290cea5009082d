"""One instrument for sixteen channels: in order, given back by whoever fails, and no wait without end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from station.lending import Lender, Loan, NotLent

T = TypeVar("T")
CHANNELS = [f"A{number}" for number in range(1, 17)]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 20))


class Clock:
    time_s = 0.0

    def now(self) -> float:
        return self.time_s


class Bench:
    """An analyser that takes 60 s of its clock for a sweep."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lender = Lender("eis", self.clock.now)
        self.order: list[str] = []
        self.loans: dict[str, Loan] = {}
        self.at_once = self.most_at_once = 0

    async def sweep(self, channel: str, within_s: float | None = None, fail: bool = False) -> None:
        async with self.lender.to(channel, within_s) as loan:
            self.order.append(channel)
            self.loans[channel] = loan
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
                if fail:
                    raise ValueError("broke down")
                self.clock.time_s += 60.0
            finally:
                self.at_once -= 1


def test_sixteen_channels_get_it_one_at_a_time_in_the_order_asked() -> None:
    bench = Bench()

    async def work() -> None:
        await asyncio.gather(*(bench.sweep(channel) for channel in CHANNELS))

    run(work())
    assert bench.order == CHANNELS
    assert bench.most_at_once == 1
    assert [bench.loans[channel].waited_s for channel in CHANNELS] == [60.0 * number for number in range(16)]
    assert bench.loans["A1"].ahead == ()
    assert bench.loans["A4"].ahead == ("A1", "A2", "A3")
    assert bench.lender.holder is None


def test_whoever_asks_again_goes_to_the_end_of_the_queue() -> None:
    bench = Bench()

    async def twice(channel: str) -> None:
        await bench.sweep(channel)
        await bench.sweep(channel)

    async def work() -> None:
        await asyncio.gather(*map(twice, CHANNELS[:4]))

    run(work())
    assert bench.order == CHANNELS[:4] * 2


def test_a_holder_that_breaks_down_or_is_cancelled_frees_it() -> None:
    bench = Bench()

    async def work() -> None:
        broken = asyncio.create_task(bench.sweep("A1", fail=True))
        cancelled = asyncio.create_task(bench.sweep("A2"))
        third = asyncio.create_task(bench.sweep("A3"))
        await asyncio.gather(broken, return_exceptions=True)
        while bench.lender.holder != "A2":
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, third, return_exceptions=True)
        assert isinstance(broken.exception(), ValueError)

    run(work())
    assert bench.order == ["A1", "A2", "A3"]
    assert bench.lender.holder is None


def test_one_that_is_cancelled_while_it_waits_is_passed_over() -> None:
    bench = Bench()

    async def work() -> None:
        tasks = [asyncio.create_task(bench.sweep(channel)) for channel in CHANNELS[:4]]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(work())
    assert bench.order == ["A1", "A3", "A4"]


def test_cancelled_in_the_moment_its_turn_comes_it_is_passed_on() -> None:
    bench = Bench()

    async def work() -> None:
        release = asyncio.Event()

        async def hold() -> None:
            async with bench.lender.to("A1"):
                await release.wait()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        second, third = (asyncio.create_task(bench.sweep(channel)) for channel in ("A2", "A3"))
        await asyncio.sleep(0)
        release.set()
        await holder  # A2 has its turn, and has not run yet
        second.cancel()
        await asyncio.gather(second, third, return_exceptions=True)

    run(work())
    assert bench.order == ["A3"]
    assert bench.lender.holder is None


def test_a_wait_that_is_too_long_is_said_and_leaves_the_queue() -> None:
    bench = Bench()

    async def work() -> None:
        release = asyncio.Event()

        async def hold() -> None:
            async with bench.lender.to("B1"):
                await release.wait()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        bench.clock.time_s = 1800.0
        patient = asyncio.create_task(bench.sweep("A2"))
        with pytest.raises(
            NotLent,
            match=r"eis: not to be had within 0\.000167 min: channel B1 has had it for 30 min; A2 wait for it too",
        ):
            await bench.sweep("A1", within_s=0.01)
        assert bench.lender.waiting == ("A2",)
        release.set()
        await asyncio.gather(holder, patient)

    run(work())
    assert bench.order == ["A2"]


def test_nobody_is_given_it_before_all_that_may_have_it_still_have_said_that_they_have_not() -> None:
    bench = Bench()

    async def work() -> None:
        bench.lender.unsettled("A1")
        bench.lender.unsettled("B1")
        assert not bench.lender.is_free
        second = asyncio.create_task(bench.sweep("A2"))
        first = asyncio.create_task(bench.sweep("A1"))
        await asyncio.sleep(0)
        assert bench.lender.waiting == ("A2", "A1") and bench.order == []
        bench.lender.settled("A1")
        await asyncio.sleep(0)
        assert bench.order == [], "B1 may have it"
        bench.lender.settled("B1")
        bench.lender.settled("B1")
        await asyncio.gather(first, second)

    run(work())
    assert bench.order == ["A2", "A1"]
    assert bench.lender.is_free


def test_who_keeps_it_from_before_a_restart_is_named() -> None:
    bench = Bench()

    async def work() -> None:
        bench.lender.unsettled("B1")
        with pytest.raises(NotLent, match="channel B1 may have it since before the restart"):
            await bench.sweep("A1", within_s=0.01)

    run(work())
