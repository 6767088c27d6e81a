"""The child of test_fsync.py: makes one kind of promise in a folder, with a word before and after.

``python promises.py NAME FOLDER``
"""

import asyncio
import hashlib
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from support.stores import AT, fact, opened
from support.strace import say

from bridge.inbox import Inbox
from bridge.ledger import Item
from durable.errors import StoreFull
from mqtt.messages import (
    Ack,
    Consent,
    Envelope,
    EpochAck,
    Message,
    PhotoData,
    Who,
)
from mqtt.secrets import make_badge_key
from store.envelope import Ids

JPEG = b"\xff\xd8 a portrait \xff\xd9"


async def facts(folder: Path) -> None:
    async with opened(folder) as store:
        await store.outbox.put("badge", fact(1))  # the log's file is made, with syncs of its own
        await store.outbox.waiting(0, 1)  # a job that needs no fsync leaves nothing behind
        say("one asked")
        await store.outbox.put("badge", fact(2))
        say("one promised")
        say("hundred asked")
        with closing(sqlite3.connect(folder / "edged.sqlite", isolation_level=None)) as other:
            # Nothing can be written until all of them are given, however slow this machine is.
            other.execute("BEGIN IMMEDIATE")
            puts = [asyncio.create_task(store.outbox.put("badge", fact(n))) for n in range(100)]
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
            await asyncio.gather(*puts)
        say("hundred promised")


async def refused(folder: Path) -> None:
    """The disk fails from some fact on."""
    async with opened(folder) as store:
        for n in range(10):
            try:
                await store.outbox.put("badge", fact(n))
            except StoreFull as error:
                print(error.key)
            else:
                print("kept")


async def photo(folder: Path) -> None:
    async with opened(folder) as store:
        await store.outbox.put("badge", fact(1))
        say("asked")
        kept = await store.outbox.put("photo", portrait(), attachment=JPEG)
        say("promised")
        word = EpochAck(epoch=kept.epoch, stored=kept.seq, done=kept.seq)
        await store.outbox.acknowledge(Ack(epochs=(word,)))
        say("in odoo")
        assert not list((folder / "photos").iterdir())


def portrait() -> PhotoData:
    return PhotoData(
        device="portrait",
        who=Who(kind="member", id=1),
        sha256=hashlib.sha256(JPEG).hexdigest(),
        size=len(JPEG),
        consent=Consent(at=AT, text="photo.consent.1", language="fr"),
    )


async def inbox(folder: Path) -> None:
    kept = await Inbox.open(folder)
    await kept.store([received(1, "badge", fact(1))])
    await kept.stations()
    say("facts asked")
    await kept.store([received(n, "badge", fact(n)) for n in range(2, 52)])
    say("facts promised")
    picture = received(52, "photo", portrait())
    await kept.store([Item("demo", "borne-1", "blob", IDS[52], JPEG)])
    say("blob promised")
    await kept.store([picture])
    waiting = await kept.waiting("demo", 100)
    say("done asked")
    await kept.done([(fact, None) for fact in waiting if fact.kind == "badge"])
    say("done promised")
    await kept.done([(fact, None) for fact in waiting if fact.kind == "photo"])
    say("photo done promised")
    assert not list((folder / "blobs").iterdir())
    await kept.close()


_ids = Ids()
IDS = {n: _ids.next() for n in range(100)}


def received(seq: int, kind: str, data: Message) -> Item:
    envelope = Envelope(
        id=IDS[seq], epoch="e", seq=seq, at=datetime.now(UTC), clock="synced", boot="b", up=seq,
        kind=kind, data=data.model_dump(mode="json"),
    )  # fmt: skip
    return Item("demo", "borne-1", "fact", kind, envelope.model_dump_json().encode())


async def person(folder: Path) -> None:
    """A person's word on parked facts."""
    kept = await Inbox.open(folder)
    await kept.store([received(seq, "badge", fact(seq)) for seq in (1, 2)])
    waiting = await kept.waiting("demo", 2)
    say("park asked")
    await kept.park(waiting[0], "refused")
    say("park promised")
    await kept.park(waiting[1], "refused")
    say("retry asked")
    assert await kept.retry(waiting[0].id)
    say("retry promised")
    assert await kept.drop(waiting[1].id)
    say("drop promised")
    await kept.close()


async def key(folder: Path) -> None:
    say("asked")
    make_badge_key(folder / "badge.key")
    say("promised")


async def damaged(folder: Path) -> None:
    async with opened(folder) as store:
        for n in range(200):
            await store.outbox.put("badge", fact(n))
    file = folder / "edged.sqlite"
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xa5" * 3996  # the tables' names and what comes first
    file.write_bytes(content)
    say("asked")
    async with opened(folder) as store:
        say("promised")
        assert store.set_aside is not None


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
