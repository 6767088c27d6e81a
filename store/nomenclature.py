"""The till's barcode rules, as the till applies them, and the codes that they let a label carry.

The one rule: no label leaves with a code that the till would take for something else. `label_code`
reads every code back through the whole nomenclature before it gives it away.

The till is a page, so what counts is Odoo's JavaScript, `addons/barcodes/static/src/js/
barcode_parser.js` (9 to 19; alternatives as since odoo#125390), and not the Python of the same
name: that one cuts the code to the length of the pattern, so ``2[0-9]{12}`` catches nothing there
and everything at the till. Rules go by `sequence`; a rule whose `encoding` does not hold for the
code is passed over; ``{NNDDD}`` in the pattern stands for the value's digits (N whole, D decimal),
at the place where the brace stands in the text of the pattern; everything else is a regular
expression (``.`` any character, ``{12}`` a count) for the beginning of the base code: the code with
its value digits at zero and the check digit made anew. The first match wins; the product is looked
up by the base code.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from devices.ean import check_digit, ean13, is_digits, valid
from mqtt.messages import Catalogue, Product, Rule

WEIGHT_TYPES = frozenset({"weight"})
PRICE_TYPES = frozenset({"price", "price_to_weight", "FF_price_to_weight"})
"""Types whose value is the price of the label: Odoo's, OCA's, and one shop's own."""

VALUE = re.compile(r"\{(N*)(D*)\}")
"""The place of a value's digits in a pattern."""
_WHOLE = re.compile("[0-9]*")
_LENGTHS = {"ean13": 13, "ean8": 8, "upca": 12}
_TO_EAN = ("upc2ean", "always")
_TO_UPC = ("ean2upc", "always")


class LabelRefused(Exception):
    """The till would misread this label. `key` says what is wrong, in words for the staff."""

    def __init__(self, key: str, **params: str) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


@dataclass(frozen=True, slots=True)
class Match:
    """What the till makes of a code."""

    type: str
    value: Decimal
    """In the rule's unit (kg, money, per cent) with the rule's decimals; 0 when it has none, NaN
    where letters stand in its place."""
    base_code: str
    code: str
    """The code as the rule saw it: 13 digits for an EAN-13 rule and a UPC-A code."""
    rule: Rule


@dataclass(frozen=True, slots=True)
class LabelCode:
    """A code that the till reads as the product and the value it stands for."""

    barcode: str
    type: str
    product: str
    """The digits that tell the till the product, for a cashier to type: those which the rule
    leaves open, without its own and without the value's.
    """


def match(rules: Iterable[Rule], code: str, upc_ean_conv: str = "always") -> Match | None:
    """What a till with these rules takes `code` for; None when no rule wants it."""
    for rule in sorted(rules, key=lambda rule: rule.sequence):
        found = match_one(rule, code, upc_ean_conv)
        if found is not None:
            return found
    return None


def match_one(rule: Rule, code: str, upc_ean_conv: str) -> Match | None:
    """What this rule alone takes `code` for."""
    if rule.encoding == "ean13" and upc_ean_conv in _TO_EAN and _encoded(code, "upca"):
        code = "0" + code
    elif (
        rule.encoding == "upca"
        and upc_ean_conv in _TO_UPC
        and code.startswith("0")
        and _encoded(code, "ean13")
    ):
        code = code[1:]
    if not _encoded(code, rule.encoding):
        return None
    pattern, base, value = rule.pattern, code, Decimal(0)
    place = VALUE.search(pattern)
    if place is not None:
        start, width = place.start(), len(place[0]) - 2
        value = _value(code[start : start + width], len(place[1]), len(place[2]))
        base = code[:start] + "0" * width + code[start + width :]
        pattern = pattern[:start] + "0" * width + pattern[place.end() :]
        if rule.encoding in _LENGTHS:
            last = _LENGTHS[rule.encoding] - 1
            base = base[:last] + check_digit(base[:-1]) + base[last + 1 :]
    wanted = expression(pattern)
    if wanted is None or wanted.search(base) is None:
        return None
    if rule.encoding == "ean13":
        base = ean13(base[:12])
    return Match(rule.type, value, base, code, rule)


def _value(digits: str, whole: int, decimals: int) -> Decimal:
    """What JavaScript's `parseInt` and `parseFloat` make of the digits, also of too few of them."""
    before = _digits(digits[:whole])
    if digits[:whole] and not before:
        return Decimal("NaN")
    after = _digits(digits[whole:])
    return Decimal((before or "0") + after.ljust(decimals, "0")).scaleb(-decimals)


def _digits(text: str) -> str:
    found = _WHOLE.match(text)
    return found[0] if found else ""


@lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str] | None:
    """The pattern as JavaScript reads it: each alternative from the beginning, ASCII digits,
    ``{,12}`` no count. None when it is no regular expression.
    """
    parts = (part if part.startswith("^") else f"^{part}" for part in pattern.split("|"))
    try:
        return re.compile("|".join(parts).replace("{,", r"\{,"), re.ASCII)
    except re.error:
        return None


def _encoded(code: str, encoding: str) -> bool:
    """Whether `code` is what the encoding asks for, check digit included."""
    if encoding == "any":
        return True
    return len(code) == _LENGTHS.get(encoding, 0) and valid(code)


# --- labels ----------------------------------------------------------------------------------


def encode(product_barcode: str, rule: Rule, value: int) -> str:
    """The 13 digits: `value` (in the rule's last decimal place) put into the product's code.

    Raises ValueError when the rule has no value digits or the value does not fit in them.
    """
    place = VALUE.search(rule.pattern)
    if place is None:
        raise ValueError(f"the rule {rule.pattern} has no value digits")
    start, width = place.start(), len(place[0]) - 2
    if not 0 <= value < 10**width:
        raise ValueError(f"{value} does not fit in the {width} value digits of {rule.pattern}")
    body = product_barcode[:start] + str(value).zfill(width) + product_barcode[start + width :]
    return ean13(body[:12])


def label_code(
    catalogue: Catalogue, product: Product, *, grams: int, cents: int | None
) -> LabelCode:
    """The code of a label, after the till's own rules have read it back.

    `cents` (the label's price) is needed only where the till's rule carries a price. Raises
    `LabelRefused` with what is wrong with the weight, the product or the till's rules.
    """
    rule = label_rule(catalogue, product)
    barcode = encode(product.barcode, rule, places(rule, grams, cents))
    read = match(catalogue.rules, barcode, catalogue.upc_ean_conv)
    if read is not None and read.rule is not rule:
        raise _caught(barcode, read.rule, rule)
    amount = (
        Decimal(cents or 0).scaleb(-2) if rule.type in PRICE_TYPES else Decimal(grams).scaleb(-3)
    )
    if (
        read is None
        or (read.value, read.base_code) != (amount, product.barcode)
        or not valid(barcode)
    ):
        raise LabelRefused("barcode.misread", code=barcode)
    return LabelCode(barcode, rule.type, _product_digits(barcode, rule))


def label_rule(
    catalogue: Catalogue, product: Product, others: Iterable[Product] | None = None
) -> Rule:
    """The rule that the labels of a product are made for. Raises `LabelRefused` when no weight
    of it can have a label. `others` are the products that may have its code (None: all).
    """
    rule = _rule_for(catalogue, product)
    _check_zero_and_unique(product, rule, catalogue.products if others is None else others)
    return rule


def fixed_digits(barcode: str, rule: Rule) -> tuple[str, str]:
    """What all labels of a product have in common: the digits before and after the value's."""
    place = VALUE.search(rule.pattern)
    assert place is not None
    return barcode[: place.start()], barcode[place.end() - 2 : 12]


def _product_digits(barcode: str, rule: Rule) -> str:
    before, after = fixed_digits(barcode, rule)
    own = len(rule.pattern) - len(rule.pattern.lstrip("0123456789"))
    return before[own:] + after or before


def places(rule: Rule, grams: int, cents: int | None) -> int:
    """The weight, or the price, in the last decimal place of the rule.

    Raises `LabelRefused` when there is none, or when it does not fit in the rule's digits.
    """
    if grams <= 0:
        raise LabelRefused("barcode.no_weight")
    priced = rule.type in PRICE_TYPES
    amount, unit = (cents, 2) if priced else (grams, 3)
    if not amount:
        raise LabelRefused("barcode.no_price")
    place = VALUE.search(rule.pattern)
    assert place is not None
    whole, decimals = len(place[1]), len(place[2])
    value: int
    value, rest = divmod(amount * 10**decimals, 10**unit)
    if rest:
        exact = str(Decimal(amount).scaleb(-unit))
        raise LabelRefused("barcode.too_coarse", pattern=rule.pattern, amount=exact)
    if value >= 10 ** (whole + decimals):
        most = Decimal(10 ** (whole + decimals) - 1).scaleb(-decimals)
        raise LabelRefused("barcode.too_dear" if priced else "barcode.too_heavy", most=str(most))
    return value


def _rule_for(catalogue: Catalogue, product: Product) -> Rule:
    """The rule that the till applies to the product's code, if it is one for a label's value."""
    if not catalogue.rules:
        raise LabelRefused("barcode.no_rules")
    if not _encoded(product.barcode, "ean13"):
        raise LabelRefused("barcode.not_ean13", code=product.barcode)
    first = match(catalogue.rules, product.barcode, catalogue.upc_ean_conv)
    if first is None:
        raise LabelRefused("barcode.no_rule", code=product.barcode)
    if first.type in WEIGHT_TYPES | PRICE_TYPES and VALUE.search(first.rule.pattern):
        return first.rule
    meant = [
        rule
        for rule in catalogue.rules
        if rule.type in WEIGHT_TYPES | PRICE_TYPES and VALUE.search(rule.pattern)
    ]
    wanted = match(meant, product.barcode, catalogue.upc_ean_conv)
    if wanted is None:
        raise LabelRefused("barcode.not_weighed", code=product.barcode, type=first.type)
    raise _caught(product.barcode, first.rule, wanted.rule)


def _caught(code: str, by: Rule, wanted: Rule) -> LabelRefused:
    return LabelRefused(
        "barcode.caught", code=code, pattern=by.pattern, type=by.type, wanted=wanted.pattern
    )


def _check_zero_and_unique(product: Product, rule: Rule, others: Iterable[Product]) -> None:
    if encode(product.barcode, rule, 0) != product.barcode:
        raise LabelRefused("barcode.not_zero", code=product.barcode, pattern=rule.pattern)
    fixed = fixed_digits(product.barcode, rule)
    for other in others:
        # Another code with the same fixed digits becomes the same code on its labels.
        if other.id != product.id and fixed_digits(other.barcode, rule) == fixed:
            raise LabelRefused("barcode.shared", code=product.barcode, other=other.name)


# --- decoders --------------------------------------------------------------------------------


def decode_embedded(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What a code means under ``config``: one rule (``pattern``, ``type``, ``encoding``) or several
    (``rules``), ``upc_ean_conv``, and ``verifier_index`` where a price has a GS1 verifier digit.

    Without an encoding, a right EAN-13 is taken for one. Without an index, the digit before a
    price of four or five digits is tried as the verifier; shops are free to use it otherwise.
    """
    code, config = _code_of(vector), dict(vector.get("config") or {})
    given = config.get("rules") or [config]
    default = "ean13" if _encoded(code, "ean13") else "any"
    try:
        rules = [
            Rule.model_validate(
                {"sequence": n, **rule, "encoding": str(rule.get("encoding") or default).lower()}
            )
            for n, rule in enumerate(given)
        ]
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError("config needs `pattern` and `type` of the till's rule") from error
    found = match(rules, code, str(config.get("upc_ean_conv", "always")))
    if found is None:
        return {"kind": "barcode", "type": "error", "code": code}
    answer: dict[str, Any] = {
        "kind": "barcode",
        "type": found.type,
        "code": found.code,
        "value": str(found.value),
        "base_code": found.base_code,
    }
    verified = _verified(found, config.get("verifier_index"))
    return answer if verified is None else answer | {"verifier_ok": verified}


def _verified(found: Match, index: Any) -> bool | None:
    """Whether the verifier digit of the price is right; None when there can be none."""
    place = VALUE.search(found.rule.pattern)
    if place is None or len(place[0]) - 2 not in (4, 5) or found.type not in PRICE_TYPES:
        return None
    start, width = place.start(), len(place[0]) - 2
    try:
        at = start - 1 if index is None else int(index)
    except (ValueError, TypeError):
        raise ValueError(f"verifier_index: a number expected, not {index!r}") from None
    if not 0 <= at < len(found.code):
        return None
    return found.code[at] == price_verifier(found.code[start : start + width])


def decode_price_check(vector: Mapping[str, Any]) -> dict[str, Any]:
    """The GS1 verifier digit of a price of four or five digits."""
    return {"kind": "check_digit", "digit": price_verifier(_code_of(vector))}


def _code_of(vector: Mapping[str, Any]) -> str:
    code = vector.get("input")
    if not isinstance(code, str):
        raise ValueError("'input' must be text")  # noqa: TRY004 (decoders' contract)
    return code


# GS1 General Specifications 7.9.2: the weighting factors, as tables from digit to product.
_2_MINUS = "0246891357"
_3 = "0369258147"
_5_PLUS = "0516273849"
_5_MINUS = "0594837261"


def price_verifier(price: str) -> str:
    """GS1 General Specifications 7.9.3 (four digits) and 7.9.4 (five).

    Raises ValueError for anything else.
    """
    if not is_digits(price) or len(price) not in (4, 5):
        raise ValueError("a GS1 price verifier belongs to a price of four or five digits")
    if len(price) == 4:
        total = _weighted(price, (_2_MINUS, _2_MINUS, _3, _5_MINUS))
        return str(total * 3 % 10)
    total = _weighted(price, (_5_PLUS, _2_MINUS, _5_MINUS, _5_PLUS, _2_MINUS))
    return str(_5_MINUS.index(str(-total % 10)))


def _weighted(price: str, tables: tuple[str, ...]) -> int:
    return sum(int(table[int(digit)]) for digit, table in zip(price, tables, strict=True))
