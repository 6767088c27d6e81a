"""Check digits."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import ean
from devices.registry import load_decoder

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "ean.json").read_text())

bodies = st.sampled_from([7, 11, 12, 13]).flatmap(
    lambda length: st.text("0123456789", min_size=length, max_size=length)
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector):
    answer = load_decoder("ean")(vector)
    assert {key: answer.get(key) for key in vector["expect"]} == vector["expect"]


@given(bodies)
def test_a_body_with_its_check_digit_is_valid_and_with_any_other_is_not(body):
    right = ean.check_digit(body)
    for digit in "0123456789":
        assert ean.valid(body + digit) == (digit == right)


@given(bodies, st.data())
def test_one_wrong_digit_is_always_noticed(body, data):
    code = body + ean.check_digit(body)
    place = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != code[place]]))
    assert not ean.valid(code[:place] + other + code[place + 1 :])


@given(bodies)
def test_leading_zeros_change_nothing(body):
    assert ean.check_digit(body) == ean.check_digit("00" + body)


@given(st.text())
def test_any_text_is_judged_and_never_crashes(text):
    assert ean.valid(text) in (True, False)
    assert ean.decode({"input": text})["kind"] == "ean"


@pytest.mark.parametrize("text", ["", "²", "٣٠١٧٦٢٠٤٢٢٠٠", "12a", " 12", "1\n"])
def test_what_is_not_ascii_digits_is_refused(text):
    with pytest.raises(ValueError, match="not digits"):
        ean.check_digit(text)


def test_ean13_of_twelve_digits():
    assert ean.ean13("301762042200") == "3017620422003"
    for body in ("30176204220", "3017620422003", "30176204220x"):
        with pytest.raises(ValueError):
            ean.ean13(body)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("301762042200", {"valid": True, "check_digit": "3", "full": "3017620422003"}),
        ("3017620422003", {"valid": True, "check_digit": "3", "full": "3017620422003"}),
        ("96385074", {"valid": True, "check_digit": "4", "full": "96385074"}),
        ("01234567890128", {"valid": True, "check_digit": "8", "full": "01234567890128"}),
        ("3017620422004", {"valid": False}),
        ("12345", {"valid": False}),
    ],
)
def test_a_code_typed_without_a_vector_around_it(text, answer):
    assert ean.decode({"input": text}) == {"kind": "ean", **answer}


@pytest.mark.parametrize("vector", [{}, {"input": None}, {"input": 301762042200}])
def test_bad_arguments_say_so(vector):
    with pytest.raises(ValueError, match="'input'"):
        ean.decode(vector)


def test_an_ean_13_has_thirteen_ascii_digits_and_the_last_one_right():
    assert ean.valid_ean13("2100001000004")
    for wrong in ("2100001000005", "210000100000", "96385074", "21000010000०4", ""):
        assert not ean.valid_ean13(wrong)
