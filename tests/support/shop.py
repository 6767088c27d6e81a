"""A whole station on its feet: the real daemon, simulated devices, a broker, a stand-in Odoo."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from support.broker import Mosquitto, mosquitto
from support.hands import Hands

from edged.demo.stage import Stage
from edged.transfer import kept_facts


class Shop:
    """Everything a test can take hold of."""

    def __init__(self, stage: Stage, broker: Mosquitto | None) -> None:
        self.stage = stage
        self.bench = stage.bench
        self._broker = broker
        self.hands = Hands("")
        self._bridge: asyncio.subprocess.Process | None = None

    @property
    def broker(self) -> Mosquitto:
        assert self._broker is not None
        return self._broker

    async def start(self) -> None:
        await self.stage.start()
        self.hands.url = self.stage.url

    async def power_cut(self) -> None:
        """SIGKILL to the daemon, then start it again."""
        await self.stage.kill()
        await self.start()

    async def start_bridge(self) -> None:
        """A bridge of its own, where the daemon does not run one beside itself."""
        self._bridge = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edged", "bridge", "-c", str(self.stage.folder / "bridge.toml"),
            env={**os.environ, "EDGED_MQTT_URL": self.broker.url},
        )  # fmt: skip

    async def kill_bridge(self) -> None:
        if self._bridge is not None and self._bridge.returncode is None:
            with suppress(ProcessLookupError):
                self._bridge.send_signal(signal.SIGKILL)
            await self._bridge.wait()

    def odoo(self) -> dict[str, Any]:
        return self.stage.odoo.state()

    async def told(self, what: str) -> Any:
        """One value of the status page, such as ``waiting``."""
        rows = (await self.hands.status())["rows"]
        assert isinstance(rows, list)
        return next(row["value"] for row in rows if row["what"] == what)

    async def device(self, name: str) -> str:
        """How the status page says that a device is."""
        devices = (await self.hands.status())["devices"]
        assert isinstance(devices, list)
        return next(str(device["state"]) for device in devices if device["name"] == name)

    async def device_is(self, name: str, *states: str, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while await self.device(name) not in states:
                await asyncio.sleep(0.05)

    async def knows_the_shop(self) -> None:
        """Until members and products have come down from Odoo."""
        async with asyncio.timeout(30):
            while not (await self.told("directory") and await self.told("catalogue")):
                await asyncio.sleep(0.1)

    def facts(self) -> list[dict[str, Any]]:
        """What the station's own store holds, read as `edged export facts` reads it."""
        return kept_facts(self.stage.folder / "station")

    async def all_settled(self, seconds: float = 60) -> None:
        """Until nothing waits any more: the bridge says that Odoo has it all."""
        async with asyncio.timeout(seconds):
            while any(fact["state"] in ("waiting", "stored") for fact in self.facts()):
                await asyncio.sleep(0.2)


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def shop_in(folder: Path, *, own_broker: bool) -> AsyncIterator[Shop]:
    if not own_broker:
        async with Stage(folder / "demo") as stage:
            shop = Shop(stage, None)
            await shop.start()
            yield shop
        return
    async with (
        mosquitto(folder / "broker") as broker,
        Stage(folder / "demo", mqtt_url=broker.url) as stage,
    ):
        shop = Shop(stage, broker)
        await shop.start_bridge()
        try:
            await shop.start()
            yield shop
        finally:
            await shop.kill_bridge()
