"""Which weights no label can carry: the whole range, with the scale's own answers."""

from collections import Counter

import pytest
from support.stores import catalogue, product, rule

from devices.ean import ean13
from edged.printable import gaps
from kiosk.ticket import cents_of
from store.nomenclature import LabelRefused, label_code

RANGE = range(40, 15_001)
LEEK = product("2112345000008")
PLUM = product(ean13("215432100000"), 2)
WEIGHT = rule("21.....{NNDDD}", "weight", 36)


def told(rules, *products, weights=RANGE):
    return [
        (gap.product.id, gap.why.key, gap.first_g, gap.count)
        for gap in gaps(catalogue(*products, rules=rules), weights)
    ]


def test_a_rule_for_grams_carries_every_weight():
    assert told((WEIGHT,), LEEK, PLUM) == []


def test_a_rule_of_two_decimals_refuses_all_but_the_tens_of_grams():
    (gap,) = gaps(catalogue(LEEK, rules=(rule("21.....{NNDD}"),)), RANGE)
    assert (gap.why.key, gap.first_g, gap.count) == ("barcode.too_coarse", 41, 13_464)
    assert gap.why.params["amount"] == "0.041"


def test_a_rule_of_one_whole_digit_refuses_ten_kilograms_and_more():
    assert told((rule("21.....{NDDD}"),), LEEK) == [(1, "barcode.too_heavy", 10_000, 5_001)]


def test_a_coarse_and_short_rule_has_both_faults():
    rules = (rule("21.....{NDD}"),)
    assert told(rules, LEEK) == [
        (1, "barcode.too_coarse", 41, 13_464),
        (1, "barcode.too_heavy", 10_000, 501),
    ]


def test_a_price_that_does_not_fit_is_told_by_the_first_weight_that_is_too_dear():
    saffron = product(ean13("231234500000"), price_cents_per_kg=900_000)
    (gap,) = told((rule("23.....{NNNDD}", "price"),), saffron)
    assert gap == (1, "barcode.too_dear", 112, 14_889)


def test_a_weight_that_costs_nothing_has_no_label():
    free = product(ean13("231234500000"), price_cents_per_kg=1)
    assert told((rule("23.....{NNNDD}", "price"),), free) == [(1, "barcode.no_price", 40, 460)]


def test_a_product_without_a_rule_is_refused_for_the_whole_range():
    assert told((), LEEK) == [(1, "barcode.no_rules", 40, 14_961)]


def test_a_counted_rule_before_the_weights_is_named_with_the_weights_rule():
    rules = (rule("2[0-9]{12}", "product", 10, "any"), WEIGHT)
    (gap,) = gaps(catalogue(LEEK, rules=rules), RANGE)
    assert (gap.why.key, gap.count) == ("barcode.caught", 14_961)
    assert (gap.why.params["pattern"], gap.why.params["wanted"]) == ("2[0-9]{12}", WEIGHT.pattern)


def test_an_earlier_rule_that_catches_one_weight_of_one_product_is_found():
    rules = (rule("211234501234", "lot", 10, "any"), WEIGHT)
    assert told(rules, LEEK, PLUM) == [(1, "barcode.caught", 1_234, 1)]
    (gap,) = gaps(catalogue(LEEK, PLUM, rules=rules), RANGE)
    assert gap.why.params["code"] == "2112345012346"


MIXED = {
    "alternatives": rule("345|21.....00", "client", 1, "any"),
    "a count in the middle": rule("2.{6}01[0-4]", "client", 1, "any"),
    "a caret": rule("^2112345.01", "lot", 1, "any"),
    "a value of its own": rule("2112345{N}1", "discount", 1, "any"),
    "one optional character": rule("2112345?001", "lot", 1, "ean13"),
    "the check digit": rule("[0-9]{12}7", "lot", 1, "ean13"),
    "another encoding": rule("2", "lot", 1, "ean8"),
    "UPC-A": rule("2", "lot", 1, "upca"),
    "no expression": rule("(21", "lot", 1, "any"),
    "another beginning": rule("22{NN}", "discount", 1, "any"),
}


@pytest.mark.parametrize("earlier", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize(
    "own",
    [
        WEIGHT,
        rule("21.....{NNDDD}", "weight", 36, "any"),
        rule("21........{NNDDD}", "weight", 36),  # the last digits fall off the code
    ],
    ids=lambda one: f"{one.encoding} {one.pattern}",
)
def test_what_is_told_is_what_the_scale_says_of_every_weight(earlier, own):
    shop = catalogue(LEEK, PLUM, rules=(own, earlier))
    weights = range(1, 2_500)
    said = Counter()
    for one in shop.products:
        for grams in weights:
            try:
                label_code(shop, one, grams=grams, cents=cents_of(295, grams))
            except LabelRefused as refused:
                said[one.id, refused.key] += 1
    assert Counter({(g.product.id, g.why.key): g.count for g in gaps(shop, weights)}) == said


@pytest.mark.parametrize("prefix", ["02", "21"])
def test_a_code_that_may_be_a_upc_a_is_tried_as_one(prefix):
    one = product(ean13(f"{prefix}1234500000"))
    rules = (rule("2", "lot", 1, "upca"), rule(f"{prefix}.....{{NNDDD}}", "weight", 2))
    caught = [(1, "barcode.caught", 40, 14_961)] if prefix == "02" else []
    assert told(rules, one) == caught


def test_two_products_with_one_code_are_told_of_both():
    twin = product(LEEK.barcode, 9, name="Poireau")
    assert told((WEIGHT, rule("23.....{NNNDD}", "price")), LEEK, PLUM, twin) == [
        (1, "barcode.shared", 40, 14_961),
        (9, "barcode.shared", 40, 14_961),
    ]
