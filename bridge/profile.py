"""What a kind of Odoo calls the things that the bridge reads and writes.

The one rule: names of models and fields stand in `profiles/*.toml`, one file a profile, and never
in the code that uses them.
"""

import tomllib
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class People(_Table):
    """Where badges are: "" stands for a field that this Odoo does not have."""

    model: str
    badge: str
    name: str
    language: str = ""
    photo: str = ""
    domain: list[Any] = []


class AttendanceNames(_Table):
    model: str
    employee: str
    check_in: str
    check_out: str


class ProductNames(_Table):
    model: str
    name: str
    number: str
    barcode: str
    price: str
    unit: str
    category: str
    tare: str = ""
    details: str = ""
    domain: list[Any] = []


class UnitNames(_Table):
    model: str
    name: str
    rounding: str


class NomenclatureNames(_Table):
    """The effective nomenclature is what `field` of our company (`holder`) points at."""

    holder: str
    field: str
    model: str
    conversion: str
    rules: str
    rule_of: str


class Profile(_Table):
    member: People
    employee: People
    attendance: AttendanceNames
    product: ProductNames
    unit: UnitNames
    nomenclature: NomenclatureNames


def names() -> list[str]:
    """The profiles that exist."""
    folder = files("bridge") / "profiles"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def load(name: str) -> Profile:
    """Read a profile; KeyError when there is none of that name."""
    if name not in names():
        raise KeyError(name)
    text = (files("bridge") / "profiles" / f"{name}.toml").read_text("utf-8")
    return Profile.model_validate(tomllib.loads(text))
