"""The models of a stock Odoo that stations and their bridge have to do with, and their rules.

The one rule: what the real server refuses is refused here, with its class and its text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bridge.standin.fields import Field, validation

if TYPE_CHECKING:
    from bridge.standin.database import Database

_BADGE_ID = re.compile(r"[A-Za-z0-9]{1,18}")

Check = Callable[["Database", int, Mapping[str, Any]], None]
"""Called with a record after it was made or changed; raises `Fault`."""


@dataclass(frozen=True, slots=True)
class Model:
    """`keepers`: groups that may write, as the server lists them when it refuses."""

    label: str
    fields: Mapping[str, Field]
    check: Check | None = None
    order: str = "id"
    keepers: tuple[str, ...] = ()
    needs: tuple[str, ...] = field(default=())
    """Values without which `create` stumbles with a KeyError."""


def _many2one(relation: str, label: str = "", *, required: bool = False) -> Field:
    return Field("many2one", label, relation=relation, required=required)


_IMAGES = {
    "image_1920": Field("image"),
    **{f"image_{size}": Field("image", size=size) for size in (1024, 512, 256, 128)},
}


def _partner(db: "Database", record: int, values: Mapping[str, Any]) -> None:
    if values["barcode"] and db.others("res.partner", record, "barcode", values["barcode"]):
        word = "user" if db.version == 16 else "partner"
        raise validation(f"Another {word} already has this barcode")


def _employee(db: "Database", record: int, values: Mapping[str, Any]) -> None:
    badge, pin = values["barcode"], values["pin"]
    if badge and db.version >= 18 and not _BADGE_ID.fullmatch(badge):
        raise validation(
            "The Badge ID must be alphanumeric without any accents and no longer than"
            " 18 characters."
        )
    if pin and not pin.isdigit():
        raise validation("The PIN must be a sequence of digits.")
    if badge and db.others("hr.employee", record, "barcode", badge):
        raise validation(
            "The Badge ID must be unique, this one is already assigned to another employee."
        )


def _attendance(db: "Database", record: int, values: Mapping[str, Any]) -> None:
    """One open row at most, and no row that begins inside another or holds another's begin."""
    begin, end = values["check_in"], values["check_out"]
    if end and end < begin:
        raise validation('"Check Out" time cannot be earlier than "Check In" time.')
    name = db.tables["hr.employee"][values["employee_id"]]["name"]
    others = [
        row
        for number, row in db.tables["hr.attendance"].items()
        if number != record and row["employee_id"] == values["employee_id"]
    ]
    refused = f"Cannot create new attendance record for {name}, the employee "
    before = _last([row for row in others if row["check_in"] <= begin])
    if before and before["check_out"] and before["check_out"] > begin:
        raise validation(f"{refused}was already checked in on {_shown(begin, db.zone)}")
    if not end:
        still_in = _last([row for row in others if not row["check_out"]])
        if still_in:
            raise validation(
                f"{refused}hasn't checked out since {_shown(still_in['check_in'], db.zone)}"
            )
    else:
        within = _last([row for row in others if row["check_in"] < end])
        if within is not None and within is not before:
            raise validation(
                f"{refused}was already checked in on {_shown(within['check_in'], db.zone)}"
            )


def _last(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max(rows, key=lambda row: row["check_in"], default=None)


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return at.replace(tzinfo=UTC).astimezone(zone).strftime("%m/%d/%Y %H:%M:%S")


_ACTIVE = Field("boolean", default=True)
_NAME = Field("char", "Name")
_CHAR = Field("char")

_TEMPLATE: Mapping[str, Field] = {
    "name": _NAME,
    "list_price": Field("float"),
    "uom_id": _many2one("uom.uom"),
    "categ_id": _many2one("product.category"),
    "to_weight": Field("boolean", default=False),
    "sale_ok": Field("boolean", default=True),
    "available_in_pos": Field("boolean", default=True),
    "active": _ACTIVE,
}

MODELS: Mapping[str, Model] = {
    "res.partner": Model(
        "Contact",
        {
            "name": _NAME,
            "barcode": Field("char", "Barcode"),
            "ref": _CHAR,
            "email": _CHAR,
            "lang": Field("selection", default="fr_FR"),
            "is_company": Field("boolean", default=False),
            "active": _ACTIVE,
            **_IMAGES,
        },
        _partner,
        order="name, id",
        keepers=("Extra Rights/Contact Creation", "Inventory/Administrator"),
    ),
    "res.company": Model(
        "Companies",
        {"name": _NAME, "nomenclature_id": _many2one("barcode.nomenclature")},
    ),
    "res.users": Model("User", {"name": _NAME, "company_id": _many2one("res.company")}),
    "hr.employee": Model(
        "Employee",
        {
            "name": _NAME,
            "barcode": Field("char", "Badge ID", secret=True),
            "pin": Field("char", "PIN", secret=True),
            "active": _ACTIVE,
            **_IMAGES,
        },
        _employee,
        order="name, id",
        keepers=("Employees/Officer: Manage all employees",),
        needs=("name",),
    ),
    "hr.attendance": Model(
        "Attendance",
        {
            "employee_id": _many2one("hr.employee", "Employee", required=True),
            "check_in": Field("datetime", "Check In", required=True),
            "check_out": Field("datetime", "Check Out"),
            "in_mode": Field("selection", default="manual"),
            "out_mode": Field("selection", default="manual"),
        },
        _attendance,
        order="check_in desc",
        keepers=("Attendances/Administrator", "Technical/Officer: Manage attendances"),
    ),
    "product.category": Model(
        "Product Category", {"name": _NAME, "complete_name": _CHAR}, order="complete_name"
    ),
    "product.template": Model("Product", _TEMPLATE, keepers=("Inventory/Administrator",)),
    "product.product": Model(
        "Product Variant",
        {
            "product_tmpl_id": _many2one("product.template", required=True),
            "default_code": _CHAR,
            "barcode": _CHAR,
            "active": _ACTIVE,
            "lst_price": Field("float", related="product_tmpl_id.list_price"),
            **{
                name: Field(field.kind, relation=field.relation, related=f"product_tmpl_id.{name}")
                for name, field in _TEMPLATE.items()
                if name != "active"
            },
        },
        order="default_code, id",
        keepers=("Inventory/Administrator",),
    ),
    "uom.category": Model("Product UoM Categories", {"name": _NAME}),
    "uom.uom": Model(
        "Unit of Measure",
        {
            "name": _NAME,
            "factor": Field("float"),
            "rounding": Field("float", default=0.01),
            "category_id": _many2one("uom.category"),
            "uom_type": Field("selection", default="reference"),
        },
    ),
    "barcode.nomenclature": Model(
        "Barcode Nomenclature",
        {
            "name": _NAME,
            "upc_ean_conv": Field("selection", default="always"),
            "rule_ids": Field(
                "one2many", relation="barcode.rule", inverse="barcode_nomenclature_id"
            ),
        },
    ),
    "barcode.rule": Model(
        "Barcode Rule",
        {
            "name": _NAME,
            "barcode_nomenclature_id": _many2one("barcode.nomenclature"),
            "sequence": Field("integer"),
            "type": Field("selection"),
            "encoding": Field("selection"),
            "pattern": _CHAR,
            "alias": Field("char", default="0"),
        },
        order="sequence, id",
    ),
}
