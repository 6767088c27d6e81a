"""Which weights of which products no label can carry, told before anyone stands at the scale.

The one rule: every gram of the scale's range is tried, and what is told is what `label_code` says
at the scale. It is not asked for each of them, because that would take minutes: what does not
depend on the product is worked out once, and a rule that can never take its labels is left out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from devices.ean import ean13
from kiosk.ticket import cents_of
from mqtt.messages import Catalogue, Product, Rule
from store.nomenclature import (
    PRICE_TYPES,
    VALUE,
    LabelRefused,
    expression,
    fixed_digits,
    label_code,
    label_rule,
    match_one,
    places,
)

_PLAIN = re.compile(r"\^?((?:[0-9A-Za-z.](?![?*+{]))*)")
"""The beginning of a pattern where each character stands for one character of the code."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Weights of one product for which there is no label, for one reason."""

    product: Product
    why: LabelRefused
    """As the scale says it of the first of them."""
    first_g: int
    count: int


def gaps(catalogue: Catalogue, weights: range) -> Iterator[Gap]:
    """What is wrong with the labels of each product over `weights`, whole grams from 1 upwards."""
    rules = sorted(catalogue.rules, key=lambda rule: rule.sequence)
    twins = _twins(catalogue)
    for product in catalogue.products:
        try:
            rule = label_rule(catalogue, product, twins(product))
        except LabelRefused as refused:
            yield Gap(product, refused, weights[0], len(weights))
            continue
        own = next(n for n, one in enumerate(rules) if one is rule)
        misread = _misread(catalogue, product, rule, rules[:own])
        if misread is None and _all_fit(rule, product, weights):
            continue
        first: dict[str, int] = {}
        count: Counter[str] = Counter()
        for grams in weights:
            value = _fit(rule, product, grams)
            why = value if isinstance(value, str) else misread(value) if misread else ""
            if why:
                first.setdefault(why, grams)
                count[why] += 1
        for why, grams in first.items():
            yield Gap(product, _refusal(catalogue, product, grams), grams, count[why])


def _twins(catalogue: Catalogue) -> Callable[[Product], list[Product]]:
    """Finds the products whose labels may have the same code, without a look at all of them."""
    valued = {_span(rule): rule for rule in catalogue.rules if VALUE.search(rule.pattern)}
    alike: dict[object, list[Product]] = {}
    for product in catalogue.products:
        for span, rule in valued.items():
            alike.setdefault((span, *fixed_digits(product.barcode, rule)), []).append(product)

    def find(product: Product) -> list[Product]:
        return [
            twin
            for span, rule in valued.items()
            for twin in alike[span, *fixed_digits(product.barcode, rule)]
        ]

    return find


def _fit(rule: Rule, product: Product, grams: int) -> int | str:
    """What the label's digits are for this weight, or why it does not fit in them."""
    try:
        return places(rule, grams, cents_of(product.price_cents_per_kg, grams))
    except LabelRefused as refused:
        return refused.key


def _all_fit(rule: Rule, product: Product, weights: range) -> bool:
    """Whether the ends tell it: digits fine enough for a gram, or a cent, round nothing, and what
    is between two weights that fit then fits too.
    """
    decimals = rule.pattern.count("D", *_span(rule))
    fine = decimals >= (2 if rule.type in PRICE_TYPES else 3)
    ends = (weights[0], weights[-1])
    return fine and not any(isinstance(_fit(rule, product, grams), str) for grams in ends)


def _span(rule: Rule) -> tuple[int, int]:
    place = VALUE.search(rule.pattern)
    assert place is not None
    return place.span()


def _refusal(catalogue: Catalogue, product: Product, grams: int) -> LabelRefused:
    """What the scale says of this weight, for which there is no label."""
    cents = cents_of(product.price_cents_per_kg, grams)
    try:
        code = label_code(catalogue, product, grams=grams, cents=cents)
    except LabelRefused as refused:
        return refused
    raise AssertionError(f"the scale would print {code.barcode}")


def _misread(
    catalogue: Catalogue, product: Product, rule: Rule, earlier: Sequence[Rule]
) -> Callable[[int], str] | None:
    """A test for the value of a label: what makes the till misread it, or "". None: nothing can."""
    start, end = _span(rule)
    conversion = catalogue.upc_ean_conv
    catchers = [one for one in earlier if _may_take(one, product.barcode[:start])]
    # An EAN-13 rule makes the same base code of all labels of a product: that of the product.
    doubtful = rule.encoding != "ean13" or end - 2 > 12
    if not catchers and not doubtful:
        return None
    begin, rest = product.barcode[:start], product.barcode[end - 2 : 12]
    # Most rules have no value of their own: their expression alone decides, ten times faster.
    simple = [
        (found, one.pattern)
        for one in catchers
        if one.encoding in ("any", "ean13") and not VALUE.search(one.pattern)
        if (found := expression(one.pattern)) is not None
    ]
    others = [one for one in catchers if one.encoding == "upca" or VALUE.search(one.pattern)]

    def test(value: int) -> str:
        code = ean13(f"{begin}{value:0{end - start - 2}d}{rest}"[:12])
        for found, pattern in simple:
            if found.search(code):
                return f"caught by {pattern}"
        for one in others:
            if match_one(one, code, conversion):
                return f"caught by {one.pattern}"
        if not doubtful:
            return ""
        read = match_one(rule, code, conversion)
        return "" if read and read.base_code == product.barcode else "misread"

    return test


def _may_take(earlier: Rule, beginning: str) -> bool:
    """Whether a rule may take some code with this beginning, as far as its own beginning tells."""
    pattern = earlier.pattern
    if "|" in pattern or earlier.encoding == "upca":
        return True
    place = VALUE.search(pattern)
    plain = _PLAIN.match(pattern[: place.start()] if place else pattern)
    assert plain is not None
    return all(wanted in (".", digit) for wanted, digit in zip(plain[1], beginning, strict=False))
