"""The columns of the CSV files: their names, and what a cell of them may hold.

The one rule: a cell that cannot be meant so is refused with what to write instead, and no refusal
repeats a badge number.
"""

import re
from collections.abc import Container
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from badge_reader.number import candidates
from devices.ean import is_digits, valid
from edged.tables import Column, Columns, shown

_LARGEST = 2**31 - 1
"""No record of Odoo has a higher number."""
_BADGE = re.compile("[0-9A-Za-z_-]+|[0-9]{3},[0-9]{5}")
"""Or the facility and the number of a Wiegand card: ``069,23659``."""
_LANGUAGE = re.compile(r"[a-z]{2}")
_PRICE = re.compile(r"\d{1,6}(?:[.,]\d{1,2})?")
_FRENCH_TIME = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]+(\d{1,2})[:h](\d{2}))?")


def _number(text: str) -> int:
    if not is_digits(text) or len(text) > 10 or not 0 < int(text) <= _LARGEST:
        raise ValueError(f"'{shown(text)[:20]}' is not a whole number from 1 to {_LARGEST}")
    return int(text)


def _grams(text: str) -> int:
    if not is_digits(text) or len(text) > 5:
        raise ValueError(f"'{text}' is not a number of whole grams, such as 12")
    return int(text)


def _cents(text: str) -> int:
    """The price of a kilogram: ``2,95``, ``2.95``, ``2,95 €``."""
    number = re.sub(r"[\s€]|EUR|/\s*(kg|kilo)\b", "", text, flags=re.IGNORECASE)
    if not _PRICE.fullmatch(number) or not number.isascii():
        raise ValueError(f"'{text}' is not a price of a kilogram, such as 2,95")
    cents = int(Decimal(number.replace(",", ".")).scaleb(2))
    if cents == 0:
        raise ValueError("the price is zero")
    return cents


def _badge(text: str) -> str:
    """As readers give it; a leading zero that a spreadsheet took is put back."""
    if not _BADGE.fullmatch(text):
        raise ValueError(
            "not a badge number: digits, letters, - and _, as the reader gives it; format the "
            "column as text if the spreadsheet changes it"
        )
    return max(candidates(text), key=lambda number: (len(number), number.isupper()), default=text)


def _barcode(text: str) -> str:
    """Thirteen digits; a spreadsheet that took the leading zero is put right."""
    if len(text) == 12 and valid(text):
        return "0" + text
    if len(text) != 13 or not is_digits(text):
        raise ValueError(
            f"'{text}' is not 13 digits; format the column as text if the spreadsheet changes it"
        )
    if not valid(text):
        raise ValueError(f"'{text}' has a wrong check digit (the last one)")
    return text


def _one_of(*words: str) -> "Column[object]":
    def parse_word(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"'{shown(text)}' is none of {', '.join(words)}")
        return text.lower()

    return Column(parse_word)


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text.lower()):
        raise ValueError(f"'{shown(text)}' is not a language, such as fr")
    return text.lower()


def _time(zone: tzinfo | None) -> "Column[object]":
    def parse_time(text: str) -> datetime:
        french = _FRENCH_TIME.fullmatch(text)
        try:
            if french:
                day, month, year, hour, minute = (int(part or 0) for part in french.groups())
                at = datetime(year, month, day, hour, minute)  # noqa: DTZ001 - zone comes below
            else:
                at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                at = at.astimezone() if zone is None else at.replace(tzinfo=zone)
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(
                f"'{shown(text)}' is not a time, such as 2026-12-03 18:30 or 03/12/2026 18:30"
            ) from None

    return Column(parse_time, default="")


def _pattern(text: str) -> str:
    try:
        re.compile(re.sub(r"\{N*D*\}", "", text))
    except re.error:
        raise ValueError(f"'{text}' is not a pattern, such as 21.....{{NNDDD}}") from None
    return text


BADGE: Column[object] = Column(
    _badge,
    also=(
        *("numerodebadge", "ndebadge", "nodebadge", "nbadge", "numerobadge"),
        *("carte", "numerodecarte", "ndecarte"),
        *("tarjeta", "numerodetarjeta", "ndetarjeta", "nodetarjeta"),
    ),
)


def members(zone: tzinfo | None) -> Columns:
    return {
        "badge": BADGE,
        "id": Column(_number, also=("identifiant", "identificador")),
        "kind": Column(
            _one_of("member", "employee").parse, default="member", also=("type", "tipo")
        ),
        "first_name": Column(str, also=("prenom", "nombre", "nombredepila")),
        "verdict": Column(_one_of("ok", "warn", "stop").parse, also=("statut", "estado")),
        "next_shift": Column(
            _time(zone).parse,
            default="",
            also=("prochainservice", "prochaincreneau", "proximoturno"),
        ),
        "language": Column(_language, default="", also=("langue", "idioma")),
    }


PRODUCTS: Columns = {
    "id": Column(_number, also=("identifiant", "identificador")),
    "number": Column(str, default="", also=("numero", "reference", "referencia")),
    "name": Column(
        str, also=("nom", "produit", "article", "libelle", "designation", "nombre", "producto")
    ),
    "price": Column(
        _cents,
        also=(
            *("prix", "prixkg", "prixaukg", "prixaukilo"),
            *("precio", "preciokg", "precioporkg", "precioporkilo"),
        ),
        note="the price of a kilogram",
    ),
    "barcode": Column(
        _barcode,
        also=("codebarre", "codebarres", "codeabarres", "ean", "ean13", "codigodebarras"),
    ),
    "category": Column(str, default="", also=("categorie", "rayon", "famille", "categoria")),
    "tare_g": Column(_grams, default=0, also=("tare", "tara")),
    "details": Column(str, default="", also=("detail", "origine", "detalles", "origen")),
}

RULES: Columns = {
    "sequence": Column(_number, also=("ordre", "secuencia", "orden")),
    "type": Column(str, also=("tipo",)),
    "encoding": Column(
        _one_of("ean13", "ean8", "upca", "any").parse, also=("encodage", "codificacion")
    ),
    "pattern": Column(_pattern, also=("motif", "patron")),
}

PRIVATE: Container[str] = frozenset(("badge", *BADGE.also))
"""Columns whose cells no message repeats."""
