"""A mistake that needs a person ends the services with status 2, which systemd does not try again,
and with a sentence that names the file. What may heal by itself ends with 1, and is tried again.
"""

import os
import pwd
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemons import AS_ROOT, STATION, edged
from support.inboxes import parked_facts
from support.root import needs_root
from support.stores import entry, opened

from bridge.config import load
from bridge.inbox import Inbox
from edged.cli import FAILED, MISUSED
from edged.demo.files import write_bridge
from mqtt.secrets import make_badge_key

MQTT = '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n'


async def station_says(folder: Path, more: str = "", *, port: int = 0) -> tuple[int, str]:
    """How `edged run` ends, with `more` in its file after [kiosk], and what it says."""
    file = folder / "station.toml"
    file.write_text(STATION.format(data=folder / "data", port=port) + more)
    status, _, said = await edged("run", "-c", file)
    assert "Traceback" not in said
    return status, said


# --- the station ---------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["{}/mqtt.password", "mqtt.password"])
async def test_a_stations_missing_password(tmp_path: Path, named: str) -> None:
    more = f'{MQTT}user = "x"\npassword_file = "{named.format(tmp_path)}"\n'
    status, said = await station_says(tmp_path, more)
    assert status == MISUSED
    assert "[mqtt] password_file" in said
    assert "the secret" in said


@pytest.mark.parametrize("key", ["", "abc", "zz" * 32])
async def test_a_stations_badge_key_that_is_none(tmp_path: Path, key: str) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/badge.key").write_text(key)
    status, said = await station_says(tmp_path)
    assert status == MISUSED
    assert f"{tmp_path}/data/badge.key must hold 64 hex digits" in said


async def members_of(folder: Path) -> None:
    """A station with members, whose badges were hashed with its key."""
    make_badge_key(folder / "badge.key")
    async with opened(folder) as store:
        await store.directory.replace([entry(1)], entry(1).next_shift)


async def test_a_stations_missing_badge_key_is_not_made_anew_for_members_that_are_there(
    tmp_path: Path,
) -> None:
    """With another key all of them would be strangers."""
    await members_of(tmp_path / "data")
    key = tmp_path / "data/badge.key"
    key.unlink()
    status, said = await station_says(tmp_path)
    assert status == MISUSED
    assert f"{key} is missing, the badge key of the members that are here: put it back" in said
    assert not key.exists()


async def test_a_stations_badge_key_on_a_stick_that_is_away_is_not_replaced(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    key = tmp_path / "data/badge.key"
    key.symlink_to(tmp_path / "stick/badge.key")
    status, said = await station_says(tmp_path)
    assert status == MISUSED
    assert str(key) in said
    assert key.is_symlink()


async def test_a_stations_file_that_cannot_be_read(tmp_path: Path) -> None:
    status, _, said = await edged("run", "-c", tmp_path)
    assert status == MISUSED
    assert f"{tmp_path}: cannot be read" in said


async def test_a_stations_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    status, said = await station_says(tmp_path)
    assert status == MISUSED
    assert f"store.no_folder path={tmp_path}/data" in said


async def test_a_stations_store_of_a_newer_version(tmp_path: Path) -> None:
    async with opened(tmp_path / "data"):
        pass
    make_newer(tmp_path / "data/edged.sqlite")
    status, said = await station_says(tmp_path)
    assert status == MISUSED
    assert "store.too_new" in said


async def test_a_stations_store_in_use_heals_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path / "data"):
        status, said = await station_says(tmp_path)
    assert status == FAILED
    assert "store.busy" in said


async def test_a_stations_port_in_use_heals_by_itself(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, said = await station_says(tmp_path, port=other.getsockname()[1])
    assert status == FAILED
    assert "is used by another program" in said


# --- the bridge ----------------------------------------------------------------------------------


@pytest.fixture
def bridge(tmp_path: Path) -> Path:
    """A bridge's file in which nothing is wrong."""
    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    file.write_text(file.read_text() + MQTT)
    make_badge_key(tmp_path / "badge.key")
    return file


async def bridge_says(file: Path) -> tuple[int, str]:
    status, _, said = await edged("bridge", "-c", file)
    assert "Traceback" not in said
    return status, said


@pytest.mark.parametrize("key", [None, "abc"])
async def test_a_bridges_badge_key_that_is_none(bridge: Path, key: str | None) -> None:
    file = bridge.parent / "badge.key"
    file.unlink()
    if key is not None:
        file.write_text(key)
    status, said = await bridge_says(bridge)
    assert status == MISUSED
    assert str(file) in said


async def test_a_bridges_missing_password(bridge: Path) -> None:
    bridge.write_text(bridge.read_text() + 'user = "x"\npassword_file = "/nowhere/password"\n')
    status, said = await bridge_says(bridge)
    assert status == MISUSED
    assert "[mqtt] password_file: /nowhere/password: no such file. Write the secret" in said


async def test_a_bridges_folder_that_is_a_file(bridge: Path) -> None:
    folder = load(bridge).inbox.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file")
    status, said = await bridge_says(bridge)
    assert status == MISUSED
    assert f"[inbox] folder: {folder}" in said


async def test_a_bridges_inbox_of_a_newer_version(bridge: Path) -> None:
    folder = load(bridge).inbox.folder
    await parked_facts(folder)
    make_newer(folder / "inbox.sqlite")
    status, said = await bridge_says(bridge)
    assert status == MISUSED
    assert "Install that version." in said


async def test_a_bridges_damaged_inbox(bridge: Path) -> None:
    folder = load(bridge).inbox.folder
    folder.mkdir(parents=True)
    (folder / "inbox.sqlite").write_bytes(b"no database at all" * 999)
    status, said = await bridge_says(bridge)
    assert status == MISUSED
    assert "Keep inbox.sqlite* elsewhere" in said


async def test_a_bridges_inbox_in_use_heals_by_itself(bridge: Path) -> None:
    inbox = await Inbox.open(load(bridge).inbox.folder)
    status, said = await bridge_says(bridge)
    await inbox.close()
    assert status == FAILED
    assert "is in use by another bridge" in said


# --- the owner -----------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """Where another user can get at what is his: pytest's folders are closed to all but root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def made_by_root(folder: Path, name: str) -> None:
    """A folder of `nobody` with a file of root in it, as a copy that was put back with sudo."""
    nobody = pwd.getpwnam("nobody")
    folder.mkdir(mode=0o700)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    (folder / name).touch(mode=0o600)


@needs_root
async def test_a_stations_folder_with_files_of_root(place: Path) -> None:
    made_by_root(place / "data", "lock")
    file = place / "station.toml"
    file.write_text(STATION.format(data=place / "data", port=0))
    status, _, said = await edged("run", "-c", file, python=AS_ROOT)
    assert status == MISUSED
    assert f"store.permission path={place}/data" in said
    assert "chown" in said


@needs_root
async def test_a_stations_key_for_root_alone(place: Path) -> None:
    made_by_root(place / "data", "badge.key")
    file = place / "station.toml"
    file.write_text(STATION.format(data=place / "data", port=0))
    status, _, said = await edged("run", "-c", file, python=AS_ROOT)
    assert status == MISUSED
    assert f"{place}/data/badge.key cannot be read: Permission denied" in said


@needs_root
async def test_a_bridges_folder_with_files_of_root(place: Path) -> None:
    file = write_bridge(place, odoo_url="http://127.0.0.1:1", password="x")
    named = load(file).inbox.folder
    file.write_text(file.read_text().replace(str(named), f"{place}/inbox") + MQTT)
    made_by_root(place / "inbox", "lock")
    status, _, said = await edged("bridge", "-c", file, python=AS_ROOT)
    assert status == MISUSED
    assert f"[inbox] folder: {place}/inbox cannot be used" in said


def make_newer(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE of_a_later_edged (id INTEGER)")
    db.execute("PRAGMA user_version = 999")
    db.close()
