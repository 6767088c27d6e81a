"""A station's uplink held open for a test, on a real store and to whatever broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from devices import Device
from edged.config import Config, load
from edged.uplink import Uplink
from store import Store

BASE = "edged/v1/demo/borne-1"


def config(folder: Path, url: str) -> Config:
    file = folder / "station.toml"
    file.write_text(
        f'[station]\nsite = "demo"\nname = "borne-1"\ndata = "{folder / "data"}"\n'
        f'[mqtt]\nurl = "{url}"\n'
    )
    return load(file)


@asynccontextmanager
async def uplinked(folder: Path, url: str, store: Store, *devices: Device) -> AsyncIterator[Uplink]:
    settings = config(folder, url)
    assert settings.mqtt is not None
    uplink = Uplink(settings, settings.mqtt, store, {device.name: device for device in devices})
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settled(store: Store, done: int) -> None:
    async with asyncio.timeout(30):
        while store.outbox.status().waiting + store.outbox.status().stored or not done:
            await asyncio.sleep(0.02)
