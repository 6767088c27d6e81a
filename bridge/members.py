"""From Odoo's people to the directory that stations answer badges from.

The one rule: what leaves here is a badge's hash, a first name and a verdict. A badge number, a
family name or a reason never does.

Changes are found by `write_date`, which Odoo stores with microseconds, reads in whole seconds and
stamps at a transaction's start: so each look goes a few seconds back. What write dates cannot tell
(deleted records, computed states, domains over other records) the full pass finds.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bridge.config import MembersTable
from bridge.odoo import Odoo, from_odoo, to_odoo
from bridge.profile import People, Profile
from bridge.wire import conjunction
from mqtt.digest import shard_digest
from mqtt.identity import badge_hash, shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Entry, Verdict, Who

BACK = timedelta(seconds=5)
_HEX = re.compile(r"[0-9A-Fa-f]+")


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
        table: MembersTable | None,
    ) -> None:
        self._kind = kind
        self._names = names
        self._key = key
        self._domain = conjunction(
            [[names.badge, "!=", False]], names.domain, table.domain if table else []
        )
        self._verdicts: dict[Verdict, Sequence[Any]] = {}
        if table:
            self._verdicts = {"warn": table.warn, "stop": table.stop}
        self._fields = [f for f in (names.badge, names.name, names.language) if f]
        self._since: datetime | None = None
        self.entries: dict[int, Entry] = {}

    async def read_all(self, odoo: Odoo) -> None:
        rows = [r async for r in odoo.rows(self._names.model, self._domain, self._asked)]
        verdicts = await self._judge(odoo, [])
        self.entries = {row["id"]: self._entry(row, verdicts) for row in rows}
        self._advance(rows)

    async def read_changes(self, odoo: Odoo) -> None:
        if self._since is None:
            await self.read_all(odoo)
            return
        changed = [
            ["write_date", ">=", to_odoo(self._since - BACK)],
            ["active", "in", [True, False]],
        ]
        touched = [r async for r in odoo.rows(self._names.model, changed, ["write_date"])]
        ids = [row["id"] for row in touched]
        if not ids:
            return
        among = [["id", "in", ids]]
        domain = conjunction(self._domain, among)
        rows = [r async for r in odoo.rows(self._names.model, domain, self._asked)]
        verdicts = await self._judge(odoo, among)
        for gone in ids:
            self.entries.pop(gone, None)
        self.entries.update({row["id"]: self._entry(row, verdicts) for row in rows})
        self._advance(touched)

    @property
    def _asked(self) -> list[str]:
        return [*self._fields, "write_date"]

    async def _judge(self, odoo: Odoo, among: Sequence[Any]) -> dict[int, Verdict]:
        """Who is not `ok`; the strictest verdict counts."""
        found: dict[int, Verdict] = {}
        for verdict, narrower in self._verdicts.items():
            if narrower:
                domain = conjunction(self._domain, narrower, among)
                for person in await odoo.call(self._names.model, "search", domain):
                    found[person] = verdict
        return found

    def _entry(self, row: Mapping[str, Any], verdicts: Mapping[int, Verdict]) -> Entry:
        language = row.get(self._names.language) if self._names.language else None
        return Entry(
            badge=badge_hash(self._key, canonical(row[self._names.badge])),
            who=Who(kind=self._kind, id=row["id"]),
            first_name=first_name(row[self._names.name] or ""),
            verdict=verdicts.get(row["id"], "ok"),
            language=language.partition("_")[0] if language else None,
        )

    def _advance(self, rows: Iterable[Mapping[str, Any]]) -> None:
        dates = [from_odoo(row["write_date"]) for row in rows if row.get("write_date")]
        if self._since is not None:
            dates.append(self._since)
        self._since = max(dates, default=None)


class Directory:
    """The people of one site. `refresh` asks Odoo; `head` and `shards` are what it last knew."""

    def __init__(self, profile: Profile, table: MembersTable, key: bytes) -> None:
        self._sources = []
        if table.members:
            self._sources.append(_Source("member", profile.member, key, table))
        if table.employees:
            self._sources.append(_Source("employee", profile.employee, key, None))
        self.head: DirectoryHead | None = None
        self.shards: dict[str, DirectoryShard] = {}

    async def refresh(self, odoo: Odoo, *, full: bool) -> None:
        """Raises `OdooError`; what was known then stays."""
        began = datetime.now(UTC)
        for source in self._sources:
            await (source.read_all(odoo) if full else source.read_changes(odoo))
        badges: dict[str, Entry] = {}
        for source in self._sources:  # employees last: a shared badge is for the attendance
            for _, entry in sorted(source.entries.items(), reverse=True):
                badges[entry.badge] = entry
        shards: defaultdict[str, list[Entry]] = defaultdict(list)
        for badge in sorted(badges):
            shards[shard_of(badge)].append(badges[badge])
        self.shards = {
            name: DirectoryShard(shard=name, entries=tuple(entries))
            for name, entries in shards.items()
        }
        self.head = DirectoryHead(
            as_of=began,
            count=len(badges),
            shards={name: shard_digest(shard.entries) for name, shard in self.shards.items()},
        )
