"""An answer whose time is known is picked up when it is due, and asked for again and again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.echo import Echo, until

from devices import Lost
from devices.ports import open_port
from devices.simulate import PtyHost, TcpHost


async def test_what_came_is_there_when_it_is_due_and_reading_goes_on(tmp_path: Path) -> None:
    simulator = Echo()
    async with PtyHost(tmp_path / "echo", simulator) as host, open_port(str(host.path)) as port:
        await port.write(b"weigh")
        heard = b""
        async with asyncio.timeout(20):
            while heard != b"WEIGH":
                heard += await port.later(0.02)
        assert await port.later(0.001) == b""
        await port.write(b"again")
        heard = b""
        while heard != b"AGAIN":
            heard += await port.read()


async def test_on_the_network_too() -> None:
    async with TcpHost(Echo()) as host, open_port(f"socket://127.0.0.1:{host.port}") as port:
        await port.write(b"weigh")
        heard = b""
        async with asyncio.timeout(20):
            while heard != b"WEIGH":
                heard += await port.later(0.02)


async def test_unplugged_meanwhile_it_is_lost(tmp_path: Path) -> None:
    simulator = Echo()
    async with PtyHost(tmp_path / "echo", simulator) as host, open_port(str(host.path)) as port:
        waiting = asyncio.create_task(port.later(0.1))
        await asyncio.sleep(0)
        host.unplug()
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await waiting
        with pytest.raises(Lost):
            await port.read()


class Fixed(Echo):
    """Says the same to every request, until told otherwise."""

    answer = b"01.234"

    def feed(self, data: bytes) -> bytes:
        super().feed(data)
        return self.answer


def times(count: int) -> Callable[[], bool]:
    """True so many times, then false."""
    left = iter(range(count))
    return lambda: next(left, None) is not None


@pytest.fixture(params=["pty", "tcp"])
async def fixed(request: pytest.FixtureRequest, tmp_path: Path):
    """(port, simulator, unplug) of a device that always answers the same."""
    simulator = Fixed()
    if request.param == "pty":
        async with PtyHost(tmp_path / "fixed", simulator) as pty, open_port(str(pty.path)) as port:

            async def unplug() -> None:
                pty.unplug()

            yield port, simulator, unplug
    else:
        async with TcpHost(simulator) as tcp, open_port(f"socket://127.0.0.1:{tcp.port}") as port:
            yield port, simulator, tcp.unplug


async def test_it_asks_again_as_long_as_it_should_and_each_request_was_answered(fixed):
    port, simulator, _ = fixed
    assert await port.repeat(b"W", b"01.234", 0.5, times(2)) == b"01.234"
    assert simulator.heard == b"WWW"
    assert await port.later(0.01) == b""
    await port.write(b"W")
    assert await port.read() == b"01.234"


async def test_another_answer_ends_it_and_so_does_none(fixed):
    port, simulator, _ = fixed

    def then(answer: bytes) -> Callable[[], bool]:
        def again() -> bool:
            simulator.answer = answer
            return True

        return again

    assert await port.repeat(b"W", b"01.234", 0.5, then(b"5")) == b"5"
    assert await port.repeat(b"W", b"5", 0.5, then(b"")) == b""
    assert simulator.heard == b"WWWW"


async def test_what_had_come_before_is_no_answer(fixed):
    port, simulator, _ = fixed
    await port.write(b"W")
    await port.later(0.5)
    simulator.say(b"late")
    await asyncio.sleep(0.1)
    assert await port.repeat(b"W", b"01.234", 0.5, times(0)) == b"01.234"


async def test_unplugged_it_ends(fixed):
    port, simulator, unplug = fixed
    asking = asyncio.create_task(port.repeat(b"W", b"01.234", 0.1, lambda: True))
    await until(lambda: simulator.heard)
    await unplug()
    with pytest.raises(Lost, match=r"device\.unplugged"):
        await asking


async def test_what_goes_wrong_in_the_question_whether_to_go_on_is_told(fixed):
    port, _, _ = fixed
    with pytest.raises(ZeroDivisionError):
        await port.repeat(b"W", b"01.234", 0.5, lambda: bool(1 // 0))


async def test_cancelled_it_asks_no_more(fixed):
    port, simulator, _ = fixed
    asking = asyncio.create_task(port.repeat(b"W", b"01.234", 0.02, lambda: True))
    await until(lambda: simulator.heard)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.1)
    heard = len(simulator.heard)
    await asyncio.sleep(0.1)
    assert len(simulator.heard) == heard
