"""A virtual Maccor tester: MacNet's JSON-RPC, wired to simulated cells.

Replies are laid out as the examples of the maker's help text (Remote Control - MacNet).
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drivers.simulated.clock import Clock
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.stored_procedure import Mode, Safety, Shown, State, StoredProcedure, StoredProcedureChannel
from drivers.simulated.wiring import Drive, DriveCurrent, OpenCircuit, WiredCell

STATS = {State.IDLE: 0, State.RUNNING: 2, State.SUSPENDED: 3, State.COMPLETED: 4, State.TRIPPED: 5}
DOING = {Mode.CHARGE: 1, Mode.DISCHARGE: 2, Mode.REST: 4}  # RF1 while a test runs
STANDING = {State.IDLE: (0, 0), State.SUSPENDED: (30, 192), State.COMPLETED: (31, 193), State.TRIPPED: (29, 190)}
SHORTEST_GAP_S = 0.1  # between two settings of the direct output
FURTHEST_NAME = 250
FURTHEST_CHANNELS = 128  # in one request


@dataclass(frozen=True, slots=True)
class Ranges:
    """Of all channels; the currents are those of the maker's example."""

    voltage_min_V: float = -5.0
    voltage_max_V: float = 10.0
    currents_A: tuple[float, float, float, float] = (0.00015, 0.005, 0.15, 5.0)


class MacNetError(Exception):
    """Answered as an error of JSON-RPC."""


class VirtualMaccor(VirtualInstrument):
    """Channels in the order of `cells`, from wire number 0. `watchdog_s` is MacNetDirectModeWD of System.ini."""

    resource = "{host}:{port}"

    def __init__(
        self,
        cells: tuple[WiredCell, ...],
        clock: Clock,
        *,
        procedures: Mapping[str, StoredProcedure] | None = None,
        ranges: Ranges | None = None,
        system_type: int = 0,
        watchdog_s: float = 0.0,
        max_step_s: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.clock, self.system_type, self.watchdog_s = clock, system_type, watchdog_s
        self.ranges = ranges or Ranges()
        self.procedures = dict(procedures or {})
        self.channels = [StoredProcedureChannel(cell, clock, max_step_s) for cell in cells]
        self.variables: list[dict[int, float]] = [{} for _ in cells]
        self.archive: set[str] = set()
        self.requests: list[dict[str, Any]] = []
        self._set_at: dict[int, float] = {}
        self._one_at_a_time = threading.Lock()

    # --- the wire

    def serve(self, connection: socket.socket) -> None:
        """Requests need no terminator: each is one JSON object."""
        pending, decoder = "", json.JSONDecoder()
        while chunk := connection.recv(65536):
            pending = (pending + chunk.decode("ascii", errors="replace")).lstrip()
            while pending:
                try:
                    request, end = decoder.raw_decode(pending)
                except ValueError:
                    break  # not whole yet
                pending = pending[end:].lstrip()
                with self._one_at_a_time:
                    reply = self.answer(request)
                connection.sendall(json.dumps(reply).encode("ascii") + b"\r\n")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        number = request.get("id")
        if request.get("method") != "MacNet" or request.get("jsonrpc") != "2.0" or number is None:
            return _error("Method MacNet, jsonrpc 2.0 or id not found", number)
        params = request.get("params", {})
        for key in ("FClass", "FNum"):
            if not isinstance(params.get(key), int):
                return _error(f'"{key}" key does not exist or value syntax error', number)
        function = (params["FClass"], params["FNum"])
        if function == (0, 0):
            return request
        try:
            fields = self._carry_out(function, params)
        except MacNetError as error:
            return _error(str(error), number)
        except (KeyError, TypeError, ValueError):
            return _error("Missing object", number)
        head = {name: params[name] for name in ("FClass", "FNum", "Chan") if name in params}
        return {"jsonrpc": "2.0", "result": {**head, **fields}, "id": number}

    def _carry_out(self, function: tuple[int, int], params: dict[str, Any]) -> dict[str, Any]:
        match function:
            case (1, 1):
                return self._version()
            case (1, 2):
                return self._system()
            case (1, 3):
                return {"ProcedurExists": "TRUE" if params["ProcName"] in self.procedures else "FALSE"}
            case (1, 4):
                return {"TestNameExists": "TRUE" if params["TestName"] in self.archive else "FALSE"}
            case (4, 1 | 2 | 3 | 9) if "Len" in params:
                return self._of_channels(function[1], params["Chan"], params["Len"])
            case (3 | 4 | 6, _) if "Chan" in params:
                return self._of_channel(function, params)
            case (0 | 1 | 2 | 5 | 7, _):
                raise MacNetError("Invalid FNum")
        raise MacNetError("Invalid FClass")

    def _of_channels(self, number: int, first: int, count: int) -> dict[str, Any]:
        """As (4, 1), (4, 2), (4, 3) and (4, 9) of the help text: one item for each of `count` channels."""
        if not (first >= 0 and 0 < count <= FURTHEST_CHANNELS and first + count <= len(self.channels)):
            raise MacNetError("Illegal value")
        shown = [self._readings(channel.show()) for channel in self.channels[first : first + count]]
        name, keys = {
            1: ("Status", ("RF1", "RF2", "Stat")),
            2: ("Voltage", ("Voltage",)),
            3: ("Current", ("Current",)),
            9: ("TestTimes", ("TestTime",)),
        }[number]
        items = [{key: each[key] for key in keys} if number == 1 else each[keys[0]] for each in shown]
        return {"Len": count, name: items}

    def _of_channel(self, function: tuple[int, int], params: dict[str, Any]) -> dict[str, Any]:
        if not 0 <= params["Chan"] < len(self.channels):
            raise MacNetError("Illegal value")
        channel = self.channels[params["Chan"]]
        match function:
            case (3, 1):
                return self._specification(channel)
            case (4, 4 | 5):
                return {"Len": 0, "AuxValues" if function[1] == 4 else "AuxUnit": []}
            case (4, 8):
                variables = self.variables[params["Chan"]]
                return {"GlobFlags": "0x00000000", "VARs": [variables.get(n, 0.0) for n in range(1, 16)]}
            case (4, 6):
                shown = channel.show()
                return {"TestName": shown.test_name, "ProcName": shown.procedure_name}
            case (4, 7):
                return self._readings(channel.show())
            case (6, 2):
                return {"Result": self._start(channel, params)}
            case (6, 3):
                return {"Result": _result(channel.suspend(), "The channel is not active")}
            case (6, 4):
                return {"Result": _result(channel.resume(), "Channel not Suspended, Cannot Restart")}
            case (6, 5 | 6):
                return {"Result": _result(channel.clear(), "The channel is active")}
            case (6, 7):
                return {"Result": self._start_direct(channel, params)}
            case (6, 8):
                return {"Result": self._set_direct(channel, params)}
            case (6, 9):
                return {"Result": self._set_variable(params)}
            case (6, 10):
                return self._set_safety(channel, params)
            case (6, 11):
                return {"Result": self._check_start(channel, params)}
        raise MacNetError("Invalid FNum")

    # --- questions

    def _version(self) -> dict[str, Any]:
        parts = {f"MacTest32{what}version{part}": number for what in ("EXE", "DLL") for part, number in _PARTS}
        return {
            "APIVersion": 1,
            **parts,
            "MacTest32ExeDT": "2016-11-08T15:02:58",
            "MacTest32DLLDT": "2016-11-13T11:29:48",
        }

    def _system(self) -> dict[str, Any]:
        return {
            "SystemID": "Virtual",
            "SystemType": self.system_type,
            "ControllerBoards": 1,
            "TestChannels": len(self.channels),
            "AuxBoards": 0,
            "AuxChannels": 0,
            "SMB1Pos": 0,
            "SMB3Pos": 0,
        }

    def _specification(self, channel: StoredProcedureChannel) -> dict[str, Any]:
        most_A = self.ranges.currents_A
        values = {
            "TickSpeed": 0.005,
            "Vmax": self.ranges.voltage_max_V,
            "Vmin": self.ranges.voltage_min_V,
            "VSafeMax": channel.safety.voltage_max_V,
            "VSafeMin": channel.safety.voltage_min_V,
            **{f"IR{number}{way}": most_A[number - 1] for way in ("Chg", "Dis") for number in (4, 3, 2, 1)},
            "ISafeChg": channel.safety.charge_A,
            "ISafeDis": channel.safety.discharge_A,
            **{f"{what}{way}": 0.0 for what in ("PBatSafe", "PChanSafe", "PSV") for way in ("Chg", "Dis")},
        }
        return {name: single(value) for name, value in values.items()}

    def _readings(self, shown: Shown) -> dict[str, Any]:
        running = shown.state is State.RUNNING
        doing, why = (DOING[shown.mode], 0) if running else STANDING[shown.state]
        return {
            "RF1": doing,
            "RF2": why,
            "Stat": STATS[shown.state],
            "LastRecNum": int(shown.test_time_s),
            "Cycle": shown.cycle,
            "Step": shown.step,
            "TestTime": single(shown.test_time_s),
            "StepTime": single(shown.step_time_s),
            "Capacity": single(shown.step_Ah),
            "Energy": single(shown.step_Wh),
            "Current": single(abs(shown.current_A)),
            "Voltage": single(shown.voltage_V),
            "TesterTime": f"{datetime.fromtimestamp(self.clock.now()):%Y-%m-%dT%H:%M:%S}",
        }

    # --- commands

    def _check_start(self, channel: StoredProcedureChannel, params: dict[str, Any]) -> str | int:
        if channel.show().state is not State.IDLE:
            return 1
        if params["ProcName"] not in self.procedures:
            return 2
        if params["TestName"] in self.archive:
            return 4
        return "OK" if 0 < len(params["TestName"]) <= FURTHEST_NAME else 5

    def _start(self, channel: StoredProcedureChannel, params: dict[str, Any]) -> str | int:
        name, procedure = params["TestName"], params["ProcName"]
        if channel.show().state is not State.IDLE:
            return 23
        if procedure not in self.procedures:
            return 14
        if name in self.archive:
            return 19
        for key in (
            "Comment",
            "Crate",
            "ChamberNum",
            "StartCycle",
            "TotCycles",
            "Mass",
            "VGain",
            "CANpos",
            "RegimeName",
        ):
            params[key]
        channel.start(name, procedure, self.procedures[procedure])
        self.archive.add(name)
        return "OK"

    def _start_direct(self, channel: StoredProcedureChannel, params: dict[str, Any]) -> str | int:
        if self.system_type != 0:
            return 1
        for key in ("DataTime", "DataV", "DataI"):
            params[key]
        if channel.show().state is not State.IDLE:
            return 2
        self._set_at[params["Chan"]] = self.clock.now()
        drive, mode = self._drive(params, channel)
        channel.start_direct(params["TestName"], drive, mode, self.watchdog_s)
        return "OK"

    def _set_direct(self, channel: StoredProcedureChannel, params: dict[str, Any]) -> str | int:
        if self.system_type != 0:
            return 1
        if channel.show().state is not State.RUNNING:
            return 2
        now = self.clock.now()
        if now - self._set_at.get(params["Chan"], -1.0) < SHORTEST_GAP_S:
            return 3
        drive, mode = self._drive(params, channel)
        if not channel.set_direct(drive, mode):
            return 4
        self._set_at[params["Chan"]] = now
        return "OK"

    def _drive(self, params: dict[str, Any], channel: StoredProcedureChannel) -> tuple[Drive, Mode]:
        """Current, voltage and power limit each other; one outside its range is ignored, and so is 0 Ω."""
        if params["ChMode"] not in ("C", "D"):  # users report that "R" does not work
            raise MacNetError("Illegal value")
        charge = params["ChMode"] == "C"
        most_A = self.ranges.currents_A[params["CurrentRange"] - 1]
        wanted_A, wanted_V = float(params["Current"]), float(params["Voltage"])
        current_A = wanted_A if 0 <= wanted_A <= most_A else most_A
        limited = self.ranges.voltage_min_V <= wanted_V <= self.ranges.voltage_max_V
        mode = Mode.CHARGE if charge else Mode.DISCHARGE
        if current_A == 0.0:
            return OpenCircuit(), mode
        if not limited:
            wanted_V = self.ranges.voltage_max_V if charge else self.ranges.voltage_min_V
        voltage_V, _ = channel.cell.terminals()
        if (wanted_V < voltage_V) if charge else (wanted_V > voltage_V):
            return OpenCircuit(), mode  # a charger does not discharge
        low, high = self.ranges.voltage_min_V, self.ranges.voltage_max_V
        if charge:
            return DriveCurrent(current_A, low, wanted_V), mode
        return DriveCurrent(-current_A, wanted_V, high), mode

    def _set_variable(self, params: dict[str, Any]) -> str:
        if params["VarNum"] not in range(1, 16):
            raise MacNetError("Illegal value")
        self.variables[params["Chan"]][params["VarNum"]] = single(float(params["Value"]))
        return "OK"

    def _set_safety(self, channel: StoredProcedureChannel, params: dict[str, Any]) -> dict[str, Any]:
        names = ("VSafeMax", "VSafeMin", "ISafeChg", "ISafeDis", "PBatSafeChg", "PBatSafeDis")
        kept = {name: single(float(params[name])) for name in names}
        channel.safety = Safety(kept["VSafeMin"], kept["VSafeMax"], kept["ISafeChg"], kept["ISafeDis"])
        return kept


_PARTS = (("Major", 3), ("Minor", 2), ("Build", 18))


def single(value: float) -> float:
    """As the tester keeps it: in single precision."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _result(done: bool, otherwise: str) -> str:
    return "OK" if done else otherwise


def _error(message: str, number: object) -> dict[str, Any]:
    code = -32700 if message == "Parse error" else -32602
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": number}
