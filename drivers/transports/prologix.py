"""GPIB instruments behind a Prologix GPIB-ETHERNET controller (and controllers that speak the same).

PyVISA-py 0.8 has PRLGX-TCPIP resources of its own. They ask the controller to read once for each
message sent, and a controller waits for an instrument 3 s at most: a measurement of 100 s cannot be
read through them. They also keep the controllers in a table by board number that a failed open
leaves behind. So this module speaks to the controller itself, over a raw socket.

Source: Prologix GPIB-ETHERNET Controller User Manual 1.6.6.0, sections 8 and 9.
"""

from __future__ import annotations

import contextlib
import threading
import time

import pyvisa

from drivers.interface import InstrumentTimeout
from drivers.transports.visa import VisaLine

_LONGEST_READ_S = 3.0  # the controller's own limit, counted from the last byte
_SPECIAL = str.maketrans({char: "\x1b" + char for char in "\r\n\x1b+"})


class PrologixAdapter(VisaLine):
    """One controller: whoever talks through it, one message at a time. Connects anew like a `VisaLine`."""

    def __init__(
        self, host: str, port: int = 1234, *, instrument: str = "", timeout_s: float = 5.0, traced_as: str = ""
    ) -> None:
        self._lock = threading.RLock()
        self._name = f"prologix://{host}:{port}"
        self._read_s = min(_LONGEST_READ_S, timeout_s)
        super().__init__(
            f"TCPIP::{host}::{port}::SOCKET",
            instrument=instrument,
            timeout_s=timeout_s,
            traced_as=traced_as or f"{self._name}/0",
        )

    def send(self, gpib_address: int, text: str) -> None:
        """One message to the instrument at `gpib_address`, ended by EOI."""
        with self._lock:
            # In one packet, so that no reconnection comes between address and message.
            self.write(f"++addr {gpib_address}\n{text.translate(_SPECIAL)}")

    def receive(self, gpib_address: int, timeout_s: float) -> str:
        """The instrument's next line. It is asked to talk again as often as the controller gives up on it."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while (left_s := deadline - time.monotonic()) > 0:
                self.write(f"++addr {gpib_address}\n++read eoi")
                with contextlib.suppress(InstrumentTimeout):
                    return self.read(min(left_s, self._read_s + 0.5))
        raise InstrumentTimeout(
            f"no answer within {timeout_s:g} s",
            instrument=self.instrument,
            address=f"{self._name}/{gpib_address}",
            hint="is the instrument switched on, is its GPIB address right, is the cable in?",
        )

    def _open(self) -> None:
        super()._open()
        assert self._resource is not None
        set_up = "\n".join(
            (
                "++mode 1",  # controller in charge
                "++auto 0",  # instruments talk when they are asked to
                "++eos 3",  # nothing added to a message
                "++eoi 1",  # its last byte carries EOI
                f"++read_tmo_ms {self._read_s * 1000:.0f}",
            )
        )
        self._tap.sent(f"{set_up}\n".encode("ascii"))
        try:
            self._resource.write(set_up)
        except (pyvisa.Error, OSError) as error:
            self._failed("++mode 1", error)


class PrologixDevice:
    """One GPIB address behind an adapter; talks like a `VisaLine`."""

    def __init__(self, adapter: PrologixAdapter, gpib_address: int) -> None:
        self.adapter = adapter
        self.gpib_address = gpib_address

    def write(self, text: str) -> None:
        self.adapter.send(self.gpib_address, text)

    def read(self, timeout_s: float | None = None) -> str:
        return self.adapter.receive(self.gpib_address, self.adapter.timeout_s if timeout_s is None else timeout_s)

    def query(self, text: str, timeout_s: float | None = None) -> str:
        self.write(text)
        return self.read(timeout_s)

    def close(self) -> None:
        """Close the adapter's connection, which the other addresses open anew when they need it."""
        self.adapter.close()
