"""The way up: facts from the outbox to the bridge.

The one rule: a broker's PUBACK proves nothing. A fact counts as delivered when the bridge's own
`ack` says `stored`; until then it is sent again, byte for byte, in order, from the lowest one that
the bridge lacks (go-back-N, one epoch after the other). It leaves the outbox at `done`.
"""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from devices import Value
from mqtt.link import Outgoing, Reason, Session
from mqtt.messages import Ack
from mqtt.topics import StationTopics
from store.outbox import Outbox
from store.rows import Row

log = logging.getLogger(__name__)

WINDOW = 200
"""Facts sent and not yet stored by the bridge."""
BLOB_TRIES = 5
"""Connections that may end at one photo before its fact is sent without it."""
FIRST_RESEND_S = 2.0
LAST_RESEND_S = 60.0


class Delivery:
    """One for the daemon's life; `run` once a connection."""

    def __init__(self, outbox: Outbox, topics: StationTopics) -> None:
        self._outbox = outbox
        self._topics = topics
        self._wake = asyncio.Event()
        self._progressed = False
        self._greeted = False
        self._sent = max(
            (e.stored for e in outbox.epochs.get().values() if e.name == outbox.epoch), default=0
        )
        """The highest number of this start's facts that was sent."""
        self._told = False
        self._replaying = False
        self._ended_at: Counter[str] = Counter()
        """How many connections ended while the photo of this fact was on its way."""
        self.trouble: Value[str] = Value("")
        """Catalogue key of what keeps facts from being delivered although the link is up."""
        self.idle: Value[bool] = Value(False)
        """Whether the bridge has stored everything that is here."""

    async def acknowledge(self, ack: Ack) -> None:
        """Take the bridge's word. What it says of epochs that are not here the outbox ignores."""
        taken = await self._outbox.acknowledge(self._possible(ack))
        if taken.progress:
            self._progressed = True
        elif not taken.news:
            # Nothing new: the bridge has just come back, or lacks the first of what we sent.
            self._greeted = True
        self._wake.set()

    def _possible(self, ack: Ack) -> Ack:
        """Without what cannot be: more of this start's facts than were sent since it began. (Of an
        older epoch the bridge may have more than this card, which was put back from an image.)
        """
        here = self._outbox.epoch
        words = tuple(
            word
            for word in ack.epochs
            if word.epoch != here or max(word.stored, word.done) <= self._sent
        )
        if len(words) < len(ack.epochs) and not self._told:
            self._told = True
            log.error("an ack says that the bridge has facts which were never sent; not believed")
        return ack.model_copy(update={"epochs": words})

    async def replay(self, epoch: str, first: int) -> dict[str, Any] | None:
        """The bridge lacks everything of `epoch` from `first` on. Returns what it is answered: from
        where on (``from``) it can have it again, and what of it Odoo had already (``done``, but for
        ``parked``); None when nothing of that epoch is here.
        """
        kept = await self._outbox.replay(epoch, first)
        if kept is None:
            return None
        log.info("the bridge asks again for facts from %d: sending from %d", first, kept.first)
        self._replaying = True
        self._wake.set()
        return {
            "epoch": kept.epoch,
            "from": kept.first,
            "done": kept.done,
            "parked": list(kept.parked),
        }

    def epochs(self) -> list[dict[str, Any]]:
        """What the bridge is answered when it asks which epochs are here."""
        return [epoch.model_dump(mode="json") for epoch in self._outbox.kept()]

    async def run(self, session: Session) -> None:
        """Send until the connection ends (`mqtt.link.Gone`)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._notice_new_facts())
            group.create_task(self._send_for_ever(session))

    async def _notice_new_facts(self) -> None:
        async for _ in self._outbox.last.changes():
            self._wake.set()

    async def _send_for_ever(self, session: Session) -> None:
        now = asyncio.get_running_loop().time
        sent = 0
        patience = FIRST_RESEND_S
        resend_at: float | None = None
        while True:
            self._wake.clear()
            if self._replaying:
                self._replaying, sent, resend_at = False, 0, None
            outstanding = await self._outstanding(sent)
            rows = await self._outbox.waiting(sent, max(0, WINDOW - outstanding))
            self.idle.set(not rows and not outstanding)
            if rows:
                await self._send_all(session, rows)
                sent = rows[-1].n
                continue
            if not outstanding:
                resend_at = None
            elif resend_at is None:
                resend_at = now() + patience
            try:
                # New facts wake this, too, and must not put the resending of old ones off.
                async with asyncio.timeout_at(resend_at):
                    await self._wake.wait()
            except TimeoutError:
                sent, resend_at = 0, None
                patience = min(patience * 2, LAST_RESEND_S)
            if self._progressed:
                self._progressed, resend_at = False, None
                patience = FIRST_RESEND_S
            if self._greeted:
                self._greeted, patience = False, FIRST_RESEND_S
                resend_at = resend_at and min(resend_at, now() + patience)

    async def _outstanding(self, sent: int) -> int:
        """How many facts are sent and not stored: from the lowest one that the bridge lacks to the
        place `sent`. They are of one epoch, because the next one waits until this one is stored.
        """
        lowest = await self._outbox.waiting(0, 1)
        return max(0, sent - lowest[0].n + 1) if lowest else 0

    async def _send_all(self, session: Session, rows: list[Row]) -> None:
        together: list[Outgoing] = []
        for row in rows:
            if row.attachment is not None:
                # A blob goes alone and before its fact: the bridge stores no fact without it.
                await self._send(session, together)
                together = []
                await self._send_blob(session, row.id, row.attachment)
            properties = {"id": row.id, "seq": str(row.seq), "epoch": row.epoch}
            together.append(Outgoing(self._topics.fact(row.kind), row.body, properties=properties))
            if row.epoch == self._outbox.epoch:
                self._sent = max(self._sent, row.seq)
        await self._send(session, together)

    async def _send_blob(self, session: Session, fact: str, file: Path) -> None:
        """Send a photo, unless it cannot be had, or no connection survives it: some brokers hang up
        on what is too large for them, and everything behind it would wait for ever.
        """
        if self._ended_at[fact] >= BLOB_TRIES:
            return
        try:
            blob = await asyncio.to_thread(file.read_bytes)
        except FileNotFoundError:
            return  # Odoo has it: the bridge said so while we were on the way here
        except OSError as error:
            # The card has lost it. The bridge takes the fact without it after some tries.
            log.error("a photo cannot be read: %s", error)  # noqa: TRY400 - the sentence says it all
            return
        try:
            await self._send(session, [Outgoing(self._topics.blob(fact), blob)])
        finally:
            if not session.over.is_set():
                self._ended_at.pop(fact, None)
            else:
                self._ended_at[fact] += 1
            if self._ended_at[fact] == BLOB_TRIES:
                log.error("every connection ends at a photo of %d bytes: it stays here", len(blob))

    async def _send(self, session: Session, messages: list[Outgoing]) -> None:
        # Tasks start in order and the session queues in order, so order holds on the wire while
        # the PUBACKs of a far broker overlap.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.publish(message)) for message in messages]
        if tasks:
            self._judge({task.result() for task in tasks})

    def _judge(self, reasons: set[Reason]) -> None:
        bad = reasons - {Reason.OK}
        key = "" if not bad else "link.nobody" if bad == {Reason.NOBODY} else "link.facts_refused"
        if key and key != self.trouble.get():
            names = ", ".join(sorted(reason.name for reason in bad))
            log.warning("the broker answers %s to facts: they stay here", names)
        self.trouble.set(key)
