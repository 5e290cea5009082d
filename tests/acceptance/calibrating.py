"""Whole calibrations on the virtual bench, over the service: the press by its drive, or by a person's hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from calibration.data import Area, Meter
from calibration.record import Calibration
from drivers.simulated.press import VirtualPress
from station.calibration_views import (
    CalibrationView,
    Deed,
    DeedOrder,
    PlanOrder,
    SessionOrder,
    StabilityOrder,
    Stage,
)
from station.client import Client

SPEED = 200.0  # the bench's clock; a calibration of half an hour takes some ten seconds
AREA = Area.disc(14e-3, 0.05e-3, "disc of 14 mm ± 0.05 mm, as the maker states")
METER = Meter(name="34465A", settings="two-wire, autorange", relative_standard_uncertainty=1e-4)
SHORT = PlanOrder(
    full_load_N=120.0,
    least_load_N=2.0,
    levels=5,
    conditioning_cycles=1,
    series_before=2,
    reinsertions=2,
    dwell_s=12.0,
    burst=5,
    burst_s=5.0,
    creep_s=150.0,
    stability=StabilityOrder(window_s=10.0, longest_wait_s=200.0),
)


def order(sensor: str = "mfsr-A1", *, plan: PlanOrder = SHORT, driven: bool = True, **changes: Any) -> SessionOrder:
    """For the virtual bench's press; `plan` may be longer than the shortest that makes a calibration."""
    values: dict[str, Any] = {
        "sensor": sensor,
        "meter": "press-meter",
        "gauge": "press-force",
        "reference": "press-force",
        "frame": "press-drive" if driven else None,
        "area": AREA,
        "plan": plan,
        "meter_statement": METER,
        "operator": "a technician",
        "fixture": "between two steel discs",
        "temperature_degC": 25.0,
    }
    return SessionOrder(**(values | changes))


def watched(
    client: Client,
    session: str,
    until: Callable[[CalibrationView], object],
    within_s: float = 60.0,
    press: VirtualPress | None = None,
) -> CalibrationView:
    """Look at a session until it is so; with a `press`, as a person who does what the instruction says."""
    end = time.monotonic() + within_s
    while True:
        view = client.calibration(session)
        if until(view):
            return view
        assert time.monotonic() < end, f"waited in vain: {view.title}: {view.instruction} {view.trouble}"
        if press is not None:
            by_hand(client, press, view)
        time.sleep(0.05)


def by_hand(client: Client, press: VirtualPress, view: CalibrationView) -> None:
    """What the instruction says."""
    if view.target_N is None or view.paused:
        return
    if view.taking is None and not view.force_ok:
        press.turn_to(view.target_N)
    if view.hands and press.force_N() < 0.05:
        if view.stage is Stage.REINSERTION:
            press.reseat()
        client.do_calibration(view.session, Deed.CONFIRM, DeedOrder(who="a technician"))


def measured(client: Client, asked: SessionOrder, within_s: float = 60.0) -> CalibrationView:
    """Begin, and have the drive press until all is measured."""
    session = client.begin_calibration(asked).session
    return watched(client, session, lambda view: view.stage is Stage.REVIEW, within_s)


def signed(client: Client, view: CalibrationView, who: str = "Dr Q. Manager") -> Calibration:
    """The newest record of the sensor, once this session is signed."""
    view = client.do_calibration(view.session, Deed.SIGN, DeedOrder(who="a technician", authorised_by=who))
    assert view.stage is Stage.SIGNED
    return client.calibrations(view.sensor)[0]
