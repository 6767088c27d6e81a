"""A station with an entrance: its process, its badge reader, its line to the broker.

The one rule: it is looked at through its pages and what `edged export` gives.
"""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2
from faults.centre import Person
from faults.judge import Truth
from faults.processes import Process, eventually
from support.hands import Hands
from support.wire import Wire

from badge_reader.simulate import ScannerSimulator
from devices.simulate import PtyHost
from edged.transfer import kept_facts
from kiosk.words import say
from store import StoreError

STATION = """
[station]
site = "demo"
name = "{name}"
data = "{data}"
badge_key_file = "{key}"
clock = "trusted"
[kiosk]
port = 0
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[badge_reader.door]
driver = "serial-scanner"
port = "{door}"
[screens.entrance]
reader = "door"
twice_s = {twice_s}
"""
_READY = r"ready: (http://127\.0\.0\.1:\d+)/"
_STATE = re.compile(r'<main id="main" class="\w+ (?:is-)?([a-z_]+)')


@dataclass(frozen=True, slots=True)
class Shown:
    """A badge that was shown, and the page's answer: "" when none came."""

    person: Person
    state: str


class Station(Process):
    """`edged run`, a badge reader at the end of a pty, and the wire to the broker.

    `more`: tables that its file has besides.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        broker: int,
        key: Path,
        truth: Truth,
        *,
        twice_s: float = 1.0,
        more: str = "",
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.wire = Wire(broker)
        self.door = ScannerSimulator()
        self.hands = Hands("")
        self.pty = PtyHost(folder / "dev" / "door", self.door)
        self._name = name
        self._key = key
        self._truth = truth
        self._twice_s = twice_s
        self._more = more
        self._opened = 0
        """The life in which its reader came up."""
        self._stack = AsyncExitStack()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "station.toml"
        super().__init__(folder / "station.log", "edged", "run", "-c", str(self.config))

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.pty)
        await self._stack.enter_async_context(self.wire)
        text = STATION.format(
            name=self._name,
            data=self.data,
            key=self._key,
            port=self.wire.port,
            door=self.pty.path,
            twice_s=self._twice_s,
        )
        self.config.write_text(text + self._more)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self._stack.aclose()

    async def start(self) -> None:
        """Returns when its pages answer and its reader is up."""
        self.spawn()
        await self.opens()

    async def opens(self) -> None:
        """Its pages answer, at the address that it has told last, and its reader is up."""
        await self.says(_READY)
        await eventually(self._reads, "the badge reader is up")
        self._opened = self.life

    async def _reads(self) -> bool:
        self.hands.url = re.findall(_READY, self.words())[-1]
        try:
            told = await self.hands.status()
        except httpx2.TransportError:
            return False
        devices = told["devices"]
        assert isinstance(devices, list)
        return all(device["state"] in ("up", "degraded") for device in devices)

    async def told(self, what: str) -> Any:
        """One value of the status page, such as ``waiting``."""
        rows = (await self.hands.status())["rows"]
        assert isinstance(rows, list)
        return next(row["value"] for row in rows if row["what"] == what)

    async def knows(self, count: int) -> None:
        """Until so many people have come down from Odoo."""

        async def enough() -> bool:
            return bool(await self.told("directory") >= count)

        await eventually(enough, f"{count} people in the directory")

    def facts(self) -> list[dict[str, Any]]:
        """What `edged export` gives; nothing where there is no store yet."""
        try:
            facts = kept_facts(self.data)
        except StoreError as error:
            if error.key != "store.missing":
                raise
            return []
        self._truth.note(facts)
        return facts

    async def show(self, person: Person, *, meant: bool = True, seconds: float = 60) -> Shown:
        """Show a badge and look for the answer, unless the station is not up or dies meanwhile. Not
        `meant`: it is to be no passage.
        """
        life = self.life if self.life == self._opened else 0
        self._truth.shown[person.id] += meant
        self.door.scan(person.badge)

        async def answered() -> Shown | None:
            if not life or self.life != life:
                return Shown(person, "")
            page = await self._page()
            found = _STATE.search(page)
            if person.first_name not in page or found is None:
                return None
            return Shown(person, found[1])

        shown = await eventually(answered, f"an answer to {person.first_name}'s badge", seconds)
        assert shown is not None
        return shown

    async def refuses(self, person: Person) -> bool:
        """Whether the page says that this person's badge could not be written down."""
        page = await self._page()
        return person.first_name in page and say("fr", "entrance.not_noted") in page

    async def _page(self) -> str:
        try:
            return await self.hands.page("entrance")
        except httpx2.TransportError:
            return ""

    async def passes(self, *people: Person) -> None:
        """Each shows their badge, and it is on the disk."""
        before = {person: self._truth.count(person.id) for person in people}
        for person in people:
            shown = await self.show(person)
            assert shown.state in ("ok", "warn"), shown
        await self.wrote(before)

    async def wrote(self, before: dict[Person, int]) -> None:
        """Until each has one badge more on the disk than `before`."""

        async def all_there() -> bool:
            self.facts()
            return all(self._truth.count(p.id) > count for p, count in before.items())

        await eventually(all_there, "every badge that was answered is on the disk")

    async def settled(self, seconds: float = 120) -> None:
        """Until nothing waits any more for the bridge or for Odoo."""

        async def all_let_go() -> bool:
            facts = await asyncio.to_thread(self.facts)
            return not any(fact["state"] in ("waiting", "stored") for fact in facts)

        await eventually(all_let_go, f"{self._name} has delivered everything", seconds)
