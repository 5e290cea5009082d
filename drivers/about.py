"""What a person should know of a driver before choosing it, and how its instrument is recognised."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that changes nothing in whatever is asked it, and what this driver's instrument answers.

    `address` is what station.toml would say, with {host} and {port}, or {resource} for a VISA resource. A probe
    without `tcp_port` and `baud` is asked over VISA; `baud` is the rate on a serial port, {resource} then its name.
    """

    question: bytes
    answer: str  # regular expression that matches somewhere in the reply, case ignored
    address: str = "{resource}"
    tcp_port: int | None = None
    baud: int | None = None
    ends_with: bytes = b"\n"  # of the reply

    def fits(self, reply: bytes) -> bool:
        return re.search(self.answer, reply.decode("latin-1"), re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class About:
    """One line each; `evidence` says what the driver was written from and whether it ever met the instrument."""

    connection: str
    evidence: str
    quirks: str
    probes: tuple[Probe, ...] = ()


def scpi_probes(identity: str, tcp_port: int | None = 5025, baud: int | None = None) -> tuple[Probe, ...]:
    """`*IDN?`, which IEEE 488.2 lets anyone ask: over USB and GPIB, a raw socket at `tcp_port`, a serial port."""
    question = b"*IDN?\n"
    made = [Probe(question, identity)]
    if tcp_port is not None:
        made.append(Probe(question, identity, "TCPIP::{host}::{port}::SOCKET", tcp_port))
    if baud is not None:
        made.append(Probe(question, identity, "ASRL{resource}::INSTR", baud=baud))
    return tuple(made)
