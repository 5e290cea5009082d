"""Short circuits of cells with lithium, seen in the voltage while a constant current flows.

Three signs of one, each judged within one half-cycle, as shares of the polarisation |V| of a symmetric cell (the shares
and times are `protocols.program.ShortCriteria`):

- *drop*: the polarisation falls suddenly. Two readings in a row are lower by a share `drop` than a moving average that
  forgets within `reference_s`. What falls more slowly than `drop/reference_s`, as it does after nucleation, is none.
- *noise*: the scatter of a reading about the straight line through the two before it, over `noise_s`, is above a share
  `noise`, and above `noise_factor` times the quietest that it has been.
- *fluctuation*: `swings` turns back of at least a share `swing` within `within_s`: soft shorts form and burn through.

Lu et al., Adv. Funct. Mater. 31 (2021) 2009925; Commun. Chem. (2023), doi:10.1038/s42004-023-01002-4. The detector is
fed one reading after the other and does no input or output, so that a run can be ended by it as well as a record be
searched.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from protocols.program import ShortCriteria

MEAN_TO_DEVIATION = 1.2533
"""From the mean magnitude of normal noise to its standard deviation."""
LEAST_SHARE = 0.1
"""Of a moving mean, by one reading: noise is judged over ten readings at least."""


class Sign(StrEnum):
    DROP = "drop"
    NOISE = "noise"
    FLUCTUATION = "fluctuation"


class Short(NamedTuple):
    """When it was seen, and by what."""

    time_s: float
    sign: Sign
    text: str


class Watch(NamedTuple):
    """What has been seen so far; small, and made of plain values, so that it can be kept with a run."""

    time_s: float | None = None  # of the last reading
    size_V: float = 0.0
    change_V: float | None = None  # to the last reading from the one before
    change_s: float = 0.0
    current_A: float = 0.0
    began_s: float = 0.0  # when this current was set
    reference_V: float | None = None  # moving average; None while it settles
    below: int = 0  # readings in a row that were lower by the drop
    scatter_V: float | None = None  # moving mean, as a standard deviation
    judged_s: float = 0.0  # for how long the scatter has been gathered
    quietest: float | None = None  # the lowest scatter so far in the test, as a share of the polarisation
    turn_V: float = 0.0  # the last extreme
    rising: int = 0  # +1, -1; 0 before the first swing
    turns_s: tuple[float, ...] = ()  # when the last swings were
    short: Short | None = None  # the first one seen


def observed(criteria: ShortCriteria, watch: Watch, time_s: float, voltage_V: float, current_A: float) -> Watch:
    """With one more reading; once a short has been seen, nothing more changes. Times do not go back."""
    if watch.short is not None or not (math.isfinite(voltage_V) and math.isfinite(current_A)):
        return watch
    size_V = abs(voltage_V)
    if watch.time_s is None or _set_anew(criteria, watch.current_A, current_A):
        return Watch(time_s, size_V, current_A=current_A, began_s=time_s, quietest=watch.quietest)
    if current_A == 0 or time_s - watch.began_s < criteria.settle_s or watch.reference_V is None:
        settled = current_A != 0 and time_s - watch.began_s >= criteria.settle_s
        reference_V = size_V if settled else None
        return watch._replace(time_s=time_s, size_V=size_V, reference_V=reference_V, turn_V=size_V)
    watch = _scattered(criteria, watch, time_s, size_V)
    watch = _swung(criteria, watch, time_s, size_V)
    watch = _dropped(criteria, watch, time_s, size_V)
    short = _judged(criteria, watch, time_s, size_V)
    return watch._replace(time_s=time_s, size_V=size_V, short=short)


def _set_anew(criteria: ShortCriteria, before_A: float, now_A: float) -> bool:
    return abs(now_A - before_A) > criteria.same_current * max(abs(before_A), abs(now_A))


def _forgotten(watch: Watch, time_s: float, span_s: float) -> float:
    """Share of a moving average that the time since the last reading replaces."""
    assert watch.time_s is not None
    return 1 - math.exp(-max(0.0, time_s - watch.time_s) / span_s)


def _dropped(criteria: ShortCriteria, watch: Watch, time_s: float, size_V: float) -> Watch:
    """A reading that is too low leaves the reference as it is, for the next one to be compared with."""
    assert watch.reference_V is not None
    if size_V < (1 - criteria.drop) * watch.reference_V:
        return watch._replace(below=watch.below + 1)
    share = _forgotten(watch, time_s, criteria.reference_s)
    return watch._replace(below=0, reference_V=watch.reference_V + share * (size_V - watch.reference_V))


def _scattered(criteria: ShortCriteria, watch: Watch, time_s: float, size_V: float) -> Watch:
    """A single reading counts for no more than twice what is too much, so that it takes several to be noise."""
    assert watch.time_s is not None and watch.reference_V is not None
    change_V, change_s = size_V - watch.size_V, time_s - watch.time_s
    moved = watch._replace(change_V=change_V, change_s=change_s)
    if watch.change_V is None or not (watch.change_s > 0 and change_s > 0):
        return moved
    ratio = change_s / watch.change_s
    off_V = abs(change_V - ratio * watch.change_V) / math.sqrt(1 + (1 + ratio) ** 2 + ratio**2)
    off_V = min(MEAN_TO_DEVIATION * off_V, 2 * _loud(criteria, watch) * watch.reference_V)
    share = min(_forgotten(watch, time_s, criteria.noise_s), LEAST_SHARE)
    scatter_V = off_V if watch.scatter_V is None else watch.scatter_V + share * (off_V - watch.scatter_V)
    judged_s = watch.judged_s + change_s
    quietest = watch.quietest
    if judged_s >= criteria.noise_s and watch.reference_V > 0:
        now = scatter_V / watch.reference_V
        quietest = now if quietest is None else min(quietest, now)
    return moved._replace(scatter_V=scatter_V, judged_s=judged_s, quietest=quietest)


def _loud(criteria: ShortCriteria, watch: Watch) -> float:
    """Above which share of the polarisation the scatter is noise."""
    return max(criteria.noise, criteria.noise_factor * (watch.quietest or 0.0))


def _swung(criteria: ShortCriteria, watch: Watch, time_s: float, size_V: float) -> Watch:
    """Extremes are followed; a way back of a swing's size makes a turn."""
    assert watch.reference_V is not None
    if watch.rising * (size_V - watch.turn_V) > 0:
        return watch._replace(turn_V=size_V)
    if abs(size_V - watch.turn_V) < criteria.swing * watch.reference_V:
        return watch
    direction = 1 if size_V > watch.turn_V else -1
    turns = (*watch.turns_s, time_s)[-criteria.swings :] if watch.rising else ()
    return watch._replace(turn_V=size_V, rising=direction, turns_s=turns)


def _judged(criteria: ShortCriteria, watch: Watch, time_s: float, size_V: float) -> Short | None:
    assert watch.reference_V is not None
    if watch.below >= 2:
        lost = 1 - size_V / watch.reference_V
        return Short(
            time_s, Sign.DROP, f"{100 * lost:.0f} % of the polarisation of {1e3 * watch.reference_V:.4g} mV were lost"
        )
    turns = watch.turns_s
    if len(turns) == criteria.swings and time_s - turns[0] <= criteria.within_s:
        return Short(
            time_s,
            Sign.FLUCTUATION,
            f"{criteria.swings} swings of {100 * criteria.swing:g} % or more in {time_s - turns[0]:.4g} s",
        )
    if watch.judged_s >= criteria.noise_s and watch.scatter_V is not None and watch.reference_V > 0:
        noise = watch.scatter_V / watch.reference_V
        if noise > _loud(criteria, watch):
            return Short(time_s, Sign.NOISE, f"the voltage scatters by {100 * noise:.2g} % of the polarisation")
    return None


class ShortCircuitDetector:
    """For a notebook or a loop: feed it reading after reading."""

    def __init__(self, criteria: ShortCriteria | None = None) -> None:
        self.criteria = criteria if criteria is not None else ShortCriteria()
        self.watch = Watch()

    def feed(self, time_s: float, voltage_V: float, current_A: float) -> Short | None:
        """The first short that was seen, up to this reading."""
        self.watch = observed(self.criteria, self.watch, time_s, voltage_V, current_A)
        return self.watch.short
