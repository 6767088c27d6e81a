"""Keeps a device running for ever, and tells once when it goes down and once when it is back.

The one rule: whatever a device does, its siblings do not notice. Every end of `run()` is answered
here, also a bug's, and nothing but the cancellation of `keep` itself gets out.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from devices.blame import log_bug
from devices.contained import Attempt, as_device, call_as, contained, ended
from devices.device import Device
from devices.errors import (
    Absent,
    Broken,
    DeviceError,
    Lost,
    NonsenseError,
    Refused,
    Unreachable,
    as_text,
    as_texts,
    why,
)
from devices.health import Health, State
from devices.seldom import LINES, Pace, Seldom
from devices.tasks import left_behind

log = logging.getLogger(__name__)

BACKOFF = (0.25, 1.0, 5.0, 30.0)
"""Seconds between the attempts after a `Lost`; the last one for ever."""

LEAST = 0.25
"""Seconds between two attempts, whatever the driver does: one may set its own `retry`."""

STEADY = 60.0
"""Seconds that a device must hold for the back-off to begin anew."""

UNREACHABLE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 35.0)
"""Seconds between the attempts to reach a device on the network.

They double: a printer that serves one connection, and rests after it, is back at most as long again
after its rest. The last is longer than the half minute for which some rest anew at each attempt.
"""

_AT_ONCE = 0.05
"""A `plugged()` that took less found the device there already, and did not wait for it."""

_LOOK_EVERY = 0.2
"""Seconds between two looks whether another node stands where the device was."""

_TOLD_AT_MOST = 8
"""Reasons that are told while a device is down; one may find new ones without end."""


async def keep_all(devices: Iterable[Device]) -> None:
    """Keep each device in a task of its own, until cancelled. None can end the others."""
    tasks = [asyncio.create_task(keep(device)) for device in devices]
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # each ends within `ended`


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
        await ended(device.name, teller)


class _Keeper:
    def __init__(self, device: Device, backoff: Sequence[float], steady: float) -> None:
        self._device = device
        self._backoff = backoff
        self._steady = steady
        self._attempts = 0
        self._refuted = 0
        """How often in a row it was absent although it seemed to be there."""
        self._unreached = 0
        self._told = ""
        """The last bug that stands in the log with its traceback."""
        self._seldom = Seldom(LINES)
        self._node: object = None
        """What `run()` met, or would have met, when it began."""

    async def keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._device.retry.clear()
            attempt = Attempt()
            self._node = self._look()
            started = loop.time()
            answer = await self._run(attempt)
            stopped = loop.time()
            if self._device.health.get().usable:
                self._unreached = 0
                if loop.time() - started >= self._steady:
                    self._attempts = self._refuted = 0
                    self._told = ""
            await self._answer(answer)
            least = min(LEAST, self._backoff[0])
            await asyncio.sleep(max(0.0, stopped + least - loop.time()))

    async def _run(self, attempt: Attempt) -> DeviceError:
        """Run the device once, in a task of its own: a driver that mishandles its cancellation, or
        whose task group leaves it marked as cancelled, cannot be mistaken for our own end."""
        name = self._device.name
        run = as_device(name, lambda: self._hold(attempt), part="", attempt=attempt)
        try:
            await asyncio.wait({run})
        finally:
            await ended(name, run, *left_behind(attempt))
            if not attempt.over:  # it does not end, and has no say any more
                attempt.over = True
                self._idle()
        if run.cancelled():
            return self._bug(RuntimeError("run() cancelled itself"))
        error = run.exception() or RuntimeError("run() returned")
        return _said(error) or self._bug(error)

    async def _hold(self, attempt: Attempt) -> None:
        try:
            await contained(self._begun)
        finally:
            self._idle()
            attempt.over = True

    def _begun(self) -> Awaitable[None]:
        run: object = self._device.run()
        if not inspect.isawaitable(run):
            raise NonsenseError("its run() is no coroutine")
        return run

    def _idle(self) -> None:
        self._device.forget()
        try:
            call_as(self._device.name, self._device.idle)
        except BaseException as error:  # noqa: BLE001 (a driver's bug is the driver's)
            self._bug(error)

    def _look(self) -> object:
        try:
            return call_as(self._device.name, self._device.node)
        except BaseException as error:  # noqa: BLE001 (also here)
            self._bug(error)
            return None

    def _bug(self, error: BaseException) -> DeviceError:
        what = why(error)
        if what != self._told and self._seldom.may_tell("a bug"):
            self._told = what
            log_bug(self._device.name, error)
        for each in _leaves(error):
            if isinstance(each, NonsenseError):
                return Broken(type(self._device).__name__, str(each))
        return Lost("device.bug", error=type(error).__name__)

    async def _answer(self, ended: DeviceError) -> None:
        if isinstance(ended, Refused):
            self._say(State.REFUSED, ended.key, ended.params)
            await self._or_retry(asyncio.create_task(asyncio.Event().wait()))
        elif isinstance(ended, Unreachable):
            self._unreached += 1
            self._say(State.ABSENT, ended.key, ended.params)
            await self._rest(UNREACHABLE, self._unreached)
        elif isinstance(ended, Absent):
            self._say(State.ABSENT, ended.key, ended.params)
            if await self._until_plugged():
                self._attempts = self._refuted = 0
            else:
                self._refuted += 1
                await self._rest(self._backoff, self._refuted)
        else:
            self._attempts += 1
            wait = _after(self._backoff, self._attempts)
            self._say(State.FAILING, ended.key, {**ended.params, "retry_in": f"{wait:g}"})
            await self._rest(self._backoff, self._attempts)

    async def _until_plugged(self) -> bool:
        """False: it cannot be waited for, because it seems to be there although it is not."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._or_retry(as_device(self._device.name, self._device.plugged, part="wait"))
        except Exception as error:  # noqa: BLE001 (also here)
            if not isinstance(error, DeviceError):
                self._bug(error)
            return False
        return self._device.retry.is_set() or loop.time() - started >= _AT_ONCE

    async def _rest(self, backoff: Sequence[float], failures: int) -> None:
        await self._or_retry(asyncio.create_task(asyncio.sleep(_after(backoff, failures))))

    async def _or_retry(self, waiting: asyncio.Task[Any]) -> None:
        """Wait, unless a person or another node ends that. Raises what the wait raises."""
        name = self._device.name
        retry = asyncio.create_task(self._device.retry.wait(), name=f"device.{name}.retry")
        anew = asyncio.create_task(self._plugged_anew(), name=f"device.{name}.node")
        try:
            await asyncio.wait({waiting, retry, anew}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.cancelled():
                raise RuntimeError("plugged() was cancelled")
            if waiting.done():
                waiting.result()
        finally:
            await ended(name, waiting, retry, anew)

    async def _plugged_anew(self) -> None:
        """Return when another node than the one that failed is there: it is tried at once."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            node = self._look()
            if node is not None and node != self._node:
                self._attempts = self._refuted = 0
                return

    def _say(self, state: State, key: str, params: Mapping[str, str]) -> None:
        before = self._device.health.get()
        said = Health(state, key, params)
        if said.state is before.state:
            said = Health(state, key, params, before.since)
        if said != before:
            self._device.health.set(said)


def _after(backoff: Sequence[float], failures: int) -> float:
    return backoff[min(failures, len(backoff)) - 1]


_KINDS = (Refused, Unreachable, Absent, Lost)
"""What asks for most comes first."""


def _said(error: BaseException) -> DeviceError | None:
    """What the driver said; from a task group, the word that asks for most. None: it is a bug."""
    said = list(_leaves(error))
    for kind in _KINDS:
        for each in said:
            if isinstance(each, kind) and all(isinstance(other, DeviceError) for other in said):
                return _anew(kind, each)
    return None


def _anew(kind: type[DeviceError], said: DeviceError) -> DeviceError | None:
    """The same word of our own class: one of the driver's may hold anything under these names."""
    try:
        word = kind(as_text(said.key))
        word.params = as_texts(said.params)
    except Exception:  # noqa: BLE001 (what it holds is no text and no table: a bug)
        return None
    return word


def _leaves(error: BaseException) -> Iterable[BaseException]:
    """What is in a group of exceptions, and in the groups in it, however deep."""
    todo = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, ExceptionGroup):
            todo += reversed(one.exceptions)
        else:
            yield one


async def _tell(device: Device) -> None:
    """One line when it goes down, one for each new reason while it is, one when it is up."""
    known = False
    pace = Pace()
    down: set[str] = set()
    """The reasons that were told since it was up."""
    async for health in device.health.changes():
        if health.state is State.STARTING:
            continue
        if health.usable:
            level = logging.INFO if down or not known else logging.DEBUG
            down.clear()
        else:
            news = health.key not in down and len(down) < _TOLD_AT_MOST
            level = logging.WARNING if news else logging.DEBUG
            if news:
                down.add(health.key)
        log.log(level, "%s: %s", device.name, _sentence(health))
        known = True
        if level > logging.DEBUG:
            await pace.turn()


def _sentence(health: Health) -> str:
    details = [f"{name}={value}" for name, value in health.params.items()]
    return " ".join([health.state.value, *filter(None, [health.key]), *details])
