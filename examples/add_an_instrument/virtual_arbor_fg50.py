"""A virtual Arbor FG-50, written from its manual and not from the driver."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.server import LineInstrument


class VirtualArborFg50(LineInstrument):
    """Measures `force()` in N; beyond ±55 N it says 9.9E37."""

    def __init__(self, force: Callable[[], float], *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.force = force
        self.rate_Hz = "10"

    def answer(self, line: str) -> str | None:
        match line.upper().split():
            case ["*IDN?"]:
                return "ARBOR,FG-50,000123,1.04"
            case [":SENS:RATE", rate]:
                self.rate_Hz = rate
            case [":MEAS:FORC?"]:
                force = self.force()
                return f"{force if abs(force) <= 55 else 9.9e37:+.4E}"
        return None
