"""From a scan to the numbers to look up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badge_reader.number import candidates, misread

MEMBER = "0420001234004"
REPRINTED = "0420001234011"
ASSOCIATE = "0421000123009"


@pytest.mark.parametrize("badge", [MEMBER, REPRINTED, ASSOCIATE])
def test_a_badge_is_itself(badge: str) -> None:
    assert candidates(badge) == [badge]


@pytest.mark.parametrize(
    "scan",
    [
        MEMBER + "\r",
        MEMBER + "\r\n",
        "\t" + MEMBER + "\t",
        "\x02" + MEMBER + "\x03\r",
        "]E0" + MEMBER,
        "%" + MEMBER + "?",
        "~" + MEMBER,
        "à'éààà&é\"'àà'",
    ],
)
def test_what_readers_put_around_it_is_dropped(scan: str) -> None:
    first, *others = candidates(scan)
    assert first == scan.strip().strip("\x02\x03").removeprefix("]E0")
    assert MEMBER in (first, *others)
    assert not misread(scan)


def test_digits_typed_without_shift_on_a_french_or_belgian_keyboard_are_digits() -> None:
    assert candidates("àààè_&é\"'(")[1:] == ["0007812345"]
    assert candidates("àààè!&é\"'(")[1:] == ["0007812345"]
    assert candidates("à'éààà&é\"'à&&")[1:] == [REPRINTED]


@pytest.mark.parametrize("scan", ["?7", "\x1b7", "éè", "_77_", "A1-", "%234004?"])
def test_what_noise_leaves_is_nobodys_number(scan: str) -> None:
    assert candidates(scan) == [scan]


def test_the_number_as_it_is_comes_before_what_it_may_be_a_part_of() -> None:
    assert candidates("42000123400") == ["42000123400", MEMBER]
    assert candidates("_12345678_") == ["_12345678_", "12345678"]


def test_a_hyphen_between_digits_stays_one() -> None:
    assert candidates("1234-5678") == ["1234-5678"]


def test_a_reader_that_takes_the_leading_zero_and_the_check_digit() -> None:
    assert candidates(MEMBER[1:]) == [MEMBER[1:], MEMBER]
    assert candidates(MEMBER[1:12]) == [MEMBER[1:12], MEMBER]
    assert candidates("420001234005") == ["420001234005"]


@given(st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_misread_and_nobody_elses(at: int, by: int) -> None:
    wrong = MEMBER[:at] + str((int(MEMBER[at]) + by) % 10) + MEMBER[at + 1 :]
    assert candidates(wrong) == [wrong]
    assert misread(wrong)
    assert not misread(MEMBER)


@pytest.mark.parametrize("scan", ["", "\r\n", "   "])
def test_nothing_is_no_number(scan: str) -> None:
    assert candidates(scan) == []
    assert misread(scan)


@pytest.mark.parametrize("scan", ["1", "1234567", "004328", "123456789012345", "1" * 17])
def test_too_few_or_too_many_digits_are_misread_unless_somebody_has_them(scan: str) -> None:
    assert candidates(scan) == [scan]
    assert misread(scan)


@pytest.mark.parametrize("scan", ["12345678", "123456789", "0007812345", "12345678901234"])
def test_other_numbers_of_8_to_14_digits_are_as_they_are(scan: str) -> None:
    assert candidates(scan) == [scan]
    assert not misread(scan)


def test_other_texts_are_as_they_are_and_hexadecimal_in_capitals() -> None:
    assert candidates(" deadBEEF ") == ["deadBEEF", "DEADBEEF", "deadbeef"]
    assert candidates("COOP_0012") == ["COOP_0012"]
    assert candidates("119,13561") == ["119,13561"]
    assert not any(map(misread, ("deadBEEF", "COOP_0012", "119,13561")))
    assert candidates("https://coop.example/m/1/") == ["https://coop.example/m/1/"]


def test_digits_of_other_scripts_are_not_digits() -> None:
    assert candidates("٠٤٢٠٠٠١٢٣٤٠٠٤") == ["٠٤٢٠٠٠١٢٣٤٠٠٤"]


@given(st.text())
def test_any_text_gives_a_few_candidates(text: str) -> None:
    assert len(candidates(text)) <= 6
    assert misread(text) or candidates(text)
