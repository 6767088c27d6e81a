"""The daemon, from top to bottom: store, devices, screens, link, and the same backwards.

The one rule: core tasks (store, screens, link) take the daemon down when they fail, so that
systemd starts a sound one; devices never do.
"""

import asyncio
import ctypes
import errno
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from starlette.applications import Starlette

from devices import Device, Value
from devices.keep import keep_all
from edged.build import BUILD
from edged.clock import ClockQuality, tell_when_right
from edged.config import Config
from edged.drivers import make_device
from edged.logbook import Logbook
from edged.notify import Pulse, notify
from edged.signs import look_at_server, look_at_store
from edged.stalls import Stalls
from edged.uplink import Uplink
from kiosk.app import build
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.server import serve
from kiosk.station import Station
from kiosk.weighing import Weighing
from kiosk.words import said
from mqtt.messages import Clock
from mqtt.secrets import KEY_BYTES, SecretError, make_badge_key, read_badge_key
from store import Store, StoreError, StoreFull

log = logging.getLogger(__name__)


class CannotStart(Exception):
    """Something outside the configuration file stops us; the message says what to do.

    `needs_person`: to start again is of no use until somebody has done it.
    """

    def __init__(self, message: str, *, needs_person: bool = True) -> None:
        super().__init__(message)
        self.needs_person = needs_person


_M_ARENA_MAX = -8  # malloc.h


def _one_arena() -> None:
    """Have every thread allocate from one heap (mallopt(3)): our few threads hardly compete, and
    each arena of its own would keep megabytes that no other thread can use.
    """
    with suppress(AttributeError, OSError):  # a C library that is not glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


async def run(config: Config) -> None:
    """Run the station until SIGTERM or SIGINT. Raises `CannotStart`."""
    _one_arena()
    loop = asyncio.get_running_loop()
    station = asyncio.create_task(_run(config), name="station")
    asked = asyncio.Event()

    def stop() -> None:
        asked.set()
        station.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await station
    except asyncio.CancelledError as error:
        if not asked.is_set():
            raise RuntimeError("the station was cancelled, and no signal asked for that") from error
        log.info("stopped")
    except BaseExceptionGroup as group:
        # A sentence for a person goes before the noise of what it took down with it.
        told = group.subgroup(CannotStart)
        if told is None:
            raise
        raise _first(told) from None


def _first(group: BaseExceptionGroup[CannotStart]) -> CannotStart:
    """One of the reasons in a group of them."""
    one = group.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one


class _DiskIsBack(Exception):
    """Not an error: the disk took nothing when the store was opened, and takes facts again."""


async def _run(config: Config) -> None:
    clock = ClockQuality(trusted=config.station.clock == "trusted")
    while True:
        try:
            await _run_once(config, clock)
        except* _DiskIsBack:
            log.info("the disk takes facts again: the station starts anew")


async def _run_once(config: Config, clock: ClockQuality) -> None:
    devices = {table.name: make_device(table) for table in config.devices}
    async with opened(config, clock, sheltered=True) as store:
        uplink = _uplink(config, store, devices)
        station = Station(
            site=config.station.site,
            name=config.station.name,
            coop=config.station.coop or config.station.site,
            language=config.station.language,
            timezone=config.station.zone,
            build=BUILD,
            store=store,
            folder=config.station.data,
            devices=devices,
            badge_key=station_badge_key(config, store),
            clock=clock,
            link=uplink.state if uplink else None,
            bridge_seen=uplink.bridge_seen if uplink else Value[datetime | None](None),
        )
        async with asyncio.TaskGroup() as group:
            if store.sheltered_from:
                group.create_task(_watch_disk(store), name="disk")
            await _core(config, station, uplink)


async def _watch_disk(store: Store) -> None:
    await store.disk_takes_facts()
    raise _DiskIsBack


@asynccontextmanager
async def opened(
    config: Config, clock: Callable[[], Clock], *, sheltered: bool = False
) -> AsyncIterator[Store]:
    """The station's store; `sheltered` as in `Store.open`. Raises `CannotStart`."""
    try:
        store = await Store.open(config.station.data, clock=clock, sheltered=sheltered)
    except (StoreError, StoreFull) as error:
        sentence = said(config.station.language, error.key, **error.params)
        raise CannotStart(f"{sentence} ({error})", needs_person=error.needs_person) from error
    try:
        yield store
    finally:
        await store.close()


def station_badge_key(config: Config, store: Store | None = None) -> bytes:
    """The key that hashes badges, made at the first start if no file is named for it.

    `store`: the station's own. The key of its members is never made anew: with another one all of
    them would be strangers. Where its disk takes nothing and there is no key, there are no members
    either, and any key does until the disk is back. Raises `CannotStart`.
    """
    named = config.station.badge_key_file
    path = named or config.station.data / "badge.key"
    try:
        if named is None and store is not None and not os.path.lexists(path):
            if store.directory.as_of is not None:
                raise CannotStart(
                    f"{path} is missing, the badge key of the members that are here: put it back "
                    "from a backup, or import the members again (`edged import`)"
                )
            if store.sheltered_from:
                return secrets.token_bytes(KEY_BYTES)
        if named is None:
            make_badge_key(path)
        return read_badge_key(path, where="[station] badge_key_file" if named else "")
    except SecretError as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(str(error), needs_person=isinstance(error, PermissionError)) from error


def _uplink(config: Config, store: Store, devices: Mapping[str, Device]) -> Uplink | None:
    if config.mqtt is None:
        return None
    try:
        return Uplink(config, config.mqtt, store, devices)
    except SecretError as error:
        raise CannotStart(str(error)) from error


async def _core(config: Config, station: Station, uplink: Uplink | None) -> None:
    tables = config.screens
    entrance = Entrance(station, tables.entrance) if tables.entrance else None
    weighing = Weighing(station, tables.scale) if tables.scale else None
    booth = Booth(station, tables.photo) if tables.photo else None
    app = build(station, entrance, weighing, booth)
    pulse = Pulse()
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def ready(port: int) -> None:
        listening.set_result(port)
        _ready(port)

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_all(station.devices.values()), name="devices")
        for screen in (entrance, weighing, booth):
            if screen is not None:
                screen.alive = pulse.watch(f"screen {screen.name}")
                group.create_task(screen.run(), name=f"screen {screen.name}")
        group.create_task(_serve(app, config.kiosk.port, ready), name="server")
        group.create_task(look_at_server(listening, pulse.watch("server")), name="server's life")
        group.create_task(tell_when_right(station.clock, station.store.outbox), name="clock")
        logbook = Logbook(station.store.journal)
        trouble = uplink.trouble if uplink else None
        group.create_task(logbook.keep(station.devices, station.link, trouble), name="logbook")
        group.create_task(look_at_store(station.store, pulse.watch("store")), name="store")
        group.create_task(pulse.feed(), name="watchdog")
        stalls = Stalls(station.devices, station.stall, logbook.note_stall)
        group.create_task(stalls.watch(), name="stalls")
        if uplink is not None:
            group.create_task(uplink.run(pulse.watch("link")), name="link")


def _ready(port: int) -> None:
    log.info("ready: http://127.0.0.1:%d/", port)
    notify(f"READY=1\nPORT={port}\nSTATUS=http://127.0.0.1:{port}/")


async def _serve(app: Starlette, port: int, ready: Callable[[int], None] = _ready) -> None:
    try:
        await serve(app, port=port, listening=ready)
    except OSError as error:
        why = {
            errno.EADDRINUSE: "is used by another program (another edged?)",
            errno.EACCES: "is for root alone: take one from 1024 on",
        }.get(error.errno or 0, error.strerror or str(error))
        needs_person = isinstance(error, PermissionError)
        raise CannotStart(f"[kiosk] port: {port} {why}", needs_person=needs_person) from error
