"""Load-cell transmitters with Modbus whose register map is a file: those that are shipped, and a laboratory's own.

Wire facts: docs/instruments/modbus-load-cell-profile.md (evidence: what each file states). Not run on hardware yet.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.about import About
from drivers.interface import OutOfRange
from drivers.modbus_load_cell import ModbusLoadCell

SHIPPED = files("drivers.profiles")


class RegisterMap(BaseModel):
    """The settings of `ModbusLoadCell` that belong to a kind of transmitter."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    register_: int = Field(alias="register", ge=0, le=65535)
    function: Literal[3, 4] = 3
    dtype: Literal["int16", "int32", "float32"] = "int32"
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    decimals_register: int | None = Field(None, ge=0, le=65535)
    status_register: int | None = Field(None, ge=0, le=65535)
    overload_mask: int = Field(0, ge=0, le=0xFFFF)
    valid_mask: int = Field(0, ge=0, le=0xFFFF)
    negative_mask: int = Field(0, ge=0, le=0xFFFF)
    tare_register: int | None = Field(None, ge=0, le=65535)
    tare_value: int = Field(1, ge=0, le=65535)


class Profile(BaseModel):
    """One file: the transmitter, where its map is written, and the map."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    transmitter: str
    source: str
    unit: Literal["N", "kN", "mN", "gf", "kgf", "lbf"] | None = None
    scale: float | None = None
    map: RegisterMap


class LoadCellByProfile(ModbusLoadCell):
    """Force in N from a transmitter that a profile describes.

    `profile` is the name of a shipped one ("laumas-tlb-gross") or the path of a file of one's own ("my-cell.toml").
    What the profile leaves open because it is set at the transmitter's panel (`unit`, `scale`) must be given here;
    what is given here is used before what the profile states.
    """

    model: ClassVar[str] = "Modbus load-cell transmitter by profile"
    about: ClassVar[About] = About(
        connection="Modbus TCP, Modbus RTU on a serial port or through a serial server",
        evidence="the maker's manual that each profile names; not run on hardware",
        quirks="no transmitter says what it is: a wrong profile reads a wrong force",
    )

    def __init__(
        self,
        address: str,
        *,
        profile: str,
        capacity_N: float,
        unit_id: int = 1,
        unit: Literal["N", "kN", "mN", "gf", "kgf", "lbf", ""] = "",
        scale: float | None = None,
        offset: float = 0.0,
        timeout_s: float = 1.0,
    ) -> None:
        read = read_profile(profile, address)
        self.profile = read
        unit_of_reading, scale = unit or read.unit, read.scale if scale is None else scale
        for name, value in {"unit": unit_of_reading, "scale": scale}.items():
            if value is None:
                raise OutOfRange(
                    f"setting {name} is wanted: at this transmitter ({read.transmitter}) it is set at the panel",
                    instrument=self.model,
                    address=address,
                )
        assert unit_of_reading is not None and scale is not None
        super().__init__(
            address,
            capacity_N=capacity_N,
            unit_id=unit_id,
            unit=unit_of_reading,
            scale=scale,
            offset=offset,
            timeout_s=timeout_s,
            **read.map.model_dump(by_alias=True),
        )

    def identify(self) -> str:
        return f"{super().identify()}, read as {self.profile.transmitter}"


def shipped_profiles() -> list[str]:
    return sorted(path.name.removesuffix(".toml") for path in SHIPPED.iterdir() if path.name.endswith(".toml"))


def read_profile(name: str, address: str = "") -> Profile:
    """Raises `OutOfRange` with what is wrong with the file, and where."""

    def refuse(message: str) -> OutOfRange:
        return OutOfRange(f"setting profile {name!r}: {message}", instrument=LoadCellByProfile.model, address=address)

    if not name.endswith(".toml") and name not in shipped_profiles():
        raise refuse(f"neither the path of a .toml file nor one of {', '.join(shipped_profiles())}")
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        return Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refuse("is no UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise refuse(str(error)) from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise refuse("; ".join(problems)) from None
