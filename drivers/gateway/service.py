"""The gateway on the instrument's own PC: one back end, one station at a time, and what is done when it is lost."""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import (
    LONGEST_LINE,
    SETPOINT,
    VERSION,
    Greeting,
    Json,
    LostHost,
    Malformed,
    Point,
    Progress,
    decode,
    encode,
    error_to_wire,
    from_wire,
    to_wire,
)
from drivers.interface import (
    CyclerProgram,
    CyclerRecord,
    CyclerStatus,
    ImpedancePoint,
    InstrumentError,
    Measurement,
    Protection,
    Refused,
    Sweep,
)

log = logging.getLogger(__name__)

KEYS_KEPT = 10_000
PATIENCE_S = 0.3  # for the session before to be seen closed
NO_POINT_S = 120.0  # for a sweep that was called off to come to its end


class RunningSweep:
    """A sweep in a thread of its own, for its points may take minutes."""

    def __init__(self, points: Iterator[ImpedancePoint]) -> None:
        self._points = points
        self._done: list[Point] = []
        self._failure: InstrumentError | None = None
        self._called_off = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="sweep")
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def progress(self, after: int) -> Progress:
        over = self.over  # asked first: what it left is then complete
        failure = error_to_wire(self._failure) if self._failure else {"message": "", "kind": ""}
        return Progress(tuple(self._done[after:]), over, failure["message"], failure["kind"])

    def call_off(self) -> None:
        """Raises `InstrumentError` where it does not end."""
        self._called_off.set()
        self._thread.join(NO_POINT_S)
        if not self.over:
            raise InstrumentError("the sweep does not end", instrument="gateway")

    def _run(self) -> None:
        try:
            with contextlib.closing(self._points) as points:  # type: ignore[type-var]
                for point in points:
                    z = point.impedance_ohm
                    self._done.append(Point(point.frequency_Hz, z.real, z.imag))
                    if self._called_off.is_set():
                        raise InstrumentError("interrupted", instrument="gateway")
        except Exception as error:  # noqa: BLE001 - a vendor's software may raise anything; the station is told
            self._failure = _as_instrument_error(error)


class GatewayService:
    """Answers one station at a time over connections that `serve` is given; `watch` looks after a lost one."""

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
        self._session: tuple[str, socket.socket] | None = None
        self._heard_at: float | None = None  # None: nobody is expected
        self._was_lost = ""
        self._keys: deque[str] = deque(maxlen=KEYS_KEPT)
        self._sweeps: dict[str, RunningSweep] = {}
        self._locks = {channel: threading.RLock() for channel in self.description.channels}
        self._lock = threading.RLock()
        self._verbs: Mapping[str, tuple[set[str], Callable[[Json], Any]]] = {
            "identify": (set(), lambda _: f"{self.description.instrument} ({backend.name})"),
            "heartbeat": (set(), lambda _: None),
            "bye": (set(), lambda _: self._expect_nobody()),
            "apply": ({"channel", "key", "setpoint", "protection"}, self._apply),
            "measure": ({"channel"}, lambda ask: to_wire(Measurement, self._idle(ask).measure(ask["channel"]))),
            "is_on": ({"channel"}, lambda ask: self._is_on(ask["channel"])),
            "off": ({"channel"}, lambda ask: self.off(ask["channel"])),
            "sweep": ({"channel", "key", "sweep"}, self._start_sweep),
            "points": ({"channel", "after"}, self._points),
            "start": ({"channel", "key", "program", "label"}, self._start),
            "status": ({"channel"}, lambda ask: to_wire(CyclerStatus, backend.status(ask["channel"]))),
            "records": ({"channel", "test_id", "after"}, self._records),
            "stop": ({"channel"}, lambda ask: backend.stop(ask["channel"])),
            "proceed": ({"channel"}, lambda ask: backend.proceed(ask["channel"])),
            "go_to_step": ({"channel", "step"}, lambda ask: backend.go_to_step(ask["channel"], int(ask["step"]))),
        }

    # --- a station

    def serve(self, connection: socket.socket) -> None:
        """Until the connection ends. The first line must be `hello` with the token."""
        connection.settimeout(None)
        pending = b""
        greeted = False
        try:
            while chunk := connection.recv(65536):
                pending += chunk
                if len(pending) > LONGEST_LINE:
                    log.warning("a line of more than %d bytes: connection closed", LONGEST_LINE)
                    return
                while b"\n" in pending:
                    line, pending = pending.split(b"\n", 1)
                    reply, greeted = self._answer(line, connection, greeted)
                    connection.sendall(encode(reply))
                    if not greeted:
                        return
        finally:
            with self._lock:
                if self._session is not None and self._session[1] is connection:
                    self._session = None

    def _answer(self, line: bytes, connection: socket.socket, greeted: bool) -> tuple[Json, bool]:
        number: object = None
        try:
            ask = decode(line)
            number = ask.pop("id", None)
            verb = ask.pop("verb", None)
            if not greeted:
                if verb == "who":  # anyone may ask what listens here; that is all that is said
                    return {"id": number, "ok": True, "result": {"gateway": VERSION}}, False
                if verb != "hello":
                    raise Malformed("the first line must be 'hello' with the token")
                result = self._greet(ask, connection)
            else:
                result = self._do(str(verb), ask, connection)
        except InstrumentError as error:
            return {"id": number, "ok": False, "error": error_to_wire(error)}, greeted
        except Malformed as error:
            refusal = Refused(f"not understood: {error}", hint="do station and gateway have the same version?")
            return {"id": number, "ok": False, "error": error_to_wire(refusal)}, greeted
        except Exception as error:  # a vendor's software may raise anything; the station is told
            log.exception("the back end raised")
            return {"id": number, "ok": False, "error": error_to_wire(_as_instrument_error(error))}, greeted
        return {"id": number, "ok": True, "result": result}, True

    def _greet(self, ask: Json, connection: socket.socket) -> Json:
        if set(ask) != {"version", "token", "session"}:
            raise Malformed("'hello' has version, token and session")
        if not hmac.compare_digest(str(ask["token"]).encode(), self.token.encode()):
            raise Refused("wrong token", hint="it is said where the gateway was started")
        if ask["version"] != VERSION:
            raise Refused(f"the gateway speaks version {VERSION}, the station {ask['version']}")
        session = str(ask["session"])
        until = time.monotonic() + PATIENCE_S
        while (holder := self._session) is not None and holder[0] != session:
            if time.monotonic() > until:
                raise Refused("another station has it", hint="one station at a time; close the other one")
            time.sleep(0.02)
        with self._lock:
            self._session = session, connection
            self._heard_at = self._clock()
            was_lost, self._was_lost = self._was_lost, ""
        log.info("a station is here, session %s", session)
        greeting = Greeting(VERSION, self.backend.name, self.description, self.lost_host, float(self.after_s), was_lost)
        wire: Json = to_wire(Greeting, greeting)
        return wire

    def _do(self, verb: str, ask: Json, connection: socket.socket) -> Any:
        self._check_session(connection)
        if verb not in self._verbs:
            raise Malformed(f"no verb {verb!r}; there are {', '.join(self._verbs)}")
        fields, act = self._verbs[verb]
        if set(ask) != fields:
            raise Malformed(f"{verb!r} has {', '.join(sorted(fields)) or 'no fields'}, not {', '.join(sorted(ask))}")
        self._heard_at = self._clock()
        if "key" in fields:
            self._only_once(str(ask["key"]))
        if "channel" not in fields:
            return act(ask)
        if ask["channel"] not in self._locks:
            raise Refused(f"no channel {ask['channel']!r}; there are {', '.join(self._locks)}")
        with self._locks[ask["channel"]]:
            self._check_session(connection)  # what its successor has asked meanwhile comes after this, or instead of it
            return act(ask)

    def _check_session(self, connection: socket.socket) -> None:
        if self._session is None or self._session[1] is not connection:
            raise Refused("this station has been replaced by its own later connection")

    def _only_once(self, key: str) -> None:
        with self._lock:
            if key in self._keys:
                raise Refused("this start was received already, and is not done twice")
            self._keys.append(key)

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
            if (sweep := self._sweeps.pop(channel, None)) is not None:
                try:
                    sweep.call_off()
                finally:
                    self.backend.off(channel)
            else:
                self.backend.off(channel)

    def _start_sweep(self, ask: Json) -> None:
        sweep = from_wire(Sweep, ask["sweep"])
        points = self._idle(ask).sweep(ask["channel"], sweep)
        self._sweeps[ask["channel"]] = RunningSweep(points)

    def _points(self, ask: Json) -> Json:
        sweep = self._sweeps.get(ask["channel"])
        if sweep is None:
            raise Refused("no sweep was started")
        wire: Json = to_wire(Progress, sweep.progress(int(ask["after"])))
        return wire

    def _start(self, ask: Json) -> int:
        program = from_wire(CyclerProgram, ask["program"])
        return self._idle(ask).start(ask["channel"], program, str(ask["label"]))

    def _records(self, ask: Json) -> list[Json]:
        found = self.backend.records(ask["channel"], int(ask["test_id"]), int(ask["after"]))
        return [to_wire(CyclerRecord, record) for record in found]

    def _idle(self, ask: Json) -> Backend:
        if self._sweeping(ask["channel"]):
            raise Refused(f"a sweep is running in channel {ask['channel']}")
        return self.backend

    def _sweeping(self, channel: str) -> bool:
        return channel in self._sweeps and not self._sweeps[channel].over

    # --- a lost station

    def _expect_nobody(self) -> None:
        self._heard_at = None

    def look(self) -> None:
        """Do what is to be done where the station has been silent for `after_s`; again and again until it is done."""
        heard_at = self._heard_at
        if heard_at is None or self._clock() - heard_at < self.after_s:
            return
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        said = f"{at}: nothing heard of the station for {self.after_s:g} s"
        if self.lost_host is LostHost.LEAVE:
            self._was_lost = f"{said}; everything was left as it was"
            self._expect_nobody()
        else:
            failures = [failure for channel in self._locks if (failure := self._opened(channel))]
            self._was_lost = f"{said}; " + ("; ".join(failures) or "every circuit was opened")
            if not failures:
                self._expect_nobody()
        log.error("%s", self._was_lost)

    def _opened(self, channel: str) -> str:
        try:
            self.off(channel)
        except Exception as error:  # noqa: BLE001 - the other channels must be opened whatever this one does
            return f"channel {channel} could not be opened: {error}"
        return ""

    def watch(self, stop: threading.Event) -> None:
        """Until `stop`."""
        while not stop.wait(min(1.0, self.after_s / 5)):
            self.look()


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
            if service.lost_host is LostHost.OPEN:
                for channel in service.description.channels:
                    service.off(channel)
            service.backend.close()


def _as_instrument_error(error: Exception) -> InstrumentError:
    if isinstance(error, InstrumentError):
        return error
    return InstrumentError(f"the back end failed: {type(error).__name__}: {error}", instrument="gateway")
