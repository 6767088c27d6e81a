"""An answer whose time is known is picked up when it is due."""

import asyncio
from pathlib import Path

import pytest
from support.echo import Echo

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
