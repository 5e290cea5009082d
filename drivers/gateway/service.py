"""The gateway on the instrument's own PC: one back end, one station a channel, and what is done when it is lost."""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from drivers.gateway.backends import Backend
from drivers.gateway.links import Link
from drivers.gateway.protocol import (
    LONGEST_LINE,
    SETPOINT,
    VERSION,
    Greeting,
    Json,
    LostHost,
    Malformed,
    Progress,
    count_from_wire,
    decode,
    encode,
    error_to_wire,
    from_wire,
    to_wire,
)
from drivers.gateway.sweeps import RunningSweep, as_instrument_error
from drivers.interface import (
    CyclerProgram,
    CyclerRecord,
    CyclerStatus,
    InstrumentError,
    Measurement,
    OutOfRange,
    Protection,
    Refused,
    Sweep,
)

log = logging.getLogger(__name__)

KEYS_KEPT = 10_000
PATIENCE_S = 0.3  # for the session before to be seen closed
GREETING_S = 10.0  # for a connection to say who it is
OPENED = "opened"
BUSY_S = 2.0  # for the order that a channel is at, before the lost-host action goes on to the next channel


class GatewayService:
    """Answers stations over connections that `serve` is given, one a channel; `watch` looks after lost ones."""

    def __init__(
        self,
        backend: Backend,
        *,
        token: str,
        lost_host: LostHost = LostHost.OPEN,
        after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend, self.token = backend, token
        self.lost_host, self.after_s = lost_host, after_s
        self.description = backend.describe()
        self._clock = clock
        self._links: dict[str, Link] = {}
        self._was_lost: dict[str, str] = {}
        self._keys: deque[str] = deque(maxlen=KEYS_KEPT)
        self._sweeps: dict[str, RunningSweep] = {}
        self._locks = {channel: threading.RLock() for channel in self.description.channels}
        self._lock = threading.RLock()
        self._verbs: Mapping[str, tuple[set[str], Callable[[Json], Any]]] = {
            "identify": (set(), lambda _: f"{self.description.instrument} ({backend.name})"),
            "heartbeat": (set(), lambda _: None),
            "apply": ({"channel", "key", "setpoint", "protection"}, self._apply),
            "measure": ({"channel"}, lambda ask: to_wire(Measurement, self._idle(ask).measure(ask["channel"]))),
            "is_on": ({"channel"}, lambda ask: self._is_on(ask["channel"])),
            "off": ({"channel"}, lambda ask: self.off(ask["channel"])),
            "sweep": ({"channel", "key", "sweep"}, self._start_sweep),
            "points": ({"channel", "after"}, self._points),
            "start": ({"channel", "key", "program", "label"}, self._start),
            "status": ({"channel"}, lambda ask: to_wire(CyclerStatus, backend.status(ask["channel"]))),
            "records": ({"channel", "test_id", "after"}, self._records),
            "stop": ({"channel"}, lambda ask: self._no_sweep(ask).stop(ask["channel"])),
            "proceed": ({"channel"}, lambda ask: self._idle(ask).proceed(ask["channel"])),
            "go_to_step": ({"channel", "step"}, self._go_to_step),
        }

    # --- a station

    def serve(self, connection: socket.socket) -> None:
        """Until the connection ends. The first line must be `hello` with the token."""
        connection.settimeout(GREETING_S)
        pending = b""
        link: Link | None = None
        try:
            while chunk := connection.recv(65536):
                pending += chunk
                if len(pending) > LONGEST_LINE:
                    log.warning("a line of more than %d bytes: connection closed", LONGEST_LINE)
                    return
                while b"\n" in pending:
                    line, pending = pending.split(b"\n", 1)
                    reply, link = self._answer(line, connection, link)
                    connection.sendall(encode(reply))
                    if link is None:
                        return
                    connection.settimeout(None)
        finally:
            if link is not None:
                with self._lock:
                    link.connection = None

    def _answer(self, line: bytes, connection: socket.socket, link: Link | None) -> tuple[Json, Link | None]:
        number: object = None
        result: Any = None
        try:
            ask = decode(line)
            number = ask.pop("id", None)
            verb = ask.pop("verb", None)
            if link is not None:
                result = self._do(str(verb), ask, link)
            elif verb == "who":  # anyone may ask what listens here; that is all that is said
                result = {"gateway": VERSION}
            elif verb == "hello":
                link, result = self._greet(ask, connection)
            else:
                raise Malformed("the first line must be 'hello' with the token")
        except InstrumentError as error:
            return {"id": number, "ok": False, "error": error_to_wire(error)}, link
        except Malformed as error:
            refusal = Refused(f"not understood: {error}", hint="do station and gateway have the same version?")
            return {"id": number, "ok": False, "error": error_to_wire(refusal)}, link
        except Exception as error:  # a vendor's software may raise anything; the station is told
            log.exception("the back end raised")
            return {"id": number, "ok": False, "error": error_to_wire(as_instrument_error(error))}, link
        return {"id": number, "ok": True, "result": result}, link

    def _greet(self, ask: Json, connection: socket.socket) -> tuple[Link, Json]:
        if set(ask) != {"version", "token", "session", "channel"}:
            raise Malformed("'hello' has version, token, session and channel")
        if not hmac.compare_digest(str(ask["token"]).encode(), self.token.encode()):
            raise Refused("wrong token", hint="it is said where the gateway was started")
        if ask["version"] != VERSION:
            raise Refused(f"the gateway speaks version {VERSION}, the station {ask['version']}")
        channel, session = str(ask["channel"]), str(ask["session"])
        if channel not in ("", *self._locks):
            raise OutOfRange(f"channel {channel!r}: {', '.join(self._locks)}", instrument="gateway")
        until = time.monotonic() + PATIENCE_S
        while (link := self._taken(channel, session, connection)) is None:
            if time.monotonic() > until:
                raise Refused("another station has it", hint="one station a channel; close the other one")
            time.sleep(0.02)
        log.info("a station is here, session %s, channel %s", session, channel or "all")
        return link, to_wire(Greeting, self._greeting(channel))

    def _taken(self, channel: str, session: str, connection: socket.socket) -> Link | None:
        """None where another session holds the channel, or one of all."""
        with self._lock:
            others = [link for link in self._links.values() if link.overlaps(channel) and link.session != session]
            if any(link.is_held() for link in others):
                return None
            self._links[channel] = Link(channel, session, connection, self._clock())
            return self._links[channel]

    def _greeting(self, channel: str) -> Greeting:
        with self._lock:
            told = [key for key in self._was_lost if channel == "" or key in ("", channel)]
            was_lost = "; ".join(self._was_lost.pop(key) for key in told)
        return Greeting(VERSION, self.backend.name, self.description, self.lost_host, float(self.after_s), was_lost)

    def _do(self, verb: str, ask: Json, link: Link) -> Any:
        self._check_holds(link)
        if verb == "bye":
            return self._bye(ask, link)
        if verb not in self._verbs:
            raise Malformed(f"no verb {verb!r}; there are bye, {', '.join(self._verbs)}")
        fields, act = self._verbs[verb]
        _check_fields(verb, ask, fields)
        link.heard_at = self._clock()
        channel = ask.get("channel", "")
        if "channel" in fields and (not isinstance(channel, str) or channel not in self._locks):
            raise Refused(f"no channel {channel!r}; there are {', '.join(self._locks)}")
        if "channel" in fields and not link.covers(channel):
            raise Refused(f"this station greeted for channel {link.channel}, not for {channel}")
        if "key" in fields:
            self._only_once(str(ask["key"]))
        if "channel" not in fields:
            return act(ask)
        with self._locks[channel]:
            self._check_holds(link)  # what its successor has asked meanwhile comes after this, or instead of it
            try:
                return act(ask)
            finally:
                link.heard_at = self._clock()  # it has waited for this

    def _check_holds(self, link: Link) -> None:
        if self._links.get(link.channel) is not link:
            raise Refused("this station has been replaced by a later connection")

    def _only_once(self, key: str) -> None:
        with self._lock:
            if key in self._keys:
                raise Refused("this start was received already, and is not done twice")
            self._keys.append(key)

    def _bye(self, ask: Json, link: Link) -> None:
        """Nobody is expected any more, nor asks for the points of a sweep: it ends."""
        _check_fields("bye", ask, set())
        for channel in self._locks:
            if link.covers(channel) and self._sweeping(channel):
                self.off(channel)
        link.heard_at = None

    # --- verbs

    def _apply(self, ask: Json) -> None:
        setpoint, protection = from_wire(SETPOINT, ask["setpoint"]), from_wire(Protection, ask["protection"])
        backend = self._idle(ask)
        try:
            backend.apply(ask["channel"], setpoint, protection)
        except BaseException:
            self.off(ask["channel"])  # never half on
            raise

    def _is_on(self, channel: str) -> bool:
        return False if self._sweeping(channel) else self.backend.is_on(channel)

    def off(self, channel: str) -> None:
        """Whatever ran in the channel, its circuit is open when this returns."""
        with self._locks[channel]:
            try:
                self._end_sweep(channel)
            finally:
                self.backend.off(channel)

    def _end_sweep(self, channel: str) -> None:
        if (sweep := self._sweeps.get(channel)) is not None:
            sweep.call_off()
            del self._sweeps[channel]

    def _start_sweep(self, ask: Json) -> None:
        sweep, called_off = from_wire(Sweep, ask["sweep"]), threading.Event()
        points = self._idle(ask).sweep(ask["channel"], sweep, called_off)
        self._sweeps[ask["channel"]] = RunningSweep(points, called_off)

    def _points(self, ask: Json) -> Json:
        sweep = self._sweeps.get(ask["channel"])
        if sweep is None:
            raise Refused("no sweep was started")
        wire: Json = to_wire(Progress, sweep.progress(count_from_wire(ask["after"])))
        return wire

    def _start(self, ask: Json) -> int:
        program = from_wire(CyclerProgram, ask["program"])
        return self._idle(ask).start(ask["channel"], program, str(ask["label"]))

    def _records(self, ask: Json) -> list[Json]:
        test_id, after = count_from_wire(ask["test_id"]), count_from_wire(ask["after"])
        return [to_wire(CyclerRecord, record) for record in self.backend.records(ask["channel"], test_id, after)]

    def _go_to_step(self, ask: Json) -> None:
        self._idle(ask).go_to_step(ask["channel"], count_from_wire(ask["step"]))

    def _idle(self, ask: Json) -> Backend:
        if self._sweeping(ask["channel"]):
            raise Refused(f"a sweep is running in channel {ask['channel']}")
        return self.backend

    def _no_sweep(self, ask: Json) -> Backend:
        if self._sweeping(ask["channel"]):
            self.off(ask["channel"])
        return self.backend

    def _sweeping(self, channel: str) -> bool:
        return channel in self._sweeps and not self._sweeps[channel].over

    # --- a lost station

    def look(self) -> None:
        """Do what is to be done where a station has been silent for `after_s`; again and again until it is done."""
        for link in tuple(self._links.values()):
            heard_at = link.heard_at
            if not self._is_lost(link):
                continue
            done = ["everything was left as it was"] if self.lost_host is LostHost.LEAVE else self._open_all(link)
            if not done:  # it is back: it had waited for an order
                continue
            failures = [each for each in done if each != OPENED]
            at = datetime.now().astimezone().isoformat(timespec="seconds")
            what = "; ".join(failures) or "every circuit was opened"
            said = f"{at}: nothing heard of the station for {self.after_s:g} s; {what}"
            with self._lock:
                self._was_lost[link.channel] = said
                finished = self.lost_host is LostHost.LEAVE or not failures
                if finished and link.heard_at == heard_at:  # else it is back, and may be lost once more
                    link.heard_at = None
            log.error("%s", said)

    def _is_lost(self, link: Link) -> bool:
        return link.heard_at is not None and self._clock() - link.heard_at >= self.after_s

    def _open_all(self, link: Link) -> list[str]:
        """What became of each channel, but for those that another station has meanwhile, or `link` once more."""
        others = [each for each in self._links.values() if each is not link and each.is_held()]
        mine = [name for name in self._locks if link.covers(name) and not any(each.covers(name) for each in others)]
        return [done for channel in mine if (done := self._opened(channel, lambda: self._is_lost(link)))]

    def _opened(self, channel: str, still: Callable[[], bool] = lambda: True) -> str:
        """That it was opened, or why not; '' where this is no longer wanted once the channel is free."""
        if not self._locks[channel].acquire(timeout=BUSY_S):
            return f"channel {channel} is busy with an order, and could not be opened"
        try:
            if not still():
                return ""
            self.off(channel)
        except Exception as error:  # noqa: BLE001 - the other channels must be opened whatever this one does
            return f"channel {channel} could not be opened: {error}"
        finally:
            self._locks[channel].release()
        return OPENED

    def watch(self, stop: threading.Event) -> None:
        """Until `stop`."""
        while not stop.wait(min(1.0, self.after_s / 5)):
            self.look()

    def close(self) -> None:
        """Open every circuit unless they are to be left, and let the back end go."""
        try:
            for channel in self._locks if self.lost_host is LostHost.OPEN else ():
                if (done := self._opened(channel)) != OPENED:
                    log.error("%s", done)
        finally:
            self.backend.close()


def run(service: GatewayService, host: str, port: int, ready: Callable[[str, int], None]) -> None:
    """Serve until interrupted; `ready` is told the address. What runs then is left to the lost-host action's choice."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):  # the station went away, as stations do
                service.serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    stop = threading.Event()
    with Server((host, port), Handler) as server:
        ready(str(server.server_address[0]), int(server.server_address[1]))
        watching = threading.Thread(target=service.watch, args=(stop,), daemon=True, name="watch")
        watching.start()
        try:
            server.serve_forever(poll_interval=0.2)
        finally:
            stop.set()
            service.close()


def _check_fields(verb: str, ask: Json, fields: set[str]) -> None:
    if set(ask) != fields:
        raise Malformed(f"{verb!r} has {', '.join(sorted(fields)) or 'no fields'}, not {', '.join(sorted(ask))}")
