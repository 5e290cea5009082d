"""JSON Schemas of protocol and cell files, with which editors complete and check them while they are typed.

They are made from the models that read the files, so they know every key. What they let pass may still be wrong:
`cellstation protocol check` decides. The published files beside this one are what `text` gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocols.cell import Cell
from protocols.language import KEYWORDS, THEN, ProtocolFile, Step

PROTOCOL_FILE = Path(__file__).with_name("protocol.schema.json")
CELL_FILE = Path(__file__).with_name("cell.schema.json")

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARAMETER = r"\$\{"
_DROPPED = ("title", "gt", "ge", "le")
"""Names of pydantic's own making, and what it says of numbers that are written as texts with a unit."""
_PLAIN_VALUE = [{"type": "integer"}, {"type": "number"}, {"type": "string"}]

_SHORT_FORMS: Mapping[str, str] = {
    "VoltageEnd": "at",
    "StateOfChargeEnd": "at",
    "RetentionEnd": "below",
    "VoltageSlope": "below",
    "CurrentSlope": "below",
    "PressureSlope": "below",
    "Marker": "name",
    "Procedure": "run",
    "Prompt": "say",
    "Include": "file",
    "Reference": "name",
}
"""Mappings for which the value of one key may stand alone."""

_EXACTLY_ONE: Mapping[str, tuple[str, ...]] = {
    "Step": Step.TECHNIQUES,
    "VoltageEnd": ("at", "above", "below"),
    "StateOfChargeEnd": ("at", "above", "below"),
    "Drive": ("at", "power", "resistance"),
    "MarkerRule": ("at", "every", "state_of_charge"),
    "StaircaseOf": ("potential", "state_of_charge"),
    "CurrentRamp": ("for", "capacity"),
}
_AT_LEAST_ONE: Mapping[str, tuple[str, ...]] = {
    "PressureEnd": ("above", "below"),
    "TemperatureEnd": ("above", "below"),
    "NetCapacityEnd": ("above", "below"),
    "EfficiencyEnd": ("above", "below"),
    "PressureConditioning": ("reach", "stable"),
}
_NEEDS: Mapping[str, Mapping[str, list[str]]] = {
    "Step": {"repeat": ["steps"], "until": ["repeat"]},
    "Drive": {"hold": ["at"]},
}

EXAMPLES: Mapping[str, list[Any]] = {
    "Rest": [{"for": "4 h"}, {"for": "12 h", "until": {"dV/dt": {"below": "1 mV/h", "over": "10 min"}}}],
    "Drive": [
        {"at": "0.2 C", "until": {"voltage": "2 V"}},
        {"at": "1 mA/cm^2", "hold": "4.2 V", "until": {"current": "C/50"}},
        {"power": "5 mW", "until": {"voltage": "2.5 V"}},
    ],
    "Hold": [{"at": "2 V", "until": {"current": "C/50"}}],
    "Chronoamperometry": [{"at": "10 mV vs OCV", "for": "2 h"}],
    "Chronopotentiometry": [{"at": "-0.1 mA", "for": "1 h"}],
    "LinearSweep": [{"to": "5 V", "rate": "0.1 mV/s"}],
    "CyclicVoltammetry": [{"from": "2 V", "to": "0.05 V", "back": "2 V", "rate": "0.1 mV/s", "cycles": 3}],
    "Impedance": [{"from": "1 MHz", "to": "0.1 Hz", "amplitude": "10 mV", "points_per_decade": 10}],
    "StaircaseOf": [{"potential": ["0.1 V", "0.5 V"]}, {"state_of_charge": ["0 %", "50 %", "100 %"], "at": "0.1 C"}],
    "Gitt": [{"direction": "charge", "at": "0.1 C", "pulse": "10 min", "rest": "2 h", "until": {"voltage": "2 V"}}],
    "Pitt": [{"from": "3 V", "to": "4.2 V", "step": "10 mV", "until": {"current": "C/100"}}],
    "Pulse": [{"direction": "both", "at": "1 C", "for": "10 s"}],
    "CurrentRamp": [
        {
            "from": "0.1 mA/cm^2",
            "to": "2 mA/cm^2",
            "step": "0.1 mA/cm^2",
            "for": "1 h",
            "stop": {"short_circuit": {"drop": "50 %"}},
        }
    ],
    "Profile": [{"file": "drive-cycle.csv", "scale": 0.5}],
    "PressureConditioning": [{"stable": {"below": "2 kPa/h", "over": "30 min"}, "at_most": "24 h"}],
    "SetTemperature": [{"set": "60 degC", "within": "1 K", "for": "1 h"}],
    "SetStackPressure": [{"set": "5 MPa", "within": "0.1 MPa"}],
    "Procedure": ["FORM-C10"],
    "Prompt": ["Close the valve, then confirm."],
    "Marker": ["photo"],
    "Include": ["formation.yaml", {"file": "formation.yaml", "set": {"cycles": 3}}],
    "AnyOf": [{"voltage": "2 V"}, {"pressure": {"above": "600 kPa"}, "for": "10 s", "then": "end of run"}],
    "Record": [{"every": "30 s", "change": ["5 mV", "2 kPa"]}],
    "MarkerRule": [
        {"name": "photo", "every": "20 min"},
        {"name": "scan", "state_of_charge": ["50 %"], "trigger": True},
    ],
    "LimitsModel": [{"voltage": ["-0.05 V", "2.2 V"], "current": "5 mA", "pressure": {"above": "1.5 MPa"}}],
    "Reference": ["Li-In", {"name": "LTO", "potential": "1.55 V"}],
}


def protocol_schema() -> dict[str, Any]:
    """Of a protocol file; where a value stands, a parameter may stand: ${cycles}."""
    made = ProtocolFile.model_json_schema(by_alias=True)
    return _published(made, "protocol", "A protocol of Cellstation", parameters=True)


def cell_schema() -> dict[str, Any]:
    """Of a cell file."""
    return _published(Cell.model_json_schema(by_alias=True), "cell", "A cell of Cellstation", parameters=False)


def text(schema: Mapping[str, Any]) -> str:
    """As it is published."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _published(made: dict[str, Any], name: str, title: str, *, parameters: bool) -> dict[str, Any]:
    definitions = {key: _definition(key, value, parameters) for key, value in made.pop("$defs").items()}
    head = {"$schema": _DIALECT, "$id": f"urn:cellstation:schema:{name}", "title": title}
    return head | _tidied(made, parameters) | {"$defs": definitions}


def _definition(name: str, made: dict[str, Any], parameters: bool) -> dict[str, Any]:
    if name == "Amplitude":
        made = _amplitude(made["description"])
    tidied = _tidied(made, parameters)
    if keys := _EXACTLY_ONE.get(name):
        tidied["oneOf"] = [{"required": [key]} for key in keys]
    if keys := _AT_LEAST_ONE.get(name):
        tidied["anyOf"] = [{"required": [key]} for key in keys]
    if needs := _NEEDS.get(name):
        tidied["dependentRequired"] = dict(needs)
    if (key := _SHORT_FORMS.get(name)) is not None:
        description = tidied.pop("description")
        tidied = {"description": description, "anyOf": [tidied["properties"][key], tidied]}
    if name in EXAMPLES:
        tidied["examples"] = EXAMPLES[name]
    return tidied


def _amplitude(description: str) -> dict[str, Any]:
    """Read from one text, whose unit says which of both it is."""
    return {
        "type": "string",
        "description": description,
        "pattern": r"^\s*\+?[\d.]+(?:[eE][-+]?\d+)?\s*\D*?(?:[vV]|A|amp)",
        "examples": ["10 mV", "0.1 mA"],
    }


def _tidied(schema: Mapping[str, Any], parameters: bool) -> dict[str, Any]:
    """Without pydantic's own words; null is not written; a list of ends may be one, and a value a parameter."""
    tidied = {key: value for key, value in schema.items() if key not in _DROPPED}
    if not (isinstance(default := tidied.get("default"), str | int) and default != ""):
        tidied.pop("default", None)
    for key in ("items", "additionalProperties"):
        if isinstance(tidied.get(key), dict):
            tidied[key] = _tidied(tidied[key], parameters)
    for key in ("anyOf", "prefixItems"):
        if key in tidied:
            tidied[key] = [_tidied(part, parameters) for part in tidied[key] if part != {"type": "null"}]
    if "properties" in tidied:
        tidied["properties"] = {name: _tidied(part, parameters) for name, part in tidied["properties"].items()}
    if schema.get("anyOf") == _PLAIN_VALUE:
        return {"type": ["number", "string"]}
    if len(tidied.get("anyOf", ())) == 1:
        tidied = _merged(tidied)
    if tidied.get("items") == {"$ref": "#/$defs/AnyOf"}:
        tidied = _one_or_more(tidied)
    if tidied.get("description", "").endswith(THEN):
        tidied["examples"] = list(KEYWORDS)
    return _or_parameter(tidied) if parameters else tidied


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """What was there or null: itself, with both descriptions."""
    (option,) = schema.pop("anyOf")
    said = [one["description"] for one in (schema, option) if "description" in one]
    return {**option, **schema, **({"description": "; ".join(said)} if said else {})}


def _one_or_more(schema: dict[str, Any]) -> dict[str, Any]:
    array = {key: schema.pop(key) for key in ("type", "items")}
    return {**schema, "anyOf": [array["items"], array]}


def _or_parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """Texts that must look like something may be a parameter too, and so may numbers and words of a choice."""
    if "pattern" in schema and _PARAMETER not in schema["pattern"]:
        return {**schema, "pattern": f"(?:{schema['pattern']})|{_PARAMETER}"}
    if schema.get("type") in ("integer", "number"):
        return {**schema, "type": [schema["type"], "string"], "pattern": _PARAMETER}
    if "enum" in schema:
        words = schema.pop("enum")
        return {**schema, "anyOf": [{"enum": words}, {"pattern": _PARAMETER}]}
    return schema
