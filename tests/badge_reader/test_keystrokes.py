"""Keyboard wedges: every vector, every layout, every way to end a scan."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import FOLDER, load, name_of

from badge_reader.keymap import DEAD, LAYOUTS, NOTHING
from badge_reader.keystrokes import (
    EV_KEY,
    EV_SYN,
    KEY_ENTER,
    KEY_KPENTER,
    KEY_TAB,
    SYN_DROPPED,
    SYN_REPORT,
    KeyEvent,
    Keystrokes,
    decode,
    press,
    unpack,
)

VECTORS = load("hid_wedge")
BADGE = "0007812345"


def read(events: list[KeyEvent], layout: str = "us") -> list[str]:
    """The texts of these events, with silence after them."""
    keystrokes = Keystrokes(layout)
    texts = [keystrokes.feed(*event) for event in events]
    return [text for text in (*texts, keystrokes.flush()) if text is not None]


def hold(code: int, events: list[KeyEvent]) -> list[KeyEvent]:
    return [(EV_KEY, code, 1), *events, (EV_KEY, code, 0)]


@pytest.mark.parametrize("form", ["events", "hex"])
@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_capture_means_what_is_written_beside_it(vector: dict[str, Any], form: str) -> None:
    meaning = decode({form: vector[form], "config": vector["config"]})
    assert {field: meaning.get(field) for field in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_key_types_what_xkeyboard_config_says(layout: str) -> None:
    table = json.loads((FOLDER / "keymaps.json").read_text())["layouts"][layout.replace("-", "_")]
    dead = {
        "acute": "ⓐ", "belowdot": "ⓑ", "circumflex": "ⓒ", "diaeresis": "ⓓ", "grave": "ⓖ",
        "hook": "ⓗ", "cedilla": "ⓛ", "belowmacron": "ⓜ", "horn": "ⓝ", "abovedot": "ⓞ",
        "ogonek": "ⓠ", "abovering": "ⓡ", "tilde": "ⓣ", "doubleacute": "ⓤ", "breve": "ⓥ",
        "caron": "ⓧ", "macron": "ⓨ",
    }  # fmt: skip
    for code, key in table.items():
        ours = LAYOUTS[layout][int(code)]
        for level, char in enumerate(key["levels"]):
            if char is not None:
                assert ours[level] == (dead[char[6:-1]] if char.startswith("<dead") else char)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_key_is_typed_and_read_back(layout: str) -> None:
    chars = {char for levels in LAYOUTS[layout].values() for char in levels}
    text = "".join(sorted(chars - set(DEAD) - {NOTHING, " "}))
    assert read(press(text, layout), layout) == [text]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(text=st.text("0123456789ABCDEFabcdefghijklmnopqrstuvwxyz-./\x1d", min_size=1))
def test_any_code_comes_through(layout: str, text: str) -> None:
    assert read(press(text, layout), layout) == [text]
    assert read(press(text.replace("\x1d", ""), layout, alt_mode=True), layout) == (
        [text.replace("\x1d", "")] if text.replace("\x1d", "") else []
    )


@pytest.mark.parametrize("end", [KEY_ENTER, KEY_KPENTER, KEY_TAB])
def test_each_terminator_ends_a_scan(end: int) -> None:
    assert read(press("12", end=end) + press("34", end=end)) == ["12", "34"]


def test_ctrl_m_ends_a_scan_too() -> None:
    m = press("m", end=None)
    assert read(press("12", end=None) + hold(29, m) + press("34")) == ["12", "34"]


def test_enter_alone_is_no_scan() -> None:
    assert read(press("") * 3) == []


def test_silence_ends_a_scan() -> None:
    keystrokes = Keystrokes()
    for event in press(BADGE, end=None):
        assert keystrokes.feed(*event) is None
    assert keystrokes.pending
    assert keystrokes.flush() == BADGE
    assert not keystrokes.pending


def test_caps_lock_changes_letters_and_nothing_else() -> None:
    caps = [(EV_KEY, 58, 1), (EV_KEY, 58, 0)]
    assert read(caps + press("a1") + caps + press("a1")) == ["A1", "a1"]
    assert read(caps + press("A")) == ["a"]
    assert read(caps + press("&", "fr"), "fr") == ["&"]


def test_the_keypad_is_the_same_in_every_layout() -> None:
    keypad = [(EV_KEY, code, value) for code in (79, 80, 81, 82) for value in (1, 0)]
    for layout in LAYOUTS:
        assert read(keypad, layout) == ["1230"]


def test_dead_keys_change_the_letter_after_them() -> None:
    circumflex = [(EV_KEY, 26, 1), (EV_KEY, 26, 0)]
    space = [(EV_KEY, 57, 1), (EV_KEY, 57, 0)]
    assert read(circumflex + press("e", "fr"), "fr") == ["ê"]
    assert read(circumflex + space, "fr") == ["^"]
    assert read(circumflex + press("", "fr"), "fr") == ["^"]


def test_an_accent_that_its_letter_cannot_bear_stands_before_it() -> None:
    """As the keyboards that readers imitate do it: no letter carries a loose accent."""
    circumflex = [(EV_KEY, 26, 1), (EV_KEY, 26, 0)]
    assert read(circumflex + press("12", "fr"), "fr") == ["^12"]
    assert read(circumflex + press("b", "fr"), "fr") == ["^b"]


@pytest.mark.parametrize(
    ("number", "char"), [("65", "A"), ("0233", "é"), ("130", "é"), ("29", "\x1d")]
)
def test_alt_mode_types_numbers(number: str, char: str) -> None:
    codes = {"0": 82, "1": 79, "2": 80, "3": 81, "5": 76, "6": 77, "9": 73}
    keypad = [(EV_KEY, codes[digit], value) for digit in number for value in (1, 0)]
    assert read(hold(56, keypad)) == [char]


def test_an_alt_mode_scan_that_broke_off_leaves_nothing_to_the_next() -> None:
    keystrokes = Keystrokes()
    begun = press("1", alt_mode=True, end=None)
    broken = next(i for i, event in enumerate(begun) if event == (EV_KEY, 56, 0))
    for before in ([], press("12", alt_mode=True, end=None)):
        for event in [*before, *begun[:broken]]:
            assert keystrokes.feed(*event) is None
        assert keystrokes.pending
        assert keystrokes.flush() is None
        assert not keystrokes.pending
        texts = [keystrokes.feed(*event) for event in press("34", alt_mode=True)]
        assert list(filter(None, texts)) == ["34"]


def test_a_number_without_an_end_stays_bounded() -> None:
    keystrokes = Keystrokes()
    for event in [(EV_KEY, 56, 1), *[(EV_KEY, 79, 1)] * 5000]:
        keystrokes.feed(*event)
    assert len(keystrokes._number) < 5000
    assert keystrokes.flush() is None


def test_alt_mode_can_end_a_scan() -> None:
    enter = hold(56, [(EV_KEY, code, value) for code in (79, 81) for value in (1, 0)])
    assert read(press("12", end=None) + enter + press("34")) == ["12", "34"]


def test_a_scan_that_lost_keys_is_thrown_away_to_its_end() -> None:
    dropped = [(EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0)]
    begun = press("0420001", end=None)
    assert read(begun + dropped + press("234004") + press(BADGE)) == [BADGE]
    assert read(dropped + press("234004", end=None)) == []
    shift = [(EV_KEY, 42, 1)]  # it came up while we were not told
    assert read(shift + dropped + press("") + press("1")) == ["1"]


def test_a_scan_without_an_end_stays_bounded_and_is_none() -> None:
    assert read(press("1" * 5000) + press("2")) == ["2"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 1, 1, 4, 17, 70000]), st.integers(0, 140), st.integers(-1, 3)
        )
    ),
    st.sampled_from(list(LAYOUTS)),
)
def test_random_events_never_raise(events: list[KeyEvent], layout: str) -> None:
    read(events, layout)


@given(st.lists(st.tuples(st.just(EV_KEY), st.integers(0, 127), st.sampled_from([0, 1, 2]))))
def test_a_badge_is_read_after_any_garbage(garbage: list[KeyEvent]) -> None:
    keys_up = [(EV_KEY, code, 0) for code in (29, 42, 54, 56, 97, 100)]
    assert read([*garbage, *keys_up, *press(""), *press(BADGE)])[-1] == BADGE


def test_a_character_without_a_key_cannot_be_typed() -> None:
    with pytest.raises(ValueError, match="é"):
        press("é", "us")


def test_a_layout_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="us, fr, be, de"):
        Keystrokes("klingon")


def test_the_kernels_own_structure() -> None:
    assert unpack(struct.pack("=qqHHi", 1, 2, 1, 28, 1)) == [(1, 28, 1)]
    with pytest.raises(ValueError, match="24"):
        unpack(b"123")


def test_decoding_asks_for_what_it_needs() -> None:
    with pytest.raises(ValueError, match="events or hex"):
        decode({})
    assert decode({"events": []}) == {"kind": "incomplete"}
    assert decode({"events": [[0, 3, 0]]}) == {"kind": "malformed", "error": "dropped"}


@pytest.mark.parametrize("event", [[1, 2], [1, 2.5, 1], [1, "2", 1], [1, None, 1], 7, "121"])
def test_what_is_no_event_is_named(event: Any) -> None:
    with pytest.raises(ValueError, match="events"):
        decode({"events": [event]})


def test_decoding_two_badges_tells_both() -> None:
    found = decode({"events": press("12345678") + press(BADGE)})
    assert (found["text"], found["events"]) == (BADGE, 2)
    assert found["texts"] == ["12345678", BADGE]


@pytest.mark.parametrize("name", ["FR", "fr_azerty", "Fr"])
def test_a_layout_is_known_in_any_case(name: str) -> None:
    assert decode({"events": press(BADGE, "fr"), "config": {"layout": name}})["text"] == BADGE


@pytest.mark.parametrize("uid", ["DEADBEEF", "04A1B2C3D4E580"])
def test_a_uid_read_with_the_wrong_layout_is_noticed_too(uid: str) -> None:
    found = decode({"events": press(uid), "config": {"layout": "fr"}})
    assert found["mismatch"]
    assert "us" in found["layouts"]
    assert not decode({"events": press(uid)})["mismatch"]


def test_decoding_with_the_wrong_layout_names_the_right_ones() -> None:
    found = decode({"events": press(BADGE, "fr"), "config": {"layout": "us"}})
    assert found["mismatch"]
    assert found["layouts"] == ["fr", "be"]
