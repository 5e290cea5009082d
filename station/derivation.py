"""The pressures of a run that is over, derived anew from its resistances with another calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from station.cell_events import loaded_since
from station.conversion import Conversion, marks
from station.readings import DerivationView
from station.store import Archive, RunPressures, StoreError
from station.store.derivations import make_current


@dataclass(frozen=True, slots=True)
class Change:
    """How far the pressures moved, over the readings that have one both before and after."""

    readings: int
    mean_Pa: float
    mean_share: float
    largest_Pa: float  # the one of the largest magnitude, with its sign
    largest_share: float
    gained: int  # readings that had no pressure before
    lost: int  # and that have none any more

    def in_words(self) -> str:
        parts = []
        if self.readings:
            parts.append(
                f"{self.readings} pressures change by {self.mean_Pa:+.4g} Pa ({self.mean_share:+.2%}) in the mean, "
                f"by {self.largest_Pa:+.4g} Pa ({self.largest_share:+.2%}) at the most"
            )
        if self.gained:
            parts.append(f"{self.gained} readings get a pressure that had none")
        if self.lost:
            parts.append(f"{self.lost} readings lose theirs, for they are outside the calibrated range")
        return "; ".join(parts) or "no reading has a pressure, before or after"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done. `found` is None where `wanted` is kept already; `change` None where nothing is to do."""

    wanted: DerivationView
    found: RunPressures | None
    change: Change | None


def plan(archive: Archive, run_id: str, calibration: Calibration, who: str, now: float) -> Plan:
    """Raises `StoreError` where the run goes on or has no resistance.

    Creep is corrected since the cell's assembly as it was known when the run began, or has been recorded since;
    temperature by the reading's own.
    """
    run = archive.run(run_id)
    if run.ended is None:
        raise StoreError(f"run {run_id} goes on: its pressures can be derived anew when it has ended")
    known = archive.derivations(run_id)
    assembled = known[0].assembled
    if assembled is None:
        assembled = loaded_since(archive.cell_events(run.cell), run.started)
    former = next(one for one in known if one.current)
    same = [one for one in known if _same(one, calibration, assembled)]
    if former in same:
        return Plan(former, None, None)
    before = archive.pressures(run_id, former)
    if not len(before.sequence):
        raise StoreError(f"run {run_id} has no resistance of a pressure sensor: there is nothing to derive")
    if same:
        kept = same[-1].model_copy(update={"time": now, "who": who})
        return Plan(kept, None, _change(before, archive.pressures(run_id, same[-1])))
    found = _derived(archive, run_id, Conversion(calibration, assembled, run.started))
    new = DerivationView(
        number=0,
        run_id=run_id,
        calibration=calibration.id,
        sha256=calibration.sha256,
        assembled=assembled,
        time=now,
        who=who,
        current=True,
    )
    return Plan(new, found, _change(before, found))


def carry_out(url: str, planned: Plan) -> int:
    """Raises `StoreError` with nothing changed; returns the derivation's number."""
    if planned.change is None:
        return planned.wanted.number
    said = f"pressures derived with calibration {planned.wanted.calibration}: {planned.change.in_words()}"
    return make_current(url, planned.wanted, planned.found, said)


def _same(one: DerivationView, calibration: Calibration, assembled: float | None) -> bool:
    return (one.calibration, one.sha256, one.assembled) == (calibration.id, calibration.sha256, assembled)


def _derived(archive: Archive, run_id: str, conversion: Conversion) -> RunPressures:
    columns = archive.columns(run_id, ("sequence", "time", "resistance_ohm", "temperature_degC"))
    has_one = ~np.isnan(columns["resistance_ohm"])
    sequence, time, resistance, temperature = (values[has_one] for values in columns.values())
    found = conversion.pressures(time, resistance, temperature)
    assert conversion.calibration is not None
    name = conversion.calibration.id
    return RunPressures(
        sequence.astype(np.int64),
        found.value_Pa,
        found.expanded_uncertainty_Pa,
        tuple(name if known else None for known in np.isfinite(found.value_Pa).tolist()),
        tuple(marks(found.place)),
    )


def _change(before: RunPressures, after: RunPressures) -> Change:
    old, new = before.pressure_Pa, after.pressure_Pa
    had, has = np.isfinite(old), np.isfinite(new)
    both = had & has
    moved: NDArray[np.float64] = (new - old)[both]
    share: NDArray[np.float64] = moved / old[both]
    any_moved = bool(len(moved))
    most = int(np.abs(moved).argmax()) if any_moved else 0
    return Change(
        readings=len(moved),
        mean_Pa=float(moved.mean()) if any_moved else 0.0,
        mean_share=float(share.mean()) if any_moved else 0.0,
        largest_Pa=float(moved[most]) if any_moved else 0.0,
        largest_share=float(share[np.abs(share).argmax()]) if any_moved else 0.0,
        gained=int((has & ~had).sum()),
        lost=int((had & ~has).sum()),
    )
