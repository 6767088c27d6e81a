"""Facts as they come to a bridge's inbox, and what its tables say."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.stations import uuid7

from bridge.inbox import Inbox
from bridge.ledger import Fact, Item, Station, Told
from mqtt.messages import Envelope, EpochAck, EpochKept

HERE = Station("demo", "entree")
KEY = (HERE, "e1")
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CLOCK = {"boot": "b1", "up": 9_000, "at": "2026-11-20T08:00:09Z"}


def fact(
    seq: int,
    kind: str = "label",
    data: dict[str, Any] | None = None,
    *,
    station: str = "entree",
    **options: Any,
) -> Item:
    given = {
        "id": uuid7(), "epoch": "e1", "seq": seq, "at": AT, "clock": "synced", "boot": "b1",
        "up": 1000 * seq, "kind": kind, "data": data or {},
    }  # fmt: skip
    envelope = Envelope.model_validate({**given, **options})
    return Item("demo", station, "fact", kind, envelope.model_dump_json().encode())


def photo(seq: int, content: bytes, fact_id: str, **options: Any) -> Item:
    data = {
        "device": "portrait", "who": {"kind": "member", "id": 1},
        "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
        "consent": {"at": "2026-11-20T08:00:00.000Z", "text": "k/1", "language": "fr"},
    }  # fmt: skip
    return fact(seq, "photo", data, id=fact_id, **options)


def blob(fact_id: str, content: bytes, station: str = "entree") -> Item:
    return Item("demo", station, "blob", fact_id, content)


def keeps(
    last: int, done: int = 0, parked: tuple[int, ...] = (), *, first: int = 1, epoch: str = "e1"
) -> EpochKept:
    return EpochKept(epoch=epoch, first=first, last=last, done=done, parked=parked)


def state(*kept: EpochKept) -> Told:
    return Told(HERE, kept)


def replay(first: int, done: int = 0, parked: tuple[int, ...] = (), *, epoch: str = "e1") -> Told:
    """The answer to `do/outbox/replay`."""
    return Told(HERE, (keeps(0, done, parked, first=first, epoch=epoch),), replay=True)


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncIterator[Inbox]:
    inbox = await Inbox.open(folder, **options)
    try:
        yield inbox
    finally:
        await inbox.close()


async def sql(inbox: Inbox, statement: str) -> list[tuple[Any, ...]]:
    """What the inbox's own tables say."""
    return await inbox._writer.run(lambda db: db.execute(statement).fetchall())


async def oldest(inbox: Inbox) -> Fact:
    """The oldest that waits."""
    (fact,) = await inbox.waiting("demo", 1)
    return fact


async def parked_facts(
    folder: Path, why: str = "refused", detail: str = "", *, count: int = 1
) -> list[str]:
    """Make an inbox there with labels that are parked; returns their ids."""
    async with opened(folder) as inbox:
        await inbox.store([fact(seq) for seq in range(1, count + 1)])
        for waiting in await inbox.waiting("demo", count):
            await inbox.park(waiting, why, detail)
        return [parked.id for parked in await inbox.parked()]


def broken_disk(*_: object) -> None:
    """Stands for what a batch does last: a disk breaks when it likes, and none can be had here."""
    raise sqlite3.OperationalError("disk I/O error")


async def of_epoch(inbox: Inbox, epoch: str = "e1") -> EpochAck:
    ack = await inbox.ack(HERE)
    return next(word for word in ack.epochs if word.epoch == epoch)


async def stored(inbox: Inbox, epoch: str = "e1") -> int:
    return (await of_epoch(inbox, epoch)).stored


async def count(inbox: Inbox, what: str) -> int:
    """See `Inbox.counts`."""
    return (await inbox.counts("demo"))[what]
