"""What answers on this computer's lines, and which driver fits it.

Nothing is asked but the drivers' own probes (see `drivers.about`), which change nothing. A network is searched only
where a range is given, only within the subnet of one of this computer's interfaces, only at ports of known drivers.
"""

from __future__ import annotations

import contextlib
import inspect
import ipaddress
import json
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
import pyvisa
import serial
from pyvisa_py.sessions import Session
from serial.tools import list_ports

from drivers.about import Probe
from drivers.interface import InstrumentError
from drivers.registry import SettingsError, entries
from drivers.transports.visa import VisaLine

MOST_ADDRESSES = 256
AT_ONCE = 16
PAUSE_S = 0.01  # between two connections of one searcher
CONNECT_S = 0.5
REPLY_S = 1.0
LONGEST_REPLY = 65536


class FindingError(ValueError):
    """A range that is not searched, and why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A driver that fits, and the address that station.toml would state."""

    driver: str
    address: str

    def lines(self, name: str) -> str:
        """For station.toml, with what the driver must be told besides."""
        text = f"[instruments.{name}]\ndriver = {json.dumps(self.driver)}\naddress = {json.dumps(self.address)}\n"
        needed = [f"{setting} = …" for setting in _needed(self.driver)]
        return text + (f"# settings = {{ {', '.join(needed)} }}\n" if needed else "")


@dataclass(frozen=True, slots=True)
class Found:
    """A place where something is; `said` is '' where nothing answered or nobody asked."""

    where: str
    description: str
    said: str
    candidates: tuple[Candidate, ...]


def probes() -> list[tuple[str, Probe]]:
    """Of all drivers that can be imported, with their names."""
    found: list[tuple[str, Probe]] = []
    for entry in entries():
        with contextlib.suppress(SettingsError):  # `instruments list` says which and why
            about = getattr(entry.load(), "about", None)
            found += [(entry.name, probe) for probe in (about.probes if about else ())]
    return found


# --- VISA


def scan_visa(library: str = "@py") -> list[Found]:
    """USB and GPIB instruments, each asked *IDN?."""
    return [_asked_over_visa(resource, library) for resource in visa_resources(library)]


def visa_resources(library: str = "@py") -> list[str]:
    """Without serial ports, and without a search of the network."""
    if library != "@py":
        names = pyvisa.ResourceManager(library).list_resources("?*::INSTR")
        return [name for name in names if not name.upper().startswith(("ASRL", "TCPIP"))]
    wanted = {"usb", "gpib"}
    kinds = [(key, kind) for key, kind in Session.iter_valid_session_classes() if key[0].name in wanted]
    return [name for _, kind in kinds for name in kind.list_resources() if name.endswith("INSTR")]


def _asked_over_visa(resource: str, library: str = "@py") -> Found:
    try:
        line = VisaLine(resource, timeout_s=REPLY_S, library=library)
        try:
            said = line.query("*IDN?")
        finally:
            line.close()
    except InstrumentError as error:
        return Found(resource, f"does not answer *IDN?: {error.message}", "", ())
    fits = [
        Candidate(name, probe.address.format(resource=resource))
        for name, probe in probes()
        if probe.tcp_port is None and probe.baud is None and probe.question == b"*IDN?\n" and probe.fits(said.encode())
    ]
    return Found(resource, "", said, tuple(fits))


# --- serial ports


def scan_serial(*, ask: bool) -> list[Found]:
    """The serial ports; opened and asked only where `ask` is true, for opening one restarts many small boards."""
    return [
        ask_serial(port.device, port.description or "") if ask else Found(port.device, port.description or "", "", ())
        for port in sorted(list_ports.comports())
    ]


def ask_serial(port: str, description: str = "") -> Found:
    """Ask `port` (a name, or a pyserial URL) each question that some driver has for a serial port."""
    by_question: dict[tuple[int, bytes], list[tuple[str, Probe]]] = {}
    for name, probe in probes():
        if probe.baud is not None:
            by_question.setdefault((probe.baud, probe.question), []).append((name, probe))
    said = b""
    for (baud, question), askers in by_question.items():
        try:
            with serial.serial_for_url(port, baudrate=baud, timeout=REPLY_S) as line:
                line.write(question)
                reply = bytes(line.read_until(askers[0][1].ends_with, LONGEST_REPLY))
        except (OSError, ValueError) as error:
            return Found(port, f"{description}: {error}", "", ())
        said = reply or said
        fits = [Candidate(name, probe.address.format(resource=port)) for name, probe in askers if probe.fits(reply)]
        if fits:
            return Found(port, description, _words(reply), tuple(fits))
    return Found(port, description, _words(said), ())


# --- the network


def addresses_of(text: str) -> list[str]:
    """The addresses of a range such as 192.168.1.0/28. Raises `FindingError` for one that must not be searched."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError as error:
        raise FindingError(f"{text!r} is no range of addresses such as 192.168.1.0/28: {error}") from None
    if network.num_addresses > MOST_ADDRESSES:
        raise FindingError(f"{text} has {network.num_addresses} addresses: at most {MOST_ADDRESSES} (a /24) at a time")
    own = list(_own_networks())
    if not network.is_private or not any(network.subnet_of(mine) for mine in own):
        raise FindingError(
            f"{text} is not searched: it is not within a private subnet that this computer is in "
            f"({', '.join(map(str, own)) or 'it is in none'})"
        )
    return [str(address) for address in (network.hosts() if network.prefixlen < 31 else network)]


def scan_network(hosts: Iterable[str], ports: Sequence[int] | None = None) -> list[Found]:
    """What answers there at the ports of known drivers (or at `ports`)."""
    known = probes()
    tcp_ports = sorted({probe.tcp_port for _, probe in known if probe.tcp_port}) if ports is None else ports
    places = [(host, port) for host in hosts for port in tcp_ports]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda place: _asked_over_tcp(place, known, any_port=ports is not None), places)
        return [each for each in found if each is not None]


def look_at(address: str) -> Found | None:
    """What is at an address of station.toml; None where that cannot be asked or nothing is there."""
    if (place := _tcp_place(address)) is not None:
        form = re.split(r"\d|\{|\w+:\d|[\w.]+\.", address)[0]  # 'TCPIP::', 'prologix://', ''
        likely_first = sorted(probes(), key=lambda named: not named[1].address.startswith(form or "{host}"))
        return _asked_over_tcp(place, likely_first, any_port=True)
    if re.match(r"(USB|GPIB|ASRL|TCPIP)", address, re.IGNORECASE):
        found = _asked_over_visa(address)
        return found if found.said else None
    return None


def _asked_over_tcp(place: tuple[str, int], known: Sequence[tuple[str, Probe]], *, any_port: bool) -> Found | None:
    """Each different question once, until something answers; None where nothing listens."""
    host, port = place
    time.sleep(PAUSE_S)
    mine = [(name, probe) for name, probe in known if probe.tcp_port == port]
    mine += [(name, probe) for name, probe in known if any_port and probe.tcp_port not in (port, None)]
    listens = False
    for question, ends_with in dict.fromkeys((probe.question, probe.ends_with) for _, probe in mine):
        try:
            reply = _reply(host, port, question, ends_with)
        except OSError:
            break
        listens = True
        if reply:
            fits = [(name, probe) for name, probe in mine if probe.question == question and probe.fits(reply)]
            made = [Candidate(name, probe.address.format(host=host, port=port)) for name, probe in fits]
            if made or not any_port:
                return Found(f"{host}:{port}", "", _words(reply), tuple(made))
    return Found(f"{host}:{port}", "something listens", "", ()) if listens else None


def _reply(host: str, port: int, question: bytes, ends_with: bytes) -> bytes:
    """b'' where nothing came in time. Raises `OSError` where nobody listens."""
    reply = b""
    with socket.create_connection((host, port), timeout=CONNECT_S) as link:
        deadline = time.monotonic() + REPLY_S
        with contextlib.suppress(OSError):
            link.sendall(question)
            while not reply.endswith(ends_with) and len(reply) < LONGEST_REPLY:
                link.settimeout(max(0.01, deadline - time.monotonic()))
                if not (chunk := link.recv(4096)):
                    break
                reply += chunk
    return reply


def _own_networks() -> Iterator[ipaddress.IPv4Network]:
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and each.netmask:
                yield ipaddress.IPv4Network(f"{each.address}/{each.netmask}", strict=False)


def _tcp_place(address: str) -> tuple[str, int] | None:
    """Host and port that an address of any driver names."""
    if match := re.fullmatch(r"TCPIP\d*::([^:]+)::(\d+)::SOCKET", address, re.IGNORECASE):
        return match[1], int(match[2])
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        return (parts.hostname, parts.port) if parts.hostname and parts.port else None
    except ValueError:  # no port, but something else with a colon
        return None


def _needed(driver: str) -> list[str]:
    """Settings without which it cannot be opened."""
    for entry in entries():
        if entry.name == driver:
            parameters = list(inspect.signature(entry.load()).parameters.values())[1:]
            return [each.name for each in parameters if each.default is each.empty]
    return []


def _words(reply: bytes) -> str:
    return " ".join(reply.decode("latin-1").split())[:200]
