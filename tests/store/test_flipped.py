"""Bits that flip on a card among members and prices: never another verdict, never another price."""

from pathlib import Path

import pytest
from support.damage import change, change_fact, spoil
from support.stores import ack, badge, catalogue, entry, fact, opened, product, put

from mqtt.digest import catalogue_digest
from mqtt.messages import Catalogue, ReceivedShard
from store.opening import FILE


def change_body(folder: Path, table: str, old: str, new: str) -> None:
    """What a card does to one stored text."""
    sql = f"UPDATE {table} SET body = replace(body, ?, ?) WHERE instr(body, ?)"
    assert change(folder / FILE, sql, old, new, old) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [('"id":7}', '"id":5}'), ('"verdict":"stop"', '"verdict":"warn"'), ("Prénom 7", "Prénom '")],
)
async def test_a_changed_member_answers_nobody_and_is_asked_for_again(tmp_path, old, new):
    members = [entry(n, verdict="stop" if n == 7 else "ok") for n in range(50)]
    async with opened(tmp_path) as store:
        await store.directory.replace(members, entry(1).next_shift)
    change_body(tmp_path, "directory", old, new)
    async with opened(tmp_path) as store:
        assert store.directory.missing == frozenset()
        for _ in range(2):  # also when what had come was right and changed again
            assert store.directory.lookup([badge(7)]) is None
            assert store.directory.lookup([badge(8)]) == members[8]
            await store.journal.recent()  # behind it in the writer's queue
            assert store.directory.missing == {badge(7)[:2]}
            shard = ReceivedShard(shard=badge(7)[:2], entries=(members[7].model_dump(mode="json"),))
            assert await store.directory.apply_shard(shard)
            assert store.directory.lookup([badge(7)]) == members[7]
            assert store.directory.missing == frozenset()
            change_body(tmp_path, "directory", "stop", "warn")


@pytest.mark.parametrize(
    "wrong",
    [
        "done = 19",
        "done = 2",
        "stored = 19",
        "stored = 25",
        "last = 7",
        "last = 33",
        "last = 1 << 30",
        "name = 'z' || substr(name, 2)",  # no hex digit: always another name
        "number = 3",
        "sum = x'00000000'",
    ],
)
async def test_a_changed_epoch_loses_nothing_and_calls_nothing_done(tmp_path, wrong):
    """23 facts, of which the bridge stored 5 and Odoo has 3: the table says something else."""
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 23)
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=5, done=3))
    assert change(tmp_path / FILE, f"UPDATE epoch SET {wrong}") == 1
    async with opened(tmp_path) as store:
        (kept,) = store.outbox.kept()
        assert (kept.epoch, kept.last, kept.done) == (facts[0].epoch, 23, 3)
        sent = [row.id for row in await store.outbox.waiting(0, 99)]
        assert sent == [fact.id for fact in facts[3:]]  # from what is not done on
        made = await store.outbox.put("badge", fact())
        assert (made.seq, made.epoch != kept.epoch) == (1, True)
        await store.outbox.acknowledge(ack(kept.epoch, stored=23, done=23))
        assert [row.id for row in await store.outbox.waiting(0, 99)] == [made.id]


@pytest.mark.parametrize("key", ["as_of", "head", "undated", "age", "label_out"])
@pytest.mark.parametrize(
    "value", ["", "2026-1", "2026-11-21T17:13:22", "{", "0 0", "-1 x y", "\ufffd"]
)
async def test_no_changed_note_stops_a_station(tmp_path, key, value):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(5)], entry(1).next_shift)
        facts = await put(store.outbox, 3)
    change(tmp_path / FILE, "INSERT OR REPLACE INTO meta VALUES(?, ?)", key, value)
    async with opened(tmp_path) as store:
        assert [row.id for row in await store.outbox.waiting(0, 9)] == [fact.id for fact in facts]
        store.directory.lookup([badge(1)])
        assert store.labels.doubtful() is None
        await store.outbox.acknowledge(ack(facts[0].epoch, stored=3, done=3))
        await store.directory.replace([entry(n) for n in range(5)], entry(1).next_shift)
        assert store.directory.as_of is not None


def priced() -> Catalogue:
    leeks = product("2112345000008", price_cents_per_kg=295)
    digest = catalogue_digest([leeks], [])
    return catalogue(leeks).model_copy(update={"digest": digest})


async def test_a_changed_price_is_no_price(tmp_path):
    async with opened(tmp_path) as store:
        await store.catalogue.replace(priced())
    change_body(tmp_path, "document", '"price_cents_per_kg":295', '"price_cents_per_kg":195')
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() is None
        await store.catalogue.replace(priced())
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() == priced()


async def test_of_a_damaged_store_members_and_prices_go_on_too(tmp_path):
    members = [entry(n) for n in range(600)]
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 200)
        await store.directory.replace(members, entry(1).next_shift)
        await store.catalogue.replace(priced())
        as_of = store.directory.as_of
    spoil(tmp_path / FILE, "journal")
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert store.directory.missing == frozenset()
        assert store.directory.as_of == as_of
        assert [store.directory.lookup([member.badge]) for member in members] == members
        assert store.catalogue.current.get() == priced()
        assert len(await store.outbox.waiting(0, 999)) == len(facts)


async def test_of_damaged_members_those_go_on_that_are_right(tmp_path):
    members = [entry(n) for n in range(600)]
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())
        await store.directory.replace(members, entry(1).next_shift)
    change_body(tmp_path, "directory", '"Prénom 77"', '"Prénom 78"')
    spoil(tmp_path / FILE, "journal")
    async with opened(tmp_path) as store:
        lost = badge(77)[:2]
        assert store.directory.missing == {lost}
        for member in members:
            found = store.directory.lookup([member.badge])
            assert found == (None if member.badge[:2] == lost else member)


async def test_a_changed_fact_is_neither_remembered_nor_exported(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
    change_fact(tmp_path / FILE, '"id":1}', '"id":2}')
    async with opened(tmp_path) as store:
        assert [fact.seq for fact in store.outbox.newest("badge", 9)] == [3, 1]
        assert [fact.seq async for fact in store.outbox.export()] == [1, 3]
