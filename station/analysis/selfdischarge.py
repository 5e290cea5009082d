"""Self-discharge: what a charged cell loses in a rest.

    loss = (Q_before − Q_after)/Q_before

with the discharge capacities before and after the rest; of that, what a full charge afterwards brings back (Q_again) is
reversible, Q_after → Q_again, and the rest is not. The mean current of the loss is (Q_before − Q_after)/t. Capacities
have to be taken at the same current, limits and temperature. Alternatively the current follows from how fast the
voltage falls in an open circuit, I = (dQ/dV)·(dV/dt), where it does so by discharge and not by relaxation any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from station.analysis.cycles import Accuracy
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.flow import Direction
from station.analysis.halfcycles import HalfCycle
from station.analysis.lines import line
from station.analysis.record import Floats

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class SelfDischarge:
    """Shares of the capacity before the rest."""

    rest_s: float
    before_Ah: Estimate
    after_Ah: Estimate
    again_Ah: Estimate | None  # after the next full charge
    loss: Estimate
    reversible: Estimate | None
    irreversible: Estimate | None
    loss_per_day: Estimate
    mean_current_A: Estimate


def self_discharge(
    rest_s: float, before_Ah: Estimate, after_Ah: Estimate, again_Ah: Estimate | None = None
) -> SelfDischarge:
    """From capacities and the length of the rest. Raises AnalysisError where one of them is not above zero."""
    if not (rest_s > 0 and before_Ah.value > 0):
        raise AnalysisError(f"a rest of {rest_s:g} s after {before_Ah.value:g} Ah says nothing of self-discharge")
    lost_Ah = before_Ah.value - after_Ah.value
    u_Ah = root_sum_square(before_Ah.u or 0.0, after_Ah.u or 0.0)
    loss = _share(before_Ah, after_Ah)
    return SelfDischarge(
        rest_s,
        before_Ah,
        after_Ah,
        again_Ah,
        loss,
        None if again_Ah is None else _of(before_Ah.value, again_Ah, after_Ah),
        None if again_Ah is None else _share(before_Ah, again_Ah),
        Estimate(loss.value * DAY_S / rest_s, (loss.u or 0.0) * DAY_S / rest_s),
        Estimate(lost_Ah * 3600 / rest_s, u_Ah * 3600 / rest_s),
    )


def _share(before: Estimate, after: Estimate) -> Estimate:
    """1 − after/before."""
    ratio = after.value / before.value
    return Estimate(1 - ratio, abs(ratio) * root_sum_square(before.relative_u or 0.0, after.relative_u or 0.0))


def _of(whole: float, above: Estimate, below: Estimate) -> Estimate:
    return Estimate((above.value - below.value) / whole, root_sum_square(above.u or 0.0, below.u or 0.0) / whole)


def self_discharge_of(halves: Sequence[HalfCycle], accuracy: Accuracy | None = None) -> SelfDischarge:
    """From a test that discharges, charges, rests, discharges and, where it goes on, charges and discharges again.

    The rest is the longest one between a charge and a discharge. Raises AnalysisError where one of these is missing.
    """
    of = accuracy or Accuracy()
    rests = [
        (after.start_s - before.end_s, number)
        for number, (before, after) in enumerate(pairwise(halves))
        if before.direction is Direction.CHARGE and after.direction is Direction.DISCHARGE and number > 0
    ]
    if not rests:
        raise AnalysisError("self-discharge needs a discharge, a charge, a rest and a discharge, in this order")
    rest_s, number = max(rests)
    again = halves[number + 3] if number + 3 < len(halves) else None
    return self_discharge(
        rest_s,
        of.capacity_Ah(halves[number - 1]),
        of.capacity_Ah(halves[number + 1]),
        None if again is None else of.capacity_Ah(again),
    )


def leakage_from_decay(
    time_s: Floats, voltage_V: Floats, differential_capacity_Ah_V: Estimate, tail: float = 0.5
) -> Estimate:
    """Current in A by which an open circuit discharges: (dQ/dV)·(−dV/dt) over the last half of the rest.

    Positive where the voltage falls. Of a rest that still relaxes, it is an upper or lower bound, not the leakage.
    """
    last = time_s >= time_s[-1] - tail * (time_s[-1] - time_s[0])
    slope = line(time_s[last] - time_s[-1], voltage_V[last]).slope
    value = -slope.value * differential_capacity_Ah_V.value * 3600
    relative = root_sum_square(slope.relative_u or 0.0, differential_capacity_Ah_V.relative_u or 0.0)
    return Estimate(value, abs(value) * relative)
