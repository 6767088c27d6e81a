"""Damaged stores: no fact that can be read is lost, none is changed, and each other one is told."""

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from support.damage import PAGE, change, change_fact, damage, flip, pages_of, spoil
from support.stores import ack, entry, fact, opened, parked, put

from mqtt.messages import Envelope
from store.opening import FILE, open_file


async def everything(store) -> list[Envelope]:
    """All that is sent, epoch by epoch, as a bridge without anything would get it."""
    for epoch in store.outbox.kept():
        await store.outbox.replay(epoch.epoch, 1)
    facts = []
    while rows := await store.outbox.waiting(0, 10_000):
        facts += [Envelope.model_validate_json(row.body) for row in rows]
        await store.outbox.acknowledge(ack(rows[0].epoch, stored=rows[-1].seq))
    return facts


async def made(folder: Path, count: int = 200) -> list[Envelope]:
    async with opened(folder) as store:
        return await put(store.outbox, count)


MEMBERS = [entry(n) for n in range(300)]


async def spoil_members(folder: Path) -> None:
    """Let the station have members, and damage the first page of them."""
    async with opened(folder) as store:
        await store.directory.replace(MEMBERS, entry(1).next_shift)
    damage(folder / FILE, at=pages_of(folder / FILE, "directory")[0])


def whole(facts: list[Envelope]) -> list[Envelope]:
    return [fact for fact in facts if fact.kind != "damaged"]


def numbers(facts: list[Envelope]) -> list[int]:
    return [fact.seq for fact in facts]


@pytest.mark.parametrize("table", ["directory", "journal", "shard", "meta", "document"])
async def test_damage_beside_the_facts_costs_none(tmp_path, table):
    facts = await made(tmp_path)
    async with opened(tmp_path) as store:
        await store.directory.replace(MEMBERS, entry(1).next_shift)
        store.journal.add("info", "x.y")
    damage(tmp_path / FILE, at=random.Random(table).choice(pages_of(tmp_path / FILE, table)))
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.set_aside.exists()
        assert await everything(store) == facts
        line = (await store.journal.recent())[0]
        assert (line.key, line.params["facts"], line.params["lost"]) == (
            "store.set_aside",
            "200",
            "0",
        )
    async with opened(tmp_path) as store:
        assert store.set_aside is None
        assert await everything(store) == facts


@pytest.mark.parametrize("place", range(3))
async def test_of_a_damaged_page_of_facts_each_other_fact_goes_on_and_each_lost_one_is_told(
    tmp_path, place
):
    facts = await made(tmp_path)
    leaves = pages_of(tmp_path / FILE, "outbox")
    damage(tmp_path / FILE, at=leaves[(0, len(leaves) // 2, -1)[place]])
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        found = await everything(store)
    assert numbers(found) == list(range(1, 201))
    kept = whole(found)
    assert 180 < len(kept) < 200
    assert {fact.id for fact in kept} <= {fact.id for fact in facts}
    assert all(fact == facts[fact.seq - 1] for fact in kept)
    assert {fact.epoch for fact in found} == {facts[0].epoch}


@pytest.mark.parametrize("wreck", ["header", "schema", "root of the facts", "cut"])
async def test_facts_that_no_page_leads_to_any_more_are_found_in_the_file(tmp_path, wreck):
    facts = await made(tmp_path)
    async with opened(tmp_path) as store:
        photo = await store.outbox.put("photo", fact(), attachment=b"portrait")
    path = tmp_path / FILE
    if wreck == "header":
        damage(path, length=100)
    elif wreck == "schema":
        damage(path)
    elif wreck == "cut":
        os.truncate(path, path.stat().st_size - 3 * PAGE)
    else:
        spoil(path, "outbox")
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        found = whole(await everything(store))
        assert len(found) >= 170 if wreck == "cut" else found == [*facts, photo]
        assert all(fact in [*facts, photo] for fact in found)
        photos = [file.read_bytes() for file in tmp_path.glob("photos*/*")]
        assert photos == [b"portrait"]


async def test_garbage_instead_of_a_file_is_set_aside_with_its_photos(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("photo", fact(), attachment=b"portrait")
    (tmp_path / FILE).write_bytes(os.urandom(50_000))
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.set_aside.name.startswith(f"{FILE}.corrupt-")
        assert store.outbox.kept() == ()
        (photos,) = tmp_path.glob("photos.corrupt-*")
        assert [file.read_bytes() for file in photos.iterdir()] == [b"portrait"]
        assert (await store.outbox.put("badge", fact())).seq == 1


async def test_what_was_settled_stays_settled(tmp_path):
    facts = await made(tmp_path, 100)
    async with opened(tmp_path) as store:
        words = ack(facts[0].epoch, stored=60, done=50, parked=parked(facts[6]))
        await store.outbox.acknowledge(words)
        kept, status = store.outbox.kept(), store.outbox.status()
    await spoil_members(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.outbox.kept() == kept
        assert store.outbox.status() == status
        assert [row.seq for row in await store.outbox.waiting(0, 999)] == list(range(61, 101))


async def test_what_was_settled_on_a_good_page_stays_so_though_another_page_is_bad(tmp_path):
    facts = await made(tmp_path, 90)
    async with opened(tmp_path) as store:
        words = ack(facts[0].epoch, stored=5, done=1, parked=parked(facts[1]))
        await store.outbox.acknowledge(words)
    damage(tmp_path / FILE, at=pages_of(tmp_path / FILE, "outbox")[-1])
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        status = store.outbox.status()
        assert (status.stored, status.parked) == (3, 1)


async def test_several_epochs_keep_their_order(tmp_path):
    names = [(await made(tmp_path, 20))[0].epoch for _ in range(4)]
    await spoil_members(tmp_path)
    async with opened(tmp_path) as store:
        assert [epoch.epoch for epoch in store.outbox.kept()] == names
        assert [fact.epoch for fact in await everything(store)] == [
            name for name in names for _ in range(20)
        ]


async def test_a_flipped_bit_never_makes_another_fact(tmp_path):
    """One bit of each byte of a waiting fact in turn, the row's own columns included."""
    facts = await made(tmp_path, 3)
    path = tmp_path / FILE
    content = path.read_bytes()
    start = content.index(facts[1].id.encode())
    end = content.index(b"}", content.index(facts[1].id.encode(), start + 36)) + 8
    for at in range(start - 8, end, 3):
        copy = tmp_path / f"copy-{at}"
        copy.mkdir()
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        (copy / FILE).write_bytes(flipped)
        async with opened(copy) as store:
            found = await everything(store)
        assert numbers(found) == [1, 2, 3], at
        assert all(fact in facts for fact in whole(found)), at
        shutil.rmtree(copy)


async def test_a_wrong_body_is_told_under_its_number_and_its_photo_is_not_sent(tmp_path):
    async with opened(tmp_path) as store:
        facts = [
            await store.outbox.put("badge", fact(1)),
            await store.outbox.put("photo", fact(2), attachment=b"portrait"),
            await store.outbox.put("badge", fact(3)),
        ]
    change_fact(tmp_path / FILE, '"id":2}', '"id":3}')
    async with opened(tmp_path) as store:
        assert store.set_aside is None
        rows = await store.outbox.waiting(0, 99)
        assert [row.kind for row in rows] == ["badge", "damaged", "badge"]
        assert [row.id == fact.id for row, fact in zip(rows, facts, strict=True)] == [
            True,
            False,
            True,
        ]
        assert rows[1].attachment is None
        assert json.loads(rows[1].body)["data"] == {"kind": "photo"}
        assert (await store.journal.recent())[0].key == "store.facts_damaged"
        assert await store.outbox.waiting(0, 99) == rows  # the same bytes from now on


async def test_rows_that_vanished_are_told_too(tmp_path):
    facts = await made(tmp_path, 10)
    lost = [facts[n].id for n in (0, 4, 9)]
    assert change(tmp_path / FILE, "DELETE FROM outbox WHERE id IN (?, ?, ?)", *lost) == 3
    async with opened(tmp_path) as store:
        rows = await store.outbox.waiting(0, 99)
        assert [row.seq for row in rows] == list(range(1, 11))
        assert [row.seq for row in rows if row.kind == "damaged"] == [1, 5, 10]


WORDS = {
    "a column's name": (b"why        TEXT", b"whz        TEXT"),
    "a letter that is none": (b"CREATE TABLE outbox", b"CREATE TABLE outb\xefx"),
    "a table's name": (b"CREATE TABLE shard", b"CREATE TABLE sharf"),
}


@pytest.mark.parametrize("what", [*WORDS, "version", "format", "journal mode", "sequence"])
async def test_a_flipped_bit_in_what_describes_the_tables_stops_no_station(tmp_path, what):
    facts = await made(tmp_path, 50)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    if what in WORDS:
        right, wrong = WORDS[what]
        at = content.index(right)
        content[at : at + len(right)] = wrong
    elif what == "sequence":
        (root,) = pages_of(path, "sqlite_sequence")
        content[root : root + PAGE] = bytes(PAGE)
    else:
        content[{"version": 63, "format": 47, "journal mode": 18}[what]] ^= 0x40
    path.write_bytes(content)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert await everything(store) == facts
        assert (await store.outbox.put("badge", fact())).seq == 1
    async with opened(tmp_path) as store:
        assert store.set_aside is None


def spoil_log(folder: Path) -> None:
    """Its first frame is wrong: SQLite takes nothing out of it."""
    flip(folder / f"{FILE}-wal", 60)


async def test_a_rescue_takes_from_the_log_what_the_file_does_not_know_of(tmp_path):
    """A new start's facts, which stand in the log alone, beside a damaged file."""
    old = await made(tmp_path / "running", 20)
    (journal,) = pages_of(tmp_path / "running" / FILE, "journal")
    async with opened(tmp_path / "running") as store:
        new = [(await put(store.outbox, 1))[0] for _ in range(10)]
        shutil.copytree(tmp_path / "running", tmp_path / "card")
    spoil_log(tmp_path / "card")
    damage(tmp_path / "card" / FILE, at=journal)
    log = (tmp_path / "card" / f"{FILE}-wal").read_bytes()
    async with opened(tmp_path / "card") as store:
        assert store.set_aside is not None
        assert Path(f"{store.set_aside}-wal").read_bytes() == log  # for a person
        assert await everything(store) == [*old, *new]


async def test_a_clock_that_was_set_back_hides_no_fact_of_a_torn_log(tmp_path, monkeypatch):
    now = time.time_ns()
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time_ns", lambda: now + 24 * 3600 * 10**9)
        old = await made(tmp_path / "running", 5)
    async with opened(tmp_path / "running") as store:
        new = [(await put(store.outbox, 1))[0] for _ in range(10)]
        assert new[0].id < old[0].id
        shutil.copytree(tmp_path / "running", tmp_path / "card")
    spoil_log(tmp_path / "card")
    async with opened(tmp_path / "card") as store:
        assert await everything(store) == [*old, *new]


async def test_a_last_number_that_cannot_be_makes_no_flood(tmp_path):
    await made(tmp_path, 10)
    assert change(tmp_path / FILE, "UPDATE epoch SET last = 1 << 30") == 1
    async with opened(tmp_path) as store:
        assert len(await store.outbox.waiting(0, 999)) == 10
        assert await store.outbox.waiting(0, 1) != []


@pytest.mark.parametrize("seed", range(4))
async def test_a_wrong_frame_in_the_log_does_not_cost_the_ones_behind_it(tmp_path, seed):
    """SQLite takes nothing out of a log from the first wrong frame on, and says nothing."""
    card = tmp_path / "card"
    async with opened(tmp_path / "running") as store:
        facts = [(await put(store.outbox, 1))[0] for _ in range(30)]
        shutil.copytree(tmp_path / "running", card)  # the power is cut: the log lies there
    log = card / f"{FILE}-wal"
    flip(log, random.Random(seed).randrange(32, log.stat().st_size), 0x10)
    async with opened(card) as store:
        found = await everything(store)
        assert numbers(found) == list(range(1, len(found) + 1))
        assert all(fact in facts for fact in whole(found))
        assert len(whole(found)) >= 29
        if len(whole(found)) < 30:
            assert numbers(found)[-1] >= 29


async def test_a_log_that_is_sound_gives_nothing_twice(tmp_path):
    async with opened(tmp_path / "running") as store:
        facts = await put(store.outbox, 30)
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=30, done=30))
        shutil.copytree(tmp_path / "running", tmp_path / "card")
    async with opened(tmp_path / "card") as store:
        assert store.outbox.status().waiting == 0
        assert await everything(store) == facts
        keys = {line.key for line in await store.journal.recent()}
        assert "store.log_damaged" not in keys


@pytest.mark.parametrize("step", range(2))
async def test_a_power_cut_in_the_middle_of_a_rescue_loses_nothing(tmp_path, monkeypatch, step):
    """Before the damaged file is put aside, or before the new one has its name."""
    async with opened(tmp_path / "running") as store:
        facts = await put(store.outbox, 200)
        shutil.copytree(tmp_path / "running", tmp_path / "card")
    card = tmp_path / "card"
    damage(card / FILE)
    done = 0

    def cut(self, target):
        nonlocal done
        if done == step:
            raise OSError("the power is cut")
        done += 1
        return rename(self, target)

    rename = Path.rename
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut)
        with pytest.raises(OSError, match="power"):
            open_file(card)
    async with opened(card) as store:
        assert await everything(store) == facts
