"""SQLite files: migrations whole or not at all, newer ones left alone, copies of what is in use."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.damage import damage
from support.strace import environment

from durable.errors import StoreError, StoreTooNew
from durable.sqlite import (
    Migration,
    connect_reader,
    connect_writer,
    migrate,
    snapshot,
    sound,
    version,
)

FIRST = ("CREATE TABLE a(x)",)
SECOND = ("CREATE TABLE b(x)", "INSERT INTO b VALUES(1)")


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def broken(_connection: sqlite3.Connection) -> None:
    raise ValueError("halfway")


def test_a_step_is_made_once(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "s.sqlite")
    migrate(connection, [FIRST])
    migrate(connection, [FIRST, SECOND])
    migrate(connection, [FIRST, SECOND])
    assert version(connection) == 2
    assert connection.execute("SELECT count(*) FROM b").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize("step", [(*SECOND, broken), (*SECOND, "no SQL")])
def test_a_step_that_fails_halfway_leaves_the_one_before(tmp_path: Path, step: Migration) -> None:
    connection = connect_writer(tmp_path / "s.sqlite")
    with pytest.raises((ValueError, sqlite3.OperationalError)):
        migrate(connection, [FIRST, step])
    assert not connection.in_transaction
    assert (version(connection), tables(connection)) == (1, {"a"})
    migrate(connection, [FIRST, SECOND])
    assert (version(connection), tables(connection)) == (2, {"a", "b"})
    connection.close()


def test_a_process_killed_halfway_leaves_the_step_before(tmp_path: Path) -> None:
    code = """
import os, pathlib, signal, sys
from durable.sqlite import connect_writer, migrate
die = lambda _: os.kill(os.getpid(), signal.SIGKILL)
connection = connect_writer(pathlib.Path(sys.argv[1]))
migrate(connection, [("CREATE TABLE a(x)",), ("CREATE TABLE b(x)", die)])
"""
    file = tmp_path / "s.sqlite"
    killed = subprocess.run(
        [sys.executable, "-c", code, str(file)], env=environment(), check=False, timeout=50
    )
    assert killed.returncode == -9
    connection = connect_writer(file)
    assert (version(connection), tables(connection)) == (1, {"a"})
    connection.close()


def test_a_newer_file_is_refused_and_left_untouched(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    connection = connect_writer(file)
    migrate(connection, [FIRST, SECOND])
    connection.close()
    before = file.read_bytes()
    connection = connect_writer(file)
    with pytest.raises(StoreTooNew, match="found=2 known=1"):
        migrate(connection, [FIRST])
    connection.close()
    assert file.read_bytes() == before
    with pytest.raises(StoreTooNew, match="found=2 known=1"):
        snapshot(file, [FIRST])


def test_a_snapshot_is_taken_while_another_writes_and_never_changes(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    writer = connect_writer(file)
    migrate(writer, [FIRST])
    writer.execute("INSERT INTO a VALUES('committed')")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO a VALUES('not yet')")
    copy = snapshot(file, [FIRST])
    writer.execute("COMMIT")
    assert copy.execute("SELECT x FROM a").fetchall() == [("committed",)]
    copy.close()
    writer.close()


@pytest.mark.parametrize(
    ("content", "key"), [(None, "store.missing"), (b"no database" * 999, "store.unreadable")]
)
def test_a_snapshot_of_what_is_no_database_is_a_sentence(
    tmp_path: Path, content: bytes | None, key: str
) -> None:
    if content is not None:
        (tmp_path / "s.sqlite").write_bytes(content)
    with pytest.raises(StoreError) as told:
        snapshot(tmp_path / "s.sqlite", [FIRST])
    assert told.value.key == key
    assert told.value.params["path"] == str(tmp_path / "s.sqlite")


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    writer = connect_writer(tmp_path / "s.sqlite")
    migrate(writer, [FIRST])
    reader = connect_reader(tmp_path / "s.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO a VALUES(1)")
    reader.close()
    writer.close()


@pytest.mark.parametrize("thorough", [True, False])
def test_a_damaged_page_is_not_sound(tmp_path: Path, thorough: bool) -> None:
    file = tmp_path / "s.sqlite"
    connection = connect_writer(file)
    migrate(connection, [FIRST])
    connection.executemany("INSERT INTO a VALUES(?)", ((f"{n:0200}",) for n in range(200)))
    assert sound(connection, thorough=thorough)
    connection.close()
    damage(file, at=3 * 4096, length=64)
    connection = connect_writer(file)
    assert not sound(connection, thorough=thorough)
    connection.close()


def test_the_quick_look_gives_up_in_time_and_the_thorough_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.sqlite"
    connection = connect_writer(file)
    migrate(connection, [FIRST])
    connection.executemany("INSERT INTO a VALUES(?)", ((f"{n:0500}",) for n in range(5000)))
    connection.close()
    damage(file, at=file.stat().st_size - 4096)
    connection = connect_writer(file)
    monkeypatch.setattr("durable.sqlite._QUICK_CHECK_S", 0.0)
    assert sound(connection, thorough=False)
    assert not sound(connection, thorough=True)
    connection.close()
