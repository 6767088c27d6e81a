"""The event loop of commands that hold devices.

The one rule: no driver ends it. What a driver's own task or callback raises is told with the
device's name, also a `sys.exit()`, out of which an ordinary loop would not come back; and it stops,
closes or fills nothing that others use.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from types import FrameType, TracebackType
from typing import Any, TypeVar

from devices.blame import living, log_bug, whose
from devices.contained import DEVICE, END_S
from devices.seldom import Seldom
from devices.tasks import Task, Threads, refused, task

T = TypeVar("T")

log = logging.getLogger(__name__)

_left: list[asyncio.Task[Any]] = []
"""What did not end when it was cancelled."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`; who does not end when it is cancelled is left behind."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(_alone(main))


async def _alone(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        if others:
            _, left = await asyncio.wait(others, timeout=END_S)
            for other in left:
                log.error("%s: does not end when it is cancelled", other.get_name())
                _left.append(other)
                # Nobody waits for it any more, neither who closes the loop.
                asyncio._unregister_task(other)
                other._log_destroy_pending = False  # type: ignore[attr-defined]


def leave(status: int) -> None:
    """End the process where a driver's task or thread would not let it end; else return.

    Python waits for threads, and closes what is left of a task, which may go on even then.
    """
    threads = [
        each
        for each in threading.enumerate()
        if not each.daemon and each is not threading.main_thread()
    ]
    for each in threads:
        each.join(END_S)
    if _left or any(each.is_alive() for each in threads):
        logging.shutdown()
        os._exit(status)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()
        self._threads: dict[str, Threads] = {}
        self.set_task_factory(task)  # type: ignore[arg-type]

    # --- what ends an ordinary loop ---

    def run_forever(self) -> None:
        while True:
            try:
                super().run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                device = _of_traceback(error)
                if not device:
                    raise
                self._tell(device, error)
            else:
                return

    def stop(self) -> None:
        if self._may("stop the event loop"):
            super().stop()

    def set_default_executor(self, executor: Any) -> None:
        if self._may("set the default executor"):
            super().set_default_executor(executor)

    async def shutdown_default_executor(self, *given: Any) -> None:
        if self._may("end the default executor"):
            await super().shutdown_default_executor(*given)

    def _may(self, what: str) -> bool:
        device = DEVICE.get()
        if device:
            refused(device, what)
        return not device

    # --- whose it is ---

    def run_in_executor(  # type: ignore[override]  # whose types differ between Pythons
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """A device has threads of its own, so that it cannot use up those of all others."""
        device = DEVICE.get()
        if executor is None and device:
            executor = self._threads.setdefault(device, Threads(device))
        return super().run_in_executor(executor, func, *args)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Out of a driver's own thread it is known as the device's, as what its tasks begin is."""
        if context is None and threading.get_ident() != getattr(self, "_thread_id", None):
            device = DEVICE.get() or whose(_frames(sys._getframe(1)), living())
            context = copy_context()
            context.run(DEVICE.set, device)
        return super().call_soon_threadsafe(callback, *args, context=context)

    # --- what is told ---

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        device = _of_context(context)
        error = context.get("exception")
        if device:
            self._tell(device, error)
        elif self._seldom.may_tell(f"{context.get('message')} {type(error).__name__}"):
            super().default_exception_handler(context)

    def _tell(self, device: str, error: BaseException | None) -> None:
        if self._seldom.may_tell(device):
            log_bug(device, error)


def device_of(handle: asyncio.Handle) -> str:
    """The device whose task or callback this is; "" for one of ours."""
    # asyncio tells of no public way from a callback to its context.
    context: Context = handle._context  # type: ignore[attr-defined]
    return context.get(DEVICE, "")


def _of_context(context: dict[str, Any]) -> str:
    """The device of which an exception handler is told; "" for none."""
    handle = context.get("handle")
    if isinstance(handle, asyncio.Handle) and (device := device_of(handle)):
        return device
    for given in (context.get("task"), context.get("future")):
        if isinstance(given, Task) and given.device:
            return given.device
    error = context.get("exception")
    return _of_traceback(error) if isinstance(error, BaseException) else ""


def _of_traceback(error: BaseException) -> str:
    """The device whose callback it is, or whose driver's lines the exception came through."""
    frames = list(_raised(error.__traceback__))
    for frame in frames:
        if frame.f_code is HANDLE_RUN and (device := device_of(frame.f_locals["self"])):
            return device
    return whose(frames, living())


def _raised(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


HANDLE_RUN = asyncio.Handle._run.__code__
"""Every task's step and every callback of a loop runs inside this."""
