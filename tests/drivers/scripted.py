"""An instrument that knows one conversation by heart, byte for byte."""

from __future__ import annotations

import socket
import time

from drivers.simulated.server import VirtualInstrument


class Scripted(VirtualInstrument):
    """Plays a transcript: '> ' is what the driver must send next, '< ' what it gets for it.

    Anything else from the driver ends the play: it gets no answer, and `finished` says what happened.
    """

    def __init__(self, transcript: str) -> None:
        super().__init__()
        lines = [line.strip() for line in transcript.strip().splitlines() if line.strip()]
        self.lines = [(line[0], line[2:].encode() + b"\n") for line in lines]
        self.trouble = ""

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(65536):
            pending += chunk
            while b"\n" in pending and not self.trouble:
                sent, pending = pending[: pending.index(b"\n") + 1], pending[pending.index(b"\n") + 1 :]
                self._expect(sent)
                while not self.trouble and self.lines and self.lines[0][0] == "<":
                    connection.sendall(self.lines.pop(0)[1])

    def _expect(self, sent: bytes) -> None:
        side, expected = self.lines.pop(0) if self.lines else ("", b"nothing more")
        if side != ">" or sent != expected:
            self.trouble = f"the driver sent {sent!r}, where the transcript has {expected!r}"

    def finished(self) -> bool:
        """To be asserted at the end; waits for what is still on its way."""
        deadline = time.monotonic() + 1.0
        while self.lines and not self.trouble and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not self.trouble, self.trouble
        assert not self.lines, f"not reached: {self.lines}"
        return True
