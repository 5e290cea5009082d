"""What all climate chambers owe: limits on this side of the wire, and a set point that stays when the link is gone."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NoReturn, Self

from drivers.interface import BadReply, InstrumentTimeout, NoReading, NotSafe, OutOfRange, Range, Refused

POSSIBLE_degC = Range(-100.0, 250.0)
"""Of any such chamber: another temperature is no temperature."""


class LimitedChamber(ABC):
    """Limits, and the check that a set point was taken.

    A chamber goes where it is told, with the cells in it: `temperature_min_degC` and `temperature_max_degC` say what
    they stand. `safe_temperature_degC`, within them, is where the station takes the chamber when it stops; without
    it the chamber stays as it is.
    """

    model: ClassVar[str]
    safe_state: ClassVar[str] = "as it is: the set point stays, held by the chamber within its own limits"
    set_point_rounding_K: ClassVar[float] = 0.06  # of the set point's read-back
    looks: ClassVar[int] = 10  # how often a chamber is asked whether it has done what it was told

    def __init__(
        self,
        address: str,
        temperature_min_degC: float,
        temperature_max_degC: float,
        safe_temperature_degC: float | None,
        *,
        wait_s: float,
    ) -> None:
        self.address, self.wait_s = address, wait_s
        if not POSSIBLE_degC.low <= temperature_min_degC < temperature_max_degC <= POSSIBLE_degC.high:
            self._out_of_range(
                f"settings temperature_min_degC {temperature_min_degC:g} and temperature_max_degC "
                f"{temperature_max_degC:g}: the first below the second, both within -100 to 250 °C"
            )
        self.temperature_range = Range(temperature_min_degC, temperature_max_degC)
        self.safe_temperature_degC = safe_temperature_degC
        self._check_safe_temperature()

    @abstractmethod
    def close(self) -> None: ...

    def make_safe(self) -> None:
        """Nothing is changed: switched off, the chamber would take the cells in it to the room's temperature."""
        return

    def check_temperature(self, temperature_degC: float) -> None:
        if temperature_degC not in self.temperature_range:
            low, high = self.temperature_range.low, self.temperature_range.high
            self._out_of_range(f"{temperature_degC:g} °C is outside {low:g} … {high:g} °C; nothing was sent")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- for drivers

    def _narrow(self, low_degC: float, high_degC: float) -> None:
        """By the chamber's own limits, once they have been read."""
        mine = self.temperature_range
        self.temperature_range = Range(max(mine.low, low_degC), min(mine.high, high_degC))
        self._check_safe_temperature()

    def _check_safe_temperature(self) -> None:
        safe = self.safe_temperature_degC
        if safe is not None and safe not in self.temperature_range:
            low, high = self.temperature_range.low, self.temperature_range.high
            self._out_of_range(f"setting safe_temperature_degC {safe:g}: within {low:g} … {high:g} °C")

    def _verify(self, asked_degC: float, found_degC: float) -> None:
        if not abs(found_degC - asked_degC) <= self.set_point_rounding_K:  # NaN agrees with nothing
            raise NotSafe(
                f"{asked_degC:g} °C was set, and {found_degC:g} °C reads back",
                instrument=self.model,
                address=self.address,
            )

    def _wait_for(self, done: Callable[[], bool]) -> bool:
        """Look each `wait_s` whether it has come; False where it has not after all looks."""
        for look in range(self.looks):
            if look:
                time.sleep(self.wait_s)
            if done():
                return True
        return False

    def _wait_until_running(self, is_running: Callable[[], bool]) -> None:
        if not self._wait_for(is_running):
            raise InstrumentTimeout(
                "it was started and does not run",
                instrument=self.model,
                address=self.address,
                hint="is its door closed, is it locked at its panel?",
            )

    def _temperature(self, value: float) -> float:
        """A reading that must be one."""
        if value not in POSSIBLE_degC:
            self._bad(f"{value!r} is no temperature")
        return value

    def _reading(self, value: float) -> float | NoReading:
        """A reading; what no chamber can be is none."""
        return value if value in POSSIBLE_degC else NoReading.NOT_AVAILABLE

    def _bad(self, message: str) -> NoReturn:
        raise BadReply(message, instrument=self.model, address=self.address)

    def _refuse(self, message: str, hint: str = "") -> NoReturn:
        raise Refused(message, instrument=self.model, address=self.address, hint=hint)

    def _refuse_program(self) -> NoReturn:
        self._refuse("it runs a program of its own", "stop that at the chamber, then start this one again")

    def _refuse_alarm(self, what: str = "an alarm") -> NoReturn:
        self._refuse(f"it reports {what}", "its own panel says which")

    def _out_of_range(self, message: str) -> NoReturn:
        raise OutOfRange(message, instrument=self.model, address=self.address)
