import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import vectors
from support.stores import catalogue, product, rule

from devices.ean import ean13, valid
from mqtt.messages import Rule
from store.nomenclature import (
    LabelRefused,
    decode_embedded,
    decode_price_check,
    encode,
    label_code,
    match,
    price_verifier,
)

STOCK = (
    rule("23.....{NNNDD}", "price", 14),
    rule("22{NN}", "discount", 20, "any"),
    rule("21.....{NNDDD}", "weight", 36),
    rule("042", "client", 40, "any"),
    rule("041", "cashier", 50, "any"),
    rule("414", "location", 60, "any"),
    rule("PACK", "package", 70, "any"),
    rule("10", "lot", 80, "any"),
    rule(".*", "product", 90, "any"),
)
"""Odoo's own rules, 16 to 19."""

COOP = (
    rule("20.....{NNNDD}", "product", 50),
    rule("29.....{NNDDD}", "weight", 60),
    rule("24.....{NNDDD}", "weight", 70),
    rule("22.....{NNDDD}", "weight", 80),
    rule("23.....{NNDDD}", "weight", 90),
    rule("25.....{NNDDD}", "weight", 100),
)
"""What the co-ops' point of sale adds to them."""


@pytest.mark.parametrize("vector", vectors.load("barcode_embedded"), ids=vectors.name_of)
def test_embedded_codes(vector):
    answer = decode_embedded(vector)
    assert {key: answer.get(key) for key in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize("vector", vectors.load("gs1_price_check"), ids=vectors.name_of)
def test_price_verifiers(vector):
    assert decode_price_check(vector)["digit"] == vector["expect"]["digit"]


@pytest.mark.parametrize("price", ["", "123", "123456", "12a4", "١٢٣٤"])
def test_a_verifier_belongs_to_four_or_five_digits(price):
    with pytest.raises(ValueError, match="four or five digits"):
        price_verifier(price)


def test_a_decoder_without_a_rule_says_what_is_missing():
    with pytest.raises(ValueError, match="pattern"):
        decode_embedded({"input": "2112345012346", "config": {}})


@pytest.mark.parametrize("rules", [5, [5], ["21"]])
def test_a_decoder_with_no_rules_at_all_says_so(rules):
    with pytest.raises(ValueError, match="pattern"):
        decode_embedded({"input": "2112345012346", "config": {"rules": rules}})


def test_a_decoder_takes_settings_as_a_command_line_gives_them():
    config = {"pattern": "21......{NNDD}", "type": "price", "encoding": "EAN13"}
    wrong = {"input": "2112345828756", "config": config | {"verifier_index": "7"}}
    assert decode_embedded(wrong)["verifier_ok"] is False
    assert decode_embedded({"input": "2112345828755", "config": config})["type"] == "error"
    with pytest.raises(ValueError, match="verifier_index"):
        decode_embedded({"input": "2112345828756", "config": config | {"verifier_index": "x"}})


def test_a_decoder_takes_a_whole_nomenclature():
    rules = [one.model_dump() for one in STOCK]
    answer = decode_embedded({"input": "2112345012346", "config": {"rules": rules}})
    assert (answer["type"], answer["value"]) == ("weight", "1.234")


# --- matching ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "type_", "value", "base"),
    [
        ("2112345012346", "weight", "1.234", "2112345000008"),
        ("2312345123459", "price", "123.45", "2312345000002"),
        # A discount rule of encoding "any" takes every code that begins with 22.
        ("2200145012342", "discount", "0", "2200145012342"),
        ("2215", "discount", "15", "2200"),
        ("0420001234004", "client", "0", "0420001234004"),
        ("PACK0001", "package", "0", "PACK0001"),
        ("3017620422003", "product", "0", "3017620422003"),
    ],
)
def test_odoos_own_rules(code, type_, value, base):
    found = match(STOCK, code)
    assert found is not None
    assert (found.type, str(found.value), found.base_code) == (type_, value, base)


def test_the_sequence_decides_and_not_the_order_of_the_list():
    early, late = rule("21", "lot", 1, "any"), rule("21.....{NNDDD}", "weight", 2)
    found = match((late, early), "2112345012346")
    assert found is not None
    assert found.type == "lot"


def test_an_encoding_that_does_not_hold_passes_the_rule_over():
    rules = (rule("21.....{NNDDD}", "weight", 1), rule(".*", "product", 2, "any"))
    wrong_check_digit = match(rules, "2112345012349")
    assert wrong_check_digit is not None
    assert wrong_check_digit.type == "product"
    assert match(rules[:1], "2112345012349") is None
    assert match((rule("21", "weight", 1, "gs1-128"),), "2112345012346") is None


@pytest.mark.parametrize(
    ("encoding", "code"),
    [("ean8", "96385074"), ("upca", "036000291452"), ("ean13", "3017620422003")],
)
def test_each_encoding_wants_its_length(encoding, code):
    found = match((rule(".", "product", 1, encoding),), code, "none")
    assert found is not None
    assert match((rule(".", "product", 1, encoding),), code[:-1], "none") is None


@pytest.mark.parametrize(
    ("conversion", "taken"),
    [("always", True), ("upc2ean", True), ("ean2upc", False), ("none", False)],
)
def test_a_upc_a_may_be_an_ean_without_its_leading_zero(conversion, taken):
    """Scanners drop the zero of 0200145007135."""
    rules = (rule("02.....{NNNDD}", "price_to_weight"),)
    found = match(rules, "200145007135", conversion)
    assert (found is not None) is taken
    if found is not None:
        assert (str(found.value), found.base_code) == ("7.13", "0200145000006")
        assert found.code == "0200145007135"


@pytest.mark.parametrize(
    ("conversion", "taken"),
    [("always", True), ("ean2upc", True), ("upc2ean", False), ("none", False)],
)
def test_an_ean_with_a_leading_zero_may_be_a_upc_a(conversion, taken):
    found = match((rule("036", "product", 1, "upca"),), "0036000291452", conversion)
    assert (found is not None) is taken
    if found is not None:
        assert found.code == "036000291452"


def test_a_pattern_is_a_prefix_and_may_be_a_regular_expression():
    rules = (rule("(21|26).....", "product", 1, "any"),)
    assert match(rules, "2698765007501") is not None
    assert match(rules, "2798765007501") is None
    assert match((rule("21.....", "product", 1, "any"),), "2112345012346") is not None


@pytest.mark.parametrize("pattern", ["(21", "[", "*", "{NN"])
def test_a_pattern_that_is_none_matches_nothing(pattern):
    assert match((rule(pattern, "weight", 1, "any"),), "2112345012346") is None


def test_letters_and_foreign_digits_are_caught_without_a_value():
    """The till's page does not look at what stands in the value's place: it takes the code."""
    rules = (rule("22{NN}", "discount", 1, "any"),)
    for code in ("22AB", "22٣٠"):
        found = match(rules, code)
        assert found is not None
        assert found.value.is_nan()
    short = match(rules, "221")
    assert short is not None
    assert (short.value, short.base_code) == (1, "2200")


CAPTURED = json.loads(
    (Path(__file__).parents[1] / "captures/odoo/barcode-parser-js.json").read_text()
)


@pytest.mark.parametrize("pattern", CAPTURED["patterns"])
def test_every_pattern_reads_every_code_as_the_tills_javascript(pattern):
    known = {tuple(line[:4]): line[4:] for line in CAPTURED["matched"]}
    for encoding in ("any", "ean13", "ean8", "upca"):
        for code in CAPTURED["codes"]:
            zero = code.startswith("0") and encoding in ("ean13", "upca")
            for conversion in ("always", "none") if zero else ("always",):
                found = match((rule(pattern, "t", 1, encoding),), code, conversion)
                read = found and [
                    "NaN" if found.value.is_nan() else f"{found.value:.6f}",
                    found.code,
                    found.base_code,
                ]
                assert read == known.get((pattern, encoding, conversion, code)), (encoding, code)


def test_a_counted_pattern_takes_the_whole_code_as_at_the_till():
    rules = (rule("2[0-9]{12}", "product", 10, "any"), rule("21.....{NNDDD}", "weight", 36))
    found = match(rules, "2112345012346")
    assert found is not None
    assert (found.type, found.base_code) == ("product", "2112345012346")


def test_a_code_with_two_decimals_keeps_them():
    found = match((rule("02.....{NNNDD}", "price"),), "0212345008102")
    assert found is not None
    assert found.value == Decimal("8.10")
    assert str(found.value) == "8.10"


# --- encoding ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("barcode", "pattern", "value", "label"),
    [
        ("2200145000004", "22.....{NNDDD}", 1234, "2200145012342"),
        ("2601234000002", "26.....{NNDDD}", 1500, "2601234015006"),
        ("0200145000006", "02.....{NNNDD}", 713, "0200145007135"),
        ("2100001000004", "21.....{NNDDD}", 850, "2100001008505"),
        ("0700000000004", "0700000{NNDDD}", 145, "0700000001457"),
    ],
)
def test_encoding(barcode, pattern, value, label):
    assert encode(barcode, rule(pattern), value) == label


@pytest.mark.parametrize("value", [-1, 100_000])
def test_a_value_that_does_not_fit_is_not_cut(value):
    with pytest.raises(ValueError, match="does not fit"):
        encode("2100001000004", rule("21.....{NNDDD}"), value)


def test_a_rule_without_value_digits_encodes_nothing():
    with pytest.raises(ValueError, match="no value digits"):
        encode("2100001000004", rule("21"), 1)


@given(grams=st.integers(1, 99_999), item=st.integers(0, 99_999))
def test_every_weight_comes_back_as_itself(grams, item):
    """Also the 187 gram values below 20 kg that a float loses a gram of."""
    leek = product(ean13(f"21{item:05d}00000"))
    code = label_code(catalogue(leek, rules=STOCK), leek, grams=grams, cents=None)
    found = match(STOCK, code.barcode)
    assert found is not None
    assert (found.type, found.value * 1000, found.base_code) == ("weight", grams, leek.barcode)
    assert valid(code.barcode)


@given(cents=st.integers(1, 99_999), item=st.integers(0, 99_999))
def test_every_price_comes_back_as_itself(cents, item):
    leek = product(ean13(f"23{item:05d}00000"))
    code = label_code(catalogue(leek, rules=STOCK), leek, grams=482, cents=cents)
    found = match(STOCK, code.barcode)
    assert found is not None
    assert (found.type, found.value * 100, found.base_code) == ("price", cents, leek.barcode)


@given(code=st.text(alphabet="0123456789AP", max_size=16), conv=st.sampled_from(["none", "always"]))
def test_no_code_breaks_the_till(code, conv):
    found = match(COOP + STOCK, code, conv)
    assert found is None or found.value.is_nan() or found.value >= 0


# --- what must not be printed --------------------------------------------------------------


def refused(*products, rules: tuple[Rule, ...], grams=482, cents: int | None = 142) -> LabelRefused:
    with pytest.raises(LabelRefused) as caught:
        label_code(catalogue(*products, rules=rules), products[0], grams=grams, cents=cents)
    return caught.value


LEEK = product("2112345000008")


def test_without_the_tills_rules_nothing_is_printed():
    assert refused(LEEK, rules=()).key == "barcode.no_rules"


@pytest.mark.parametrize(
    "barcode", ["", "2112345", "2112345000009", "211234500000A", "036000291452", "21123450000080"]
)
def test_a_product_needs_a_right_ean_13(barcode):
    assert refused(product(barcode), rules=STOCK).key == "barcode.not_ean13"


def test_the_discount_rule_catches_the_co_ops_22():
    """Odoo's `22{NN}` (sequence 20) comes before the co-op's weight rule (sequence 80)."""
    error = refused(product("2200145000004"), rules=STOCK + COOP)
    assert error.key == "barcode.caught"
    assert error.params["pattern"] == "22{NN}"
    assert error.params["wanted"] == "22.....{NNDDD}"


def test_the_price_rule_catches_the_co_ops_23():
    """The type is decided by the rule that wins: the label would carry a price, and does."""
    shop = catalogue(product("2312345000002"), rules=STOCK + COOP)
    assert label_code(shop, shop.products[0], grams=482, cents=142).type == "price"


def test_without_the_discount_rule_22_is_a_weight():
    rules = tuple(one for one in STOCK + COOP if one.type != "discount")
    shop = catalogue(product("2200145000004"), rules=rules)
    code = label_code(shop, shop.products[0], grams=1234, cents=None)
    assert code.barcode == "2200145012342"
    assert code.type == "weight"


def test_a_code_that_no_rule_weighs():
    assert refused(product("3017620422003"), rules=STOCK).key == "barcode.not_weighed"
    assert refused(product("3017620422003"), rules=STOCK[:3]).key == "barcode.no_rule"
    # A price look-up rule of type "product" sells one piece, whatever the label says.
    assert refused(product("2012345000001"), rules=COOP).key == "barcode.not_weighed"


def test_a_weighing_rule_without_value_digits_weighs_nothing():
    assert refused(LEEK, rules=(rule("21", "weight"),)).key == "barcode.not_weighed"


def test_value_digits_of_the_product_must_be_zero():
    assert refused(product("2112345012346"), rules=STOCK).key == "barcode.not_zero"


def test_two_products_with_the_same_first_digits():
    twin = product("2112345012346", 2, name="Prune")
    error = refused(LEEK, twin, rules=STOCK)
    assert (error.key, error.params["other"]) == ("barcode.shared", "Prune")
    assert refused(LEEK, product(LEEK.barcode, 3), rules=STOCK).key == "barcode.shared"


@pytest.mark.parametrize("grams", [0, -5])
def test_nothing_on_the_scale(grams):
    assert refused(LEEK, rules=STOCK, grams=grams).key == "barcode.no_weight"


def test_too_heavy_for_the_code():
    error = refused(LEEK, rules=STOCK, grams=100_000)
    assert (error.key, error.params["most"]) == ("barcode.too_heavy", "99.999")
    shop = catalogue(LEEK, rules=STOCK)
    assert label_code(shop, LEEK, grams=99_999, cents=None).barcode.startswith("211234599999")


def test_too_dear_or_without_a_price():
    priced = product("2312345000002")
    error = refused(priced, rules=STOCK, cents=100_000)
    assert (error.key, error.params["most"]) == ("barcode.too_dear", "999.99")
    assert refused(priced, rules=STOCK, cents=0).key == "barcode.no_price"
    assert refused(priced, rules=STOCK, cents=None).key == "barcode.no_price"


def test_a_rule_too_coarse_for_the_gram():
    rules = (rule("21.....{NNNDD}", "weight"),)
    assert refused(LEEK, rules=rules, grams=482).key == "barcode.too_coarse"
    shop = catalogue(LEEK, rules=rules)
    assert label_code(shop, LEEK, grams=480, cents=None).barcode == encode(
        LEEK.barcode, rules[0], 48
    )


def test_a_weighing_rule_of_any_encoding_finds_no_product():
    """Odoo makes the check digit anew only for EAN and UPC rules: the base code is nobody's."""
    rules = (rule("21.....{NNDDD}", "weight", 1, "any"),)
    assert refused(LEEK, rules=rules).key == "barcode.misread"


def test_a_rule_that_catches_only_some_values():
    """1.2 kg begins like a client's card here: read back, it is no weight."""
    rules = (rule("211234501", "client", 1, "any"), rule("21.....{NNDDD}", "weight", 2))
    shop = catalogue(LEEK, rules=rules)
    assert label_code(shop, LEEK, grams=482, cents=None).type == "weight"
    error = refused(LEEK, rules=rules, grams=1200)
    assert (error.key, error.params["pattern"]) == ("barcode.caught", "211234501")
    assert (error.params["code"], error.params["wanted"]) == ("2112345012001", "21.....{NNDDD}")


@pytest.mark.parametrize(
    ("pattern", "barcode", "told"),
    [
        ("21.....{NNDDD}", "2100104000004", "00104"),
        ("0493...{NNDDD}", "0493123000005", "123"),
        ("20{NNDDD}.....", "2000000001042", "00104"),
        ("27..{NNDDD}...", "2712000003453", "12345"),
        ("2100104{NNDDD}", "2100104000004", "2100104"),
    ],
)
def test_the_digits_for_the_cashier_are_those_that_the_rule_leaves_open(
    pattern: str, barcode: str, told: str
) -> None:
    barcode = ean13(barcode[:12])
    shop = catalogue(product(barcode), rules=(rule(pattern),))
    assert label_code(shop, shop.products[0], grams=482, cents=None).product == told
