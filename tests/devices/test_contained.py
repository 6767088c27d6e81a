"""What a driver's code sets, cancels or leaves behind stays its own."""

import asyncio
import decimal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

import pytest
from support.echo import until
from support.kept import Kept, Scripted

from badge_reader import BadgeRead
from devices import Device, Health, State
from devices.contained import ask, call_as, set_up
from devices.device import LIVING
from devices.errors import NonsenseError, as_texts
from devices.keep import LEAST
from edged import loop
from scale import Scale, Weight


def rounds() -> None:
    decimal.getcontext().prec = 3


async def rounds_too() -> None:
    rounds()


async def test_decimal_settings_of_a_driver_are_its_own() -> None:
    class Rounding(Scripted):
        def node(self) -> object:
            rounds()
            return None

        def idle(self) -> None:
            rounds()

    async def run(_: Device) -> None:
        rounds()

    call_as("scale", rounds)
    await ask("scale", rounds_too, within=5)
    device = Rounding("scale", run)
    async with Kept(device):
        await until(lambda: device.runs >= 2)
        assert Decimal("1.2345") * 1000 == Decimal("1234.5")
    other = asyncio.create_task(rounds_too())
    await other
    # What a task of ours sets in this shared context counts, which shows that the above asks it.
    assert Decimal("1.2345") * 1000 == Decimal("1.23E+3")
    decimal.getcontext().prec = 28


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def awaits_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("call", [cancels_itself, awaits_cancelled])
async def test_a_call_that_was_cancelled_by_its_driver_is_a_bug(
    call: Callable[[], Awaitable[None]],
) -> None:
    with pytest.raises(RuntimeError):
        await ask("printer", call, within=30)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_call_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.contained.END_S", 0.1)
    over = asyncio.Event()

    async def goes_on() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(TimeoutError):
        await ask("camera", goes_on, within=0.1)
    over.set()


def test_what_a_run_left_behind_is_cancelled_and_not_listened_to() -> None:
    """On the loop of the station, which knows whose each task is."""
    left: list[asyncio.Task[None]] = []

    async def poll(scale: Scale) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            scale.is_up()
            scale.reading.set(Weight(Decimal(1), "kg"))

    class Leaving(Scale):
        async def run(self) -> None:
            left.append(asyncio.create_task(poll(self)))
            await asyncio.sleep(0)
            raise ValueError

        async def plugged(self) -> None: ...

    async def main() -> None:
        scale = Leaving("scale")
        async with Kept(scale, backoff=(60,)):
            await until(lambda: bool(left) and left[0].done())
            await until(lambda: scale.health.get().state is State.FAILING)
            assert left[0].cancelled()
            assert scale.reading.get() is None

    loop.run(main())


async def test_a_driver_that_asks_for_itself_to_be_tried_again_waits_all_the_same() -> None:
    async def run(device: Device) -> None:
        device.retry.set()
        raise ValueError

    device = Scripted("scale", *[run] * 4)
    async with Kept(device, backoff=(30,)):
        await until(lambda: device.runs >= 4)
    assert device.starts[3] - device.starts[0] >= 3 * LEAST * 0.9


class Word(str):
    __slots__ = ()

    def strip(self, *_: object) -> str:
        raise RuntimeError


class Moves(tzinfo):
    """A time zone that does not know how far it is from UTC."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return ""

    def dst(self, _: datetime | None) -> None:
        return None


def test_types_derived_from_what_is_handed_out_are_refused() -> None:
    class Heavy(Weight):
        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    class Some(Scale):
        async def run(self) -> None: ...

        async def plugged(self) -> None: ...

    scale = Some("scale")
    assert LIVING[id(scale)] is scale
    with pytest.raises(NonsenseError):
        BadgeRead(Word("0420001234004"))
    with pytest.raises(NonsenseError):
        scale.reading.set(Heavy(Decimal(1), "kg"))
    for since in (datetime(2026, 1, 1, tzinfo=Moves()), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(NonsenseError):
            Health(State.UP, since=since)


def test_params_are_bounded_as_a_whole() -> None:
    texts = as_texts({f"p{number}": "x" * 400 for number in range(20_000)})
    assert 0 < len(texts) < 20
    assert sum(map(len, [*texts, *texts.values()])) <= 1500


def test_a_driver_that_takes_long_to_load_is_named_while_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("devices.contained.LONG_S", 0.01)

    def load() -> None:
        end = time.monotonic() + 20
        while "scale: its driver slow is being loaded" not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.01)

    set_up("scale", "slow", load)
