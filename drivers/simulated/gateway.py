"""A gateway with its fake back end, as a server for tests and the virtual bench."""

from __future__ import annotations

import socket
import threading
from typing import Self

from drivers.gateway.backends.fake import FakeBackend
from drivers.gateway.protocol import LostHost
from drivers.gateway.service import GatewayService
from drivers.simulated.server import VirtualInstrument


class VirtualGateway(VirtualInstrument):
    """The real service, over sockets of its own. `backend` has the cells."""

    resource = "{host}:{port}"

    def __init__(
        self,
        backend: FakeBackend,
        *,
        token: str = "token",
        lost_host: LostHost = LostHost.OPEN,
        after_s: float = 60.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.backend = backend
        self.service = GatewayService(backend, token=token, lost_host=lost_host, after_s=after_s)
        self._stopped = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        self.service.serve(connection)

    def start(self) -> Self:
        threading.Thread(target=self.service.watch, args=(self._stopped,), daemon=True).start()
        return super().start()

    def stop(self) -> None:
        self._stopped.set()
        super().stop()
