"""A broker, a stand-in Odoo and a bridge's file: all that facts pass through on their way."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.bridging import write_config
from support.broker import Mosquitto, mosquitto
from support.stations import FakeStation

from bridge.inbox import Inbox
from bridge.odoo import to_odoo
from bridge.standin import StandIn
from bridge.standin.demo import PASSWORD, stock

NADIA, PAUL, CAMILLE = 11, 12, 101


@dataclass
class World:
    folder: Path
    broker: Mosquitto
    odoo: StandIn
    config: Path

    def attendances(self) -> list[tuple[int, str, str | None]]:
        rows = self.odoo.database.tables["hr.attendance"].values()
        return sorted(
            (
                row["employee_id"],
                row["check_in"].strftime("%Y-%m-%d %H:%M:%S"),
                row["check_out"].strftime("%Y-%m-%d %H:%M:%S") if row["check_out"] else None,
            )
            for row in rows
        )

    def station(self, name: str = "entree", **options: Any) -> FakeStation:
        return FakeStation(self.broker.url, "demo", name, **options)

    @asynccontextmanager
    async def inbox(self) -> AsyncIterator[Inbox]:
        """The bridge's inbox, once no bridge runs any more."""
        inbox = await Inbox.open(self.folder / "inbox")
        try:
            yield inbox
        finally:
            await inbox.close()

    async def counts(self) -> dict[str, int]:
        async with self.inbox() as inbox:
            return await inbox.counts("demo")


def hire(odoo: StandIn, count: int) -> list[int]:
    """Employees that nobody else has to do with."""
    database = odoo.database
    with database.transaction():
        return [database.create("hr.employee", {"name": f"Employee {n}"}) for n in range(count)]


@asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    async with mosquitto(folder / "broker") as broker, StandIn(stock()) as odoo:
        config = write_config(folder, broker=broker.url, odoo=odoo.url, password=PASSWORD)
        yield World(folder, broker, odoo, config)


def jpeg(colour: int = 90, side: int = 64) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 120, 40)).save(out, "JPEG")
    return out.getvalue()


def passages(
    station: FakeStation, count: int, employees: tuple[int, ...] = (NADIA, PAUL)
) -> list[Any]:
    """In and out, minutes apart, in the past; what Odoo must have in the end."""
    begin = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    expected: dict[tuple[int, int], list[str]] = {}
    for number in range(count):
        employee = employees[number % len(employees)]
        at = begin + timedelta(minutes=number, seconds=number % 7)
        station.badge(employee=employee, at=at)
        turn = number // len(employees)
        expected.setdefault((employee, turn // 2), []).append(to_odoo(at))
    return sorted((who, times[0], times[1] if len(times) == 2 else None)
                  for (who, _), times in expected.items())  # fmt: skip
