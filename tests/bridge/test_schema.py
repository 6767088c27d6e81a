"""Files of other bridges and damaged ones: what opens, and what is a sentence."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from support.bridging import bridge_here, write_config
from support.damage import change, spoil
from support.inboxes import HERE, count, fact, of_epoch, opened, sql, stored
from support.released import dumps, restore, version
from support.stations import uuid7

from bridge import schema
from bridge.config import load
from bridge.inbox import Inbox, parked_in
from bridge.ledger import Item
from bridge.main import CannotOpen
from bridge.schema import MIGRATIONS, STRAY_BYTES
from durable.errors import StoreError, StoreFull, StoreTooNew

RELEASED = dumps(__file__)
"""Each holds six facts: done, waiting, parked, held, dropped, waiting; a clock fact of an epoch
before them, a hole, a record, and a stray of 5,000 bytes."""
released = pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)


def test_there_is_one_of_each_version() -> None:
    assert [version(dump) for dump in RELEASED] == [*range(1, len(MIGRATIONS) + 1)]


@released
async def test_a_file_of_a_released_version_opens_with_all_that_it_holds(
    tmp_path: Path, dump: Path, caplog: pytest.LogCaptureFixture
) -> None:
    restore(dump, tmp_path / "inbox.sqlite")
    assert [parked.seq for parked in parked_in(tmp_path)] == [5], "also before it is migrated"
    async with opened(tmp_path) as inbox:
        assert await inbox.counts("demo") == {
            "waiting": 2, "held": 1, "done": 2, "parked": 1, "dropped": 1, "strays": 1, "holes": 1,
        }  # fmt: skip
        ack = await of_epoch(inbox)
        parked = [(one.seq, one.why) for one in ack.parked]
        assert (ack.stored, ack.done, parked) == (8, 3, [(5, "refused")])
        assert [waiting.envelope.seq for waiting in await inbox.waiting("demo", 9)] == [4, 8]
        assert await sql(inbox, "SELECT data FROM record") == [('{"net_g": 482}',)]
        assert await sql(inbox, "SELECT length(body), length(digest) FROM strays") == [
            (STRAY_BYTES, 64)
        ]
        assert await inbox.leftovers() == [HERE]
        await inbox.store([fact(9)])
        assert await stored(inbox) == 9
    assert "changed by the disk" not in caplog.text


@released
async def test_a_stray_of_a_released_version_is_known_when_it_comes_again(
    tmp_path: Path, dump: Path
) -> None:
    restore(dump, tmp_path / "inbox.sqlite")
    async with opened(tmp_path) as inbox:
        await inbox.store([Item("demo", "entree", "fact", "label", b"\0" * 5000)])
        assert await count(inbox, "strays") == 1


@released
async def test_opening_twice_migrates_once(tmp_path: Path, dump: Path) -> None:
    restore(dump, tmp_path / "inbox.sqlite")
    for _ in range(2):
        async with opened(tmp_path) as inbox:
            assert await sql(inbox, "PRAGMA user_version") == [(len(MIGRATIONS),)]


async def test_an_inbox_of_a_newer_bridge_is_left_alone_and_is_a_sentence(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, broker="mqtt://127.0.0.1:1", odoo="http://x", password=""))
    folder = config.inbox.folder
    await (await Inbox.open(folder)).close()
    with closing(sqlite3.connect(folder / "inbox.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    before = (folder / "inbox.sqlite").read_bytes()
    with pytest.raises(StoreTooNew):
        await Inbox.open(folder)
    with pytest.raises(StoreTooNew):
        parked_in(folder)
    with pytest.raises(CannotOpen, match=r"a newer bridge \(schema 99; this one knows 2\)"):
        async with bridge_here(config) as bridge:
            await bridge
    assert (folder / "inbox.sqlite").read_bytes() == before


@pytest.mark.parametrize("damage", ["no database", "a page of facts"])
async def test_a_damaged_inbox_is_a_sentence(tmp_path: Path, damage: str) -> None:
    config = load(write_config(tmp_path, broker="mqtt://127.0.0.1:1", odoo="http://x", password=""))
    folder = config.inbox.folder
    async with opened(folder) as inbox:
        await inbox.store([fact(seq, id=uuid7()) for seq in range(1, 400)])
    file = folder / "inbox.sqlite"
    content = bytearray(file.read_bytes())
    if damage == "no database":
        content[:100] = b"\xff" * 100
    else:
        content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.unreadable"):
        await Inbox.open(folder)
    with pytest.raises(CannotOpen, match="holds a damaged inbox"):
        async with bridge_here(config) as bridge:
            await bridge
    assert file.read_bytes() == bytes(content)


async def test_an_inbox_that_finds_itself_damaged_is_looked_through_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk gives the right bytes again at that time."""
    looked: list[bool] = []
    real = schema.sound

    def noted(db: sqlite3.Connection, first: Sequence[str], *, thorough: bool) -> bool:
        looked.append(thorough)
        return real(db, first, thorough=thorough)

    monkeypatch.setattr(schema, "sound", noted)
    file = tmp_path / "inbox.sqlite"
    async with opened(tmp_path):
        pass
    right = file.read_bytes()
    async with opened(tmp_path) as inbox:
        spoil(file, "strays")
        with pytest.raises(StoreFull, match=r"store\.corrupted"):
            await inbox.store([Item("demo", "entree", "fact", "label", b"\0")])
    file.write_bytes(right)
    for _ in range(2):
        async with opened(tmp_path):
            pass
    assert looked == [False, False, True, False]


async def test_two_bridges_of_one_folder_are_a_sentence(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, broker="mqtt://127.0.0.1:1", odoo="http://x", password=""))
    async with opened(config.inbox.folder):
        with pytest.raises(CannotOpen, match="in use by another bridge"):
            async with bridge_here(config) as bridge:
                await bridge


@pytest.mark.parametrize(
    "what",
    [
        "stored = 6",
        "stored = 1",
        "told_done = 9",
        "told_parked = '[3]'",
        "epoch = 'f1'",
        "sum = x'00'",
    ],
)
async def test_an_epoch_that_the_disk_has_changed_swallows_no_fact(
    tmp_path: Path, what: str
) -> None:
    """A number too high would take the next facts for resends, or for done in Odoo."""
    async with opened(tmp_path) as inbox:
        await inbox.store([fact(1), fact(2)])
    assert change(tmp_path / "inbox.sqlite", f"UPDATE streams SET {what}")
    async with opened(tmp_path) as inbox:
        assert (await of_epoch(inbox)).stored == 2
        await inbox.store([fact(3), fact(4)])
        waiting = await inbox.waiting("demo", 9)
        assert [found.envelope.seq for found in waiting] == [1, 2, 3, 4]
