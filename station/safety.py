"""Safety: limits checked on every sample, whatever the step does. Knows nothing of protocols' steps.

The limits in force are the intersection of all that apply; each keeps the name of who set it, so that a trip
says whose limit was met. NaN and infinity are within no limit. A trip is latched by the channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from protocols.limits import Limits
from station.sequencer import Sample


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the circuit must be opened."""

    reason: str


@dataclass(frozen=True)
class LimitsInForce:
    """The intersection of named limits: who narrows what is kept for the message."""

    limits: Limits = field(default_factory=Limits)
    origin: tuple[tuple[str, str], ...] = ()  # (field, who set it)

    def narrowed_by(self, limits: Limits, who: str) -> LimitsInForce:
        """Both together; a limit is narrowed, never widened."""
        narrowed = self.limits.narrowed_by(limits)
        origin = dict(self.origin)
        for each in fields(Limits):
            if getattr(narrowed, each.name) != getattr(self.limits, each.name):
                origin[each.name] = who
        return LimitsInForce(narrowed, tuple(origin.items()))

    def contradiction(self) -> str | None:
        """What no sample could satisfy, where limits of several origins exclude each other."""
        limits = self.limits
        for name in ("voltage", "pressure", "temperature"):
            low, high = self._pair(name)
            if low >= high:
                return f"the limits of {name} leave nothing between {low:g} and {high:g}"
        return "the limit of current is not above zero" if not limits.current_max_A > 0 else None

    def check(self, sample: Sample) -> Trip | None:
        """A trip where the sample meets a limit, or is no number at all."""
        current = abs(sample.current_A)
        return (
            self._voltage(sample.voltage_V)
            or self._above("current", current, self.limits.current_max_A, "current_max_A", 1e3, "mA")
            or self.check_surroundings(sample.pressure_Pa, sample.temperature_degC)
        )

    def check_surroundings(self, pressure_Pa: float | None, temperature_degC: float | None) -> Trip | None:
        """The limits that hold also while the circuit is open and nothing is known of voltage and current."""
        return self._optional("pressure", pressure_Pa, 1e-3, "kPa") or self._optional(
            "temperature", temperature_degC, 1.0, "°C"
        )

    def _voltage(self, value: float) -> Trip | None:
        low, high = self.limits.voltage_min_V, self.limits.voltage_max_V
        return self._above("voltage", value, high, "voltage_max_V", 1.0, "V") or self._below(
            "voltage", value, low, "voltage_min_V", 1.0, "V"
        )

    def _optional(self, name: str, value: float | None, scale: float, unit: str) -> Trip | None:
        if value is None:
            return None
        low, high = self._pair(name)
        suffix = {"pressure": "Pa", "temperature": "degC"}[name]
        return self._above(name, value, high, f"{name}_max_{suffix}", scale, unit) or self._below(
            name, value, low, f"{name}_min_{suffix}", scale, unit
        )

    def _pair(self, name: str) -> tuple[float, float]:
        suffix = {"voltage": "V", "pressure": "Pa", "temperature": "degC"}[name]
        return getattr(self.limits, f"{name}_min_{suffix}"), getattr(self.limits, f"{name}_max_{suffix}")

    def _above(self, name: str, value: float, limit: float, key: str, scale: float, unit: str) -> Trip | None:
        if not math.isfinite(value):
            return Trip(f"{name} is not a number")
        if value < limit:  # written so that only a proper number below the limit passes
            return None
        return Trip(f"{name} {value * scale:.5g} {unit} meets the limit of {limit * scale:.5g} {unit}{self._of(key)}")

    def _below(self, name: str, value: float, limit: float, key: str, scale: float, unit: str) -> Trip | None:
        if value > limit:
            return None
        return Trip(f"{name} {value * scale:.5g} {unit} meets the limit of {limit * scale:.5g} {unit}{self._of(key)}")

    def _of(self, key: str) -> str:
        who = dict(self.origin).get(key)
        return f" of {who}" if who else ""
