"""Climate chambers and ovens by Memmert with AtmoWEB: keys and values over HTTP.

Wire facts: docs/instruments/memmert-atmoweb.md (evidence: a captured transcript, several public programs). Not run on
hardware yet.
"""

from __future__ import annotations

import json
import re
from typing import ClassVar, NoReturn, TypeAlias

import httpx

from drivers.about import About, Probe
from drivers.chamber import LimitedChamber
from drivers.interface import InstrumentTimeout, NoReading, Unreachable
from drivers.transports.link import Backoff, Tap

Value: TypeAlias = "float | str | dict[str, Value]"
NOTHING = ("N/A", "N/D")
MANUAL = "Manual"
BARE_KEY = re.compile(r"([{,]\s*)([A-Za-z_]\w*)(\s*:)")
BARE_VALUE = re.compile(r"(:\s*)([A-Za-z][\w/ .-]*?)(\s*[,}])")


class MemmertChamber(LimitedChamber):
    """The temperature of one Memmert chamber, in its manual mode.

    `address` is `http://host` (or `http://host:port`). Remote control must be enabled at the device, and it must be in
    manual mode: it is not taken out of a program. Its own range, read when it is opened, narrows the settings. After a
    change it is asked each `wait_s` whether it has taken it.
    """

    model: ClassVar[str] = "Memmert chamber with AtmoWEB"
    about: ClassVar[About] = About(
        connection="HTTP",
        evidence="a captured transcript, public programs; not run on hardware",
        quirks="its answers are nearly JSON; remote control must be enabled at the device",
        probes=(
            Probe(
                b"GET /atmoweb?DevType= HTTP/1.0\r\n\r\n", r'"DevType"\s*:', "http://{host}:{port}", 80, ends_with=b","
            ),
        ),
    )

    def __init__(
        self,
        address: str,
        *,
        temperature_min_degC: float,
        temperature_max_degC: float,
        safe_temperature_degC: float | None = None,
        wait_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        super().__init__(address, temperature_min_degC, temperature_max_degC, safe_temperature_degC, wait_s=wait_s)
        if not re.fullmatch(r"http://[^/\s]+/?", address):
            raise Unreachable(f"{address!r} is not of the form http://host", instrument=self.model, address=address)
        self._client: httpx.Client | None = httpx.Client(timeout=timeout_s, trust_env=False)
        self._timeout_s, self._backoff, self._tap = timeout_s, Backoff(), Tap(address)
        try:
            self._narrow(*self._own_range())
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        found = self._ask("DevType", "SN", "SWRev")
        return f"Memmert {found['DevType']}, serial number {found['SN']}, software {found['SWRev']}"

    def read_temperature_degC(self) -> float | NoReading:
        """Of the chamber's first sensor."""
        value = self._ask("Temp1Read")["Temp1Read"]
        return NoReading.NOT_AVAILABLE if value in NOTHING else self._number("Temp1Read", value)

    def set_temperature(self, temperature_degC: float) -> None:
        """Set and wait until the chamber says that it is its set point."""
        self.check_temperature(temperature_degC)
        if (operation := self._ask("CurOp")["CurOp"]) != MANUAL:
            self._refuse(f"it is in the mode {operation!r}, not {MANUAL!r}", "set it to manual mode at its panel")
        self._get({"TempSet": f"{temperature_degC:.1f}"})
        found_degC = [self._set_point()]
        if abs(found_degC[0] - temperature_degC) > self.set_point_rounding_K:
            self._wait_for(lambda: self._has_taken(temperature_degC, found_degC))
        self._verify(temperature_degC, found_degC[0])

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _has_taken(self, asked_degC: float, found_degC: list[float]) -> bool:
        found_degC[0] = self._set_point()
        return abs(found_degC[0] - asked_degC) <= self.set_point_rounding_K

    def _set_point(self) -> float:
        return self._number("TempSet", self._ask("TempSet")["TempSet"])

    def _own_range(self) -> tuple[float, float]:
        match self._ask("TempSet_Range")["TempSet_Range"]:
            case {"min": low, "max": high, **rest} if not rest:
                return self._number("TempSet_Range", low), self._number("TempSet_Range", high)
            case other:
                self._bad(f"TempSet_Range was answered with {other!r}")

    def _number(self, key: str, value: Value) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._bad(f"{key} was answered with {value!r}")
        return self._temperature(float(value))

    # --- the protocol

    def _ask(self, *keys: str) -> dict[str, Value]:
        return self._get(dict.fromkeys(keys, ""))

    def _get(self, query: dict[str, str]) -> dict[str, Value]:
        """The values of at least the keys of `query`; those with a value are set to it."""
        path = "/atmoweb?" + "&".join(f"{key}={value}" for key, value in query.items())
        body = self._body(path)
        try:
            found = read_values(body)
        except ValueError as error:
            self._bad(f"{path} was answered with {body[:80]!r}: {error}")
        if not query.keys() <= found.keys():
            self._bad(f"{path} was answered for {', '.join(found)}")
        return found

    def _body(self, path: str) -> str:
        if self._client is None:
            raise Unreachable("closed by this program", instrument=self.model, address=self.address)
        if (wait_s := self._backoff.remaining_s()) > 0:
            self._unreachable(f"not connected; next attempt in {wait_s:.1f} s")
        url = self.address.rstrip("/") + path
        request = self._client.build_request("GET", url, headers={"Connection": "close"})
        head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers.raw)
        self._tap.sent(f"GET {path} HTTP/1.1\r\n".encode("ascii") + head + b"\r\n")
        try:
            response = self._client.send(request)
        except httpx.TimeoutException as error:
            self._tap.noted("timeout")
            raise InstrumentTimeout(
                f"no complete answer to {path} within {self._timeout_s:g} s",
                instrument=self.model,
                address=self.address,
            ) from error
        except httpx.RemoteProtocolError as error:
            self._tap.noted("lost")
            self._backoff.failed()
            if "disconnected" in str(error):  # it closes after each answer: silence looks like this
                raise InstrumentTimeout(
                    f"it closed the connection without an answer to {path}", instrument=self.model, address=self.address
                ) from error
            self._bad(f"{path} was answered with no sound HTTP: {error}")
        except (httpx.HTTPError, ValueError) as error:
            self._tap.noted("lost")
            self._backoff.failed()
            self._unreachable(f"cannot connect: {error}")
        self._backoff.succeeded()
        self._tap.received(f"HTTP/1.1 {response.status_code}\r\n\r\n".encode("ascii") + response.content)
        self._tap.noted("closed")
        if response.status_code != httpx.codes.OK:
            self._refuse(f"{path} was refused: HTTP status {response.status_code}", "is remote control enabled at it?")
        return response.content.decode("ascii", errors="replace")

    def _unreachable(self, message: str) -> NoReturn:
        raise Unreachable(
            message,
            instrument=self.model,
            address=self.address,
            hint="is it switched on, is the address right, does a firewall stand between?",
        )


def read_values(body: str) -> dict[str, Value]:
    """What an AtmoWEB body states: `"Temp1Read": 28.7,` with its last comma, braces and bare words or without.

    An answer has no length, so the comma (or the brace) at its end is all that shows that it is whole. Raises
    `ValueError`.
    """
    text = body.strip()
    if not text.endswith((",", "}")):
        raise ValueError("it is cut: a comma or a brace is missing at its end")
    if not text.startswith("{"):
        text = "{" + text.removesuffix(",") + "}"
    text = BARE_VALUE.sub(r'\1"\2"\3', BARE_KEY.sub(r'\1"\2"\3', text))
    found: dict[str, Value] = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    return found


def _once(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refused(word: str) -> Value:
    raise ValueError(f"{word} is no value")
