"""What a driver hands out is judged where it enters."""

from decimal import Decimal

import pytest

from badge_reader import BadgeRead, BadgeReader
from camera.camera import Camera, Frame
from devices import Health, State
from devices.errors import NonsenseError
from printer import Paper, Printer
from scale import Scale, Weight

KILO = Decimal("0.482")
WEIGHTS = [
    {"value": 0.482},
    {"value": "0.482"},
    {"value": Decimal("NaN")},
    {"value": Decimal("sNaN")},
    {"value": Decimal("-Infinity")},
    {"value": Decimal("1e999999")},
    {"value": Decimal("1e-999999")},
    {"value": KILO, "tare": Decimal("Infinity")},
    {"value": KILO, "tare": 0.1},
    {"value": KILO, "unit": None},
    {"value": KILO, "unit": "k\ud800"},
    {"value": KILO, "unit": "kilograms and some"},
    {"value": KILO, "stable": "yes"},
    {"value": KILO, "over": 1},
    {"value": KILO, "raw": "02 30"},
    {"value": KILO, "at": float("nan")},
    {"value": KILO, "at": 1e30},
    {"value": KILO, "at": None},
]


@pytest.mark.parametrize("given", WEIGHTS, ids=str)
def test_what_is_no_weight_is_not_made(given) -> None:
    with pytest.raises(NonsenseError, match="weight"):
        Weight(**{"unit": "kg"} | given)


@pytest.mark.parametrize("value", [KILO, None, Decimal(0), Decimal("-0.020"), Decimal("15000")])
def test_what_is_a_weight_is(value) -> None:
    assert Weight(value, "kg").value == value


@pytest.mark.parametrize(
    "given", [{"text": 12}, {"text": None}, {"text": "A\ud800"}, {"text": "x" * 5000},
              {"text": "12345678", "raw": b"x"}, {"text": "12345678", "at": "now"}], ids=str
)  # fmt: skip
def test_what_is_no_badge_is_not_read(given) -> None:
    with pytest.raises(NonsenseError, match="badge"):
        BadgeRead(**given)


@pytest.mark.parametrize("given", [("no bytes", 1.0), (b"\xff\xd8", "now"), (None, 1.0)], ids=str)
def test_what_is_no_frame_is_not_shown(given) -> None:
    with pytest.raises(NonsenseError, match="frame"):
        Frame(*given)


@pytest.mark.parametrize("given", [{"state": "up"}, {"state": None}, {"since": "now"}], ids=str)
def test_what_is_no_health_is_not_told(given) -> None:
    with pytest.raises(NonsenseError, match="health"):
        Health(**given)


def test_a_health_carries_only_text() -> None:
    health = Health(State.FAILING, 5, {1: None})  # type: ignore[arg-type, dict-item]
    assert (health.key, health.params) == ("5", {"1": "None"})


def test_a_reading_takes_only_its_own_type() -> None:
    class AScale(Scale):
        async def run(self) -> None: ...
        async def plugged(self) -> None: ...

    class AReader(BadgeReader):
        async def run(self) -> None: ...
        async def plugged(self) -> None: ...

    class APrinter(Printer):
        async def run(self) -> None: ...
        async def plugged(self) -> None: ...
        async def print(self, label) -> None: ...
        def preview(self, label) -> bytes: ...

    class ACamera(Camera):
        async def run(self) -> None: ...
        async def plugged(self) -> None: ...
        async def still(self) -> bytes: ...

    scale, reader, printer, camera = (made("x") for made in (AScale, AReader, APrinter, ACamera))
    for give, nonsense in (
        (scale.reading.set, KILO),
        (scale.health.set, State.UP),
        (reader.badges.publish, "12345678"),
        (printer.paper.set, "low"),
        (camera.frames.set, b"\xff\xd8"),
    ):
        with pytest.raises(NonsenseError, match="expected"):
            give(nonsense)
    scale.reading.set(Weight(KILO, "kg"))
    scale.reading.set(None)
    printer.paper.set(Paper.LOW)
