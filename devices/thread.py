"""Calls that may block, each in a daemon thread of its own.

The one rule: nothing that can hang runs on the event loop or in its default executor, where one
dead device would hold up the others. A call that ends too late is undone, by its own thread.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(
    work: Callable[[], T],
    *,
    timeout: float,
    undo: Callable[[T], None] = lambda _result: None,
    name: str = "blocking call",
) -> T:
    """What `work` returns, or `TimeoutError` after `timeout` seconds.

    After a time-out or a cancellation the thread goes on alone; `undo` gets its late result.
    """
    outcome: Future[T] = Future()

    def body() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 (told to the caller, who raises it)
            with suppress(InvalidStateError):
                outcome.set_exception(error)
            return
        try:
            outcome.set_result(result)
        except InvalidStateError:  # nobody waits any more
            undo(result)

    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(asyncio.wrap_future(outcome))
    except (TimeoutError, asyncio.CancelledError):
        if not outcome.cancel() and outcome.exception() is None:
            undo(outcome.result())
        raise
