"""Stores that earlier versions wrote: each opens, and none of its facts is lost.

`released/version-N.sql` is a dump of a store that the program itself wrote at that version. Every
model may have changed since: what is stored is then not there, and asked for again.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.damage import change, spoil
from support.released import dumps, restore, version
from support.stores import ack, badge, fact, opened

import store.catalogue
import store.directory
import store.labels
import store.outbox
import store.rescue
from mqtt.messages import Catalogue, DirectoryHead, Entry, Envelope, LabelData
from store.opening import FILE
from store.schema import MIGRATIONS

RELEASED = dumps(__file__)
FACTS = 8
"""In each of them: 6 badges of members 1 to 6, a label and a photo. The bridge stored 5, 4 are done
but for number 2, which is parked."""


def load(folder: Path, dump: Path) -> list[bytes]:
    """Make that store in `folder`; returns the facts' bodies."""
    restore(dump, folder / FILE)
    with closing(sqlite3.connect(folder / FILE)) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM outbox ORDER BY 1")]
    bodies.sort(key=lambda body: json.loads(body)["seq"])
    (folder / "photos").mkdir()
    (folder / "photos" / f"{json.loads(bodies[-1])['id']}.jpg").write_bytes(b"portrait")
    return bodies


async def sent(opened_store) -> list[tuple[int, bytes]]:
    return [(row.seq, row.body) for row in await opened_store.outbox.waiting(0, 999)]


def test_there_is_one_of_each_version() -> None:
    assert [version(dump) for dump in RELEASED] == [*range(1, len(MIGRATIONS) + 1)]


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_it_opens_and_everything_is_there(tmp_path, dump):
    bodies = load(tmp_path, dump)
    async with opened(tmp_path) as kept:
        assert kept.set_aside is None
        assert await sent(kept) == list(enumerate(bodies, start=1))[5:]
        (epoch,) = kept.outbox.kept()
        assert (epoch.first, epoch.last, epoch.done, epoch.parked) == (1, FACTS, 4, (2,))
        status = kept.outbox.status()
        assert (status.waiting, status.stored, status.parked) == (3, 1, 1)
        entry = kept.directory.lookup([badge(1)])
        assert entry is not None
        assert entry.first_name == "Prénom 1"
        assert kept.catalogue.current.get().products[0].name == "Produit 1"
        assert kept.labels.doubtful() is None  # a label of before the update is no doubt
        photo = (await kept.outbox.waiting(0, 999))[-1].attachment
        assert photo is not None
        assert photo.read_bytes() == b"portrait"
        # Numbers go on in an epoch of their own.
        made = await kept.outbox.put("badge", fact())
        assert (made.seq, made.epoch != epoch.epoch) == (1, True)
        await kept.outbox.acknowledge(ack(epoch.epoch, stored=FACTS, done=FACTS))
        assert not photo.exists()
    async with opened(tmp_path) as kept:
        assert [row.id for row in await kept.outbox.waiting(0, 99)] == [made.id]


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_it_opens_although_every_model_wants_more(tmp_path, monkeypatch, dump):
    bodies = load(tmp_path, dump)
    for module, model in [
        (store.catalogue, Catalogue),
        (store.directory, DirectoryHead),
        (store.directory, Entry),
        (store.outbox, Envelope),
        (store.labels, LabelData),
    ]:
        changed = type(model.__name__, (model,), {"__annotations__": {"required_since": int}})
        assert hasattr(module, model.__name__)
        monkeypatch.setattr(module, model.__name__, changed)
    async with opened(tmp_path) as kept:
        assert kept.set_aside is None
        assert kept.catalogue.current.get() is None
        assert kept.directory.head is None
        assert kept.directory.lookup([badge(1)]) is None
        assert kept.labels.doubtful() is None
        assert kept.outbox.status().oldest_at is None
        assert [fact async for fact in kept.outbox.export()] == []
        assert await sent(kept) == list(enumerate(bodies, start=1))[5:]


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_damage_costs_none_of_its_facts_either(tmp_path, dump):
    bodies = load(tmp_path, dump)
    spoil(tmp_path / FILE, "directory")
    async with opened(tmp_path) as kept:
        assert kept.set_aside is not None
        for epoch in kept.outbox.kept():
            await kept.outbox.replay(epoch.epoch, 1)
        assert await sent(kept) == list(enumerate(bodies, start=1))


async def test_of_several_labels_of_before_the_update_the_last_one_is_in_no_doubt(tmp_path):
    load(tmp_path, RELEASED[0])
    change(
        tmp_path / FILE,
        "INSERT INTO outbox(id, kind, body, since) SELECT 'later', kind,"
        " CAST(json_set(CAST(body AS TEXT), '$.seq', 9, '$.data.label', 'later') AS BLOB), 0"
        " FROM outbox WHERE kind = 'label'",
    )
    async with opened(tmp_path) as kept:
        assert kept.outbox.newest("label", 9)[0].data["label"] == "later"
        assert kept.labels.doubtful() is None
