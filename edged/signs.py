"""Signs of life of what cannot show them by itself: the store and the screens' server.

The one rule: each is asked for real work, by the way its users come. What only counts turns of the
event loop would also count while nobody is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from store import Store

STORE_LOOK_S = 2.0
SERVER_LOOK_S = 4.0
SERVER_ANSWER_S = 10.0
_QUESTION = "GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"


async def look_at_store(store: Store, alive: Callable[[], None]) -> None:
    """Call `alive` whenever the store's writing thread has done something for us. For ever."""
    while True:
        await store.directory.held()
        alive()
        await asyncio.sleep(STORE_LOOK_S)


async def look_at_server(listening: Awaitable[int], alive: Callable[[], None]) -> None:
    """Call `alive` whenever the server, at the port that `listening` gives, has answered. For ever.

    A request that fails is no sign of life; the next one may be.
    """
    port = await listening
    while True:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(SERVER_ANSWER_S):
                if await _answers(port):
                    alive()
        await asyncio.sleep(SERVER_LOOK_S)


async def _answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_QUESTION.format(port=port).encode())
        answer = await reader.read()
    finally:
        writer.close()
    return answer.startswith(b"HTTP/1.1 200 ")
