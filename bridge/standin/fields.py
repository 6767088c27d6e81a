"""What a stand-in model's fields are, and how values go in and come out as Odoo's do.

The one rule: values come out exactly as the real server gives them: False for "empty", UTC without
a zone, whole seconds, a many2one as ``[id, name]``; and go in as strictly as it takes them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

FORMAT = "%Y-%m-%d %H:%M:%S"

Kind = Literal[
    "char", "float", "integer", "boolean", "datetime", "many2one", "one2many", "image", "selection"
]


class Fault(Exception):
    """What the server answers instead of a result: the class's full name and its text."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


def validation(message: str) -> Fault:
    return Fault("odoo.exceptions.ValidationError", message)


def user_error(message: str) -> Fault:
    return Fault("odoo.exceptions.UserError", message)


@dataclass(frozen=True, slots=True)
class Field:
    """`relation`: the other model; `inverse`: its field that points back (one2many); `related`:
    ``many2one.field``, kept there; `secret`: for some groups only; `size`: of a scaled image.
    """

    kind: Kind
    label: str = ""
    relation: str = ""
    inverse: str = ""
    related: str = ""
    required: bool = False
    default: Any = None
    secret: bool = False
    size: int = 0


def taken_in(field: Field, value: Any) -> Any:
    """The stored form: None for empty, datetimes as such. Raises what Python does, or `Fault`."""
    if value is False and field.kind != "boolean":
        return None
    match field.kind:
        case "datetime":
            return datetime.strptime(value, FORMAT)  # noqa: DTZ007 - Odoo's are UTC without a zone
        case "float":
            return float(value)
        case "integer" | "many2one":
            return int(value)
        case "boolean":
            return bool(value)
        case "char" | "selection":
            return str(value)
    return value


def given_out(field: Field, value: Any) -> Any:
    """What a client reads (many2one and images are dealt with where records are known)."""
    if value is None:
        return 0.0 if field.kind == "float" else 0 if field.kind == "integer" else False
    if isinstance(value, datetime):
        return value.strftime(FORMAT)
    return value
