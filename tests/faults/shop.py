"""A whole shop to break: broker, stand-in Odoo, bridge and stations, and the people who work there.

The one rule: a scenario about badges ends with `Shop.verdict`, which waits until all is delivered
and judges by what Odoo has.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from faults.centre import Bridge, Odoo, Person
from faults.judge import Truth, Verdict, judge
from faults.station import Station
from support.bridging import write_config
from support.broker import OPEN, Mosquitto, mosquitto
from support.wire import Wire

from bridge.standin.demo import EMPLOYEES, MEMBERS, PASSWORD

PERSISTENT = f"{OPEN}persistence true\nautosave_on_changes true\nautosave_interval 1\n"


class CannotTry(Exception):
    """This machine cannot do what a scenario needs; the message says what."""


class Shop:
    """Made by `shop_in`; a scenario opens the stations that it needs."""

    def __init__(
        self,
        folder: Path,
        broker: Mosquitto,
        odoo: Odoo,
        bridge: Bridge,
        line: Wire,
        people: list[Person],
        stack: AsyncExitStack,
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.odoo = odoo
        self.bridge = bridge
        self.line = line
        """Between the bridge and the broker."""
        self.people = people
        self.members = len(MEMBERS)
        self.truth = Truth()
        self.stations: list[Station] = []
        self._stack = stack
        self._turns = itertools.cycle(people)

    async def station(
        self, name: str = "entree", *, folder: str = "", twice_s: float = 1.0, more: str = ""
    ) -> Station:
        """One more, which is not started. `folder`: where, if not in the one of its name."""
        station = Station(
            self.folder / (folder or name),
            name,
            self.broker.port,
            self.folder / "badge.key",
            self.truth,
            twice_s=twice_s,
            more=more,
        )
        self.stations.append(await self._stack.enter_async_context(station))
        return station

    async def open_station(
        self, name: str = "entree", *, folder: str = "", twice_s: float = 1.0, more: str = ""
    ) -> Station:
        """One more, which runs and knows everybody."""
        station = await self.station(name, folder=folder, twice_s=twice_s, more=more)
        await station.start()
        await station.knows(self.everybody)
        return station

    @property
    def everybody(self) -> int:
        """How many people have a badge that the stations must know."""
        return len(self.people) + self.members + len(EMPLOYEES)

    def next(self, count: int) -> list[Person]:
        """The next people to badge, all different; each comes back only after everybody else."""
        assert count <= len(self.people)
        return list(itertools.islice(self._turns, count))

    async def settled(self) -> None:
        """Until every station that runs has delivered everything."""
        for station in self.stations:
            if station.life:
                await station.settled()

    async def verdict(self) -> Verdict:
        await self.settled()
        return judge(self.truth, await self.odoo.attendances(), await self.bridge.parked())


@asynccontextmanager
async def shop_in(folder: Path, *, people: int = 60, keeps: bool = True) -> AsyncIterator[Shop]:
    """Broker, Odoo and bridge run; `keeps`: broker and Odoo keep what they have over a kill -9."""
    async with AsyncExitStack() as stack:
        persistent = f"{PERSISTENT}persistence_location {folder / 'broker'}/\n"
        broker = await stack.enter_async_context(
            mosquitto(folder / "broker", persistent if keeps else OPEN)
        )
        odoo = Odoo(folder, keeps=keeps)
        stack.push_async_callback(odoo.kill)
        await odoo.start()
        staff = await odoo.hire(range(1, people + 1))
        line = await stack.enter_async_context(Wire(broker.port))
        config = write_config(
            folder, broker=f"mqtt://127.0.0.1:{line.port}", odoo=odoo.url, password=PASSWORD
        )
        bridge = Bridge(config, folder / "inbox")
        stack.push_async_callback(bridge.kill)
        bridge.spawn()
        yield Shop(folder, broker, odoo, bridge, line, staff, stack)
