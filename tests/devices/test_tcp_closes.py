"""A network device that takes a connection only to close it."""

import asyncio

from support.echo import until
from support.kept import Kept, Probe

from devices import State
from devices.keep import BACKOFF


async def test_it_is_reached_soon_after_it_no_longer_closes_at_once() -> None:
    closes = True
    taken: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(asyncio.get_running_loop().time())
        while not closes and (data := await reader.read(100)):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    probe = Probe("printer", f"socket://127.0.0.1:{port}")
    async with server, Kept(probe, backoff=BACKOFF):
        await until(lambda: len(taken) >= 4)
        # 0.25, 0.5 and 1 s, instead of 0.25, 1 and 5 s
        assert taken[3] - taken[0] < 5
        assert probe.health.get().state is State.ABSENT
        closes = False
        await until(lambda: probe.answers >= 2)


async def test_one_that_answered_before_it_closed_is_lost() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    probe = Probe("printer", f"socket://127.0.0.1:{port}")
    async with server, Kept(probe, backoff=BACKOFF):
        await until(lambda: probe.health.get().state is State.FAILING)
