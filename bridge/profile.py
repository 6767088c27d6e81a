"""What a kind of Odoo calls what the bridge reads and writes, and what a fact does there.

The one rule: names of models and fields stand in `profiles/*.toml`, one file a profile, and never
in code that serves more than one kind of Odoo. What a profile leaves out does not take place.
"""

import tomllib
from importlib.resources import files
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from bridge import effects
from mqtt.messages import Verdict

FOLDER = files("bridge") / "profiles"


def _effect(name: str) -> str:
    if name not in effects.names():
        raise ValueError(f"no such effect; there are: {', '.join(effects.names())}")
    return name


Effect = Annotated[str, AfterValidator(_effect)]


def _domain(value: list[Any]) -> list[Any]:
    """Complete by itself: domains stand side by side, and an "|" that lacks a term would take one
    of its neighbour's and open what that one closes.
    """
    lacking = 0
    for term in value:
        if isinstance(term, str) and term in ("&", "|", "!"):
            lacking = max(lacking, 1) + (term != "!")
        elif (
            isinstance(term, list) and len(term) == 3 and all(isinstance(t, str) for t in term[:2])
        ):
            lacking = max(lacking, 1) - 1
        else:
            raise ValueError(
                'an Odoo domain is a list of ["field", "operator", value] and of "&", "|", "!"'
            )
    if lacking:
        raise ValueError('in an Odoo domain two terms follow each "&" and "|", and one each "!"')
    return value


Domain = Annotated[list[Any], AfterValidator(_domain)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effects(_Table):
    """The module of `bridge.effects` that applies facts of a kind."""

    badge: Effect = "record"
    label: Effect = "record"
    photo: Effect = "image"


class People(_Table):
    """Where badges are: "" stands for a field that this Odoo does not have.

    Who may not shop (`may_shop`, a boolean) is stopped; of the others `verdicts` says by `state`
    what is shown, and stops those whose state it does not name.
    """

    model: str
    badge: str
    name: str
    language: str = ""
    photo: str = ""
    domain: Domain = []
    may_shop: str = ""
    state: str = ""
    verdicts: dict[str, Verdict] = {}

    @model_validator(mode="after")
    def _judged_by_something(self) -> Self:
        if bool(self.state) != bool(self.verdicts):
            raise ValueError("state and verdicts: one needs the other")
        return self


class NextShiftNames(_Table):
    """Records with a `person` (a many2one; "id" when a person's own record has it) and the time
    `at` which their shift begins. The earliest that is to come is shown to the member.
    """

    model: str
    person: str
    at: str
    domain: Domain = []


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
    domain: Domain = []


class UnitNames(_Table):
    model: str
    name: str
    rounding: str


class NomenclatureNames(_Table):
    """The effective nomenclature is what `field` of `holder` points at.

    The holder is our company; or, with `company`, every record whose field of that name is it.
    """

    holder: str
    field: str
    company: str = ""
    model: str
    conversion: str
    rules: str
    rule_of: str


class Profile(_Table):
    effects: Effects = Effects()
    member: People | None = None
    next_shift: NextShiftNames | None = None
    employee: People | None = None
    attendance: AttendanceNames | None = None
    product: ProductNames | None = None
    unit: UnitNames | None = None
    nomenclature: NomenclatureNames | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        shelf = ("product", "unit", "nomenclature")
        needs = dict.fromkeys(shelf, "each other") if self._any(shelf) else {}
        for kind, name in self.effects:
            needs |= dict.fromkeys(effects.load(name).NEEDS, f'{kind} = "{name}"')
        for table, for_what in needs.items():
            if not self._any((table,)):
                raise ValueError(f"[{table}] is missing, needed by {for_what}")
        return self

    def _any(self, tables: tuple[str, ...]) -> bool:
        return any(getattr(self, table) is not None for table in tables)


def names() -> list[str]:
    """The profiles that exist."""
    return sorted(
        p.name.removesuffix(".toml") for p in FOLDER.iterdir() if p.name.endswith(".toml")
    )


def load(name: str) -> Profile:
    """Read a profile. KeyError: there is none of that name; ValueError: it cannot be used."""
    if name not in names():
        raise KeyError(name)
    content = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        raise ValueError(
            "; ".join(
                f"{'.'.join(map(str, detail['loc'])) or 'the profile'}: "
                + detail["msg"].removeprefix("Value error, ")
                for detail in error.errors()
            )
        ) from None
