"""The event loop of commands that hold devices.

The one rule: no driver ends it. What a driver's own task or callback raises is told with the
device's name, also a `sys.exit()`, out of which an ordinary loop would not come back.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, TypeVar

from devices.contained import DEVICE, log_bug

T = TypeVar("T")

TOLD_EVERY_S = 60.0


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


class Seldom:
    """One line a minute about each thing, so that what happens all the time fills no disk."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def may_tell(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(what, -TOLD_EVERY_S) < TOLD_EVERY_S:
            return False
        self._told[what] = now
        return True


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def run_forever(self) -> None:
        while True:
            try:
                super().run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                device = _whose(error.__traceback__)
                if not device:
                    raise
                self._tell(device, error)
            else:
                return

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        handle = context.get("handle")
        device = device_of(handle) if isinstance(handle, asyncio.Handle) else ""
        if device:
            self._tell(device, context.get("exception"))
        else:
            super().default_exception_handler(context)

    def _tell(self, device: str, error: BaseException | None) -> None:
        if self._seldom.may_tell(device):
            log_bug(device, error)


def device_of(handle: asyncio.Handle) -> str:
    """The device whose task or callback this is; "" for one of ours."""
    # asyncio tells of no public way from a callback to its context.
    context: Context = handle._context  # type: ignore[attr-defined]
    return context.get(DEVICE, "")


def _whose(traceback: TracebackType | None) -> str:
    while traceback is not None:
        if traceback.tb_frame.f_code is HANDLE_RUN:
            return device_of(traceback.tb_frame.f_locals["self"])
        traceback = traceback.tb_next
    return ""


HANDLE_RUN = asyncio.Handle._run.__code__
"""Every task's step and every callback of a loop runs inside this."""
