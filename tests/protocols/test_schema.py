"""What an editor says of a file while it is typed: it knows every key and short form, and marks plain mistakes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from protocols import language, library, schema
from protocols.cell import Cell, Reference, parse_cell
from protocols.compile import parse_protocol
from protocols.document import Document, DocumentError
from protocols.limits import LimitsModel
from station import examples

HEAD = "protocol: x\nparameters: {a: 1}\nsteps:\n"
CELL = "cell: x\n"


protocol_schema, cell_schema = functools.cache(schema.protocol_schema), functools.cache(schema.cell_schema)


@functools.cache
def of_protocols() -> Draft202012Validator:
    return Draft202012Validator(protocol_schema())


@functools.cache
def of_cells() -> Draft202012Validator:
    return Draft202012Validator(cell_schema())


def said(validator: Draft202012Validator, text: str) -> list[str]:
    return [error.message for error in validator.iter_errors(Document(text, "f.yaml").data)]


# --- the published files


def test_the_published_files_are_what_the_models_say() -> None:
    hint = "cellstation protocol schema > protocols/protocol.schema.json, and with --cell > protocols/cell.schema.json"
    assert schema.PROTOCOL_FILE.read_text(encoding="utf-8") == schema.text(protocol_schema()), hint
    assert schema.CELL_FILE.read_text(encoding="utf-8") == schema.text(cell_schema()), hint


def test_they_are_json_schemas_of_the_dialect_that_they_name() -> None:
    for made in (protocol_schema(), cell_schema()):
        Draft202012Validator.check_schema(made)
        assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert made["$id"].startswith("urn:cellstation:schema:")
        assert made["title"]
    assert protocol_schema()["$id"] != cell_schema()["$id"]


def test_every_key_that_is_a_text_with_a_unit_shows_how_it_is_written() -> None:
    def texts(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, list):
            for part in node:
                yield from texts(part)
        elif isinstance(node, dict):
            if "pattern" in node and node.get("type") == "string":
                yield node
            for part in node.values():
                yield from texts(part)

    found = [*texts(protocol_schema()), *texts(cell_schema())]
    assert len(found) > 100
    assert all(one["examples"] and one["description"] for one in found)


def test_no_definition_has_lost_its_rule() -> None:
    """The tables of short forms and of keys that exclude each other name models and keys that are there."""
    protocol, cell = protocol_schema()["$defs"], cell_schema()["$defs"]
    definitions = protocol | cell
    for table in (schema._SHORT_FORMS, schema._EXACTLY_ONE, schema._AT_LEAST_ONE, schema._NEEDS, schema.EXAMPLES):
        assert set(table) <= set(definitions)
    for name, keys in (schema._EXACTLY_ONE | schema._AT_LEAST_ONE).items():
        model = definitions[name]
        properties = (model if "properties" in model else model["anyOf"][-1])["properties"]
        assert set(keys) <= set(properties)


@pytest.mark.parametrize("name", sorted(schema.EXAMPLES))
def test_its_examples_are_read(name: str) -> None:
    models: dict[str, type] = {"Reference": Reference, "LimitsModel": LimitsModel}
    definitions = protocol_schema()["$defs"] | cell_schema()["$defs"]
    definition = definitions[name]
    adapter = TypeAdapter(models.get(name) or getattr(language, name))
    validator = Draft202012Validator({**definition, "$defs": definitions})
    for example in definition["examples"]:
        assert adapter.validate_python(example)
        assert not list(validator.iter_errors(example))


# --- files that are right


@pytest.mark.parametrize("name", library.names())
def test_library_protocols(name: str) -> None:
    assert said(of_protocols(), library.path(name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", library.cell_names())
def test_library_cells(name: str) -> None:
    assert said(of_cells(), library.cell_path(name).read_text(encoding="utf-8")) == []


def test_what_init_writes() -> None:
    assert said(of_protocols(), examples.PROTOCOL) == []
    assert said(of_cells(), examples.CELL) == []


@pytest.mark.parametrize(
    "step",
    [
        "charge: {at: '${a}', until: [{voltage: 2 V}, {pressure: {above: 1 MPa}, then: end of run}]}",
        "charge: {at: 0.5 C of formation, until: {voltage: {above: 2 V}}}",
        "discharge: {resistance: 100 ohm, until: {all: {voltage: 2 V, time: 1 h}, for: 10 s}}",
        "hold: {at: 0.05 V vs Li+/Li, until: {dI/dt: 1 uA/h}}",
        "hold: {at: 1 V, until: {dI/dt: {below: 1 uA/h, over: 10 min}, state_of_charge: {above: 50 %}}}",
        "{rest: {for: 1 h}, every: 10 cycles, first: 100, after: 3 passes, name: a}",
        "{repeat: '${a}', until: {retention: 80 %}, steps: [{rest: {for: 1 h}}]}",
        "{repeat: 3, until: {retention: {below: 80 %, of_cycle: 3 cycles}}, steps: [{rest: {for: 1 h}}]}",
        "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 0.1 mA, points_per_decade: '${a}'}",
        "pulse: {direction: '${a}', at: 1C, for: 10 s}",
        "temperature: {set: 60 °C, within: 0.5 K}",
        "temperature: {set: 60 degC, within: 0.5 delta_degC}",
        "prompt: {say: 'Close it.', at_most: 1 day}",
        "marker: {name: scan, trigger: true}",
        "include: {file: a.yaml, set: {cycles: 3, rate: 0.2 C, factor: 0.5}}",
        "include: a.yaml",
        "profile: {file: a.csv, scale: 2, for: 90 minutes}",
        "stack_pressure: {set: 50 bar, within: 1e5 Pa}",
    ],
)
def test_short_forms_lists_and_parameters(step: str) -> None:
    text = f"{HEAD}  - {step}\n"
    assert said(of_protocols(), text) == []
    filled = (
        text.replace("direction: '${a}'", "direction: both").replace("{at: '${a}'", "{at: 1 mA").replace("${a}", "1")
    )
    parse_protocol(filled.replace("parameters: {a: 1}\n", ""), files={"a.yaml": INCLUDED, "a.csv": CURRENTS})


INCLUDED = """\
protocol: y
parameters: {cycles: 1, rate: 1 C, factor: 1}
steps:
  - repeat: ${cycles}
    steps: [{charge: {at: '${rate}', for: 1 h}}, {profile: {file: a.csv, scale: '${factor}'}}]
"""
CURRENTS = "time / s,current / A\n0,0.001\n10,0\n"


@pytest.mark.parametrize("reference", ["Li", "Li-In", "{name: LTO, potential: 1.55 V}"])
def test_cells_with_a_reference(reference: str) -> None:
    text = f"{CELL}reference: {reference}\nstate_of_charge: 0 %\nstack_pressure: 5 MPa\n"
    assert said(of_cells(), text) == []
    assert isinstance(parse_cell(text), Cell)


# --- mistakes


@pytest.mark.parametrize(
    "step",
    [
        "rset: {for: 1 h}",
        "rest: {fro: 1 h}",
        "rest: {for: 1}",
        "rest: {for: 1 zz}",
        "rest: {for: -}",
        "rest: 1 h",
        "rest: {for: 1 V}",
        "charge: {until: {voltage: 2 V}}",
        "charge: {at: 1 mA, power: 1 mW, for: 1 h}",
        "charge: {power: 1 mW, hold: 3 V, for: 1 h}",
        "charge: {at: 1, for: 1 h}",
        "charge: {at: 1 V, for: 1 h}",
        "charge: {at: 1 mA, until: {voltage: 2 A}}",
        "charge: {at: 1 mA, until: {voltage: {above: 2 V, below: 1 V}}}",
        "charge: {at: 1 mA, until: {voltage: {}}}",
        "charge: {at: 1 mA, until: {pressure: 600 kPa}}",
        "charge: {at: 1 mA, until: {pressure: {}}}",
        "charge: {at: 1 mA, until: {pressure: {over: 600 kPa}}}",
        "charge: {at: 1 mA, until: {capacity: 3 V}}",
        "charge: {at: 1 mA, until: {state_of_charge: 50}}",
        "charge: {at: 1 mA, until: {retention: 80}}",
        "charge: {at: 1 mA, until: {dV/dt: {over: 1 h}}}",
        "charge: {at: 1 mA, until: [{voltage: 2 V, than: trip}]}",
        "charge: {at: 1 mA, until: {cycles: 0}}",
        "hold: {for: 1 h}",
        "hold: {at: 1 V, limit: 1 V, for: 1 h}",
        "impedance: {from: 1 MHz, to: 0.1 Hz}",
        "impedance: {from: 1 MV, to: 0.1 Hz, amplitude: 10 mV}",
        "impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10}",
        "impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 s}",
        "impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, points_per_decade: 0}",
        "impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, points_per_decade: ten}",
        "impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, staircase: {at: 1 mA}}",
        "gitt: {direction: up, at: 1 mA, pulse: 10 min, rest: 1 h, until: {voltage: 3 V}}",
        "gitt: {direction: charge, at: 1 mA, pulse: 10 min, rest: 1 h}",
        "pitt: {from: 3 V, to: 4 V}",
        "current_ramp: {from: 1 mA, to: 2 mA, step: 1 mA, for: 1 h, capacity: 1 mAh, stop: {voltage_drop: 50 mV}}",
        "condition_pressure: {at_most: 1 h}",
        "temperature: {set: 60 K, within: 1 s}",
        "temperature: {within: 1 K}",
        "prompt: ''",
        "prompt: {at_most: 1 h}",
        "marker: {trigger: true}",
        "include: {set: {a: 1}}",
        "profile: {scale: 2}",
        "profile: {file: a.csv, scale: -1}",
        "{rest: {for: 1 h}, hold: {at: 1 V}}",
        "{rest: {for: 1 h}, repeat: 3}",
        "{rest: {for: 1 h}, until: {retention: 80 %}}",
        "{rest: {for: 1 h}, every: often}",
        "{rest: {for: 1 h}, every: 0}",
        "{rest: {for: 1 h}, name: ''}",
        "{rest: {for: 1 h}, markers: [{name: x}]}",
        "{rest: {for: 1 h}, record: {every: 1 s, change: 5 mV}}",
        "{repeat: 0, steps: [{rest: {for: 1 h}}]}",
        "{repeat: 2, steps: []}",
        "{repeat: 2, steps: {rest: {for: 1 h}}}",
        "{name: nothing}",
        "rest",
    ],
)
def test_a_mistake_in_a_step_is_marked(step: str) -> None:
    text = f"protocol: x\nsteps:\n  - {step}\n"
    assert said(of_protocols(), text) != []
    with pytest.raises(DocumentError):
        parse_protocol(text)


@pytest.mark.parametrize(
    "text",
    [
        "steps:\n  - rest: {for: 1 h}\n",
        "protocol: x\n",
        "protocol: x\nsteps: []\n",
        "protocol: 5\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nlimit: {}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nlimits: {voltage: 2 V}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nlimits: {voltage: [1 V]}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nlimits: {voltage: [1 V, 2 A]}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nlimits: {pressure: {over: 1 MPa}}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nrecord: {every: 30}\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nparameters: [1]\nsteps:\n  - rest: {for: 1 h}\n",
        "protocol: x\nmarkers: [{name: x, every: 1 h, at: 1 h}]\nsteps:\n  - rest: {for: 1 h}\n",
    ],
)
def test_a_mistake_around_the_steps_is_marked(text: str) -> None:
    assert said(of_protocols(), text) != []
    with pytest.raises(DocumentError):
        parse_protocol(text)


@pytest.mark.parametrize(
    "line",
    [
        "active_mass: 1",
        "active_mass: 1 V",
        "electrode_area: 1 A",
        "nominal_capacity: 4 V",
        "refernce: Li",
        "reference: {potential: 1 V}",
        "state_of_charge: half",
        "cells_in_series: 0",
        "limits: {current: 1 V}",
    ],
)
def test_a_mistake_in_a_cell_is_marked(line: str) -> None:
    assert said(of_cells(), f"{CELL}{line}\n") != []
    with pytest.raises(DocumentError):
        parse_cell(f"{CELL}{line}\n")
