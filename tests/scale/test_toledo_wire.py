"""The 8217's wire: every vector, every cut, every noise."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import load, name_of, splits

from scale.toledo_wire import (
    Codec,
    Echo,
    Echoed,
    Event,
    Flags,
    Malformed,
    Shape,
    Status,
    Weighed,
    decode,
)

VECTORS = load("mettler_8217")
ANSWERS = [vector for vector in VECTORS if vector["response"]]
GOOD = b"\x0201.234\r"


def feed(chunks: list[bytes]) -> list[Event]:
    codec = Codec()
    events = [event for chunk in chunks for event in codec.feed(chunk)]
    # Echoed bytes may come in any cuts; together they are the same.
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Echoed) and isinstance(last, Echoed):
            joined[-1] = Echoed(last.data + event.data)
        else:
            joined.append(event)
    return joined


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_captured_exchange_means_what_is_written_beside_it(vector: dict[str, Any]) -> None:
    meaning = decode(vector)
    assert {field: meaning.get(field) for field in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize("vector", ANSWERS, ids=name_of)
def test_how_the_bytes_are_cut_changes_nothing(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["response"])
    expected = feed([data])
    for chunks in splits(data):
        assert feed(chunks) == expected


@pytest.mark.parametrize("vector", ANSWERS, ids=name_of)
@pytest.mark.parametrize("noise", [b"\xff\x00", b"\x02\x02", b"99.999\r", b"\x021.2" * 9])
def test_noise_before_it_changes_nothing(vector: dict[str, Any], noise: bytes) -> None:
    data = bytes.fromhex(vector["response"])
    clean = [event for event in feed([data]) if not isinstance(event, Echo | Echoed | Malformed)]
    dirty = [event for event in feed([noise + data]) if isinstance(event, Weighed | Status)]
    assert dirty == clean


@pytest.mark.parametrize(
    "text",
    b"1234|1.2.3|.123|1.|-1.234|+1.234|1,234|1.234n|1.234NN|N||1.234 |0x1.2|1e3.0|?|?AB|EE| ".split(
        b"|"
    ),
)
def test_what_is_not_exactly_a_weight_is_not_one(text: bytes) -> None:
    assert not any(isinstance(event, Weighed) for event in feed([b"\x02" + text + b"\r"]))


@pytest.mark.parametrize("bit", [0, 0x40, 0x80, 0xC0])
@pytest.mark.parametrize("low", [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x0E])
def test_bits_6_and_7_of_a_status_say_nothing(low: int, bit: int) -> None:
    [event] = feed([bytes([0x02, 0x3F, low | bit, 0x0D])])
    assert isinstance(event, Status)
    assert event.flags == Flags(low)


def test_a_status_that_looks_like_a_start_is_a_status_in_every_cut() -> None:
    data = b"\x02?\x02\r" + GOOD
    for chunks in splits(data):
        assert feed(chunks) == [Status(Flags.OVER, 2), Weighed(Decimal("1.234"), False, b"01.234")]


def test_the_decimals_of_the_scale_are_kept() -> None:
    [event] = feed([b"\x0200.500\r"])
    assert isinstance(event, Weighed)
    assert str(event.value) == "0.500"


def test_echo_mode_gives_back_what_was_sent_and_weights_again_after_it() -> None:
    assert feed([b"\x02E\rhel", b"lo\x02F\r", b"noise", GOOD]) == [
        Echo(on=True),
        Echoed(b"hello"),
        Echo(on=False),
        Weighed(Decimal("1.234"), False, b"01.234"),
    ]


def test_a_reset_forgets_half_a_frame() -> None:
    codec = Codec()
    codec.feed(b"\x0299.")
    codec.reset()
    assert codec.feed(b"999\r") == []


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_random_bytes_never_raise_nor_fill_the_memory(chunks: list[bytes]) -> None:
    codec = Codec()
    for chunk in chunks:
        codec.feed(chunk)
        assert len(codec._kept) <= 64


# Without a decimal point there is no weight, whatever else comes.
@given(st.binary(max_size=200).map(lambda data: data.replace(b".", b"").replace(b"\xae", b"")))
def test_garbage_never_becomes_a_number(data: bytes) -> None:
    assert not any(isinstance(event, Weighed) for event in feed([data]))


@given(st.binary(max_size=200))
def test_a_good_frame_is_found_after_any_garbage(garbage: bytes) -> None:
    codec = Codec()
    codec.feed(garbage)
    codec.reset()
    assert codec.feed(garbage + GOOD)[-1] == Weighed(Decimal("1.234"), False, b"01.234")


@given(st.integers(0, 99_999), st.integers(0, 7))
def test_a_weight_that_lost_a_byte_is_shorter(grams: int, lost: int) -> None:
    """Such a text may still read as a weight: its shape is what tells the driver."""
    frame = b"\x02%02d.%03d\r" % divmod(grams, 1000)
    for event in feed([frame[:lost] + frame[lost + 1 :]]):
        if isinstance(event, Weighed):
            assert len(event.raw) == 5


@given(st.lists(st.sampled_from([b"\x02", b"\r", b"?", b"1", b".", b"N", b"E", b"F"]), max_size=30))
def test_cuts_never_matter(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert feed([data]) == feed([data[i : i + 1] for i in range(len(data))])


def test_decoding_asks_for_what_it_needs() -> None:
    with pytest.raises(ValueError, match="response or hex"):
        decode({})
    with pytest.raises(ValueError, match="hex"):
        decode({"hex": "zz"})


def test_decoding_takes_the_bytes_as_hex_and_guesses_pounds_from_two_decimals() -> None:
    assert decode({"hex": "0230322E34360D"})["unit"] == "lb"
    assert decode({"hex": "0230322E3435360D"})["unit"] == "kg"


def test_decoding_tells_a_command_without_an_answer_from_silence() -> None:
    assert decode({"request": "41", "response": None}) == {"kind": "command"}
    assert decode({"request": "41"}) == {"kind": "command"}
    assert decode({"request": "57", "response": ""}) == {"kind": "timeout"}


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ("02", {"kind": "incomplete"}),
        ("02 45 0D", {"kind": "incomplete"}),
        ("02 45 0D 68 65", {"kind": "incomplete"}),
        ("02 45 0D 68 65 6C 6C 6F", {"kind": "probe", "match": True}),
        ("02 45 0D 68 65 6C 6C 78", {"kind": "probe", "match": False}),
        ("02 3F 41 0D", {"kind": "probe", "match": False}),
        ("FF", {"kind": "probe", "match": False}),
    ],
)
def test_an_echo_that_has_begun_is_no_wrong_echo(answer: str, meaning: dict[str, Any]) -> None:
    assert decode({"request": "45 68 65 6C 6C 6F", "response": answer}) == meaning


def test_the_unit_is_a_scales_unit_in_either_case() -> None:
    frame = "02 30 32 2E 34 36 0D"
    assert decode({"hex": frame, "config": {"unit": "LB"}})["unit"] == "lb"
    with pytest.raises(ValueError, match="kg, lb"):
        decode({"hex": frame, "config": {"unit": "stone"}})


def test_decoding_a_self_test_names_what_failed() -> None:
    tested = decode({"request": "42", "response": "02 3F 52 0D"})["self_test"]
    assert tested == {"new": True, "passed": False, "failed": ["rom", "novram"]}


def weighed(text: bytes) -> Weighed:
    [event] = feed([b"\x02" + text + b"\r"])
    assert isinstance(event, Weighed)
    return event


def test_kilograms_fit_at_once_and_nothing_else_ever_after() -> None:
    shape = Shape("kg")
    assert shape.fits(weighed(b"01.234"))
    assert not any(shape.fits(weighed(b"1.234")) for _ in range(9))
    assert shape.fits(weighed(b" 1.234N"))


def test_a_scale_teaches_its_shape_by_three_in_a_row() -> None:
    shape = Shape("lb")
    taught = [shape.fits(weighed(text)) for text in (b"002.46", b"02.46", b"002.46")]
    assert taught == [False] * 3
    assert [shape.fits(weighed(b"002.46")) for _ in range(2)] == [False, True]
    assert not any(shape.fits(weighed(b"02.46")) for _ in range(9))
