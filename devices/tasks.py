"""What a device's code may have from an event loop: tasks and threads of its own.

The one rule: a device cancels its own tasks only, and its threads are nobody else's. A script may
cancel everything at its end, or fill the default executor; here others work as well.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from devices.contained import ATTEMPT, DEVICE, Attempt
from devices.seldom import Seldom

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""Of each device, for its `asyncio.to_thread`. What it has to do beyond them waits."""

_seldom = Seldom()


class Task(asyncio.Task[Any]):
    """Knows whose it is: a device's name, "" for ours; and left behind by which `run()`."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
        **more: Any,
    ) -> None:
        context = context or copy_context()
        self.device = context.get(DEVICE, "")
        self.attempt = context.get(ATTEMPT)
        super().__init__(coro, loop=loop, context=context, **more)

    def cancel(self, msg: Any | None = None) -> bool:
        device = DEVICE.get()
        if device and device != self.device:
            refused(device, "cancel tasks that are not its own")
            return False
        return super().cancel(msg)


def task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any) -> Task:
    """The factory of a loop's tasks."""
    return Task(coro, loop=loop, **more)


def left_behind(attempt: Attempt) -> list[Task]:
    """The tasks of a `run()` that have not ended. Known where the loop makes them with `task`."""
    return [
        each for each in asyncio.all_tasks() if isinstance(each, Task) and each.attempt is attempt
    ]


def refused(device: str, what: str) -> None:
    """Tell that a driver may not do this."""
    if _seldom.may_tell(f"{device} {what}"):
        log.error("%s: bug in its driver: it wants to %s: refused", device, what)


class Threads(Executor):
    """A device's own, for which nobody waits at the end."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._todo: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._started = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._todo.put((future, partial(fn, *args, **kwargs)))
        if self._started < THREADS:
            self._started += 1
            name = f"{self._device}: its thread {self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, work = self._todo.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 (told to who waits for it)
                future.set_exception(error)
            else:
                future.set_result(result)
