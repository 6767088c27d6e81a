"""`edged check`: the file first, then one line a device: where it is, and whether it answers.

The one rule: it changes nothing. Nothing is printed on paper, zeroed, tared or photographed.
"""

import argparse
import asyncio
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import bridge.config
from devices import Device, Health, State
from devices.keep import keep
from durable.errors import StoreBusy
from durable.files import lock_read_only
from edged import logs, loop
from edged.cli import MISUSED, NO_ANSWER, OK, counted
from edged.config import Config, DeviceTable, load
from edged.drivers import make_device
from kiosk.words import Language, said
from mqtt.secrets import SecretError, read_badge_key, read_secret
from mqtt.settings import Problem

ANSWER_S = 8.0
"""A printer at 9600 baud that is just being switched on needs some seconds."""


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    problems = list(_problems(config))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{options.config}: understood; {counted(len(config.devices), 'device')}")
    status = NO_ANSWER if problems else OK
    if options.offline:
        return status
    if runs(config):
        print("edged check: the station is running: stop it first", file=sys.stderr)
        return MISUSED
    healths = loop.run(ask(config))
    for table, health in zip(config.devices, healths, strict=True):
        print(_line(table, health, config.station.language))
    return status if all(health.usable for health in healths) else NO_ANSWER


def runs(config: Config) -> bool:
    """Whether a station holds its folder, and with it the devices. False for who may not look."""
    try:
        lock = lock_read_only(config.station.data)
    except StoreBusy:
        return True
    if lock is not None:
        os.close(lock)
    return False


def _problems(config: Config) -> Iterator[object]:
    """What is wrong with the files that the configuration names, without what is in them.

    Raises `ConfigError` where the bridge's own file cannot be used.
    """
    for why in _secrets(config):
        yield f"{config.file}: {why}"
    if config.mqtt is not None:
        for key, why in config.mqtt.mistakes():
            yield Problem(config.file, "mqtt", key, why)
    if config.bridge is not None:
        # Its broker is the private one, whose address it is given when it is started.
        file = config.bridge.config
        yield from bridge.config.mistakes(
            file, bridge.config.load(file, mqtt_url="mqtt://127.0.0.1")
        )


def _secrets(config: Config) -> Iterator[str]:
    """Of the station's own secrets."""
    station, mqtt = config.station, config.mqtt
    if station.badge_key_file is not None:
        yield from _secret("[station] badge_key_file", station.badge_key_file, read_badge_key)
    if mqtt is not None and mqtt.password_file is not None:
        yield from _secret("[mqtt] password_file", mqtt.password_file, read_secret)
    if mqtt is not None and mqtt.key is not None:
        yield from _open_to_all("[mqtt] key", mqtt.key)


def _secret(where: str, path: Path, read: Callable[..., object]) -> Iterator[str]:
    try:
        read(path, where=where)
    except SecretError as error:
        yield str(error)
    yield from _open_to_all(where, path)


def _open_to_all(where: str, path: Path) -> Iterator[str]:
    with suppress(OSError):  # told elsewhere; or a credential, to whose rights systemd sees
        if path.stat().st_mode & stat.S_IROTH:
            yield f"{where}: {path} can be read by everybody: `chmod o= {path}`."


async def ask(config: Config) -> list[Health]:
    """Hold every device until each answered or failed, at most `ANSWER_S`."""
    devices = [make_device(table) for table in config.devices]
    keeping = [asyncio.create_task(keep(device)) for device in devices]
    try:
        return await asyncio.gather(*(_verdict(device) for device in devices))
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


async def _verdict(device: Device) -> Health:
    try:
        async with asyncio.timeout(ANSWER_S):
            async for health in device.health.changes():
                if health.state is not State.STARTING:
                    return health
    except TimeoutError:
        pass
    return device.health.get()


def _line(table: DeviceTable, health: Health, language: Language) -> str:
    mark = {State.UP: "✔", State.DEGRADED: "▲"}.get(health.state, "✖")
    settings = table.settings
    where = getattr(settings, "port", None) or getattr(settings, "url", "")
    device = f"{mark} {table.family} {table.name} ({table.driver_name} at {where})"
    return f"{device}: {explained(health, language)}"


def explained(health: Health, language: Language) -> str:
    """``failing: La balance ne répond pas. (device.silent)``; the key leads to the documents."""
    if not health.key:
        return health.state.value
    sentence = said(language, health.key, **health.params)
    return f"{health.state.value}: {sentence} ({health.key})"
