"""Foreign texts that know where each of their parts stands: JSON and XML."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import Any, NoReturn
from xml.parsers import expat

from protocols.document import Document, DocumentError, Place, Problem

_SPACE = re.compile(r"[ \t\n\r]*")
_DECLARED = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([\w.-]+)[\"']")


def decoded(data: bytes, file: str, encoding: str = "utf-8-sig") -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError([Problem(file, 1, 1, f"is not {encoding} text (byte {error.start})")]) from None


# --- JSON


class JsonDocument(Document):
    """A parsed JSON file, with the places of its keys."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        try:
            self.data: Any = json.loads(text, parse_constant=_no_number)
        except json.JSONDecodeError as error:
            raise DocumentError([Problem(file, error.lineno, error.colno, f"is not JSON: {error.msg}")]) from None
        except RecursionError:
            raise DocumentError([Problem(file, 1, 1, "is nested too deeply")]) from None
        except ValueError as error:  # NaN, or an integer of thousands of digits
            raise DocumentError([Problem(file, 1, 1, f"is not JSON: {error}")]) from None

    @functools.cached_property
    def _offsets(self) -> dict[Place, int]:
        found: dict[Place, int] = {(): 0}
        with contextlib.suppress(RecursionError):
            _scan(self.text, 0, (), found)
        return found

    def _position(self, place: Place) -> tuple[int, int]:
        here: Place = ()
        for key in place:  # pydantic names the kind of a step among the keys
            if (*here, key) in self._offsets:
                here = (*here, key)
        before = self.text[: self._offsets[here]].split("\n")
        return len(before), len(before[-1]) + 1


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _scan(text: str, index: int, place: Place, found: dict[Place, int]) -> int:
    """Note where each part of a correct JSON text begins; returns the end of the value at `index`."""
    index = _skip(text, index)
    found[place] = index
    if text[index] not in "{[":
        return JSONDecoder().raw_decode(text, index)[1]
    close = "}" if text[index] == "{" else "]"
    number = 0
    index = _skip(text, index + 1)
    while text[index] != close:
        key: str | int = number
        start = index
        if close == "}":
            key, index = JSONDecoder().raw_decode(text, index)
            index = _skip(text, index) + 1  # the colon
        index = _skip(text, _scan(text, index, (*place, key), found))
        found[(*place, key)] = start
        index = _skip(text, index + 1) if text[index] == "," else index
        number += 1
    return index + 1


def _skip(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    assert match is not None
    return match.end()


# --- XML


@dataclass(frozen=True)
class XmlDocument:
    """A parsed XML file; elements know their lines and columns, which count from 1."""

    file: str
    root: ET.Element
    places: dict[ET.Element, tuple[int, int]]

    def place(self, element: ET.Element) -> tuple[int, int]:
        return self.places[element]


def xml_document(data: bytes, file: str) -> XmlDocument:
    """Raises `DocumentError`. A document type is refused: entities could make a small file enormous."""
    declared = _DECLARED.match(data)
    marked = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    encoding = declared[1].decode("ascii") if declared else marked
    try:
        text = decoded(data, file, encoding)
    except LookupError:
        raise DocumentError([Problem(file, 1, 1, f"is in an encoding that is not known, '{encoding}'")]) from None
    parser, builder = expat.ParserCreate("utf-8"), ET.TreeBuilder()
    places: dict[ET.Element, tuple[int, int]] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        element = builder.start(name, attributes)
        places[element] = (parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    def refuse(*_: object) -> NoReturn:
        said = "has a document type (<!DOCTYPE …>), which a step file does not need"
        raise DocumentError([Problem(file, parser.CurrentLineNumber, 1, said)])

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        said = f"is not XML: {expat.errors.messages[error.code]}"
        raise DocumentError([Problem(file, error.lineno, error.offset + 1, said)]) from None
    return XmlDocument(file, builder.close(), places)
