"""What a damaged store's successor knows besides the facts, and which facts a log alone gives."""

from pathlib import Path

import pytest
from support.damage import change, change_fact, damage, root_of, spoil
from support.stores import ack, fact, label, opened, put

from durable.sqlite import checksum
from mqtt.messages import Ack, Envelope
from store import age
from store.opening import FILE
from store.outbox import Outbox
from store.schema import place

DAY = 24 * 3600


def spoil_another_page(folder: Path) -> None:
    """One on which no fact stands."""
    spoil(folder / FILE, "journal")


def hide_the_facts(folder: Path) -> None:
    """Their page is none any more; the facts themselves still stand in the file's bytes."""
    damage(folder / FILE, at=root_of(folder / FILE, "outbox"), length=8)


async def kept(outbox: Outbox) -> list[Envelope]:
    return [envelope async for envelope in outbox.export()]


async def test_the_label_that_came_out_is_in_no_doubt_after_a_rescue(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("label", label("one"))
        await store.labels.is_out("one")
    spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.labels.doubtful() is None


async def test_facts_that_wait_for_the_clock_still_do_after_a_rescue(tmp_path):
    async with opened(tmp_path, clock="unsynced") as store:
        await store.outbox.put("badge", fact())
    spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.outbox.undated


async def test_the_age_goes_on_after_a_rescue(tmp_path, monkeypatch):
    up = 1000
    monkeypatch.setattr(age, "uptime_ms", lambda: up * 1000)
    async with opened(tmp_path) as store:
        up += 30 * DAY
        (made,) = await put(store.outbox, 1)
        await store.outbox.acknowledge(ack(made.epoch, stored=1, done=1))
    spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        up += 7 * DAY + 1
        await store.outbox.acknowledge(Ack())
        assert await kept(store.outbox) == []


@pytest.mark.parametrize("rescued", [False, True])
@pytest.mark.parametrize(("lost", "told"), [(1000, 1000), (1001, 0)])
async def test_up_to_a_thousand_facts_at_the_end_are_told_to_be_lost_more_are_a_wrong_number(
    tmp_path, lost, told, rescued
):
    async with opened(tmp_path) as store:
        await put(store.outbox, 10 + lost)
    change(tmp_path / FILE, "DELETE FROM outbox WHERE n > ?", place(1, 10))
    change(tmp_path / FILE, "VACUUM")  # nor do they stand anywhere in the file
    if rescued:
        spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        assert (store.set_aside is not None) == rescued
        rows = await store.outbox.waiting(0, 9999)
        assert [row.seq for row in rows] == list(range(1, 10 + told + 1))
    async with opened(tmp_path) as store:
        assert [epoch.last for epoch in store.outbox.kept()] == [10 + told]


@pytest.mark.parametrize(("epoch", "seq"), [(1, 2), (2, 1)])
async def test_a_whole_body_under_a_number_that_is_not_its_own_is_never_sent(tmp_path, epoch, seq):
    """The row of epoch 1 and number 1 comes to lie there, with its checksum."""
    for _ in range(2):
        async with opened(tmp_path) as store:
            await put(store.outbox, 3)
    sql = "UPDATE outbox SET (body, sum) = (SELECT body, sum FROM outbox WHERE n = ?) WHERE n = ?"
    change(tmp_path / FILE, sql, place(1, 1), place(epoch, seq))
    async with opened(tmp_path) as store:
        if epoch == 2:
            await store.outbox.acknowledge(ack(store.outbox.kept()[0].epoch, stored=3))
        rows = await store.outbox.waiting(0, 99)
        assert [row.seq for row in rows] == [1, 2, 3]
        assert [row.seq for row in rows if row.kind == "damaged"] == [seq]


async def test_what_the_bridge_has_is_lost_here_and_not_sent_again(tmp_path):
    async with opened(tmp_path) as store:
        (made, *_) = await put(store.outbox, 9)
        await store.outbox.acknowledge(ack(made.epoch, stored=6, done=3))
    for lost in (2, 5, 8):  # Odoo has the first one
        change(tmp_path / FILE, "DELETE FROM outbox WHERE n = ?", place(1, lost))
    spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        outbox = store.outbox
        status = outbox.status()
        assert (status.waiting, status.stored) == (3, 3)
        assert (await store.journal.recent())[0].params["lost"] == "2"
        rows = await outbox.waiting(0, 99)
        assert [(row.seq, row.kind) for row in rows] == [(7, "badge"), (8, "damaged"), (9, "badge")]
        await outbox.replay(made.epoch, 4)  # the bridge has lost its disk as well
        rows = await outbox.waiting(0, 99)
        assert [row.seq for row in rows if row.kind == "damaged"] == [5, 8]


async def test_an_epoch_of_which_the_disk_has_lost_everything_is_told_and_not_forgotten(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
    change(tmp_path / FILE, "DELETE FROM outbox")
    async with opened(tmp_path) as store:
        await store.outbox.acknowledge(Ack())  # tidies up
        rows = await store.outbox.waiting(0, 99)
        assert [(row.seq, row.kind) for row in rows] == [(n, "damaged") for n in (1, 2, 3)]


@pytest.mark.parametrize("readable", [True, False])
async def test_a_rescue_makes_no_changed_fact_right(tmp_path, readable):
    """Neither one that SQLite can read nor one that is found in the file's bytes."""
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
    change_fact(tmp_path / FILE, '"id":1}', '"id":2}')
    (spoil_another_page if readable else hide_the_facts)(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        rows = await store.outbox.waiting(0, 99)
        assert [(row.seq, row.kind) for row in rows] == [
            (1, "badge"), (2, "damaged"), (3, "badge")
        ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", ["done = 19", "stored = 19", "last = 7", "last = 1 << 30", "name = 'z' || name"]
)
async def test_a_rescue_believes_no_changed_epoch_and_lets_all_that_is_here_be_sent(
    tmp_path, wrong
):
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 23)
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=5, done=3))
    assert change(tmp_path / FILE, f"UPDATE epoch SET {wrong}") == 1
    spoil_another_page(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert [row.id for row in await store.outbox.waiting(0, 99)] == [fact.id for fact in facts]
        assert [(e.epoch, e.last) for e in store.outbox.kept()] == [(facts[0].epoch, 23)]


async def test_a_fact_found_in_the_files_bytes_has_its_photo(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("photo", fact(), attachment=b"portrait")
    hide_the_facts(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        (row,) = await store.outbox.waiting(0, 9)
        assert row.attachment is not None
        assert row.attachment.read_bytes() == b"portrait"


async def test_what_the_bridge_has_and_odoo_has_not_is_looked_for_in_the_bytes_too(tmp_path):
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 3)
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=2, done=1))
    hide_the_facts(tmp_path)
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        await store.outbox.replay(facts[0].epoch, 2)
        assert [row.id for row in await store.outbox.waiting(0, 9)] == [facts[1].id, facts[2].id]


async def test_where_it_is_not_known_how_far_an_epoch_was_its_forgotten_facts_are_not_told_as_lost(
    tmp_path,
):
    async with opened(tmp_path) as store:
        await put(store.outbox, 6)
    change(tmp_path / FILE, "DELETE FROM outbox WHERE n <= ?", place(1, 3))
    change(tmp_path / FILE, "VACUUM")
    damage(tmp_path / FILE, length=100)  # no table can be read any more
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        rows = await store.outbox.waiting(0, 9)
        assert [(row.seq, row.kind) for row in rows] == [(n, "badge") for n in (4, 5, 6)]


# --- out of a log of which SQLite takes nothing ----------------------------------------------


async def bodies(outbox: Outbox) -> list[bytes]:
    return [row.body for row in await outbox.waiting(0, 99)]


def lay(folder: Path, *found: bytes) -> None:
    """Leave a log in which these facts stand and no frame is right."""
    content = b"".join(b"\0" * 32 + body + checksum(body) for body in found)
    (folder / f"{FILE}-wal").write_bytes(content)


async def test_of_a_log_those_facts_are_taken_that_are_neither_here_nor_done(tmp_path):
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 6)
        found = await bodies(store.outbox)
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=2, done=2))
    change(
        tmp_path / FILE,
        "DELETE FROM outbox WHERE n IN (?, ?, ?)",
        *(place(1, n) for n in (1, 2, 4)),
    )
    lay(tmp_path, *found)
    async with opened(tmp_path) as store:
        assert store.set_aside is None
        assert (await store.journal.recent())[0].params == {"facts": "1", "lost": "0"}
        assert [envelope.seq for envelope in await kept(store.outbox)] == [3, 4, 5, 6]
        assert [(e.last, e.done) for e in store.outbox.kept()] == [(6, 2)]


async def test_of_a_log_an_epoch_is_taken_that_began_after_all_that_is_here(tmp_path):
    async with opened(tmp_path / "other") as store:
        old = await put(store.outbox, 2)
        before = await bodies(store.outbox)
    async with opened(tmp_path) as store:
        here = await put(store.outbox, 2)
    async with opened(tmp_path / "another") as store:
        new = await put(store.outbox, 3)
        after = await bodies(store.outbox)
    assert old[0].id < here[0].id < new[0].id
    # What is older was done and forgotten: a log keeps such pages for a while.
    lay(tmp_path, *reversed(after), *before)
    async with opened(tmp_path) as store:
        assert await kept(store.outbox) == [*here, *new]
        assert [epoch.last for epoch in store.outbox.kept()] == [2, 3]


async def test_of_a_log_no_fact_is_taken_whose_checksum_is_wrong(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
        found = await bodies(store.outbox)
    change(tmp_path / FILE, "DELETE FROM outbox WHERE n IN (?, ?)", place(1, 2), place(1, 3))
    changed = found[2].replace(b'"shown":"ok"', b'"shown":"no"')
    content = changed + checksum(found[2]) + found[1] + checksum(found[1])
    (tmp_path / f"{FILE}-wal").write_bytes(content)
    async with opened(tmp_path) as store:
        assert [envelope.seq for envelope in await kept(store.outbox)] == [1, 2]
