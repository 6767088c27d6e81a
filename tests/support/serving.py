"""TCP servers for tests that say what no simulator would."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(
    talk: Talk, port: int = 0, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port on which every connection is given to `talk`, and closed when that returns.

    With `tls`, connections are encrypted, and `talk` sees what is inside.
    Connections end with the block: one left to the garbage collector is told as another test's.
    """
    tasks: set[asyncio.Task[None] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        # asyncio logs a handler that ends cancelled as an error.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = [task for task in tasks if task and not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left)
        await asyncio.sleep(0)  # closed transports end in the loop's next turn


def passing_on(port: int) -> Talk:
    """A `Talk` that gives everything to a server on `port` and brings back its answer."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asking = await asyncio.open_connection("127.0.0.1", port)

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()

        questions = asyncio.create_task(carry(reader, asking))
        try:
            await carry(answers, writer)
        finally:
            questions.cancel()
            asking.close()

    return talk
