import sqlite3
import time
from datetime import timedelta

import pytest
from support.stores import AT, badge, entry, opened

from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, DirectoryShard


def shards_of(entries):
    groups = {}
    for one in entries:
        groups.setdefault(shard_of(one.badge), []).append(one)
    return {
        shard: DirectoryShard(shard=shard, entries=tuple(group)) for shard, group in groups.items()
    }


def head_of(shards, as_of=AT):
    return DirectoryHead(
        as_of=as_of,
        count=sum(len(shard.entries) for shard in shards.values()),
        shards={name: shard_digest(shard.entries) for name, shard in shards.items()},
    )


async def test_a_directory_arrives_shard_by_shard_and_is_whole_with_the_last(tmp_path):
    shards = shards_of([entry(n) for n in range(1000)])
    head = head_of(shards)
    async with opened(tmp_path) as store:
        directory = store.directory
        assert directory.as_of is None
        assert await directory.apply_head(head) == set(shards)
        for shard in shards.values():
            assert directory.as_of is None
            assert await directory.apply_shard(shard)
        assert directory.as_of == AT
        assert directory.count == 1000
        assert await directory.missing() == set()
        assert directory.lookup([badge(123)]) == entry(123)
        assert directory.lookup([badge(5000)]) is None
    async with opened(tmp_path) as store:
        assert store.directory.head == head
        assert (store.directory.as_of, store.directory.count) == (AT, 1000)
        assert store.directory.lookup([badge(999)]) == entry(999)


async def test_the_first_known_candidate_answers(tmp_path):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(1), entry(2)], AT)
        assert store.directory.lookup([badge(9), badge(2), badge(1)]) == entry(2)
        assert store.directory.lookup([]) is None


async def test_a_shard_that_the_head_does_not_name_changes_nothing(tmp_path):
    shards = shards_of([entry(n) for n in range(300)])
    async with opened(tmp_path) as store:
        directory = store.directory
        name, shard = next(iter(shards.items()))
        assert not await directory.apply_shard(shard)  # no head yet
        await directory.apply_head(head_of(shards))
        false = DirectoryShard(
            shard=name, entries=(shard.entries[0].model_copy(update={"verdict": "stop"}),)
        )
        assert not await directory.apply_shard(false)
        stranger = next(other for other in shards.values() if other.shard != name)
        assert not await directory.apply_shard(DirectoryShard(shard=name, entries=stranger.entries))
        assert directory.count == 0
        assert name in await directory.missing()
        assert await directory.apply_shard(shard)


async def test_a_new_head_asks_for_what_changed_and_empties_what_is_gone(tmp_path):
    shards = shards_of([entry(n) for n in range(600)])
    async with opened(tmp_path) as store:
        directory = store.directory
        await directory.replace([entry(n) for n in range(600)], AT)
        changed, gone = sorted(shards)[:2]
        member = shards[changed].entries[0]
        suspended = member.model_copy(update={"verdict": "stop"})
        left = shards[gone].entries
        after = dict(shards)
        del after[gone]
        after[changed] = DirectoryShard(
            shard=changed, entries=(suspended, *shards[changed].entries[1:])
        )
        later = AT + timedelta(hours=1)
        assert await directory.apply_head(head_of(after, later)) == {changed}
        assert directory.lookup([left[0].badge]) is None
        # What is here is still of the older head, until the last shard has come.
        assert directory.as_of == AT
        assert directory.lookup([member.badge]) == member
        assert await directory.apply_shard(after[changed])
        assert directory.as_of == later
        assert directory.lookup([member.badge]) == suspended
        assert directory.count == 600 - len(left)


async def test_an_empty_directory_is_a_whole_one(tmp_path):
    async with opened(tmp_path) as store:
        assert await store.directory.apply_head(head_of({})) == set()
        assert (store.directory.as_of, store.directory.count) == (AT, 0)


async def test_an_import_replaces_everything_and_a_bridge_agrees_with_it(tmp_path):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(50)], AT)
        await store.directory.replace([entry(n) for n in range(40, 90)], AT)
        assert store.directory.count == 50
        assert store.directory.lookup([badge(10)]) is None
        shards = shards_of([entry(n) for n in range(40, 90)])
        assert await store.directory.apply_head(head_of(shards)) == set()


async def test_the_connection_for_look_ups_cannot_write(tmp_path):
    async with opened(tmp_path) as store:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.directory._reader.execute("DELETE FROM directory")


async def test_look_ups_go_on_while_shards_are_being_written(tmp_path):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(2000)], AT)
        shards = shards_of([entry(n, verdict="warn") for n in range(2000)])
        await store.directory.apply_head(head_of(shards))
        for shard in shards.values():
            assert store.directory.lookup([badge(7)]).who.id == 7
            assert await store.directory.apply_shard(shard)
        assert store.directory.lookup([badge(7)]).verdict == "warn"


async def test_fifty_thousand_members_are_looked_up_in_no_time(tmp_path):
    """A bound that a busy machine holds; `bench/outbox.py` measures."""
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(50_000)], AT)
        started = time.perf_counter()
        for n in range(0, 50_000, 50):
            assert store.directory.lookup([badge(n + 100_000), badge(n)]) is not None
        assert (time.perf_counter() - started) / 1000 < 0.005
