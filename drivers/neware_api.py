"""The BTS Client's TCP/XML API: requests and answers, typed; no policy.

Wire facts: docs/instruments/neware-bts.md (evidence: replies recorded from BTS 8.0; the API document
v1.19 as users quote it).
"""

from __future__ import annotations

import enum
import logging
import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from drivers.interface import BadReply, CyclerRecord, InstrumentError, Refused
from drivers.neware_stepfile import INSTRUMENT
from drivers.transports.framed import FramedSocket

log = logging.getLogger(__name__)

PORT = 502
PAGE_ROWS = 1000
REPLY_NAMES = {"download": ("download_resp", "donwload_resp")}  # the second is what testers send
BACKUP = (
    'remotedir="" filenametype="0" customfilename="" addtimewhenrepeat="0" createdirbydate="0" filetype="0" '
    'backupontime="1" backupontimeinterval="720" backupfree="1"'
)


class Verdict(enum.Enum):
    """What became of a command."""

    OK = "ok"
    NO = "false"
    UNCERTAIN = "not known"  # no answer, a broken one, or one about another channel


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel in the vendor's address: strings, as the wire has them."""

    ip: str
    devtype: str
    devid: str
    subdevid: str
    chlid: str

    @property
    def name(self) -> str:
        return f"{self.devtype}-{self.devid}-{self.subdevid}-{self.chlid}"

    @property
    def key(self) -> str:
        return f'devtype="{self.devtype}" devid="{self.devid}" subdevid="{self.subdevid}" chlid="{self.chlid}"'

    @property
    def full_key(self) -> str:
        return f"ip={quoteattr(self.ip)} {self.key}"

    def may_be(self, named: str) -> bool:
        """Whether an answer that names channel `named` can be for this one: subdevid 1 is said for any."""
        devtype, devid, subdevid, chlid = (named.split("-") + [""] * 4)[:4]
        same = (devtype, devid, chlid) == (self.devtype, self.devid, self.chlid)
        return same and subdevid in (self.subdevid, "1")


@dataclass(frozen=True, slots=True)
class Volume:
    """Which test a channel's records belong to (0: none yet), and how many there are."""

    test_id: int
    count: int


@dataclass(frozen=True, slots=True)
class Live:
    """Live values, rounded by the tester to 0.1 mV and 0.1 mA; step and cycle are None when idle."""

    barcode: str
    step: int | None
    cycle: int | None
    voltage_V: float
    current_A: float


class BtsApi:
    """One BTS Client. Where a request names several channels, the answers come in the same order.

    An answer is None where it names another channel than was asked for. Raises `Unreachable`,
    `InstrumentTimeout` or `BadReply`; commands give a `Verdict` instead and are sent once.
    """

    def __init__(self, address: str, *, timeout_s: float, login: tuple[str, str] | None) -> None:
        self.address = address
        self._link = FramedSocket(
            address, terminator=b"#\r\n", default_port=PORT, instrument=INSTRUMENT, timeout_s=timeout_s
        )
        self._login = login
        self._logged_in = 0  # the connection that the login was made on
        self._odd: set[str] = set()  # oddities that were logged already

    def end(self) -> None:
        """Close the link for good."""
        self._link.end()

    # --- questions

    def devices(self) -> tuple[str, tuple[Channel, ...]]:
        """The client's version ('' where it does not say) and its channels."""
        root = self._ask("getdevinfo", "")
        client = root.find("client")
        channels = tuple(
            Channel(
                element.get("ip", ""),
                *(self._text(element, part) for part in ("devtype", "devid", "subdevid", "Channelid")),
            )
            for element in root.iterfind("middle/channel")
        )
        return client.get("version", "") if client is not None else "", channels

    def states(self, channels: Sequence[Channel]) -> list[str | None]:
        return [
            None if element is None else (element.text or "").strip()
            for element in self._ask_each("getchlstatus", "status", channels)
        ]

    def live(self, channels: Sequence[Channel]) -> list[Live | None]:
        answers = self._ask_each("inquire", "inquire", channels, ' aux="0" barcode="1"')
        return [None if element is None else self._live(element) for element in answers]

    def volumes(self, channels: Sequence[Channel], test_id: int = 0) -> list[Volume | None]:
        """The data sets of test `test_id`, or of the latest test for 0."""
        body = "".join(f'<chl {channel.key} testid="{test_id}" />' for channel in channels)
        return [
            None if element is None else Volume(self._integer(element, "testid"), self._integer(element, "count"))
            for element in self._listed("inquiredf", "chl", body, channels)
        ]

    def page(self, channel: Channel, test_id: int, start: int) -> tuple[int, list[CyclerRecord]]:
        """The test id of the answer, and up to 1000 records from `start` on, steps numbered as in the file.

        The records follow one another without gaps: the page ends before a gap, and one that does
        not begin with `start` is a `BadReply`.
        """
        keys = f'{channel.key} auxid="0" testid="{test_id}" startpos="{start}" count="{PAGE_ROWS}"'
        root = self._ask("download", f"<download {keys}/>")
        head = root.find("download")
        if head is None or not channel.may_be(_named(head)):
            raise self._bad(f"records of another channel than {channel.name}")
        records = [self._record(element) for element in root.iterfind("list/data")]
        if records and records[0].sequence != start:
            raise self._bad(f"channel {channel.name}: record {records[0].sequence} where {start} was due")
        whole = next((n for n, record in enumerate(records) if record.sequence != start + n), len(records))
        if whole < len(records):
            log.warning("channel %s: gap in the records after %d", channel.name, start + whole - 1)
        return self._integer(head, "testid"), records[:whole]

    # --- commands

    def start(self, channel: Channel, path: str, barcode: str, backup_folder: str) -> Verdict:
        """`path` and `backup_folder` are paths on the BTS Client's PC."""
        return self._command(
            "start",
            channel,
            text=escape(path),
            attributes=f" barcode={quoteattr(barcode)}",
            after=f"<backup backupdir={quoteattr(backup_folder)} {BACKUP} />",
        )

    def stop(self, channel: Channel) -> Verdict:
        return self._command("stop", channel)

    def proceed(self, channel: Channel) -> Verdict:
        return self._command("continue", channel)

    def go_to(self, channel: Channel, step: int) -> Verdict:
        return self._command("goto", channel, attributes=f' step="{step}"')

    def _command(
        self, command: str, channel: Channel, *, text: str = "true", attributes: str = "", after: str = ""
    ) -> Verdict:
        body = f"<{command} {channel.full_key}{attributes}>{text}</{command}>"
        try:
            (answer,) = self._listed(command, command, body, [channel], after)
        except InstrumentError as error:
            log.warning("%s on channel %s: %s", command, channel.name, error)
            return Verdict.UNCERTAIN
        text = (answer.text or "").strip() if answer is not None else ""
        return next((verdict for verdict in (Verdict.OK, Verdict.NO) if verdict.value == text), Verdict.UNCERTAIN)

    # --- requests

    def _ask_each(
        self, command: str, tag: str, channels: Sequence[Channel], attributes: str = ""
    ) -> list[ET.Element | None]:
        body = "".join(f"<{tag} {channel.full_key}{attributes}>true</{tag}>" for channel in channels)
        return self._listed(command, tag, body, channels)

    def _listed(
        self, command: str, tag: str, body: str, channels: Sequence[Channel], after: str = ""
    ) -> list[ET.Element | None]:
        """The reply's elements in the order of `channels`, which is what counts.

        Clients have been seen to name subdevid 1 whatever was asked, and to give a wrong `count`.
        """
        root = self._ask(command, f'<list count = "{len(channels)}">{body}{after}</list>')
        elements = root.findall(f"list/{tag}")
        if len(elements) != len(channels):
            raise self._bad(f"{len(elements)} answers to {command} for {len(channels)} channels")
        for channel, element in zip(channels, elements, strict=True):
            if (named := _named(element)) != channel.name:
                self.log_once(f"asked {command} of channel {channel.name}, the answer names {named}")
        return [
            element if channel.may_be(_named(element)) else None
            for channel, element in zip(channels, elements, strict=True)
        ]

    def _ask(self, command: str, body: str) -> ET.Element:
        if self._login is not None:
            self._link.connect()
            if self._logged_in != self._link.connections:
                self._log_in(*self._login)
        return self._exchange(command, body)

    def _log_in(self, user: str, password: str) -> None:
        body = f"<username>{escape(user)}</username><password>{escape(password)}</password><type>bfgs</type>"
        if self._exchange("connect", body).findtext("result", "").strip() != "ok":
            raise Refused(f"the BTS Client does not let user {user!r} in", instrument=INSTRUMENT, address=self.address)
        self._logged_in = self._link.connections

    def _exchange(self, command: str, body: str) -> ET.Element:
        request = f'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>{command}</cmd>{body}</bts>\n\n#\r\n'
        frame = self._link.exchange(request.encode())
        try:
            root = ET.fromstring(frame.decode().strip())
        except (UnicodeDecodeError, ET.ParseError) as error:
            raise self._bad(f"garbled answer to {command} ({error}): {frame[:60]!r}") from None
        name = root.findtext("cmd", "").strip()
        if root.tag != "bts" or name not in REPLY_NAMES.get(command, (f"{command}_resp",)):
            raise self._bad(f"answer to {command} is {name or root.tag!r}")
        return root

    # --- values

    def _live(self, element: ET.Element) -> Live:
        running = "step_id" in element.attrib  # left out when idle
        return Live(
            barcode=element.get("barcode", ""),
            step=self._integer(element, "step_id") if running else None,
            cycle=self._integer(element, "cycle_id") if running else None,
            voltage_V=self._decimal(element, "voltage"),
            current_A=self._decimal(element, "current"),
        )

    def _record(self, element: ET.Element) -> CyclerRecord:
        return CyclerRecord(
            sequence=self._integer(element, "seqid"),
            step=self._integer(element, "stepid"),
            cycle=self._integer(element, "cycleid"),
            kind=self._text(element, "steptype"),
            step_time_s=self._decimal(element, "testtime") / 1000,
            wall_time=self._text(element, "atime"),
            voltage_V=self._decimal(element, "volt"),
            current_A=self._decimal(element, "curr"),
            step_capacity_Ah=abs(self._decimal(element, "cap")),
            step_energy_Wh=abs(self._decimal(element, "eng")),
        )

    def _text(self, element: ET.Element, name: str) -> str:
        if (text := element.get(name)) is None:
            raise self._bad(f"no {name} in {ET.tostring(element, 'unicode')[:200]}")
        return text

    def _integer(self, element: ET.Element, name: str) -> int:
        text = self._text(element, name)
        try:
            return int(text)
        except ValueError:
            raise self._bad(f"{name}={text!r} is not a whole number") from None

    def _decimal(self, element: ET.Element, name: str) -> float:
        text = self._text(element, name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._bad(f"{name}={text!r} is not a number")
        return value

    def _bad(self, what: str) -> BadReply:
        """An answer that cannot be used; the link starts afresh, for it may be out of step."""
        self._link.close()
        return BadReply(what, instrument=INSTRUMENT, address=self.address)

    def log_once(self, what: str) -> None:
        """A warning the first time, for a channel is polled for months."""
        log.log(logging.DEBUG if what in self._odd else logging.WARNING, "%s: %s", self.address, what)
        self._odd.add(what)


def _named(element: ET.Element) -> str:
    """The channel that an answer names, as "devtype-devid-subdevid-chlid"."""
    if (joined := element.get("dev")) is not None:
        return "-".join(joined.split("-")[:4])  # the fifth is the auxiliary channel
    return "-".join(element.get(part, "?") for part in ("devtype", "devid", "subdevid", "chlid"))
