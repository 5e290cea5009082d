"""One thread for each instrument: calls in order, opened anew after a failure, never twice at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, ClassVar, Self, TypeVar

import pytest

from drivers.interface import BadReply, Unreachable
from station.workers import Patience, Worker

T = TypeVar("T")


class Fake:
    model: ClassVar[str] = "fake"
    safe_state: ClassVar[str] = "nothing to do"
    address = "nowhere"

    def __init__(self, trouble: Exception | None = None) -> None:
        self.done: list[str] = []
        self.trouble = trouble

    def identify(self) -> str:
        return threading.current_thread().name

    def make_safe(self) -> None: ...

    def close(self) -> None:
        self.done.append("close")
        if self.trouble:
            raise self.trouble

    def leave(self) -> None:
        self.done.append("leave")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_calls_are_made_in_one_thread_in_the_order_asked() -> None:
    seen: list[tuple[int, str]] = []

    def note(index: int, fake: Fake) -> None:
        time.sleep(0.001 * (5 - index))
        seen.append((index, fake.identify()))

    async def work() -> None:
        worker = Worker("smu", Fake)
        assert worker.opened is None
        await asyncio.gather(*(worker.call(lambda fake, i=i: note(i, fake)) for i in range(5)))  # type: ignore[misc]
        assert isinstance(worker.opened, Fake)
        await worker.close()

    run(work())
    assert [index for index, _ in seen] == [0, 1, 2, 3, 4]
    assert len({name for _, name in seen}) == 1
    assert seen[0][1].startswith("instrument-smu")


def test_what_an_instrument_raises_comes_through_and_keeps_it_open() -> None:
    opened: list[Fake] = []

    def open_fake() -> Fake:
        opened.append(Fake())
        return opened[-1]

    async def work() -> None:
        worker = Worker("smu", open_fake)

        def fail(_: Fake) -> None:
            raise BadReply("garbled")

        with pytest.raises(BadReply, match="garbled"):
            await worker.call(fail)
        await worker.call(lambda fake: fake.identify())
        await worker.close()

    run(work())
    assert len(opened) == 1


def test_an_instrument_that_cannot_be_opened_is_not_hammered() -> None:
    attempts = 0

    def open_fake() -> Fake:
        nonlocal attempts
        attempts += 1
        raise Unreachable("no route", instrument="2450", address="nowhere")

    async def work() -> None:
        worker = Worker("smu", open_fake)
        with pytest.raises(Unreachable, match="2450 at nowhere: no route"):
            await worker.call(lambda fake: fake.identify())
        with pytest.raises(Unreachable, match=r"smu: 2450 at nowhere: no route; next attempt in \d+ s"):
            await worker.call(lambda fake: fake.identify())
        await worker.close()

    run(work())
    assert attempts == 1


@pytest.mark.parametrize(("leave", "done"), [(False, ["close"]), (True, ["leave"])])
def test_closed_once_or_left_as_it_is(leave: bool, done: list[str]) -> None:
    fake = Fake()

    async def work() -> None:
        worker = Worker("smu", lambda: fake)
        await worker.call(lambda one: one.identify())
        await worker.close(leave=leave)
        assert worker.opened is None

    run(work())
    assert fake.done == done


def test_trouble_in_closing_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        worker = Worker("smu", lambda: Fake(BadReply("not now")))
        await worker.call(lambda one: one.identify())
        await worker.close()

    run(work())
    assert "closing smu: not now" in caplog.text


def test_patience_says_the_first_failure_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    patience = Patience(5.0)
    assert [patience.bad(), patience.bad(), patience.bad()] == [True, False, False]
    now += 5.0
    assert not patience.lost
    now += 0.001
    assert patience.lost
    assert patience.failing
    patience.good()
    assert not patience.lost
    assert not patience.failing
    assert patience.bad()
