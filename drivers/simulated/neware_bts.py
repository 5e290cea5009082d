"""A virtual NEWARE tester behind a BTS Client: the BTS TCP/XML API, wired to simulated cells.

Replies are laid out as replies recorded from a BTS 8.0 client (EmpaEconversion/aurora-neware, tests);
the rest follows docs/instruments/neware-bts.md.
"""

from __future__ import annotations

import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from drivers.simulated.clock import Clock
from drivers.simulated.neware_channel import Row, StoredTest, TesterChannel
from drivers.simulated.neware_stepfile import StepFileError, parse_step_file
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.wiring import WiredCell

END_OF_REQUEST = b"#\r\n"
END_OF_REPLY = b"\n\n#\r\n"
PAGE_ROWS = 1000
LOG_ROWS = 5000
FALSE = "  <result>false</result>"


@dataclass
class Quirks:
    """What real testers and networks have been seen to do; may be changed while the server runs."""

    misspelt_download: bool = True  # donwload_resp, donwloadlog_resp
    wrong_count: bool = False  # <list count="1"> whatever it holds
    wrong_subdevid: bool = False  # replies name subdevid 1 whatever was asked
    wrong_chlid_on_refusal: bool = False  # a refused start names another channel
    latest_test_only: bool = False  # whatever testid was asked for
    status_lag_s: float = 0.0  # of the bench's clock; the vendor promises no better than 5 s
    chunk_bytes: int | None = None  # replies leave in pieces of this size
    reply_delay_s: dict[str, float] = field(default_factory=dict)  # seconds of the wall's clock, by command
    close_after_bytes: dict[str, int] = field(default_factory=dict)  # the link breaks within this reply
    answered: Callable[[str], None] | None = None  # called with each command, before its answer leaves


class VirtualNeware(VirtualInstrument):
    """Serves the channels `cells` ("devtype-devid-subdevid-chlid": cell).

    Step files are read from this machine's disk under the path that `start` names; `folders` maps a
    folder as the BTS Client's PC would name it (`C:\\jobs`) to where it is here. With `quirks` the
    server misbehaves as real ones have been seen to. Current is positive on charge.
    """

    resource = "{host}:{port}"

    def __init__(
        self,
        cells: Mapping[str, WiredCell],
        clock: Clock,
        *,
        folders: Mapping[str, Path] | None = None,
        quirks: Quirks | None = None,
        first_test_id: int = 1,
        max_step_s: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.clock = clock
        self.quirks = quirks or Quirks()
        self.channels = {name: TesterChannel(cell, clock, max_step_s) for name, cell in cells.items()}
        self._folders = dict(folders or {})
        self._next_test_id = first_test_id
        self._commands = threading.Lock()  # the BTS Client does one thing at a time

    # --- what a person does at the BTS Client

    def start_by_hand(self, channel: str, step_file: Path, barcode: str = "") -> int:
        """Someone stops what runs and starts a step file at the BTS Client; returns the new test id."""
        with self._commands:
            self.channels[channel].stop()
            return self._start(self.channels[channel], str(step_file), barcode)

    def pause_by_hand(self, channel: str) -> None:
        with self._commands:
            self.channels[channel].pause()

    # --- the wire

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(65536):
            pending += chunk
            while END_OF_REQUEST in pending:
                request, pending = pending.split(END_OF_REQUEST, 1)
                command, reply = self.answer(request)
                if self.quirks.answered is not None:
                    self.quirks.answered(command)
                time.sleep(self.quirks.reply_delay_s.get(command, 0.0))
                if (end := self.quirks.close_after_bytes.get(command)) is not None:
                    connection.sendall(reply[:end])
                    return
                self._send(connection, reply)

    def answer(self, request: bytes) -> tuple[str, bytes]:
        """The command's name and the whole reply, end mark included."""
        command = ""
        try:
            root = ET.fromstring(request.decode().strip())
            command = root.findtext("cmd", "").strip()
            with self._commands:
                return command, self._carry_out(root, command)
        except (ET.ParseError, ValueError):  # not XML, not UTF-8, not a number
            return command, _reply(command or "unknown", FALSE)

    def _carry_out(self, root: ET.Element, command: str) -> bytes:
        match command:
            case "connect":
                return _reply(command, "  <result>ok</result>")
            case "getdevinfo":
                return _reply(command, self._devices())
            case "getchlstatus":
                return self._list(root, command, "status", self._status)
            case "inquire":
                return self._list(root, command, "inquire", self._inquire)
            case "inquiredf":
                return self._list(root, command, "chl", self._volume)
            case "start" | "stop" | "light" | "clearflag" | "continue" | "goto":
                return self._list(root, command, command, self._act)
            case "download" | "downloadlog" | "downloadStepLayer":
                return self._download(root, command)
            case _:
                return _reply(command, FALSE)

    def _send(self, connection: socket.socket, reply: bytes) -> None:
        size = self.quirks.chunk_bytes or len(reply)
        for start in range(0, len(reply), size):
            connection.sendall(reply[start : start + size])
            if size < len(reply):
                time.sleep(0.0002)  # or the pieces would arrive as one

    # --- answers

    def _devices(self) -> str:
        lines = [
            '  <serverip count="1">',
            '    <server ip="127.0.0.1" port="3306" />',
            "  </serverip>",
            f'  <middle count="{len(self.channels)}">',
        ]
        for name in self.channels:
            devtype, devid, subdevid, chlid = name.split("-")
            lines.append(
                f'    <channel ip="127.0.0.1" devtype="{devtype}" devid="{devid}" subdevid="{subdevid}" '
                f'Channelid="{chlid}">true</channel>'
            )
        return "\r\n".join([*lines, "</middle>"])

    def _list(
        self, root: ET.Element, command: str, tag: str, line: Callable[[ET.Element, TesterChannel], str]
    ) -> bytes:
        lines = []
        for asked in root.findall(f"list/{tag}"):
            channel = self.channels.get(_name(asked))
            lines.append(f"    {line(asked, channel)}" if channel else f"    {self._echo(asked, 'false')}")
        count = 1 if self.quirks.wrong_count else len(lines)
        return _reply(command, "\r\n".join([f'  <list count="{count}">', *lines, "  </list>"]))

    def _echo(self, asked: ET.Element, text: str, **more: object) -> str:
        """An element that names the channel as it was asked for, the way real replies do."""
        names = ("ip", "devtype", "devid", "subdevid", "chlid")
        keys: dict[str, object] = {name: asked.get(name) for name in names if asked.get(name) is not None}
        if self.quirks.wrong_subdevid:
            keys["subdevid"] = 1
        if self.quirks.wrong_chlid_on_refusal and text == "false":
            keys["chlid"] = int(str(keys["chlid"])) + 1
        return f"<{asked.tag} {_attributes({**keys, **more})}>{text}</{asked.tag}>"

    def _status(self, asked: ET.Element, channel: TesterChannel) -> str:
        channel.cell.terminals()
        return self._echo(asked, self._lagging_state(channel), reservepause=1)

    def _lagging_state(self, channel: TesterChannel) -> str:
        return channel.state_before(self.clock.now() - self.quirks.status_lag_s)

    def _inquire(self, asked: ET.Element, channel: TesterChannel) -> str:
        live = channel.live()
        state = self._lagging_state(channel)
        dev = _name(asked)
        if self.quirks.wrong_subdevid:
            devtype, devid, _, chlid = dev.split("-")
            dev = f"{devtype}-{devid}-1-{chlid}"
        values: dict[str, object] = {"dev": f"{dev}-0", "cycle_id": live.cycle}
        if live.step is not None:
            values["step_id"] = live.step.number
        values |= {
            "step_type": live.step.type.text if live.step else "--",
            "workstatus": state,
            "barcode": channel.test.barcode if channel.test else "",
            "current": _short(live.current_A),
            "voltage": _short(live.voltage_V),
            "capacity": _short(live.capacity_Ah),
            "energy": _short(live.energy_Wh),
            "totaltime": _short(live.total_s, 1),
            "relativetime": _short(live.step_s, 1),
            "open_or_close": 0,
            "log_code": 102000 if live.step else 0,
        }
        return f"<inquire {_attributes(values)} />"

    def _volume(self, asked: ET.Element, channel: TesterChannel) -> str:
        channel.cell.terminals()
        test = self._test(channel, asked)
        if test is None:
            return self._echo(asked, "true", testid=0, count=0)
        return self._echo(asked, "true" if test.complete else "false", testid=test.test_id, count=len(test.rows))

    def _act(self, asked: ET.Element, channel: TesterChannel) -> str:
        text = (asked.text or "").strip()
        match asked.tag:
            case "start":
                done = bool(self._start(channel, text, asked.get("barcode", "")))
            case "stop":
                done = channel.stop()
            case "continue":
                done = channel.proceed()
            case "goto":
                done = channel.go_to(int(asked.get("step", "0")))
            case tag:
                done = tag == "light"  # clearflag: no flag is set
        return self._echo(asked, "ok" if done else "false")

    def _start(self, channel: TesterChannel, path: str, barcode: str) -> int:
        """The new test's id, or 0 where the tester refuses; it gives no reason."""
        channel.cell.terminals()
        if channel.state in ("working", "pause"):
            return 0
        try:
            file = parse_step_file(self._here(path).read_bytes())
        except (OSError, StepFileError):
            return 0
        test_id, self._next_test_id = self._next_test_id, self._next_test_id + 1
        channel.start(file, barcode, test_id)
        return test_id

    def _here(self, path: str) -> Path:
        for client, local in self._folders.items():
            if path.startswith(client):
                return local.joinpath(*path.removeprefix(client).strip("\\/").split("\\"))
        return Path(path)

    def _test(self, channel: TesterChannel, asked: ET.Element) -> StoredTest | None:
        wanted = int(asked.get("testid", "0"))
        if wanted == 0 or self.quirks.latest_test_only:
            return channel.test
        return channel.tests.get(wanted, channel.test)

    def _download(self, root: ET.Element, command: str) -> bytes:
        asked = root.find("downloadStepLayer" if command == "downloadStepLayer" else "download")
        channel = self.channels.get(_name(asked)) if asked is not None else None
        if asked is None or channel is None:
            return _reply(command, '  <list count="0" />')
        channel.cell.terminals()
        test = self._test(channel, asked)
        keys: dict[str, object] = {name: asked.get(name, "") for name in ("devtype", "devid", "subdevid", "chlid")}
        keys["testid"] = test.test_id if test else 0
        match command:
            case "download":
                start, count = int(asked.get("startpos", "0")), min(int(asked.get("count", "0")), PAGE_ROWS)
                keys |= {"startpos": start, "count": asked.get("count", "0"), "auxid": asked.get("auxid", "0")}
                rows = test.rows[start - 1 : start - 1 + count] if test and start > 0 else []
                lines = [_attributes(self._row(row)) for row in rows]
            case "downloadlog":
                keys["log_lever"] = 0
                lines = [
                    _attributes({"seqid": seqid, "log_code": code, "atime": _wall(at_s)})
                    for seqid, code, at_s in (test.log[:LOG_ROWS] if test else [])
                ]
            case _:
                lines = list(self._layers(test)) if test else []
        name = command.replace("download", "donwload") if self.quirks.misspelt_download else command
        name = command if command == "downloadStepLayer" else name
        count_text = 1 if self.quirks.wrong_count else len(lines)
        body = [f"  <{asked.tag} {_attributes(keys)} />"]
        if lines:
            body += [f'  <list count="{count_text}">', *(f"    <data {line} />" for line in lines), "  </list>"]
        else:
            body.append('  <list count="0" />')
        return _reply(name, "\r\n".join(body))

    def _row(self, row: Row) -> dict[str, object]:
        return {
            "seqid": row.seqid,
            "stepid": row.stepid,
            "cycleid": row.cycleid,
            "steptype": row.steptype,
            "testtime": row.testtime_ms,
            "atime": _wall(row.time_s),
            "volt": _long(row.voltage_V),
            "curr": _long(row.current_A),
            "cap": _long(row.capacity_Ah),
            "eng": _long(row.energy_Wh),
        }

    def _layers(self, test: StoredTest) -> Iterable[str]:
        for index, layer in enumerate(test.layers(), start=1):
            first, last = layer.first, layer.last
            yield _attributes(
                {
                    "startseqid": first.seqid,
                    "endseqid": last.seqid,
                    "stepindex": index,
                    "stepid": last.stepid,
                    "cycleid": last.cycleid,
                    "steptype": last.steptype,
                    "steptime": last.testtime_ms,
                    "endatime": _wall(last.time_s),
                    "startvolt": _long(first.voltage_V),
                    "endvolt": _long(last.voltage_V),
                    "startcurr": _long(first.current_A),
                    "endcurr": _long(last.current_A),
                    "cap": _long(last.capacity_Ah),
                    "eng": _long(last.energy_Wh),
                    "dcir": 0,
                }
            )


def _name(element: ET.Element) -> str:
    return "-".join(element.get(part, "") for part in ("devtype", "devid", "subdevid", "chlid"))


def _reply(command: str, body: str) -> bytes:
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<bts version="1.0">',
        f"  <cmd>{escape(command)}_resp</cmd>",
        body,
        "</bts>",
    )
    return "\r\n".join(lines).encode() + END_OF_REPLY


def _attributes(values: Mapping[str, object]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _wall(time_s: float) -> str:
    """Local wall time without a zone, in whole seconds."""
    return f"{datetime.fromtimestamp(time_s):%Y-%m-%d %H:%M:%S}"


def _short(value: float, digits: int = 4) -> str:
    """Live values are rounded: to 0.1 mV and 0.1 mA."""
    return f"{round(value, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")  # + 0.0: no minus before a zero


def _long(value: float) -> str:
    return f"{value:.15g}"
