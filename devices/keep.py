"""Keeps a device running for ever, and tells once when it goes down and once when it is back.

The one rule: whatever a device does, its siblings do not notice. Every end of `run()` is answered
here, also a bug's, and nothing but the cancellation of `keep` itself gets out.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from devices.device import Device
from devices.errors import Absent, DeviceError, Lost, Refused
from devices.health import Health, State

log = logging.getLogger(__name__)

BACKOFF = (0.25, 1.0, 5.0, 30.0)
"""Seconds between the attempts after a `Lost`; the last one for ever."""

STEADY = 60.0
"""Seconds that a device must hold for the back-off to begin anew."""

_AT_ONCE = 0.05
"""A `plugged()` that took less found the device there already, and did not wait for it."""


async def keep_all(devices: Iterable[Device]) -> None:
    """Keep each device in a task of its own, until cancelled. None can end the others."""
    tasks = [asyncio.create_task(keep(device)) for device in devices]
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await _cancelled(*tasks)


async def keep(
    device: Device, *, backoff: Sequence[float] = BACKOFF, steady: float = STEADY
) -> None:
    """Run `device` until cancelled.

    `Lost` and bugs are tried again after the waits in `backoff` (from the first one again once it
    held for `steady` seconds, or was unplugged), `Absent` when it is plugged in, `Refused` when a
    person says so. `device.retry` ends any of these waits. While it waits, its health says why and,
    as ``retry_in``, how many seconds lie between the attempts.
    """
    if task := asyncio.current_task():
        task.set_name(f"device.{device.name}.keep")
    teller = asyncio.create_task(_tell(device), name=f"device.{device.name}.log")
    try:
        await _Keeper(device, backoff, steady).keep()
    finally:
        await _cancelled(teller)


class _Keeper:
    def __init__(self, device: Device, backoff: Sequence[float], steady: float) -> None:
        self._device = device
        self._backoff = backoff
        self._steady = steady
        self._attempts = 0
        self._refuted = 0
        """How often in a row it was absent although it seemed to be there."""
        self._told = ""
        """The last bug that stands in the log with its traceback."""

    async def keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._device.retry.clear()
            started = loop.time()
            ended = await self._run()
            if self._device.health.get().usable and loop.time() - started >= self._steady:
                self._attempts = self._refuted = 0
                self._told = ""
            await self._answer(ended)

    async def _run(self) -> DeviceError:
        """Run the device once, in a task of its own: a driver that mishandles its cancellation, or
        whose task group leaves it marked as cancelled, cannot be mistaken for our own end."""
        run = asyncio.create_task(self._hold(), name=f"device.{self._device.name}")
        try:
            await asyncio.wait({run})
        finally:
            await _cancelled(run)
        if run.cancelled():
            return self._bug(RuntimeError("run() cancelled itself"))
        error = run.exception() or RuntimeError("run() returned")
        return _said(error) or self._bug(error)

    async def _hold(self) -> None:
        try:
            await _contained(self._device.run())
        finally:
            self._idle()

    def _idle(self) -> None:
        try:
            self._device.idle()
        except Exception as error:  # noqa: BLE001 (a driver's bug is the driver's)
            self._bug(error)

    def _bug(self, error: BaseException) -> Lost:
        what = f"{type(error).__name__}: {error}"
        if what != self._told:
            self._told = what
            log.error("%s: bug in its driver", self._device.name, exc_info=error)
        return Lost("device.bug", error=type(error).__name__)

    async def _answer(self, ended: DeviceError) -> None:
        if isinstance(ended, Refused):
            self._say(State.REFUSED, ended.key, ended.params)
            await self._device.retry.wait()
        elif isinstance(ended, Absent):
            self._say(State.ABSENT, ended.key, ended.params)
            if await self._until_plugged():
                self._attempts = self._refuted = 0
            else:
                self._refuted += 1
                await self._or_retry(asyncio.sleep(self._wait_after(self._refuted)))
        else:
            self._attempts += 1
            wait = self._wait_after(self._attempts)
            self._say(State.FAILING, ended.key, {**ended.params, "retry_in": f"{wait:g}"})
            await self._or_retry(asyncio.sleep(wait))

    async def _until_plugged(self) -> bool:
        """False: it cannot be waited for, because it seems to be there although it is not."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._or_retry(self._device.plugged())
        except Exception as error:  # noqa: BLE001 (likewise)
            if not isinstance(error, DeviceError):
                self._bug(error)
            return False
        return self._device.retry.is_set() or loop.time() - started >= _AT_ONCE

    def _wait_after(self, failures: int) -> float:
        return self._backoff[min(failures, len(self._backoff)) - 1]

    async def _or_retry(self, wait: Coroutine[Any, Any, None]) -> None:
        name = self._device.name
        waiting = asyncio.create_task(_contained(wait), name=f"device.{name}.wait")
        retry = asyncio.create_task(self._device.retry.wait(), name=f"device.{name}.retry")
        try:
            await asyncio.wait({waiting, retry}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.cancelled():
                raise RuntimeError("plugged() cancelled itself")
            if waiting.done() and (error := waiting.exception()):
                raise error if isinstance(error, Exception) else RuntimeError(repr(error))
        finally:
            await _cancelled(waiting, retry)

    def _say(self, state: State, key: str, params: Mapping[str, str]) -> None:
        before = self._device.health.get()
        said = Health(state, key, params)
        if said.state is before.state:
            said = Health(state, key, params, before.since)
        if said != before:
            self._device.health.set(said)


async def _contained(work: Coroutine[Any, Any, None]) -> None:
    """Do what a driver does; its `sys.exit()` would end the loop from within any task."""
    try:
        await work
    except SystemExit as error:
        raise RuntimeError("called sys.exit()") from error


def _said(error: BaseException) -> DeviceError | None:
    """What the driver said; from a task group, the word that asks for most. None: it is a bug."""
    if isinstance(error, DeviceError):
        return error
    if not isinstance(error, ExceptionGroup):
        return None
    inner = [_said(each) for each in error.exceptions]
    for kind in (Refused, Absent, Lost):
        for each in inner:
            if isinstance(each, kind) and None not in inner:
                return each
    return None


async def _tell(device: Device) -> None:
    """One line when it goes down, one when it is up, nothing louder than DEBUG between."""
    down: bool | None = None
    async for health in device.health.changes():
        if health.state is State.STARTING:
            continue
        if health.usable:
            level = logging.DEBUG if down is False else logging.INFO
        else:
            level = logging.DEBUG if down else logging.WARNING
        log.log(level, "%s: %s", device.name, _sentence(health))
        down = not health.usable


def _sentence(health: Health) -> str:
    details = [f"{name}={value}" for name, value in health.params.items()]
    return " ".join([health.state.value, *filter(None, [health.key]), *details])


async def _cancelled(*tasks: "asyncio.Task[None] | asyncio.Task[bool]") -> None:
    """Cancel those that are not done, and wait until all are."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
