"""Broken files: whatever they are, the answer is a `DocumentError` that names the file, never a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import interop
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from tests.protocols.interop.helpers import GOLDEN

READABLE = [name for name, one in interop.FORMATS.items() if one.can_read]
GOOD = {
    "unicycler": (GOLDEN / "cycling.json").read_bytes(),
    "neware": (GOLDEN / "unicycler.xml").read_bytes(),
    "pybamm": b'import pybamm\ncycle = ("Charge at 1 C until 4.2 V", "Rest for 1 hour")\n'
    b'pybamm.Experiment([cycle] * 3 + ["Hold at 4 V for 1 hour or until C/50 (1 minute period)"], period="10 s")\n',
}


def _try(data: bytes, name: str) -> None:
    """What is read is well-formed in our own language, too."""
    try:
        text = interop.read(data, name, "broken").text
    except DocumentError as error:
        assert error.problems and all(problem.file == "broken" for problem in error.problems)
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in error.problems)
    else:
        parse_protocol(text, "ours.yaml")


@pytest.mark.parametrize("name", READABLE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_files_with_a_piece_changed(name: str, data: st.DataObject) -> None:
    good = GOOD[name]
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(len(good), begin + 30)))
    _try(good[:begin] + data.draw(st.binary(max_size=8) | st.sampled_from(_PIECES)) + good[end:], name)


_PIECES = [b"-1", b"0", b"1e999", b"nan", b'""', b"null", b"{}", b"[]", b"</", b'"', b"(", b"\xff", b"\x00", b"$", b"*"]


@pytest.mark.parametrize("name", READABLE)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything(name: str, data: bytes) -> None:
    _try(data, name)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(width=16)
    | st.sampled_from(["", "x", "C/3", "1e9", "D/0", "${x}", "\x1f", "\ud800"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from("ab"), inside, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 15), value=_values, data=st.data())
def test_a_value_of_a_unicycler_file_that_is_something_else(index: int, value: Any, data: st.DataObject) -> None:
    content = json.loads(GOOD["unicycler"])
    part = data.draw(
        st.sampled_from([content["method"][index], content["safety"], content["record"], content["sample"]])
    )
    part[data.draw(st.sampled_from(sorted(part)))] = value
    _try(json.dumps(content).encode(), "unicycler")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("unicycler", b"[" * 100_000),
        ("unicycler", b'{"a":' * 3000 + b"1" + b"}" * 3000),
        ("unicycler", b'{"record": {"time_s": ' + b"9" * 5000 + b"}}"),
        ("unicycler", b'{"record": {"time_s": NaN}}'),
        ("neware", b"<a>" * 100_000),
        ("neware", b'<?xml version="1.0" encoding="utf-16"?><root/>'),
        ("pybamm", b"(" * 100_000),
        ("pybamm", b"x = " + b"-" * 100_000 + b"1"),
        ("pybamm", b"[" + b"'Rest for 1 s'," * 100 + b"] * 1000000000"),
        ("pybamm", b"a = ['Rest for 1 s'] * 1000000\nb = [" + b"*a, " * 1000 + b"]"),
        ("pybamm", b'["Rest for 1' + b"0" * 400 + b' s"]'),
        ("pybamm", b'["Rest for 1 s"] * 1e400'),
        ("pybamm", b'pybamm.Experiment(["Rest for 1 s"] * (2 ** 9999999))'),
    ],
)
def test_enormous_ones(name: str, data: bytes) -> None:
    _try(data, name)
