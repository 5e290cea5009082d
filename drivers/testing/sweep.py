"""Each byte of each reply cut, delayed, doubled or flipped: a typed error or the right value, never a hang.

A trial opens a driver through a proxy that strikes one byte, does one thing, and asks twice more. Trials wait most
of their time, so they run side by side.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from drivers.interface import Instrument, InstrumentError, Source
from drivers.testing.case import Case
from drivers.testing.compare import claims_nothing, same
from drivers.testing.faults import FaultAt, FaultProxy, Kind

SIDE_BY_SIDE = 16
QUESTIONS_AFTER = 2
MOST_TRIES = 3
UNSTRUCK = "not struck"


@dataclass(frozen=True)
class Undisturbed:
    """What an undisturbed line gives: from the first byte of the opening to the end of the act."""

    value: object
    answers: tuple[object, ...]  # of the case's own exchange, before the act and after it
    reply_bytes: int
    starts: int


@dataclass
class Tally:
    """What became of the trials; `failures` says each that no driver may have."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))


def sweep(
    case: Case,
    kinds: Iterable[Kind] = tuple(Kind),
    act: Callable[[Instrument], object] | None = None,
    positions: int | None = None,
) -> Tally:
    """Strike `positions` bytes (None: each) of the replies that opening the driver and `act` take, in each way.

    `act` is the case's exchange where it is not given. Which bytes is the same in each run of one case.
    """
    act = act or case.exchange
    undisturbed = observe(case, act)
    every = range(undisturbed.reply_bytes)
    faults = [
        (kind, position)
        for kind in kinds
        for position in (every if positions is None else _sample(every, positions, seed=f"{case.name} {kind.name}"))
    ]
    tally = Tally()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for verdict, failure in pool.map(lambda fault: _struck(case, act, fault, undisturbed), faults):
            tally.counts[verdict] += 1
            if failure:
                tally.failures.append(failure)
    return tally


def observe(case: Case, act: Callable[[Instrument], object]) -> Undisturbed:
    """Do it once on a sound line."""
    with _through_proxy(case) as (proxy, address):
        driver = case.open(address)
        try:
            value = act(driver)
            reply_bytes, starts = proxy.said, _starts(case, proxy)
            after = case.exchange(driver)
        finally:
            driver.close()
    with case.virtual() as virtual, case.open(virtual.address) as driver:
        return Undisturbed(value, (case.exchange(driver), after), reply_bytes, starts)


def _struck(
    case: Case, act: Callable[[Instrument], object], where: tuple[Kind, int], undisturbed: Undisturbed
) -> tuple[str, str | None]:
    """A trial that came as far as its fault; a busy machine may run into a time-out before that."""
    for _ in range(MOST_TRIES):
        fault = FaultAt(*where, _hold_s(case))
        verdict = _trial(case, act, fault, undisturbed)
        if verdict[0] != UNSTRUCK:
            return verdict
    return "failed", f"{case.name}, {fault}: an error on a sound line, {MOST_TRIES} times"


def _trial(
    case: Case, act: Callable[[Instrument], object], fault: FaultAt, undisturbed: Undisturbed
) -> tuple[str, str | None]:
    with _through_proxy(case) as (proxy, address):
        proxy.spoil = fault
        began = time.monotonic()
        outcome, driver = "error", None
        try:
            driver = case.open(address)
            value = act(driver)
            outcome = _judged(case, fault, value, undisturbed.value)
        except InstrumentError:
            pass
        except Exception as error:  # whatever a driver lets out is what is looked for here
            outcome = f"FAILED: {error!r} is no InstrumentError"
        if outcome == "FAILED":
            outcome = f"FAILED: {value!r} where {undisturbed.value!r} was right"
        if outcome == "error" and not fault.reply:
            outcome = UNSTRUCK
        starts = _starts(case, proxy)
        if driver is not None:
            outcome = _afterwards(case, driver, outcome, undisturbed)
        if (lasted_s := time.monotonic() - began) > 2 * case.longest_s:
            outcome = f"FAILED: it took {lasted_s:.1f} s"
        if starts > undisturbed.starts:
            outcome = f"FAILED: started {starts} times, {undisturbed.starts} undisturbed"
        if outcome.startswith("FAILED"):
            return "failed", f"{case.name}, {fault} of {fault.reply[:80]!r} at {fault.index}: {outcome[8:]}"
        return outcome, None


def _judged(case: Case, fault: FaultAt, value: object, right: object) -> str:
    if same(value, right):
        return "right value"
    if claims_nothing(value):
        return "no reading"
    if fault.reply and case.undetectable(fault, value):
        return "undetectable"
    return "FAILED"


def _afterwards(case: Case, driver: Instrument, outcome: str, undisturbed: Undisturbed) -> str:
    """No answer belongs to an earlier question, and what failed to start is off."""
    for _ in range(QUESTIONS_AFTER):
        try:
            answer = case.exchange(driver)
        except InstrumentError:
            continue
        except Exception as error:
            return f"FAILED: afterwards {error!r} is no InstrumentError"
        if outcome == "error" and not any(same(answer, right) for right in undisturbed.answers):
            outcome = f"FAILED: afterwards {answer!r} where {undisturbed.answers[0]!r} was right"
    if outcome == "error" and isinstance(driver, Source):
        with contextlib.suppress(InstrumentError):
            if driver.output_is_on():
                outcome = "FAILED: the output stayed on after an error"
    with contextlib.suppress(InstrumentError):
        driver.close()
    return outcome


@contextlib.contextmanager
def _through_proxy(case: Case) -> Iterator[tuple[FaultProxy, str]]:
    with case.virtual() as virtual, FaultProxy(virtual.port) as proxy:
        yield proxy, proxy.address(virtual.resource)


def _starts(case: Case, proxy: FaultProxy) -> int:
    return len(re.findall(case.start.command, b"".join(proxy.sent))) if case.start else 0


def _hold_s(case: Case) -> float:
    return 1.5 * case.timeout_s


def _sample(every: Sequence[int], count: int, seed: str) -> Sequence[int]:
    """One byte of each of `count` parts of equal length."""
    chance = random.Random(seed)
    edges = [round(part * len(every) / count) for part in range(count + 1)]
    return [every[chance.randrange(low, high)] for low, high in itertools.pairwise(edges) if high > low]
