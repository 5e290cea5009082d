"""A virtual Arbor TX-7, written from its manual and not from the driver."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.server import LineInstrument


class VirtualTx7(LineInstrument):
    """Says the temperature that `temperature_degC()` gives; None: its sensor is unplugged."""

    resource = "{host}:{port}"

    def __init__(self, temperature_degC: Callable[[], float | None], *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.temperature_degC = temperature_degC

    def answer(self, line: str) -> str | None:
        match line:
            case "ID":
                return "ARBOR TX-7 0042"
            case "T":
                value = self.temperature_degC()
                return "T ------" if value is None else f"T{value:+07.2f}"
        return None
