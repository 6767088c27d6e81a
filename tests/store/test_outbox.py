import asyncio
import json
import sqlite3
import stat
from contextlib import closing

import pytest
from support.stores import ack, fact, opened, parked, put

from mqtt.messages import Envelope, EpochKept, Parked
from store import settling
from store.opening import FILE
from store.outbox import Outbox


def settled(outbox: Outbox) -> tuple[int, int]:
    """`stored` and `done` of the epoch that is there."""
    (epoch,) = outbox.epochs.get().values()
    return epoch.stored, epoch.done


async def test_a_fact_gets_its_envelope_and_the_bytes_are_that_envelope(tmp_path):
    async with opened(tmp_path) as store:
        envelope = await store.outbox.put("badge", fact(7))
        (row,) = await store.outbox.waiting(0, 10)
        assert (row.seq, row.id, row.kind) == (1, envelope.id, "badge")
        assert Envelope.model_validate_json(row.body) == envelope
        said = json.loads(row.body)
        assert said["data"]["who"] == {"kind": "member", "id": 7}
        assert said["at"].endswith("Z")
        assert said["clock"] == "synced"
        assert said["epoch"] == store.outbox.epoch
        assert store.outbox.last.get() == 1


async def test_numbers_have_no_gap_and_follow_the_order_of_the_calls(tmp_path):
    async with opened(tmp_path) as store:
        envelopes = await put(store.outbox, 1200)
        assert [envelope.seq for envelope in envelopes] == list(range(1, 1201))
        assert len({envelope.id for envelope in envelopes}) == 1200
        assert [envelope.id for envelope in envelopes] == sorted(e.id for e in envelopes)


async def test_facts_that_come_together_share_an_fsync(tmp_path):
    async with opened(tmp_path) as store:
        before = store.commits
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            # Nothing can be written until all of them are given, however slow this machine is.
            other.execute("BEGIN IMMEDIATE")
            facts = asyncio.create_task(put(store.outbox, 400))
            for _ in range(2):  # it begins, and then each of its facts
                await asyncio.sleep(0)
            other.execute("ROLLBACK")
            assert len(await facts) == 400
        # One for what found the writer idle, then a group of up to 500.
        assert store.commits - before in (1, 2)


async def test_a_lone_fact_is_committed_by_itself(tmp_path):
    async with opened(tmp_path) as store:
        before = store.commits
        for n in range(5):
            await store.outbox.put("badge", fact(n))
        assert store.commits - before == 5


async def test_waiting_gives_what_is_above_in_order_and_no_more_than_asked(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 10)
        rows = await store.outbox.waiting(0, 99)
        third, last = rows[2].n, rows[-1].n
        assert [row.seq for row in await store.outbox.waiting(third, 4)] == [4, 5, 6, 7]
        assert await store.outbox.waiting(last, 4) == []


async def test_stored_ends_the_resending_and_done_lets_go(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 10)
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=4))
        assert [row.seq for row in await outbox.waiting(0, 99)] == [7, 8, 9, 10]
        status = outbox.status()
        assert (status.waiting, status.stored, status.parked) == (4, 2, 0)
        assert settled(outbox) == (6, 4)


async def test_a_long_acknowledgement_is_taken_in_steps_and_whole(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 2600)
        word = parked(facts[0], facts[1299], facts[2099])
        await outbox.acknowledge(ack(outbox.epoch, stored=2500, done=2100, parked=word))
        assert settled(outbox) == (2500, 2100)
        status = outbox.status()
        assert (status.waiting, status.stored, status.parked) == (100, 400, 3)
        assert [row.seq for row in await outbox.waiting(0, 999)] == list(range(2501, 2601))


async def test_an_older_acknowledgement_takes_nothing_back(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 10)
        await outbox.acknowledge(ack(outbox.epoch, stored=8, done=8))
        await outbox.acknowledge(ack(outbox.epoch, stored=3, done=2))
        assert settled(outbox) == (8, 8)
        assert [row.seq for row in await outbox.waiting(0, 99)] == [9, 10]


async def test_another_epochs_acknowledgement_is_ignored(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
        await store.outbox.acknowledge(ack("another", stored=3, done=3))
        assert len(await store.outbox.waiting(0, 99)) == 3


async def test_numbers_that_cannot_be_change_nothing(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 2)
        for nonsense in (1 << 53, 1 << 70):
            above = Parked(seq=nonsense, id="x", why="?")
            await outbox.acknowledge(ack(outbox.epoch, stored=nonsense, done=nonsense))
            await outbox.acknowledge(ack(outbox.epoch, parked=(above,)))
            await outbox.acknowledge(ack(outbox.epoch, stored=-nonsense, done=-nonsense))
            below = Parked(seq=-nonsense, id="x", why="?")
            await outbox.acknowledge(ack(outbox.epoch, parked=(below,)))
            await outbox.acknowledge(ack(outbox.epoch, listed_from=nonsense))
            await outbox.acknowledge(ack(outbox.epoch, listed_from=-nonsense))
            await outbox.replay(outbox.epoch, nonsense)
            assert (await outbox.replay(outbox.epoch, -nonsense)).first == 1
        assert settled(outbox) == (0, 0)
        assert (await outbox.put("badge", fact())).seq == 3
        assert (await outbox.replay(outbox.epoch, -5)).first == 1
        assert len(await outbox.waiting(0, 9)) == 3


async def test_parked_facts_are_kept_and_hold_nobody_up(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 5)
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=5, parked=parked(facts[1])))
        status = outbox.status()
        assert (status.waiting, status.stored, status.parked) == (0, 0, 1)
        assert status.oldest_at is None


async def test_a_parked_fact_that_a_person_retried_is_done(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 3)
        await outbox.acknowledge(ack(outbox.epoch, stored=3, done=3, parked=parked(facts[1])))
        await outbox.acknowledge(ack(outbox.epoch, stored=3, done=3))
        assert outbox.status().parked == 0


async def test_a_bridge_that_lost_its_folder_lets_no_parked_fact_go(tmp_path):
    """Its first word says that it has nothing, and lists nothing as parked."""
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 5)
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=5, parked=parked(facts[2])))
        for stored, done in ((0, 0), (2, 2)):  # the older copy of another bridge's folder
            await outbox.acknowledge(ack(outbox.epoch, stored=stored, done=done))
            (kept,) = outbox.kept()
            assert (kept.done, kept.parked) == (5, (3,))
        await outbox.acknowledge(ack(outbox.epoch, stored=5, done=3))
        assert outbox.kept()[0].parked == ()


async def test_a_parked_entry_with_another_id_parks_nothing(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 2)
        stranger = Parked(seq=2, id="somebody-else", why="?")
        await outbox.acknowledge(ack(outbox.epoch, stored=2, done=1, parked=(stranger,)))
        status = outbox.status()
        assert (status.stored, status.parked) == (1, 0)


async def test_replay_sends_the_very_same_bytes_again(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 6)
        before = await outbox.waiting(0, 99)
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=6, parked=parked(facts[4])))
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=6, parked=parked(facts[4])))
        answer = await outbox.replay(outbox.epoch, 3)
        assert (answer.first, answer.last, answer.done, answer.parked) == (3, 6, 6, (5,))
        assert await outbox.waiting(0, 99) == before[2:]
        assert settled(outbox) == (2, 6)
        status = outbox.status()
        assert (status.waiting, status.stored, status.parked) == (0, 0, 1)  # Odoo has the others
        assert status.oldest_at == facts[2].at


async def test_replay_lets_what_odoo_does_not_have_wait_again(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 6)
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=2))
        assert (await outbox.replay(outbox.epoch, 1)).done == 2
        status = outbox.status()
        assert (status.waiting, status.stored, status.parked) == (4, 0, 0)
        assert [row.seq for row in await outbox.waiting(0, 99)] == [1, 2, 3, 4, 5, 6]


async def test_of_an_epoch_that_is_not_here_there_is_no_replay(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 2)
        assert await store.outbox.replay("another", 1) is None


async def test_replay_tells_what_is_not_there_any_more(tmp_path, monkeypatch):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 6)
        # Seven days later: what was done is forgotten, what waits is not.
        monkeypatch.setattr(settling, "KEEP_S", -10)
        await outbox.acknowledge(ack(outbox.epoch, stored=4, done=4))
        assert (await outbox.replay(outbox.epoch, 2)).first == 5
        assert [row.seq for row in await outbox.waiting(0, 99)] == [5, 6]
        assert (await outbox.replay(outbox.epoch, 40)).first == 40


async def test_retention_never_forgets_what_odoo_does_not_have(tmp_path, monkeypatch):
    monkeypatch.setattr(settling, "KEEP_S", -10)
    async with opened(tmp_path) as store:
        outbox = store.outbox
        facts = await put(outbox, 9)
        await outbox.acknowledge(ack(outbox.epoch, stored=6, done=3, parked=parked(facts[0])))
        kept = [envelope.seq async for envelope in outbox.export()]
        assert kept == [1, 4, 5, 6, 7, 8, 9]


async def test_numbers_go_on_when_everything_was_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(settling, "KEEP_S", -10)
    async with opened(tmp_path) as store:
        await put(store.outbox, 3)
        await store.outbox.acknowledge(ack(store.outbox.epoch, stored=3, done=3))
        assert [e.seq async for e in store.outbox.export()] == []
        assert (await store.outbox.replay(store.outbox.epoch, 1)).first == 4
        assert await store.outbox.waiting(0, 99) == []  # Odoo had them: none is told to be lost
        assert (await store.outbox.put("badge", fact())).seq == 4
        assert [row.seq for row in await store.outbox.waiting(0, 99)] == [4]


async def test_everything_is_as_it_was_after_a_restart(tmp_path):
    async with opened(tmp_path) as store:
        epoch = store.outbox.epoch
        facts = await put(store.outbox, 10)
        await store.outbox.acknowledge(ack(epoch, stored=6, done=4, parked=parked(facts[1])))
        rows, status = await store.outbox.waiting(0, 99), store.outbox.status()
        kept = store.outbox.kept()
    async with opened(tmp_path) as store:
        assert (
            store.outbox.kept()
            == kept
            == (EpochKept(epoch=epoch, first=1, last=10, done=4, parked=(2,)),)
        )
        assert await store.outbox.waiting(0, 99) == rows
        assert store.outbox.status() == status


async def test_a_photo_lies_beside_its_fact_until_odoo_has_it(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        envelope = await outbox.put("photo", fact(), attachment=b"\xff\xd8jpeg")
        (row,) = await outbox.waiting(0, 9)
        assert row.attachment is not None
        assert row.attachment.read_bytes() == b"\xff\xd8jpeg"
        assert row.attachment.name == f"{envelope.id}.jpg"
        assert stat.S_IMODE(row.attachment.stat().st_mode) == 0o600
        await outbox.acknowledge(ack(outbox.epoch, stored=1))
        assert row.attachment.exists()
        await outbox.acknowledge(ack(outbox.epoch, stored=1, done=1))
        assert not row.attachment.exists()
        await outbox.replay(outbox.epoch, 1)
        assert (await outbox.waiting(0, 9))[0].attachment is None


async def test_a_parked_photo_is_kept_until_it_is_settled(tmp_path):
    async with opened(tmp_path) as store:
        outbox = store.outbox
        envelope = await outbox.put("photo", fact(), attachment=b"jpeg")
        (row,) = await outbox.waiting(0, 9)
        await outbox.acknowledge(ack(outbox.epoch, stored=1, done=1, parked=parked(envelope)))
        assert row.attachment is not None
        assert row.attachment.exists()
    async with opened(tmp_path) as store:
        assert row.attachment.exists()
        await store.outbox.acknowledge(ack(envelope.epoch, stored=1, done=1))
        assert not row.attachment.exists()


async def test_photos_without_a_fact_are_removed_at_the_next_start(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("photo", fact(), attachment=b"kept")
    orphan = tmp_path / "photos" / "0193.jpg"
    orphan.write_bytes(b"a crash came between the file and its row")
    async with opened(tmp_path) as store:
        (row,) = await store.outbox.waiting(0, 9)
        assert not orphan.exists()
        assert row.attachment is not None
        assert row.attachment.read_bytes() == b"kept"


async def test_a_caller_that_gives_up_does_not_hide_the_fact(tmp_path):
    async with opened(tmp_path) as store:
        task = asyncio.create_task(store.outbox.put("badge", fact()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async for last in store.outbox.last.changes():
            if last == 1:
                break
        assert store.outbox.status().waiting == 1


async def test_export_gives_everything_that_is_kept(tmp_path):
    async with opened(tmp_path) as store:
        facts = await put(store.outbox, 1203)
        await store.outbox.acknowledge(ack(store.outbox.epoch, stored=600, done=600))
        assert [envelope async for envelope in store.outbox.export()] == facts
