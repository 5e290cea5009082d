"""tomato payload 2.2. The text was accepted by dgbowl-schemas' `Payload` of that version."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from protocols.document import DocumentError
from tests.protocols.interop.helpers import remarks, written


def _payload(steps: str, **kwargs: Any) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(written(steps, "tomato", **kwargs).text))


def test_a_payload() -> None:
    steps = """
- rest: {for: 10 min}
- repeat: 2
  steps:
    - charge: {at: 0.5 C, for: 3 h, until: {voltage: 4.2 V}}
    - hold: {at: 4.2 V, for: 1 h, until: {current: C/20}}
    - discharge: {at: 9 mA, for: 6 h, until: {voltage: 2.5 V}}
"""
    payload = _payload(steps)
    assert payload["version"] == "2.2"
    assert payload["user"] == {"identifier": "$USER"} and payload["sample"] == {"identifier": "$SAMPLE"}
    method = payload["method"]
    cycle = [
        ("constant_current", 10800, {"current": 0.0225, "limit_voltage_max": 4.2}),
        ("constant_voltage", 3600, {"voltage": 4.2, "limit_current_min": 0.00225}),
        ("constant_current", 21600, {"current": -0.009, "limit_voltage_min": 2.5}),
    ]
    found = [(task["technique_name"], task["max_duration"], task.get("task_params")) for task in method]
    assert found == [("open_circuit_voltage", 600, None), *cycle, *cycle]
    assert {task["component_role"] for task in method} == {"cycler"}
    assert {task["sampling_interval"] for task in method} == {30}


def test_a_hold_after_a_discharge_ends_at_a_negative_current() -> None:
    hold = _payload("- discharge: {at: 9 mA, hold: 2.5 V, until: {current: 1 mA}}")["method"][1]
    assert hold["task_params"] == {"voltage": 2.5, "limit_current_max": -0.001}


def test_a_hold_never_goes_without_its_end() -> None:
    with pytest.raises(DocumentError, match="charges or discharges cannot be told here, and its end depends on it"):
        written("- hold: {at: 2.5 V, until: {current: 1 mA}}", "tomato")
    assert _payload("- hold: {at: 2.5 V, for: 1 h}")["method"][0]["task_params"] == {"voltage": 2.5}


def test_a_task_without_a_time_is_given_one_and_that_is_said() -> None:
    converted = written("- charge: {at: C/10, until: {voltage: 4.2 V}}", "tomato")
    assert "max_duration: 72000" in converted.text
    assert "3: approximated: a task needs a time: it ends after 72000 s at the latest" in remarks(converted)


def test_too_many_tasks() -> None:
    with pytest.raises(DocumentError, match="there would be more than 2000 of them"):
        written("- repeat: 3000\n  steps:\n    - rest: {for: 1 min}", "tomato")


def test_limits_are_said_to_be_left_out() -> None:
    head = "limits: {voltage: [2 V, 4.5 V], current: 50 mA}\n"
    assert remarks(written("- rest: {for: 1 min}", "tomato", head=head))[:3] == [
        "1: left out: the limit of voltage at 2 V",
        "1: left out: the limit of voltage at 4.5 V",
        "1: left out: the limit of current at 0.05 A",
    ]
