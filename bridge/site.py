"""One shop: its Odoo, what goes down to its stations, and the facts that go up.

The one rule: shops share the inbox and the link and nothing else; one shop's Odoo being away is
nothing to another.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from bridge import profile
from bridge.apply import Applier
from bridge.config import SiteTable
from bridge.inbox import Inbox
from bridge.ledger import Station
from bridge.members import Directory
from bridge.odoo import Odoo
from bridge.post import Post
from bridge.products import Shelf
from bridge.together import Together
from bridge.wire import Denied, OdooError, Unavailable
from bridge.wire.jsonrpc import JsonRpc
from mqtt.messages import Ask, Message
from mqtt.secrets import read_badge_key, read_secret
from mqtt.topics import SiteTopics

log = logging.getLogger(__name__)

SOON_S = 5.0
"""After a sync that failed, or this often while Odoo is away (never longer than the interval)."""
ASKED_S = 5.0
"""What stations ask for is published again at most this often, for all of them together."""
LONGEST_ASK = 1 << 16
"""The names of all shards are far shorter (bytes)."""
ALL_SHARDS = tuple(f"{number:02x}" for number in range(256))


class Site:
    """`settled` is called with a station whose ack has changed."""

    def __init__(
        self,
        table: SiteTable,
        root: str,
        inbox: Inbox,
        post: Post,
        settled: Callable[[Station], None],
    ) -> None:
        """Raises `SecretError` when the badge key cannot be used."""
        self.name = table.name
        self._table = table
        self._topics = SiteTopics(root, table.name)
        self._post = post
        names = profile.load(table.odoo.profile)
        self.odoo = Odoo(table.name, _wire(table))
        badge_key = read_badge_key(
            table.badge_key_file, where=f"[[site]] {table.name} badge_key_file"
        )
        self.directory = Directory(names, table.members, badge_key)
        self.shelf = (
            Shelf(table.name, names, table.products, table.odoo.company)
            if table.products.enabled and names.product
            else None
        )
        self.applier = Applier(table.name, inbox, self.odoo, names, table.apply, settled)
        self._complaints: dict[str, str] = {}
        self._published: set[str] = set(ALL_SHARDS)
        self._again = Together(self._publish_again, ASKED_S)

    async def run(self) -> None:
        """For ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.applier.run())
                if self.directory.has_sources:
                    group.create_task(self._keep_directory())
                if self.shelf is not None:
                    group.create_task(self._keep_catalogue(self.shelf))
        finally:
            await self.odoo.close()

    async def _keep_directory(self) -> None:
        table = self._table.members
        loop = asyncio.get_running_loop()
        full_at = loop.time()
        while True:
            full = loop.time() >= full_at
            if await self._attempt("members", self.directory.refresh(self.odoo, full=full)):
                self._publish_directory()
                if full:
                    full_at = loop.time() + table.full_s
                await asyncio.sleep(table.every_s)
            else:
                await asyncio.sleep(min(SOON_S, table.every_s))

    async def _keep_catalogue(self, shelf: Shelf) -> None:
        every = self._table.products.every_s
        while True:
            done = await self._attempt("products", shelf.refresh(self.odoo))
            if done and shelf.catalogue is not None:
                self._post.set(self._topics.catalogue_head, _json(shelf.catalogue))
            await asyncio.sleep(every if done else min(SOON_S, every))

    async def _attempt(self, what: str, sync: Awaitable[None]) -> bool:
        try:
            await sync
        except (Unavailable, Denied):
            return False  # said once by `Odoo`
        except OdooError as error:
            self._complain(what, error.why)
            return False
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as fault:
            # Odoo answered something of another shape: what was known before stays.
            self._complain(what, f"an answer of another shape: {type(fault).__name__}")
            return False
        self._complaints.pop(what, None)
        return True

    def _complain(self, what: str, why: str) -> None:
        if self._complaints.get(what) != why:
            self._complaints[what] = why
            log.error("%s: %s cannot be read: %s", self.name, what, why)

    @property
    def complaints(self) -> dict[str, str]:
        """What could not be read last time, and why."""
        return dict(self._complaints)

    def _publish_directory(self) -> None:
        """Shards first, then the head that names them, then the ends of vanished ones."""
        head = self.directory.head
        if head is None:
            return
        for name, shard in self.directory.shards.items():
            self._post.set(self._topics.directory_shard(name), _json(shard))
        self._post.set(self._topics.directory_head, _json(head))
        # After a start the broker may still hold shards of an earlier life: end them as well.
        for name in self._published - self.directory.shards.keys():
            self._post.set(self._topics.directory_shard(name), b"")
        self._published = set(self.directory.shards)

    def asked(self, what: str, body: bytes) -> None:
        """A station asks for `directory` or `catalogue` again."""
        if what == "catalogue":
            self._again.ask(self._topics.catalogue_head)
        elif what == "directory" and len(body) <= LONGEST_ASK:
            try:
                wanted = Ask.model_validate_json(body or b"{}").shards
            except ValidationError:
                wanted = ()
            shards = self.directory.shards.keys()
            asked = shards & set(wanted) if wanted else shards
            self._again.ask(self._topics.directory_head, *map(self._topics.directory_shard, asked))

    def _publish_again(self, topics: set[str]) -> None:
        head = self._topics.directory_head  # after the shards that it names
        for topic in sorted(topics, key=lambda topic: (topic == head, topic)):
            self._post.again(topic)

    def status(self) -> dict[str, Any]:
        """For the log and a status page: counts and keys, no names."""
        head, shelf = self.directory.head, self.shelf
        catalogue = shelf.catalogue if shelf else None
        state = self.odoo.state.get()
        return {
            "odoo": state.key,
            "why": state.why,
            "members": head.count if head else None,
            "members_as_of": head.as_of if head else None,
            "products": len(catalogue.products) if catalogue else None,
            "products_as_of": catalogue.as_of if catalogue else None,
            "left_out": {why: len(ids) for why, ids in (shelf.left_out if shelf else {}).items()},
            "complaints": self.complaints,
            "paused": self.applier.paused,
        }


def _json(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _wire(table: SiteTable) -> JsonRpc:
    odoo = table.odoo
    context: dict[str, Any] = {"lang": odoo.language}
    if odoo.company is not None:
        context["allowed_company_ids"] = [odoo.company]

    def password() -> str:
        return read_secret(odoo.password_file, where="[site.odoo] password_file")

    return JsonRpc(odoo.url, odoo.db, odoo.login, password, context=context, ca=odoo.ca)
