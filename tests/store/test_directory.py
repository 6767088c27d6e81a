import json
import logging
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from support.damage import change
from support.echo import until
from support.stores import AT, badge, entry, opened

from durable.sqlite import checksum
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Entry, ReceivedShard
from store.opening import FILE


def shards_of(entries):
    groups = {}
    for one in entries:
        groups.setdefault(shard_of(one.badge), []).append(one)
    return groups


def head_of(shards, as_of=AT):
    return DirectoryHead(
        as_of=as_of,
        count=sum(map(len, shards.values())),
        shards={name: shard_digest(entries) for name, entries in shards.items()},
    )


def received(name, entries):
    """A shard as it comes from the wire. Entries may be models, or JSON of another version."""
    models = tuple(one for one in entries if isinstance(one, Entry))
    written = json.loads(DirectoryShard(shard=name, entries=models).model_dump_json())
    written["entries"] += [one for one in entries if not isinstance(one, Entry)]
    return ReceivedShard.model_validate_json(json.dumps(written))


def newer(n, **changes):
    """An entry with a word that this version does not know."""
    return json.loads(entry(n).model_dump_json()) | {"verdict": "later"} | changes


async def test_a_directory_arrives_shard_by_shard_and_is_whole_with_the_last(tmp_path):
    shards = shards_of([entry(n) for n in range(1000)])
    head = head_of(shards)
    async with opened(tmp_path) as store:
        directory = store.directory
        assert directory.as_of is None
        assert await directory.apply_head(head) == set(shards)
        for name, entries in shards.items():
            assert directory.as_of is None
            assert await directory.apply_shard(received(name, entries))
        assert directory.as_of == AT
        assert directory.count == 1000
        assert directory.missing == set()
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
        name, other = list(shards)[:2]
        entries = shards[name]
        assert not await directory.apply_shard(received(name, entries))  # no head yet
        await directory.apply_head(head_of(shards))
        false = entries[0].model_copy(update={"verdict": "stop"})
        assert not await directory.apply_shard(received(name, [false, *entries[1:]]))
        assert not await directory.apply_shard(received(name, shards[other]))
        assert directory.count == 0
        assert directory.missing == shards.keys()
        assert await directory.apply_shard(received(name, entries))
        assert directory.missing == shards.keys() - {name}


async def test_a_shard_with_a_stranger_in_it_is_not_taken_though_the_head_names_it(tmp_path):
    shards = shards_of([entry(n) for n in range(300)])
    async with opened(tmp_path) as store:
        name, other = list(shards)[:2]
        mixed = [*shards[name], shards[other][0]]
        await store.directory.apply_head(head_of({name: mixed}))
        assert not await store.directory.apply_shard(received(name, mixed))
        assert store.directory.lookup([shards[other][0].badge]) is None


async def test_a_new_head_asks_for_what_changed_and_empties_what_is_gone(tmp_path):
    shards = shards_of([entry(n) for n in range(600)])
    async with opened(tmp_path) as store:
        directory = store.directory
        await directory.replace([entry(n) for n in range(600)], AT)
        changed, gone = sorted(shards)[:2]
        member = shards[changed][0]
        suspended = member.model_copy(update={"verdict": "stop"})
        left = shards[gone]
        after = dict(shards)
        del after[gone]
        after[changed] = [suspended, *shards[changed][1:]]
        later = AT + timedelta(hours=1)
        assert await directory.apply_head(head_of(after, later)) == {changed}
        assert directory.lookup([left[0].badge]) is None
        # What is here is still of the older head, until the last shard has come.
        assert directory.as_of == AT
        assert directory.lookup([member.badge]) == member
        assert await directory.apply_shard(received(changed, after[changed]))
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
        for name, entries in shards.items():
            assert store.directory.lookup([badge(7)]).who.id == 7
            assert await store.directory.apply_shard(received(name, entries))
        assert store.directory.lookup([badge(7)]).verdict == "warn"


async def test_one_of_fifty_thousand_members_is_looked_up_in_as_few_steps_as_one_of_fifty(tmp_path):
    """SQLite's steps, which do not depend on this machine; `bench/outbox.py` measures the time."""
    taken = []
    for count in (50, 50_000):
        async with opened(tmp_path) as store:
            await store.directory.replace([entry(n) for n in range(count)], AT)
            steps = []
            store.directory._reader.set_progress_handler(lambda steps=steps: steps.append(1), 1)
            assert store.directory.lookup([badge(100_000), badge(count - 1)]) == entry(count - 1)
            taken.append(len(steps))
    assert taken[0] == taken[1] < 100


# --- words of other versions -----------------------------------------------------------------


async def test_one_unknown_word_costs_one_entry_and_its_shard_is_whole(tmp_path):
    name = shard_of(badge(1))
    stranger = newer(0, badge=name + "0" * 30)
    entries = [entry(1), stranger]
    async with opened(tmp_path) as store:
        directory = store.directory
        assert await directory.apply_head(head_of({name: entries})) == {name}
        assert await directory.apply_shard(received(name, entries))
        assert directory.missing == set()
        assert directory.as_of == AT
        assert directory.lookup([badge(1)]) == entry(1)
        assert directory.lookup([stranger["badge"]]) is None
        assert directory.lookup([stranger["badge"], badge(1)]) == entry(1)


async def test_an_entry_of_another_version_is_kept_as_it_came(tmp_path):
    """After an upgrade its words may be known."""
    name = shard_of(badge(3))
    known_later = newer(3, hours={"from": 8, "to": 20}, first_name="Élé")
    async with opened(tmp_path) as store:
        await store.directory.apply_head(head_of({name: [known_later]}))
        await store.directory.apply_shard(received(name, [known_later]))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        ((body,),) = connection.execute("SELECT body FROM directory")
    assert json.loads(body) == known_later


async def test_an_unknown_word_that_the_bridge_really_sends_is_not_asked_for_again(
    tmp_path,
):
    name = shard_of(badge(3))
    async with opened(tmp_path) as store:
        directory = store.directory
        await directory.apply_head(head_of({name: [newer(3)]}))
        assert await directory.apply_shard(received(name, [newer(3)]))
        for _ in range(3):
            assert directory.lookup([badge(3)]) is None
        await store.journal.recent()  # with it goes what was given to the writer to ride along
        assert directory.missing == set()


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        newer(3),
        {"badge": badge(3), "who": {"kind": "member", "id": 3}},  # of a version with fewer fields
    ],
)
async def test_a_stored_entry_that_is_not_understood_is_asked_for_again_once(
    tmp_path, body, caplog
):
    shards = shards_of([entry(n) for n in range(1000)])
    name = shard_of(badge(3))
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(1000)], AT)
    text = body.decode() if isinstance(body, bytes) else json.dumps(body)
    sql = "UPDATE directory SET body = ?, sum = ? WHERE badge = ?"
    assert change(tmp_path / FILE, sql, text, checksum(text.encode()), badge(3)) == 1
    async with opened(tmp_path) as store:
        directory = store.directory
        assert directory.missing == set()
        for _ in range(3):
            assert directory.lookup([badge(3)]) is None
        assert f"an entry of shard {name} is not understood" in caplog.text
        assert badge(3) not in caplog.text
        await until(lambda: directory.missing == {name})
        assert directory.count == 1000
        assert directory.as_of == AT
        # Its neighbours are answered meanwhile.
        neighbour = next(one for one in shards[name] if one.badge != badge(3))
        assert directory.lookup([neighbour.badge]) == neighbour
        assert await directory.apply_shard(received(name, shards[name]))
        assert directory.missing == set()
        assert directory.lookup([badge(3)]) == entry(3)


async def test_a_head_that_is_not_understood_is_no_head(tmp_path, caplog):
    shards = shards_of([entry(n) for n in range(50)])
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(50)], AT)
    sql, head = "UPDATE meta SET value = ? WHERE key = 'head'", '{"as_of": 1, "shards": []}'
    assert change(tmp_path / FILE, sql, head) == 1
    async with opened(tmp_path) as store:
        directory = store.directory
        assert [r.levelno for r in caplog.records] == [logging.WARNING]
        assert directory.head is None
        assert (directory.as_of, directory.count) == (AT, 50)
        assert directory.lookup([badge(7)]) == entry(7)
        assert await directory.apply_head(head_of(shards)) == set()
        assert directory.head == head_of(shards)
