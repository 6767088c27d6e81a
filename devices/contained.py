"""Calls into a driver, out of which only ordinary exceptions come.

The one rule: nothing that a driver raises ends who called it. `sys.exit()` in any task or callback
would end the event loop, and with it the daemon.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

from devices.errors import why

log = logging.getLogger(__name__)

T = TypeVar("T")

DEVICE: ContextVar[str] = ContextVar("DEVICE", default="")
"""Whose code runs: a device's name. Tasks, timers and callbacks inherit it from who began them."""


async def contained(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` gives. Raises its exceptions; `RuntimeError` for whatever else it raises, as for
    a cancellation that nobody asked for.
    """
    try:
        return await call()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("it cancelled itself") from None
    except (Exception, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"it raised {type(error).__name__}") from error


async def as_device(name: str, call: Callable[[], Awaitable[T]]) -> T:
    """`contained`, and known as this device's. For a task of its own."""
    DEVICE.set(name)
    return await contained(call)


def log_bug(name: str, error: BaseException | None, *, level: int = logging.ERROR) -> None:
    """One line and the traceback of what a device's driver did."""
    try:
        log.log(level, "%s: bug in its driver", name, exc_info=error)
    except RecursionError:  # groups in groups, deeper than a traceback can be written
        log.log(level, "%s: bug in its driver: %s", name, why(error) if error else "")
