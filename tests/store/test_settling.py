"""The bridge's word, looked at closely: in which steps it is applied, and what it cannot say."""

import pytest
from support.stores import ack, fact, opened, parked, put

from mqtt.messages import Ack, EpochAck
from store import settling
from store.outbox import Outbox


def settled(outbox: Outbox) -> list[tuple[int, int]]:
    """`stored` and `done` of each epoch."""
    return [(epoch.stored, epoch.done) for epoch in outbox.epochs.get().values()]


async def steps(outbox: Outbox, word: Ack) -> list[tuple[int, int]]:
    """Apply a word as the outbox does, and how far it was after each transaction."""
    after = []
    while True:
        outcome = await outbox._writer.run(lambda c: settling.settle(c, word, 0))
        after += [(epoch.stored, epoch.done) for epoch in outcome.epochs.values()]
        if not outcome.more:
            return after


async def test_numbers_that_no_epoch_can_have_touch_no_fact_of_it(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 4)
        await outbox.acknowledge(ack(outbox.epoch, stored=4, done=3, parked=parked(facts[1])))
        before = outbox.status()
        assert (before.stored, before.parked) == (1, 1)
        await outbox.acknowledge(ack(outbox.epoch, stored=4, done=3, listed_from=1 << 40))
        assert outbox.status() == before
        answer = await outbox.replay(outbox.epoch, 1 << 40)
        assert answer.first > 4
        assert outbox.status() == before


async def test_no_transaction_settles_more_than_five_hundred_facts(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 1200)
        word = ack(outbox.epoch, stored=1100)
        assert await steps(outbox, word) == [(500, 0), (1000, 0), (1100, 0)]
        word = ack(outbox.epoch, stored=1100, done=1001)
        assert await steps(outbox, word) == [(1100, 500), (1100, 1000), (1100, 1001)]


async def test_of_two_epochs_the_longer_one_is_settled_to_its_end_too(tmp_path):
    async with opened(tmp_path) as store:
        (long, *_) = await put(store.outbox, 700)
    async with opened(tmp_path) as store:
        (short,) = await put(store.outbox, 1)
        both = (
            EpochAck(epoch=long.epoch, stored=700, done=600),
            EpochAck(epoch=short.epoch, stored=1, done=1),
        )
        await store.outbox.acknowledge(Ack(epochs=both))
        assert settled(store.outbox) == [(700, 600), (1, 1)]


@pytest.mark.parametrize("which", ["stored", "done"])
async def test_the_highest_number_that_can_be_is_taken_and_the_next_one_changes_nothing(
    tmp_path, which
):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 2)
        await outbox.acknowledge(ack(outbox.epoch, **{which: 1 << 32}))
        assert settled(outbox) == [(0, 0)]
        await outbox.acknowledge(ack(outbox.epoch, **{which: (1 << 32) - 1}))
        assert settled(outbox) == [(2, 2 if which == "done" else 0)]


async def test_what_odoo_has_the_bridge_has_stored(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 3)
        await outbox.acknowledge(ack(outbox.epoch, stored=1, done=2))
        assert settled(outbox) == [(2, 2)]
        assert [row.seq for row in await outbox.waiting(0, 9)] == [3]


async def test_a_fact_that_comes_after_a_word_of_too_much_is_sent_all_the_same(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 3)
        await outbox.acknowledge(ack(outbox.epoch, stored=12))
        assert settled(outbox) == [(3, 0)]
        await outbox.put("badge", fact())
        assert [row.seq for row in await outbox.waiting(0, 9)] == [4]


async def test_an_older_list_lets_no_parked_fact_go_that_is_not_called_done(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 5)
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=2, parked=parked(facts[3])))
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=3))
        assert outbox.status().parked == 1
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=4))
        assert outbox.status().parked == 0


async def test_one_epochs_list_lets_nothing_of_another_go_whatever_it_begins_with(tmp_path):
    async with opened(tmp_path) as store:
        (old,) = await put(store.outbox, 1)
        await store.outbox.acknowledge(ack(old.epoch, stored=1, done=1, parked=parked(old)))
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 2)
        for begin in (0, -1, -(1 << 40)):
            await outbox.acknowledge(ack(outbox.epoch, stored=2, done=2, listed_from=begin))
        assert outbox.status().parked == 1


async def test_a_word_that_lets_a_photo_go_is_on_the_disk_and_no_other_costs_an_fsync(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox

        async def fsyncs(done: int) -> int:
            before = store.commits
            await outbox.acknowledge(ack(outbox.epoch, stored=done, done=done))
            return store.commits - before

        await put(outbox, 1)
        assert await fsyncs(1) == 0
        for done in (3, 5):  # also when another photo went before
            await outbox.put("photo", fact(), attachment=b"portrait")
            await put(outbox, 1)
            assert await fsyncs(done - 1) == 1
            assert list((tmp_path / "photos").iterdir()) == []
            assert await fsyncs(done) == 0


async def test_a_replay_is_on_the_disk_when_the_bridge_is_answered(tmp_path):
    """Else a power cut leaves here as stored what the bridge was promised again."""
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 3)
        await outbox.acknowledge(ack(outbox.epoch, stored=3))
        before = store.commits
        await outbox.replay(outbox.epoch, 1)
        assert store.commits == before + 1


async def test_a_bridge_that_forgets_again_and_again_is_told_every_ten_seconds(tmp_path, clock):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 2)
        await outbox.acknowledge(ack(outbox.epoch, stored=2))
        told = outbox.untold.get()
        for passed, times in [(0, 1), (9.5, 1), (0.5, 2), (9.5, 2), (0.5, 3)]:
            clock.now += passed
            await outbox.acknowledge(Ack())
            assert outbox.untold.get() == told + times


async def test_a_bridge_that_forgot_nothing_but_a_parked_fact_is_told_too(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        (made,) = await put(outbox, 1)
        await outbox.acknowledge(ack(made.epoch, stored=1, done=1, parked=parked(made)))
        told = outbox.untold.get()
        await outbox.acknowledge(Ack())
        assert outbox.untold.get() == told + 1


async def test_the_outbox_looks_once_an_hour_for_what_it_may_forget(tmp_path, clock, monkeypatch):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        (made,) = await put(outbox, 1)
        await outbox.acknowledge(ack(made.epoch, stored=1, done=1))
        monkeypatch.setattr(settling, "KEEP_S", -10)
        for passed, left in [(3599, 1), (1, 0)]:
            clock.now += passed
            await outbox.acknowledge(Ack())
            assert len([fact async for fact in outbox.export()]) == left
