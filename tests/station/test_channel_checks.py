"""Before a run: a limit that a channel cannot hold is refused, not forgotten."""

from __future__ import annotations

import math

import pytest

from drivers.simulated.clock import ManualClock
from protocols.limits import Limits
from station.channel import Channel, ChannelError, Surroundings
from station.cycler_channel import CyclerChannel
from station.cycler_feed import CyclerFeed, read_programs
from station.host_channel import HostChannel
from station.run import Request, Run, prepare
from station.safety import LimitsInForce

CELL = "cell: coin-1\nnominal_capacity: 2 mAh\nlimits: {voltage: [0 V, 4 V], current: 10 mA}\n"


def run_with(limits: str, cell: str = CELL) -> Run:
    protocol = f"protocol: x\nlimits: {{{limits}}}\nsteps:\n  - rest: {{for: 1 h}}\n"
    return prepare("run-1", "A1", Request(protocol, "p.yaml", cell, "c.yaml"), started=0.0)


def channels(limits: Limits | None = None) -> tuple[Channel, Channel]:
    """One of each kind, without any sensor; nothing here is started."""
    around = Surroundings(ManualClock(), None, None, 1.0, 5.0, LimitsInForce())  # type: ignore[arg-type]
    own = limits or Limits()
    host = HostChannel("A1", around, own, None, None, None)  # type: ignore[arg-type]
    return host, CyclerChannel("A1", around, own, None, CyclerFeed(None, read_programs), "27-21-1-1-0")  # type: ignore[arg-type]


def test_a_run_within_what_the_channel_can_hold() -> None:
    for channel in channels():
        channel.check(run_with("voltage: [0.5 V, 3 V]"))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("pressure: {above: 1 MPa}", "channel A1 has no pressure sensor, and a limit of pressure is set"),
        ("temperature: {above: 60 °C}", "channel A1 has no thermometer, and a limit of temperature is set"),
        ("voltage: [4 V, 5 V]", "channel A1: the limits of voltage leave nothing between 4 and 4"),
    ],
)
def test_a_limit_that_nothing_would_hold_is_refused(limits: str, said: str) -> None:
    for channel in channels():
        with pytest.raises(ChannelError) as caught:
            channel.check(run_with(limits))
        assert str(caught.value) == said


def test_a_limit_of_the_channel_counts_as_well() -> None:
    for channel in channels(Limits(temperature_min_degC=5.0)):
        with pytest.raises(ChannelError, match="no thermometer"):
            channel.check(run_with(""))


def test_a_source_is_not_used_without_limits_of_its_own() -> None:
    host, _ = channels(Limits(voltage_min_V=-math.inf))
    with pytest.raises(ChannelError, match=r"missing: voltage_min_V, voltage_max_V, current_max_A"):
        host.check(run_with("", "cell: bare\n"))
