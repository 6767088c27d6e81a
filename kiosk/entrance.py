"""The entrance: a badge is shown, the screen answers, nobody is made to wait or to blush.

The one rule: the answer comes from the station's own directory, at once; the fact is written at
the same time, and a fact that could not be written is said. First name only, never a reason.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from badge_reader import BadgeRead
from badge_reader.number import candidates, misread
from devices import Value
from durable.errors import StoreFull
from kiosk.missing import reader_of
from kiosk.screen import Screen, Timer, trouble
from kiosk.settings import EntranceSettings
from kiosk.station import Station
from kiosk.words import Language, language_of
from mqtt.identity import badge_hash, shard_of
from mqtt.messages import BadgeData, Entry, Envelope
from store.envelope import boot_id, uptime_ms

Shown = Literal["ok", "warn", "stop", "unknown", "no_directory"]

_SOUNDS = {
    "ok": "ok",
    "twice": "ok",
    "warn": "warn",
    "stop": "stop",
    "unknown": "unknown",
    "unreadable": "unknown",
    "no_directory": "warn",
}


STANDS = {"ok": 4.0, "warn": 7.0, "stop": 8.0, "twice": 2.0}
"""Seconds that an answer stays; the others stay for `_STANDS`."""
_STANDS = 5.0
LOOK_BACK = 200
"""Facts: what passes in `twice_s` is among the newest."""


@dataclass(frozen=True, slots=True)
class EntrancePage:
    """`state` is a key of the catalogue's ``entrance`` table."""

    state: str
    language: Language
    name: str = ""
    next_shift: datetime | None = None
    stale: datetime | None = None
    """Set when the directory is old: of when it is."""
    noted: bool = True
    """False: the passage could not be written down."""
    offline: bool = False
    cue: str = ""


class Entrance(Screen[EntrancePage]):
    name = "entrance"

    def __init__(self, station: Station, settings: EntranceSettings) -> None:
        super().__init__(station)
        self._reader = reader_of(station.devices[settings.reader])
        self._settings = settings
        self._answer: EntrancePage | None = None
        self._answered = ""
        """Whose badge the answer is for; "" when nobody was recognised."""
        self._leave = Timer(self._rest)
        self._passages: dict[str, float] = {}
        self._group: asyncio.TaskGroup | None = None
        self.page: Value[EntrancePage] = Value(EntrancePage("idle", station.language))

    async def run(self) -> None:
        self._remember_passages()
        async with self._reader.badges.listen() as badges, asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._show_life())
            group.create_task(self._follow(self._reader.health))
            if self.station.link is not None:
                group.create_task(self._follow(self.station.link))
            async for badge in badges:
                self._seen(badge)

    def _act(self, _do: str, _what: str, /) -> None:
        """The entrance has no buttons but the languages."""

    @property
    def _engaged(self) -> bool:
        return self._answer is not None

    def _refresh(self) -> None:
        offline = self.station.offline
        if self._answer is not None:
            spoken = self.language if self._chosen else self._answer.language
            self._answer = replace(self._answer, offline=offline, language=spoken)
            self.page.set(self._answer)
            return
        state = trouble(self._reader.health.get(), "reader_absent", "reader_failing") or "idle"
        self.page.set(EntrancePage(state, self.language, offline=offline))

    def _rest(self) -> None:
        self._answer = None
        self._part_from(self._answered)
        self._refresh()

    def _part_from(self, badge: str) -> None:
        """What somebody chose goes with them; whoever was not recognised may try again."""
        if badge:
            self._forget_language()
            self._answered = ""

    def _seen(self, read: BadgeRead) -> None:
        directory = self.station.store.directory
        hashes = [badge_hash(self.station.badge_key, number) for number in candidates(read.text)]
        entry, readable = None, True
        try:
            entry = directory.lookup(hashes)
        except StoreFull:
            readable = False
        lost = entry is None and any(shard_of(one) in directory.missing for one in hashes)
        known = directory.as_of is not None and readable and not lost
        if not hashes or (entry is None and known and misread(read.text)):
            self._show(EntrancePage("unreadable", self.language))
            return
        badge = entry.badge if entry else hashes[0]
        if badge != self._answered:
            self._part_from(self._answered)
        self._answered = badge if entry else ""
        shown: Shown = "no_directory"
        if known:
            shown = entry.verdict if entry else "unknown"
        page = self._verdict(shown, entry)
        again = self._is_again(badge)
        if again and shown in ("ok", "warn"):
            page = replace(page, state="twice")
        self._show(page)
        if not again:
            data = BadgeData(
                device=self._reader.name,
                badge=badge,
                who=entry.who if entry else None,
                shown=shown,
                directory_as_of=directory.as_of,
            )
            assert self._group is not None
            self._group.create_task(self._note(data, self._answer))

    def _verdict(self, shown: Shown, entry: Entry | None) -> EntrancePage:
        if entry is None or shown == "no_directory":
            return EntrancePage(shown, self.language)
        as_of = self.station.store.directory.as_of
        now = self.station.now()
        stale = as_of is not None and now - as_of > timedelta(hours=self._settings.stale_h)
        zone = self.station.timezone
        return EntrancePage(
            shown,
            self.language if self._chosen else language_of(entry.language, self.language),
            name=entry.first_name,
            next_shift=entry.next_shift.astimezone(zone) if entry.next_shift else None,
            stale=as_of.astimezone(zone) if as_of and stale else None,
        )

    def _remember_passages(self) -> None:
        """Of the last seconds before this start: a badge shown again now is the same passage."""
        now = time.monotonic()
        for fact in self.station.store.outbox.newest("badge", LOOK_BACK):
            age = self._age_of(fact)
            badge = fact.data.get("badge")
            if 0 <= age < self._settings.twice_s and isinstance(badge, str):
                self._passages.setdefault(badge, now - age)

    def _age_of(self, fact: Envelope) -> float:
        """Seconds since a fact: by the clock that nobody sets if it is of this boot, else by the
        other one. Negative when neither can say.
        """
        if fact.boot == boot_id():
            return (uptime_ms() - fact.up) / 1000
        if "unsynced" in (fact.clock, self.station.clock()):
            return -1.0
        return (self.station.now() - fact.at).total_seconds()

    def _is_again(self, badge: str) -> bool:
        """Whether this badge passed a moment ago; remembers it."""
        now = time.monotonic()
        recent = now - self._settings.twice_s
        self._passages = {b: at for b, at in self._passages.items() if at > recent}
        again = badge in self._passages
        self._passages[badge] = now
        return again

    def _show(self, page: EntrancePage) -> None:
        """Answer now; whoever was being answered gives way."""
        self._answer = replace(page, cue=self._new_cue(_SOUNDS[page.state]))
        self._refresh()
        self._leave.set(STANDS.get(page.state, _STANDS))

    async def _note(self, data: BadgeData, answer: EntrancePage | None) -> None:
        try:
            await self.station.store.outbox.put("badge", data)
        except StoreFull:
            self._passages.pop(data.badge, None)
            if answer and self._answer and self._answer.cue == answer.cue:
                self._answer = replace(self._answer, noted=False)
                self._refresh()
