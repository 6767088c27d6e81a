"""From Odoo's people to the directory that stations answer badges from.

The one rule: what leaves here is a badge's hash, a first name and a verdict. A badge number, a
family name or a reason never does.

Changes are found by `write_date`, which Odoo stores with microseconds, reads in whole seconds and
stamps at a transaction's start: so each look goes a few seconds back. What write dates cannot tell
(deleted records, computed states, domains over other records, shifts) the full pass finds.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bridge.config import MembersTable
from bridge.odoo import Odoo, from_odoo, to_odoo
from bridge.profile import NextShiftNames, People, Profile
from bridge.shifts import next_shifts
from bridge.wire import Rejected, conjunction
from mqtt.digest import shard_digest
from mqtt.identity import badge_hash, shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Entry, Verdict, Who

BACK = timedelta(seconds=5)
MANY = 10
"""So many people do not vanish at once: it is the rights, the company or a domain that changed."""
_HEX = re.compile(r"[0-9A-Fa-f]+")
_STRICTNESS: Sequence[Verdict] = ("ok", "warn", "stop")


def first_name(name: str) -> str:
    """The first name in "Camille Durand", "DURAND Camille", "Durand, Camille", "12 - Camille"."""
    _, _, after = name.rpartition(" - ")
    _, comma, given = after.partition(",")
    words = (given if comma and given.strip() else after).replace(",", " ").split()
    if not words:
        return ""
    mixed = [word for word in words if not (word.isupper() and len(word) > 1)]
    return (mixed or words)[0]


def canonical(badge: str) -> str:
    """A badge number in the form that stations look up: hexadecimal in capitals, else as it is."""
    number = badge.strip()
    return number.upper() if _HEX.fullmatch(number) else number


class _Source:
    """The people of one model."""

    def __init__(
        self,
        kind: Literal["member", "employee"],
        names: People,
        key: bytes,
        table: MembersTable | None = None,
        shifts: NextShiftNames | None = None,
    ) -> None:
        self._kind = kind
        self._names = names
        self._key = key
        self._shifts = shifts
        self._domain = conjunction(
            [[names.badge, "!=", False]], names.domain, table.domain if table else []
        )
        self._verdicts: dict[Verdict, Sequence[Any]] = {}
        if table:
            self._verdicts = {"warn": table.warn, "stop": table.stop}
        told = (names.badge, names.name, names.language, names.may_shop, names.state)
        self._fields = [field for field in told if field]
        self._since: datetime | None = None
        self.entries: dict[int, Entry] = {}

    async def read_all(self, odoo: Odoo) -> bool:
        """Returns whether anything is not as it was."""
        since = await self._last_written(odoo)  # what is written while we read is read again
        verdicts = await self._judge(odoo, [])
        shifts = await next_shifts(odoo, self._shifts) if self._shifts else {}
        entries = {}
        async for row in odoo.rows(self._names.model, self._domain, self._fields):
            if entry := self._entry(row, verdicts, shifts):
                entries[row["id"]] = entry
        if not entries and len(self.entries) >= MANY:
            raise Rejected(f"{self._names.model}: nobody is there any more; those known are kept")
        changed, self.entries, self._since = entries != self.entries, entries, since
        return changed

    async def _last_written(self, odoo: Odoo) -> datetime | None:
        rows = await odoo.call(
            self._names.model,
            "search_read",
            [["write_date", "!=", False], ["active", "in", [True, False]]],
            fields=["write_date"],
            order="write_date desc",
            limit=1,
        )
        return _later(None, rows[0]) if rows else None

    async def read_changes(self, odoo: Odoo) -> bool:
        """The same for what was written since the last look."""
        since = self._since
        if since is None:
            return await self.read_all(odoo)
        written = [
            ["write_date", ">=", to_odoo(since - BACK)],
            ["active", "in", [True, False]],
        ]
        ids = []
        async for row in odoo.rows(self._names.model, written, ["write_date"]):
            ids.append(row["id"])
            since = _later(since, row)
        entries = {}
        if ids:
            among = [["id", "in", ids]]
            verdicts = await self._judge(odoo, among)
            shifts = await next_shifts(odoo, self._shifts, ids) if self._shifts else {}
            domain = conjunction(self._domain, among)
            async for row in odoo.rows(self._names.model, domain, self._fields):
                if entry := self._entry(row, verdicts, shifts):
                    entries[row["id"]] = entry
        changed = any(self.entries.get(person) != entries.get(person) for person in ids)
        for person in ids:
            self.entries.pop(person, None)
        self.entries.update(entries)
        self._since = since
        return changed

    async def _judge(self, odoo: Odoo, among: Sequence[Any]) -> dict[int, Verdict]:
        """Who is not `ok`; the strictest verdict counts."""
        found: dict[int, Verdict] = {}
        for verdict, narrower in self._verdicts.items():
            if narrower:
                domain = conjunction(self._domain, narrower, among)
                for person in await odoo.call(self._names.model, "search", domain):
                    found[person] = verdict
        return found

    def _verdict(self, row: Mapping[str, Any]) -> Verdict:
        """What the person's own record says."""
        names = self._names
        if names.may_shop and not row[names.may_shop]:
            return "stop"
        return names.verdicts.get(row[names.state], "stop") if names.state else "ok"

    def _entry(
        self,
        row: Mapping[str, Any],
        verdicts: Mapping[int, Verdict],
        shifts: Mapping[int, datetime],
    ) -> Entry | None:
        """None for somebody without a badge after all."""
        person, badge = row["id"], canonical(row[self._names.badge] or "")
        if not badge:
            return None
        said = (self._verdict(row), verdicts.get(person, "ok"))
        language = row.get(self._names.language) if self._names.language else None
        return Entry(
            badge=badge_hash(self._key, badge),
            who=Who(kind=self._kind, id=person),
            first_name=first_name(row[self._names.name] or ""),
            verdict=max(said, key=_STRICTNESS.index),
            next_shift=shifts.get(person),
            language=language.partition("_")[0] if language else None,
        )


def _later(since: datetime | None, row: Mapping[str, Any]) -> datetime | None:
    written = row.get("write_date")
    if not written:
        return since
    return from_odoo(written) if since is None else max(since, from_odoo(written))


class Directory:
    """The people of one site. `refresh` asks Odoo; `head` and `shards` are what it last knew."""

    def __init__(self, profile: Profile, table: MembersTable, key: bytes) -> None:
        self._sources = []
        if table.members and profile.member:
            self._sources.append(_Source("member", profile.member, key, table, profile.next_shift))
        if table.employees and profile.employee:
            self._sources.append(_Source("employee", profile.employee, key))
        self._changed = True
        self.head: DirectoryHead | None = None
        self.shards: dict[str, DirectoryShard] = {}

    @property
    def has_sources(self) -> bool:
        """Whether there is anybody to be read: not switched off, and in the profile."""
        return bool(self._sources)

    async def refresh(self, odoo: Odoo, *, full: bool) -> None:
        """Raises `OdooError`; what was known then stays."""
        began = datetime.now(UTC)
        for source in self._sources:
            # Remembered beyond this call: the next source may not answer.
            self._changed |= await (source.read_all(odoo) if full else source.read_changes(odoo))
        if self.head is None and not any(source.entries for source in self._sources):
            raise Rejected("nobody with a badge is to be seen: stations keep what they have")
        if self._changed or self.head is None:
            # Tens of thousands of entries take half a second: not on the loop's thread.
            self.head, self.shards = await asyncio.to_thread(self._build, began)
            self._changed = False
        else:
            self.head = self.head.model_copy(update={"as_of": began})

    def _build(self, as_of: datetime) -> tuple[DirectoryHead, dict[str, DirectoryShard]]:
        badges: dict[str, Entry] = {}
        for source in self._sources:  # employees last: a shared badge is for the attendance
            for _, entry in sorted(source.entries.items(), reverse=True):
                badges[entry.badge] = entry
        grouped: defaultdict[str, list[Entry]] = defaultdict(list)
        for badge in sorted(badges):
            grouped[shard_of(badge)].append(badges[badge])
        shards = {
            name: DirectoryShard(shard=name, entries=tuple(entries))
            for name, entries in grouped.items()
        }
        digests = {name: shard_digest(shard.entries) for name, shard in shards.items()}
        return DirectoryHead(as_of=as_of, count=len(badges), shards=digests), shards
