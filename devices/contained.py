"""Calls into a driver, out of which only ordinary exceptions come.

The one rule: every call into a driver runs in a context made by `context_of`, and nothing that it
raises, sets or cancels there reaches who called it. `sys.exit()` in any task or callback would end
the event loop, and `decimal.getcontext().prec = 3` would round our prices.
"""

import asyncio
import decimal
import logging
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from devices.seldom import Seldom

log = logging.getLogger(__name__)

T = TypeVar("T")

END_S = 3.0
"""Who is cancelled and has not ended by then is waited for no longer."""
LONG_S = 2.0
"""To load or make a driver takes less; one that takes longer is named in the log."""

DEVICE: ContextVar[str] = ContextVar("DEVICE", default="")
"""Whose code runs: a device's name. Tasks, timers and callbacks inherit it from who began them."""


class Attempt:
    """One call of a device's `run()`. Once it is `over`, what is left of it has no say any more."""

    over = False


ATTEMPT: ContextVar[Attempt | None] = ContextVar("ATTEMPT", default=None)
"""The `run()` whose code runs; None in calls that a screen makes. Inherited as `DEVICE` is."""

_DECIMALS = decimal.getcontext().copy()
"""As it is before any driver is imported."""
_seldom = Seldom()


def context_of(name: str, attempt: Attempt | None = None) -> Context:
    """A context for this device's code, with decimal settings of its own."""
    context = copy_context()
    context.run(_enter, name, attempt)
    return context


def _enter(name: str, attempt: Attempt | None) -> None:
    DEVICE.set(name)
    ATTEMPT.set(attempt)
    decimal.setcontext(_DECIMALS.copy())


def out_of_date() -> bool:
    """Whether who calls this was left behind by a `run()` that is over."""
    attempt = ATTEMPT.get()
    return attempt is not None and attempt.over


def call_as(name: str, call: Callable[[], T]) -> T:
    """What `call` returns, called as this device. Raises whatever it raises."""
    return context_of(name).run(call)


def set_up(name: str, what: str, call: Callable[[], T]) -> T:
    """As `call_as`, for what comes before the event loop is watched. `what`: the driver's name.

    One that does not return is named in the log while it lasts.
    """
    told = (log.error, "%s: its driver %s is being loaded for %g s already", name, what, LONG_S)
    alarm = threading.Timer(LONG_S, told[0], told[1:])
    alarm.daemon = True
    alarm.start()
    try:
        return call_as(name, call)
    finally:
        alarm.cancel()


def as_device(
    name: str, call: Callable[[], Awaitable[T]], *, part: str, attempt: Attempt | None = None
) -> asyncio.Task[T]:
    """`contained` in a task of its own, known as this device's."""
    context = context_of(name, attempt)
    task = f"device.{name}.{part}" if part else f"device.{name}"
    return asyncio.create_task(contained(call), name=task, context=context)


async def ask(name: str, call: Callable[[], Awaitable[T]], *, within: float) -> T:
    """What `call` gives, for a screen. Raises its exceptions, `RuntimeError` when it was cancelled
    by somebody else than who asks, and `TimeoutError` after `within` seconds; at most `END_S` later
    where it does not end when it is cancelled.
    """
    task = as_device(name, call, part="asked")
    try:
        done, _ = await asyncio.wait({task}, timeout=within)
    finally:
        if not task.done():
            await ended(name, task)
    if not done:
        raise TimeoutError
    if task.cancelled():
        raise RuntimeError("it was cancelled")
    return task.result()


async def ended(name: str, *tasks: asyncio.Task[Any]) -> None:
    """Cancel these tasks of a device and wait until they end, at most `END_S`."""
    for task in tasks:
        Context().run(task.cancel)  # as ourselves, because a device cancels no other's tasks
    if not tasks:
        return
    done, left = await asyncio.wait(tasks, timeout=END_S)
    for task in done:
        if not task.cancelled():
            task.exception()  # seen: asyncio need not complain that nobody looked
    if left and _seldom.may_tell(name):
        names = ", ".join(sorted(task.get_name() for task in left))
        log.error("%s: its driver does not end when it is cancelled (%s)", name, names)


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
