"""The simulated 8217 says what the manual says, byte for byte."""

import pytest

from scale.simulate import Toledo8217Simulator


@pytest.mark.parametrize(
    ("world", "request_", "answer"),
    [
        ({"load": 1234}, "57", "02 30 31 2E 32 33 34 0D"),
        ({"load": 700, "tare": 200}, "57", "02 30 30 2E 35 30 30 4E 0D"),
        ({"load": 1116, "unit": "lb"}, "57", "02 30 32 2E 34 36 0D"),
        ({"load": 1, "moving": True}, "57", "02 3F 41 0D"),
        ({"load": 400, "moving": True}, "57", "02 3F 49 0D"),
        ({"load": 15_001}, "57", "02 3F 4A 0D"),
        ({"load": -5}, "57", "02 3F 44 0D"),
        ({"load": 1, "tare": 200}, "57", "02 3F 64 0D"),
        ({"load": 3}, "5A", "02 3F 50 0D"),
        ({}, "43", "02 3F 50 0D"),
        ({"load": 200}, "54 0D", "02 3F 60 0D"),
        ({"load": 200}, "54 30 30 31 35 30 0D", "02 3F 60 0D"),
        ({}, "42", "02 3F 00 0D"),
        ({}, "41 42 42", "02 3F 40 0D 02 3F 00 0D"),
        ({"faults": 0x12}, "41 42", "02 3F 52 0D"),
        ({}, "45 68 65 6C 6C 6F", "02 45 0D 68 65 6C 6C 6F"),
        ({"echoing": True}, "57 46", "57 02 46 0D"),
        ({"load": 1234}, "48", "02 30 31 2E 32 33 34 30 0D"),
        ({"load": 1234, "parity_in_bit_7": True}, "57", "82 30 B1 2E B2 33 B4 8D"),
        ({"silent": True}, "57", ""),
        ({}, "77 53 0D", ""),
    ],
)
def test_it_answers_as_the_manual_shows(
    world: dict[str, object], request_: str, answer: str
) -> None:
    scale = Toledo8217Simulator()
    for name, value in world.items():
        setattr(scale, name, value)
    assert scale.feed(bytes.fromhex(request_)).hex(" ").upper() == answer


def test_a_tare_typed_in_is_in_the_scales_own_unit() -> None:
    kilograms, pounds = Toledo8217Simulator(), Toledo8217Simulator(unit="lb")
    for scale in (kilograms, pounds):
        scale.feed(b"T0015")
        scale.feed(b"0\r")
    assert (kilograms.tare, pounds.tare) == (150, 680)


def test_a_moving_scale_takes_neither_zero_nor_tare() -> None:
    scale = Toledo8217Simulator(3)
    scale.moving = True
    scale.feed(b"ZT\r")
    assert (scale.zero, scale.tare) == (0, 0)


def test_zero_is_captured_near_zero_only() -> None:
    scale = Toledo8217Simulator(301)
    scale.feed(b"Z")
    assert scale.zero == 0
    scale.load = 300
    scale.feed(b"Z")
    assert scale.zero == 300
