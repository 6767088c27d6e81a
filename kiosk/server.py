"""Serves the pages on this machine's loopback, and stops at once when told to.

The one rule: an open event stream never holds the daemon back. uvicorn's own server waits for its
clients and looks ten times a second whether to stop; here only its protocol is used.
"""

import asyncio
import ipaddress
from collections.abc import Callable

from starlette.types import ASGIApp

_LAST_WORDS_S = 1.0
"""What a request that is not a stream may still take."""


async def serve(
    app: ASGIApp,
    *,
    port: int,
    host: str = "127.0.0.1",
    listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until cancelled. Port 0 takes a free one; `listening` is told which.

    Raises ValueError for an address that is not loopback, OSError if the port is taken.
    """
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host} is not loopback: the pages are for this machine only")
    config = Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: H11Protocol(config=config, server_state=state, app_state={}), host, port
    )
    try:
        if listening is not None:
            listening(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()
    finally:
        server.close()
        # A lost connection ends its request from within; cancelling it would be logged as a fault.
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_LAST_WORDS_S)
