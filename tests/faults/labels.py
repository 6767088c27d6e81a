"""A power cut between a label's fact and its paper.

The one rule: after it, exactly the label of which nobody can know is voided.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from faults.judge import Verdict
from faults.processes import eventually
from faults.shop import Shop
from faults.station import Station
from support.wire import Wire

from devices.simulate import PtyHost, TcpHost
from printer.simulate import EscposSimulator
from scale.simulate import Toledo8217Simulator

TABLES = """
[scale.balance]
driver = "mettler-8217"
port = "{scale}"
[printer.labels]
driver = "escpos"
port = "socket://127.0.0.1:{printer}"
[screens.scale]
scale = "balance"
printer = "labels"
min_g = 10
"""


class WeighingPoint:
    """A scale with a printer, and the wire between the printer and its station."""

    def __init__(
        self, station: Station, scale: Toledo8217Simulator, printer: EscposSimulator, wire: Wire
    ) -> None:
        self.station = station
        self.scale = scale
        self.printer = printer
        self.wire = wire

    async def weigh(self, grams: int) -> None:
        """Something lies on the scale, and its product is picked."""
        hands = self.station.hands
        self.scale.load = grams
        if await hands.sees("scale", {"pick", "ready"}) == "pick":
            page = await hands.page("scale")
            product = page.split('data-do="pick" data-what="', 1)[1].split('"', 1)[0]
            await hands.insist("scale", "pick", product, "ready")

    async def take_away(self) -> None:
        self.scale.load = 0
        await self.station.hands.sees("scale", "empty")

    async def prints(self) -> None:
        """One label comes out."""
        out = self.printer.count
        await self.station.hands.insist("scale", "print", "", "take")
        assert self.printer.count == out + 1

    def labels(self, action: str) -> list[dict[str, Any]]:
        """The facts of all labels with this action."""
        facts = (fact for fact in self.station.facts() if fact["kind"] == "label")
        return [fact["data"] for fact in facts if fact["data"]["action"] == action]


async def in_between(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """Labels that came out, and one each time of which nobody can know."""
    doubtful: set[str] = set()
    async with _weighing_point(shop) as point:
        for _ in range(count):
            for _ in range(rng.randrange(1, 3)):
                await point.weigh(rng.randrange(100, 5000))
                await point.prints()
                await point.take_away()
            await point.weigh(rng.randrange(100, 5000))
            doubtful.add(await _killed_after_the_fact(point))
            point.scale.load = 0
            await point.station.start()
            await eventually(
                lambda: _voids(point, len(doubtful)), "the label in doubt is voided", 20
            )
        await point.station.settled()
        printed = [label["label"] for label in point.labels("print")]
        voids = point.labels("void")
    voided = [label["label"] for label in voids]
    assert all("not sure" in label["why"] for label in voids), voids
    return Verdict(
        tried=len(printed),
        lost=len(doubtful - set(voided)),
        doubled=len(voided) - len(set(voided)),
        disordered=0,
        wrong=len(set(voided) - doubtful),
        told=len(await shop.bridge.parked()),
    )


async def _voids(point: WeighingPoint, count: int) -> bool:
    return len(point.labels("void")) >= count


async def _killed_after_the_fact(point: WeighingPoint) -> str:
    """Print while the printer's answers do not come back, and cut the power when the fact is on
    the disk. Returns the label's id.
    """
    before = len(point.labels("print"))

    async def written() -> bool:
        return len(point.labels("print")) > before

    point.wire.hold()
    await point.station.hands.tap("scale", "print")
    await eventually(written, "the label's fact is on the disk", 20)
    await point.station.kill()
    point.wire.cut()
    point.wire.flow()
    return str(point.labels("print")[-1]["label"])


@asynccontextmanager
async def _weighing_point(shop: Shop) -> AsyncIterator[WeighingPoint]:
    scale, printer = Toledo8217Simulator(), EscposSimulator()
    async with (
        PtyHost(shop.folder / "dev" / "balance", scale, baud=9600) as pty,
        TcpHost(printer) as host,
        Wire(host.port) as wire,
    ):
        tables = TABLES.format(scale=pty.path, printer=wire.port)
        station = await shop.open_station("balance", more=tables)

        async def has_products() -> bool:
            return bool(await station.told("catalogue"))

        await eventually(has_products, "products have come down from Odoo")
        await station.hands.sees("scale", "empty")
        try:
            yield WeighingPoint(station, scale, printer, wire)
        finally:
            with suppress(ProcessLookupError):
                await station.kill()
