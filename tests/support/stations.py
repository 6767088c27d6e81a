"""A station as the bridge sees one.

::

    async with FakeStation(url, "demo", "entree") as station:
        fact = station.badge(employee=11)
        await station.settled()
"""

import asyncio
import hashlib
import json
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from devices.value import Value
from mqtt.link import Address, Link, Outgoing, Session
from mqtt.messages import (
    Ack,
    Command,
    Envelope,
    EpochAck,
    EpochKept,
    Message,
    StationState,
    iso_ms,
)
from mqtt.topics import DEFAULT_ROOT, StationTopics


def uuid7(rng: random.Random | None = None) -> str:
    """Only the shape matters here."""
    bits = rng.getrandbits(128) if rng else secrets.randbits(128)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"


@dataclass
class Row:
    envelope: Envelope
    body: bytes = field(repr=False)
    blob: bytes | None = field(default=None, repr=False)


@dataclass
class Card:
    """What a station's card holds: its facts, and what it knows of each epoch."""

    rows: list[Row] = field(default_factory=list)
    known: dict[str, EpochAck] = field(default_factory=dict)

    def copy(self) -> Self:
        """An image, to be put back or to be cloned."""
        rows = [replace(row) for row in self.rows]
        return replace(self, rows=rows, known=dict(self.known))

    def of(self, epoch: str) -> list[Row]:
        return [row for row in self.rows if row.envelope.epoch == epoch]


class FakeStation:
    """Keeps its facts in a list and sends them as a real one does: in order, oldest epoch first,
    until the ack says `stored`. Each `FakeStation` begins an epoch, also on a `card` with facts.

    `unruly`: a random generator makes it send twice and out of order. `first`: the lowest number
    that is still there.
    """

    def __init__(
        self,
        url: str,
        site: str,
        name: str,
        *,
        epoch: str = "",
        first: int = 1,
        unruly: random.Random | None = None,
        resend_s: float = 1.0,
        card: Card | None = None,
    ) -> None:
        self.topics = StationTopics(DEFAULT_ROOT, site, name)
        self.epoch = epoch or secrets.token_hex(4)
        self.card = card or Card()
        self.ack = Value(EpochAck(epoch=self.epoch))
        """What was said last of the newest epoch."""
        self.said = Ack()
        """The last ack, as it came."""
        self.acks = 0
        self.replays: list[int] = []
        self.asked_epochs = 0
        self.answers = True
        """Whether it answers commands."""
        self.boot = "boot-1"
        self.clock = "synced"
        self.started = datetime.now(UTC) - timedelta(hours=1)
        self.received: dict[str, bytes] = {}
        self.arrivals: list[str] = []
        self._first = first
        self._births = 0
        self._unruly = unruly
        self._resend = resend_s
        self._wake = asyncio.Event()
        self._sent = 0
        self.link = Link([Address.parse(url)], client_id=f"{site}-{name}-{self.epoch}")
        self.session: asyncio.Queue[Session] = asyncio.Queue()
        self._session: Session | None = None
        if first > 1:
            self.card.known[self.epoch] = EpochAck(epoch=self.epoch, stored=first - 1)

    @property
    def rows(self) -> list[Row]:
        """The facts of all epochs."""
        return self.card.rows

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.link.run(self._up))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    # --- making facts ---------------------------------------------------------------------

    def fact(
        self,
        kind: str,
        data: Message | dict[str, Any],
        *,
        at: datetime | None = None,
        up: int | None = None,
        blob: bytes | None = None,
        fact_id: str = "",
    ) -> Envelope:
        content = json.loads(data.model_dump_json()) if isinstance(data, Message) else data
        when = at or datetime.now(UTC)
        envelope = Envelope(
            id=fact_id or uuid7(),
            epoch=self.epoch,
            seq=self._first + len(self.card.of(self.epoch)),
            at=when,
            clock=self.clock,
            boot=self.boot,
            up=up if up is not None else round((when - self.started).total_seconds() * 1000),
            kind=kind,
            data=content,
        )
        self.rows.append(Row(envelope, envelope.model_dump_json().encode(), blob))
        self._wake.set()
        return envelope

    def badge(self, *, employee: int = 0, member: int = 0, **options: Any) -> Envelope:
        who = {"kind": "employee", "id": employee} if employee else {"kind": "member", "id": member}
        data = {"device": "door", "badge": "0" * 32, "who": who, "shown": "ok"}
        return self.fact("badge", data, **options)

    def photo(
        self, jpeg: bytes, member: int, *, blob: bytes | None = None, **options: Any
    ) -> Envelope:
        data = {
            "device": "portrait",
            "who": {"kind": "member", "id": member},
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "size": len(jpeg),
            "consent": {
                "at": iso_ms(datetime.now(UTC)),
                "text": "photo.consent/1",
                "language": "fr",
            },
        }
        return self.fact("photo", data, blob=jpeg if blob is None else blob, **options)

    # --- waiting --------------------------------------------------------------------------

    async def until(self, reached: Callable[[EpochAck], bool], within: float = 45) -> EpochAck:
        async with asyncio.timeout(within):
            async for ack in self.ack.changes():
                if reached(ack):
                    return ack
        raise AssertionError

    async def settled(self, within: float = 45) -> EpochAck:
        """Everything made so far, in all epochs, is done or parked."""
        async with asyncio.timeout(within):
            while any(kept.done < kept.last for kept in self.epochs()):
                await asyncio.sleep(0.02)
        return self.ack.get()

    # --- its epochs -----------------------------------------------------------------------

    def known(self, epoch: str) -> EpochAck:
        return self.card.known.get(epoch, EpochAck(epoch=epoch))

    def epochs(self) -> list[EpochKept]:
        """As it lists them: those of which it has facts, oldest first."""
        names = dict.fromkeys(row.envelope.epoch for row in self.rows)
        return [self._kept(epoch) for epoch in names]

    def _kept(self, epoch: str) -> EpochKept:
        numbers, known = [row.envelope.seq for row in self.card.of(epoch)], self.known(epoch)
        return EpochKept(
            epoch=epoch,
            first=min(numbers),
            last=max(numbers),
            done=known.done,
            parked=tuple(parked.seq for parked in known.parked),
        )

    async def say_state(self, session: Session | None = None) -> None:
        """Publish its state, as at a birth."""
        session = session or self._session
        assert session is not None
        self._births += 1
        state = StationState(online=True, birth=self._births, epochs=tuple(self.epochs()))
        body = state.model_dump_json().encode()
        await session.publish(Outgoing(self.topics.state, body, retain=True))

    def _take(self, ack: Ack) -> bool:
        """Learn what is new; whether the bridge says less than is known."""
        less = False
        self.said = ack
        for word in ack.epochs:
            known = self.known(word.epoch)
            less |= word.stored < known.stored or word.done < known.done
            newer = word if word.done >= known.done else known
            stored = max(word.stored, known.stored)
            self.card.known[word.epoch] = newer.model_copy(update={"stored": stored})
            if word.epoch == self.epoch:
                self.ack.set(word)
        return less

    # --- one connection -------------------------------------------------------------------

    async def _up(self, session: Session) -> None:
        await session.subscribe(
            self.topics.ack,
            self.topics.do("outbox", "+"),
            self.topics.of_site.directory_head,
            self.topics.of_site.directory_shard("+"),
            self.topics.of_site.catalogue_head,
        )
        self._session = session
        self.session.put_nowait(session)
        await self.say_state()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(session))
            async for message in session.messages():
                message.done()
                if message.topic == self.topics.ack:
                    self.acks += 1
                    if self._take(Ack.model_validate_json(message.body)) and not message.retain:
                        await self.say_state()
                    self._wake.set()
                elif message.topic.startswith(self.topics.do("outbox", "")):
                    await self._obey(session, message.topic.rpartition("/")[2], message.body)
                else:
                    self.received[message.topic] = message.body
                    self.arrivals.append(message.topic)

    async def _obey(self, session: Session, verb: str, body: bytes) -> None:
        command = Command.model_validate_json(body)
        self.asked_epochs += verb == "epochs"
        if not self.answers:
            return
        answer = self._replay(command.args) if verb == "replay" else self._list()
        assert command.reply_to is not None
        content = {"id": command.id, **answer}
        await session.publish(Outgoing(command.reply_to, json.dumps(content).encode()))
        self._wake.set()

    def _list(self) -> dict[str, Any]:
        return {"ok": True, "result": {"epochs": [kept.model_dump() for kept in self.epochs()]}}

    def _replay(self, args: dict[str, Any]) -> dict[str, Any]:
        epoch, first = args["epoch"], args["from"]
        self.replays.append(first)
        rows = self.card.of(epoch)
        if not rows:
            return {"ok": False, "key": "command.other_epoch"}
        there = [row.envelope.seq for row in rows if row.envelope.seq >= first]
        have = min(there, default=rows[-1].envelope.seq + 1)
        kept, known = self._kept(epoch), self.known(epoch)
        self.card.known[epoch] = known.model_copy(update={"stored": have - 1})
        self._sent = 0
        result = {"epoch": epoch, "from": have, "done": kept.done, "parked": list(kept.parked)}
        return {"ok": True, "result": result}

    def _to_send(self) -> list[Row]:
        """Of the oldest epoch that is not wholly stored."""
        for kept in self.epochs():
            stored = self.known(kept.epoch).stored
            if stored < kept.last:
                return [row for row in self.card.of(kept.epoch) if row.envelope.seq > stored]
        return []

    async def _send(self, session: Session) -> None:
        self._sent, of_epoch = 0, ""
        while True:
            self._wake.clear()
            unstored = self._to_send()
            if unstored and unstored[0].envelope.epoch != of_epoch:
                self._sent, of_epoch = 0, unstored[0].envelope.epoch
            rows = [row for row in unstored if row.envelope.seq > self._sent][:50]
            if rows:
                self._sent = rows[-1].envelope.seq
                for row in self._order(rows):
                    if row.blob is not None:
                        await session.publish(Outgoing(self.topics.blob(row.envelope.id), row.blob))
                    fact = row.envelope
                    beside = {"id": fact.id, "seq": str(fact.seq), "epoch": fact.epoch}
                    topic = self.topics.fact(fact.kind)
                    await session.publish(Outgoing(topic, row.body, properties=beside))
                continue
            try:
                async with asyncio.timeout(self._resend):
                    await self._wake.wait()
            except TimeoutError:
                self._sent = 0

    def _order(self, rows: list[Row]) -> list[Row]:
        if self._unruly is None:
            return rows
        shuffled = rows + self._unruly.sample(rows, len(rows) // 3)
        self._unruly.shuffle(shuffled)
        return shuffled
