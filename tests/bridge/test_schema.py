"""Files of other bridges and damaged ones: what opens, and what is a sentence."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.bridging import bridge_here, uuid7, write_config
from support.inboxes import HERE, count, fact, of_epoch, opened, sql, stored

from bridge.config import load
from bridge.inbox import Inbox, parked_in
from bridge.main import CannotOpen
from bridge.schema import STRAY_BYTES
from durable.errors import StoreError, StoreTooNew

VERSION_1 = """
CREATE TABLE IF NOT EXISTS streams (
    stream INTEGER PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, epoch TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, boot TEXT NOT NULL DEFAULT '', heard INTEGER NOT NULL,
    UNIQUE (site, station, epoch)) STRICT;
CREATE TABLE IF NOT EXISTS facts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    stream INTEGER NOT NULL REFERENCES streams, seq INTEGER NOT NULL,
    site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL, boot TEXT NOT NULL,
    body BLOB NOT NULL, received INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    UNIQUE (stream, seq)) STRICT;
CREATE INDEX IF NOT EXISTS unsettled ON facts (site, n) WHERE state = 0;
CREATE INDEX IF NOT EXISTS by_state ON facts (stream, state, seq) WHERE state IN (0, 1, 3);
CREATE TABLE IF NOT EXISTS holes (
    stream INTEGER NOT NULL REFERENCES streams, first INTEGER NOT NULL, last INTEGER NOT NULL,
    found INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clocks (
    site TEXT NOT NULL, station TEXT NOT NULL, boot TEXT NOT NULL,
    up INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (site, station, boot)) STRICT;
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL,
    boot TEXT NOT NULL, up INTEGER NOT NULL, clock TEXT NOT NULL, at INTEGER NOT NULL,
    data TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS record_at ON record (site, kind, at);
CREATE TABLE IF NOT EXISTS strays (
    n INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, station TEXT NOT NULL,
    what TEXT NOT NULL, why TEXT NOT NULL, body BLOB NOT NULL, received INTEGER NOT NULL) STRICT;
"""
"""What the first bridge ran at each start, before `PRAGMA user_version = 1`."""


def file_of_version_1(folder: Path) -> None:
    """Six facts: done, waiting, parked, held, dropped, waiting; a hole, a record, a clock, a large
    stray.
    """
    with closing(sqlite3.connect(folder / "inbox.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(VERSION_1)
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO streams VALUES (1, 'demo', 'entree', 'e1', 8, 'b1', 1)")
        db.execute("INSERT INTO streams VALUES (2, 'demo', 'entree', 'e0', 0, '', 0)")
        for seq, state in ((3, 2), (4, 0), (5, 3), (6, 1), (7, 4), (8, 0)):
            body = fact(seq, id=f"00000000-0000-7000-a000-00000000000{seq}").body
            db.execute(
                "INSERT INTO facts (id, stream, seq, site, station, kind, boot, body, received,"
                " state, why) VALUES (?, 1, ?, 'demo', 'entree', 'label', 'b1', ?, 7, ?, ?)",
                (f"00000000-0000-7000-a000-00000000000{seq}", seq, body, state, "x" * (state == 3)),
            )
        db.execute("INSERT INTO holes VALUES (1, 1, 2, 5)")
        db.execute("INSERT INTO clocks VALUES ('demo', 'entree', 'b1', 5, 6)")
        db.execute(
            "INSERT INTO record VALUES ('r', 'demo', 'entree', 'label', 'b1', 1, 'synced', 2, '{}')"
        )
        db.execute(
            "INSERT INTO strays VALUES (1, 'demo', 'entree', 'fact', 'not an envelope', ?, 9)",
            (b"\x00" * 100_000,),
        )


async def test_a_file_of_the_first_version_opens_with_all_that_it_holds(tmp_path: Path) -> None:
    file_of_version_1(tmp_path)
    assert [parked.seq for parked in parked_in(tmp_path)] == [5], "also before it is migrated"
    async with opened(tmp_path) as inbox:
        assert await inbox.counts("demo") == {
            "waiting": 2, "held": 1, "done": 1, "parked": 1, "dropped": 1, "strays": 1, "holes": 1,
        }  # fmt: skip
        ack = await of_epoch(inbox)
        assert (ack.stored, ack.done, [(p.seq, p.why) for p in ack.parked]) == (8, 3, [(5, "x")])
        assert [waiting.envelope.seq for waiting in await inbox.waiting("demo", 9)] == [4, 8]
        await inbox.store([fact(9)])
        assert await stored(inbox) == 9
        assert await sql(inbox, "SELECT length(body), length(digest) FROM strays") == [
            (STRAY_BYTES, 64)
        ]
        assert await inbox.leftovers() == [HERE]


async def test_a_stray_of_the_first_version_is_known_when_it_comes_again(tmp_path: Path) -> None:
    file_of_version_1(tmp_path)
    async with opened(tmp_path) as inbox:
        item = fact(1)
        again = type(item)("demo", "entree", "fact", "label", b"\x00" * 100_000)
        await inbox.store([again])
        assert await count(inbox, "strays") == 1


async def test_opening_twice_migrates_once(tmp_path: Path) -> None:
    file_of_version_1(tmp_path)
    for _ in range(2):
        async with opened(tmp_path) as inbox:
            assert await sql(inbox, "PRAGMA user_version") == [(2,)]


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
    looked = []
    real = __import__("bridge.schema", fromlist=["sound"]).sound

    def sound(db: sqlite3.Connection, first: tuple[str, ...], *, thorough: bool) -> bool:
        looked.append(thorough)
        return bool(real(db, first, thorough=thorough))

    monkeypatch.setattr("bridge.schema.sound", sound)
    async with opened(tmp_path) as inbox:
        inbox._writer.note_damage(broken())
    for _ in range(2):
        async with opened(tmp_path):
            pass
    assert looked == [False, True, False]


def broken() -> Exception:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


async def test_two_bridges_of_one_folder_are_a_sentence(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, broker="mqtt://127.0.0.1:1", odoo="http://x", password=""))
    async with opened(config.inbox.folder):
        with pytest.raises(CannotOpen, match="in use by another bridge"):
            async with bridge_here(config) as bridge:
                await bridge


@pytest.mark.parametrize(
    "change",
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
    tmp_path: Path, change: str
) -> None:
    """A number too high would take the next facts for resends, or for done in Odoo."""
    async with opened(tmp_path) as inbox:
        await inbox.store([fact(1), fact(2)])
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as connection:
        connection.execute(f"UPDATE streams SET {change}")
        connection.commit()
    async with opened(tmp_path) as inbox:
        assert (await of_epoch(inbox)).stored == 2
        await inbox.store([fact(3), fact(4)])
        waiting = await inbox.waiting("demo", 9)
        assert [found.envelope.seq for found in waiting] == [1, 2, 3, 4]
