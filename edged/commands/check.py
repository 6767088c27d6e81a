"""`edged check`: the file first, then one line a device: where it is, and whether it answers.

The one rule: it changes nothing. Nothing is printed on paper, zeroed, tared or photographed.
"""

import argparse
import asyncio
import sys

from devices import Device, Health, State
from devices.keep import keep
from edged import logs
from edged.cli import NO_ANSWER, OK
from edged.config import Config, DeviceTable, load
from edged.drivers import make_device
from kiosk.words import Language, said
from mqtt.secrets import SecretError, read_badge_key, read_secret

ANSWER_S = 8.0
"""A printer at 9600 baud that is just being switched on needs some seconds."""


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    print(f"{options.config}: understood; {len(config.devices)} devices")
    status = OK
    for problem in _secrets(config):
        print(f"{options.config}: {problem}", file=sys.stderr)
        status = NO_ANSWER
    if options.offline:
        return status
    healths = asyncio.run(ask(config))
    for table, health in zip(config.devices, healths, strict=True):
        print(_line(table, health, config.station.language))
    return status if all(health.usable for health in healths) else NO_ANSWER


def _secrets(config: Config) -> list[str]:
    problems = []
    if config.station.badge_key_file is not None:
        try:
            read_badge_key(config.station.badge_key_file)
        except SecretError as error:
            problems.append(f"[station] badge_key_file: {error}")
    if config.mqtt is not None and config.mqtt.password_file is not None:
        try:
            read_secret(config.mqtt.password_file)
        except SecretError as error:
            problems.append(f"[mqtt] password_file: {error}")
    return problems


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
