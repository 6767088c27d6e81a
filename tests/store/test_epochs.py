"""Epochs: each start of a station numbers its facts anew, and what that is good for."""

import shutil

import pytest
from support.stores import ack, opened, parked, put

from mqtt.messages import Ack, EpochAck
from store import settling


async def test_each_start_has_an_epoch_of_its_own_that_begins_with_its_first_fact(tmp_path):
    names = []
    for start in range(3):
        async with opened(tmp_path) as store:
            assert len(store.outbox.kept()) == start
            first, second = await put(store.outbox, 2)
            assert (first.seq, second.seq) == (1, 2)
            assert first.epoch == second.epoch == store.outbox.epoch
            names.append(first.epoch)
    async with opened(tmp_path) as store:  # a start without a fact leaves nothing
        assert store.outbox.epoch not in names
    async with opened(tmp_path) as store:
        assert [epoch.epoch for epoch in store.outbox.kept()] == names
        assert len(set(names)) == 3


async def test_an_epoch_is_sent_only_when_the_older_ones_are_stored(tmp_path):
    names = []
    for _ in range(3):
        async with opened(tmp_path) as store:
            await put(store.outbox, 3)
            names.append(store.outbox.epoch)
    async with opened(tmp_path) as store:
        outbox = store.outbox
        for name in names:
            rows = await outbox.waiting(0, 99)
            assert [(row.epoch, row.seq) for row in rows] == [(name, 1), (name, 2), (name, 3)]
            assert await outbox.waiting(rows[-1].n, 99) == []
            await outbox.acknowledge(ack(name, stored=2))
            assert [row.seq for row in await outbox.waiting(0, 99)] == [3]
            await outbox.acknowledge(ack(name, stored=3))
        assert await outbox.waiting(0, 99) == []


async def test_one_acknowledgement_settles_several_epochs(tmp_path):
    names = []
    for _ in range(3):
        async with opened(tmp_path) as store:
            facts = await put(store.outbox, 2)
            names.append(store.outbox.epoch)
    async with opened(tmp_path) as store:
        await store.outbox.acknowledge(
            Ack(
                epochs=(
                    EpochAck(epoch=names[0], stored=2, done=2),
                    EpochAck(epoch="another card's", stored=7, done=7),
                    EpochAck(epoch=names[2], stored=2, done=2, parked=parked(facts[0])),
                )
            )
        )
        assert [(e.done, e.parked) for e in store.outbox.kept()] == [(2, ()), (0, ()), (2, (1,))]
        status = store.outbox.status()
        assert (status.waiting, status.stored, status.parked) == (2, 0, 1)


async def test_an_epoch_of_which_nothing_is_left_is_forgotten(tmp_path, monkeypatch):
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
        old = store.outbox.epoch
    monkeypatch.setattr(settling, "KEEP_S", -10)
    async with opened(tmp_path) as store:
        await put(store.outbox, 1)
        await store.outbox.acknowledge(ack(old, stored=3, done=2))
        assert [epoch.epoch for epoch in store.outbox.kept()] == [old, store.outbox.epoch]
    async with opened(tmp_path) as store:
        await store.outbox.acknowledge(ack(old, stored=3, done=3))
        assert old not in {epoch.epoch for epoch in store.outbox.kept()}


async def test_a_list_of_parked_facts_that_is_cut_lets_none_of_the_others_go(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 6)
        word = parked(facts[0], facts[1], facts[4])
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=6, parked=word))
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=6, listed_from=3))
        (kept,) = outbox.kept()
        assert kept.parked == (1, 2)
        assert outbox.status().parked == 2


@pytest.mark.parametrize(("done", "told"), [(9, 6), (1, 1)])
async def test_of_more_parked_facts_than_are_told_none_is_called_done(
    tmp_path, monkeypatch, done, told
):
    """Nor is the epoch called further done than it is: facts are parked before those in front of
    them are in Odoo.
    """
    monkeypatch.setattr("store.epochs.PARKED_TOLD", 2)
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 9)
        word = parked(facts[1], facts[3], facts[6])
        await outbox.acknowledge(ack(outbox.epoch, stored=9, done=done, parked=word))
        (kept,) = outbox.kept()
        assert (kept.done, kept.parked) == (told, (2, 4))


@pytest.mark.parametrize(("refused", "done"), [(1000, 1002), (1001, 1000)])
async def test_a_thousand_parked_facts_are_told_and_no_more(tmp_path, refused, done):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 1002)
        word = ack(outbox.epoch, stored=1002, done=1002, parked=parked(*facts[:refused]))
        await outbox.acknowledge(word)
        (kept,) = outbox.kept()
        assert (kept.done, kept.parked) == (done, tuple(range(1, 1001)))


async def test_a_bridge_that_forgot_something_is_told_what_is_here(tmp_path, clock):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 3)
        told = outbox.untold.get()
        assert told == 1  # the epoch began
        await outbox.acknowledge(Ack())  # it has not heard of it yet
        await outbox.acknowledge(ack(outbox.epoch, stored=2, done=1))
        assert outbox.untold.get() == told
        for forgetful in (ack(outbox.epoch, stored=1, done=1), ack(outbox.epoch, stored=2), Ack()):
            clock.now += 10
            await outbox.acknowledge(forgetful)
            told += 1
            assert outbox.untold.get() == told
        await outbox.acknowledge(Ack())  # at once again: it was just told
        assert outbox.untold.get() == told
        await outbox.acknowledge(ack(outbox.epoch, stored=3, done=3))
        clock.now += 10
        await outbox.acknowledge(Ack())  # what is settled need not be listed
        assert outbox.untold.get() == told


async def test_when_the_bridge_has_stored_every_epoch_nothing_is_the_oldest_that_waits(tmp_path):
    for _ in range(2):
        async with opened(tmp_path) as store:
            (made,) = await put(store.outbox, 1)
            assert store.outbox.status().oldest_at == made.at
            await store.outbox.acknowledge(ack(made.epoch, stored=1))
            assert store.outbox.status().oldest_at is None


async def test_a_new_store_has_a_new_epoch(tmp_path):
    async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
        assert a.outbox.epoch != b.outbox.epoch


async def test_a_card_put_back_from_an_image_gives_no_number_twice(tmp_path):
    """The bridge has facts of this card that the image does not know of."""
    card, image = tmp_path / "card", tmp_path / "image"
    async with opened(card) as store:
        await put(store.outbox, 10)
        name = store.outbox.epoch
        await store.outbox.acknowledge(ack(name, stored=10, done=10))
    shutil.copytree(card, image)
    async with opened(card) as store:
        lost = await put(store.outbox, 5)
    async with opened(image) as store:
        outbox = store.outbox
        made = await put(outbox, 8)
        assert {(e.epoch, e.seq) for e in lost}.isdisjoint((e.epoch, e.seq) for e in made)
        both = (EpochAck(epoch=name, stored=10, done=10), EpochAck(epoch=lost[0].epoch, stored=5))
        await outbox.acknowledge(Ack(epochs=both))
        assert [row.id for row in await outbox.waiting(0, 99)] == [e.id for e in made]
        assert outbox.status().waiting == 8


async def test_a_bridge_that_has_more_of_an_epoch_than_the_card_is_taken_at_its_word(tmp_path):
    """The card lied about its fsync, or is an image that was taken while the station ran."""
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
        old = store.outbox.epoch
    async with opened(tmp_path) as store:
        (made,) = await put(store.outbox, 1)
        await store.outbox.acknowledge(ack(old, stored=12, done=12))
        assert [(e.last, e.done) for e in store.outbox.kept()] == [(3, 3), (1, 0)]
        assert [row.id for row in await store.outbox.waiting(0, 99)] == [made.id]
