"""A station at rest with people in front of it: broker up, every screen open in some page."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.eyes import Stream
from bench.station import station
from edged.demo.stage import Stage
from mqtt.broker import PrivateBroker

SCREENS = ("entrance", "scale", "photo")


@asynccontextmanager
async def watched_station(folder: Path) -> AsyncIterator[Stage]:
    """The daemon runs, with 50,000 members; the pages stay open while the block lasts."""
    async with (
        PrivateBroker(folder / "broker") as broker,
        station(folder, mqtt_url=broker.url) as stage,
        AsyncExitStack() as pages,
    ):
        await stage.start()
        for screen in SCREENS:
            await pages.enter_async_context(Stream.open(f"{stage.url}/{screen}"))
        yield stage
