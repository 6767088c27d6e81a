"""From a change of load on an 8217 at 9600 baud to the number in the page and on MQTT.

The one rule: changes come when they like, also after a rest, when the scale is asked less often.
"""

import asyncio
import random
import time
from decimal import Decimal
from pathlib import Path

from bench.eyes import Ears, Noted, Stream, Watched, chromium
from bench.row import Row, spread
from bench.station import station
from edged.demo.stage import Stage
from kiosk.words import kilos
from mqtt.broker import PrivateBroker

QUICK = 100
QUICK_S = (0.1, 0.3)
RESTED = 50
RESTED_S = (1.1, 1.6)
"""Longer than the second after which the driver takes a weight for settled."""
BUDGET_MS = 60.0

Changes = list[tuple[int, float]]


async def run(folder: Path) -> list[Row]:
    async with (
        PrivateBroker(folder / "broker") as broker,
        station(folder, mqtt_url=broker.url) as stage,
        Ears.open(broker.url, "edged/v1/+/+/value/+") as ears,
        chromium() as browser,
    ):
        await stage.start()
        url = f"{stage.url}/scale"
        async with Stream.open(url) as stream:
            page = await Watched.open(browser, url, "#weight")
            stage.bench.scale.load = 5
            await _heard(ears, 5)
            changes = {
                "kept moving": await _move(stage, QUICK, QUICK_S),
                "at rest before": await _move(stage, RESTED, RESTED_S),
            }
            by_stream, by_page = stream.noted(), await page.noted()
    rows = []
    for how, done in changes.items():
        shown = [(kilos("fr", grams), when) for grams, when in done]
        what = f"load → number, 8217 at 9600 baud, {how}"
        rows += [
            spread(f"{what}: HTTP stream", by_stream.delays(shown), BUDGET_MS),
            spread(f"{what}: Chromium", by_page.delays(shown), BUDGET_MS),
            spread("  the same, painted", by_page.delays(shown, painted=True)),
            spread(f"{what}: MQTT", _delays(ears, done), BUDGET_MS),
        ]
    return rows


async def _move(stage: Stage, count: int, pause: tuple[float, float]) -> Changes:
    changes = []
    for grams in random.sample(range(100, 14_000), count):
        await asyncio.sleep(random.uniform(*pause))
        changes.append((grams, time.monotonic()))
        stage.bench.scale.load = grams
    await asyncio.sleep(1)
    return changes


async def _heard(ears: Ears, grams: int) -> None:
    async with asyncio.timeout(20):
        while grams not in [_grams(body["value"]) for *_, body in ears.heard]:
            await asyncio.sleep(0.05)


def _grams(value: object) -> int | None:
    return None if value is None else int(Decimal(str(value)) * 1000)


def _delays(ears: Ears, changes: Changes) -> list[float]:
    notes = [(str(_grams(body["value"])), when, when) for when, _, body in ears.heard]
    return Noted(notes).delays([(str(grams), when) for grams, when in changes])
