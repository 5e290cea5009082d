"""TCP servers for virtual instruments."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
from types import TracebackType
from typing import Self


class VirtualInstrument:
    """A TCP server that speaks one instrument's wire protocol; port 0 takes a free one.

    A subclass implements `serve(connection)`, which runs in a thread of its own for each client and
    returns when the client has gone.
    """

    resource = "TCPIP::{host}::{port}::SOCKET"  # how a driver names this server

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        instrument = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    instrument.serve(self.request)
                except (ConnectionError, OSError):
                    return  # the client went away, as clients do

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server((host, port), Handler)
        self._server.timeout = 0.0  # a client that has gone again is not waited for
        self._end, self._ended = socket.socketpair()
        self.host, self.port = self._server.server_address[:2]
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return self.resource.format(host=self.host, port=self.port)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True, name=type(self).__name__)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._thread is not None:
            self._end.send(b"\0")
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._end.close()
        self._ended.close()

    def _accept(self) -> None:
        """As `serve_forever`, which looks from time to time whether it should end; this is told at once."""
        with selectors.DefaultSelector() as selector:
            for source in (self._server, self._ended):
                selector.register(source, selectors.EVENT_READ)
            while self._ended not in [key.fileobj for key, _ in selector.select()]:
                self._server.handle_request()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class LineInstrument(VirtualInstrument):
    """A virtual instrument whose messages are lines of text."""

    terminator = b"\n"
    encoding = "ascii"

    def answer(self, line: str) -> str | None:
        """The reply to one line, without its terminator; None where there is none."""
        raise NotImplementedError

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(65536):
            pending += chunk
            while self.terminator in pending:
                line, pending = pending.split(self.terminator, 1)
                reply = self.answer(line.decode(self.encoding, errors="replace").strip("\r"))
                if reply is not None:
                    connection.sendall(reply.encode(self.encoding) + self.terminator)
