"""Who works which channel of a gateway, over which connection."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Link:
    """A station's hold on a channel, or on all of them ('')."""

    channel: str
    session: str
    connection: socket.socket | None  # None: it was lost, and may come back
    heard_at: float | None  # None: nobody is expected

    def covers(self, channel: str) -> bool:
        return self.channel in ("", channel)

    def overlaps(self, channel: str) -> bool:
        return channel == "" or self.covers(channel)

    def is_held(self) -> bool:
        return self.heard_at is not None and self.connection is not None and not is_gone(self.connection)


def is_gone(connection: socket.socket) -> bool:
    """Whether the other end has closed it, though its thread may not have seen that yet."""
    if connection.fileno() < 0:
        return True
    try:
        if not select.select([connection], [], [], 0)[0]:
            return False
        return not connection.recv(1, socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0))
    except (BlockingIOError, ValueError):  # its thread took what was there; or too many files are open to ask
        return False
    except OSError:
        return True
