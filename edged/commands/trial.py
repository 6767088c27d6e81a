"""`edged try`: one device, in a technician's hand.

The one rule: a round trip with a verdict, and no trace: no fact is made, no badge number shown
whole. The station must be stopped, for a device has one master.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from badge_reader import BadgeReader
from camera import Camera
from devices import Device, DeviceError
from devices.keep import keep
from edged import logs, loop
from edged.cli import MISUSED, NO_ANSWER, OK
from edged.commands.check import explained, runs
from edged.config import load
from edged.drivers import make_device
from kiosk.words import Language, said
from mqtt.settings import nearest
from printer import Label, NotPrinted, Printer
from scale import Scale

TEST_LABEL = Label(
    title="Étiquette d’essai",
    number="n° 000",
    details="edged try printer",
    weights="Net 0,000 kg   0,00 €/kg",
    barcode="2100000000005",
    price="0,00 €",
    price_note="essai",
    footer="┌ └ ┐ ┘",
)


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    tables = {table.name: table for table in config.devices if table.family == options.family}
    if options.name not in tables:
        hint = nearest(options.name, tables)
        print(f"edged try: no {options.family} '{options.name}'.{hint}", file=sys.stderr)
        return MISUSED
    if runs(config):
        print("edged try: the station is running: stop it first", file=sys.stderr)
        return MISUSED
    device, language = make_device(tables[options.name]), config.station.language
    return loop.run(_try(device, language, options.seconds, options.output))


async def _try(device: Device, language: Language, seconds: float, output: Path | None) -> int:
    if isinstance(device, Camera):
        # Its first connection is then the stream's: a camera that serves one has no second.
        async with device.watching():
            return await _tried(device, language, seconds, output)
    return await _tried(device, language, seconds, output)


async def _tried(device: Device, language: Language, seconds: float, output: Path | None) -> int:
    keeping = asyncio.create_task(keep(device))
    telling = asyncio.create_task(_tell_health(device, language))
    answered = asyncio.Event()
    try:
        async with asyncio.timeout(seconds):
            async for health in device.health.changes():
                if health.usable:
                    break
            await _trial(device, language, answered, output)
    except TimeoutError:
        if not answered.is_set():
            print(f"No answer within {seconds:g} s.")
    finally:
        for task in (keeping, telling):
            task.cancel()
        await asyncio.gather(keeping, telling, return_exceptions=True)
    return OK if answered.is_set() else NO_ANSWER


async def _tell_health(device: Device, language: Language) -> None:
    async for health in device.health.changes():
        print(f"{device.name}: {explained(health, language)}", flush=True)


async def _trial(
    device: Device, language: Language, answered: asyncio.Event, output: Path | None
) -> None:
    match device:
        case BadgeReader():
            await _badge(device, answered)
        case Scale():
            await _weights(device, answered)
        case Printer():
            await _label(device, language, answered)
        case Camera():
            await _picture(device, language, answered, output)


async def _badge(reader: BadgeReader, answered: asyncio.Event) -> None:
    print("Show a badge. Its number is masked; Ctrl-C ends.", flush=True)
    async with reader.badges.listen() as badges:
        badge = await anext(badges)
    kind = "digits" if badge.text.isdigit() else "characters"
    print(f"read {badge}: {len(badge.text)} {kind}", flush=True)
    answered.set()


async def _weights(scale: Scale, answered: asyncio.Event) -> None:
    print("Put something on, take it off. Every change is shown.", flush=True)
    async for weight in scale.reading.changes():
        if weight is None:
            print("nothing known", flush=True)
        elif weight.value is None:
            print(_condition(weight.over, weight.under), flush=True)
        else:
            answered.set()
            net = " net" if weight.net else ""
            print(f"{weight.value} {weight.unit}{net}", flush=True)


def _condition(over: bool | None, under: bool | None) -> str:
    if over:
        return "too heavy"
    return "below zero" if under else "moving"


async def _label(printer: Printer, language: Language, answered: asyncio.Event) -> None:
    try:
        await printer.print(TEST_LABEL)
    except NotPrinted as error:
        print(f"not printed: {said(language, error.key)} ({error.key})")
        return
    print("A label should be out: are its four corners on it, does a scanner read the bars?")
    answered.set()


async def _picture(
    camera: Camera, language: Language, answered: asyncio.Event, output: Path | None
) -> None:
    try:
        jpeg = await camera.still()
    except DeviceError as error:
        print(f"no picture: {said(language, error.key, **error.params)} ({error.key})")
        return
    answered.set()
    if output is None:
        print(f"one picture of {len(jpeg)} bytes (--output FILE keeps it)")
        return
    try:
        output.write_bytes(jpeg)
    except OSError as error:
        print(f"one picture of {len(jpeg)} bytes; not kept in {output}: {error.strerror}")
    else:
        print(f"one picture of {len(jpeg)} bytes in {output}")
