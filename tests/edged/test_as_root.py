"""Commands that root types, in the folder of a service: the service must still get in."""

import asyncio
import os
import pwd
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.daemons import AS_ROOT, STATION, edged, running
from support.inboxes import parked_facts
from support.root import needs_root
from support.stores import fact, opened

from bridge.config import load
from edged.demo.files import write_bridge
from mqtt.secrets import KEY_BYTES, make_badge_key

pytestmark = needs_root

NOBODY = pwd.getpwnam("nobody")
root_types = partial(edged, python=AS_ROOT)
SERVICE = """
import asyncio, concurrent.futures.thread, os, pathlib, sys
from mqtt.secrets import read_badge_key
from store import Store
os.setgroups([])
os.setresgid({gid}, {gid}, {gid})
os.setresuid({uid}, {uid}, {uid})
async def main(folder):
    store = await Store.open(folder, clock=lambda: "synced")
    print(store.directory.count, len(read_badge_key(folder / "badge.key")))
    await store.close()
asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """As systemd-tmpfiles makes it. Its owner can get at it: pytest's folders are closed to all but
    root.
    """
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        folder = Path(made) / "data"
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        yield folder


@pytest.fixture
def station(tmp_path: Path, data: Path) -> Path:
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(data=data, port=0))
    return file


@pytest.fixture
def members(tmp_path: Path) -> Path:
    """For root's eyes only."""
    file = tmp_path / "members.csv"
    file.write_text("badge;id;first_name;verdict\n0420001234004;12;Camille;ok\n")
    file.chmod(0o600)
    return file


def owners(folder: Path) -> set[tuple[int, int]]:
    """Of everything in it."""
    found = [path.stat() for path in folder.rglob("*")]
    return {(file.st_uid, file.st_gid) for file in found}


async def the_service_opens_it(data: Path) -> tuple[int, int]:
    """Members and bytes of the badge key, as the folder's owner finds them."""
    code = SERVICE.format(uid=NOBODY.pw_uid, gid=NOBODY.pw_gid)
    status, out, err = await edged(data, python=("-c", code))
    assert (status, err) == (0, "")
    members, key_bytes = out.split()
    return int(members), int(key_bytes)


async def test_an_import_before_the_first_start_leaves_the_folder_to_its_owner(
    station: Path, data: Path, members: Path
) -> None:
    assert await root_types("import", "-c", station, members) == (0, "1 member\n", "")
    assert (data / "badge.key").exists()
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    assert await the_service_opens_it(data) == (1, KEY_BYTES)


async def test_a_key_that_is_roots_alone_is_read_all_the_same(
    station: Path, data: Path, members: Path, tmp_path: Path
) -> None:
    key = tmp_path / "secret.key"
    key.write_text("ab" * KEY_BYTES)
    key.chmod(0o600)
    text = station.read_text().replace("[station]", f'[station]\nbadge_key_file = "{key}"')
    station.write_text(text)
    assert await root_types("import", "-c", station, members) == (0, "1 member\n", "")
    assert not (data / "badge.key").exists()
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}


async def test_an_export_of_a_store_in_use_leaves_nothing_of_root(
    station: Path, data: Path, members: Path, tmp_path: Path
) -> None:
    assert (await root_types("import", "-c", station, members))[0] == 0
    target = tmp_path / "facts.csv"  # root's, where the owner of the data may not write
    async with running("run", "-c", station, python=AS_ROOT) as daemon:
        await daemon.ready()
        assert await root_types("export", "facts", "-c", station) == (0, "", "")
        assert (await root_types("export", "facts", "-o", target, "-c", station))[0] == 0
        assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    assert target.owner() == "root"


async def test_a_link_in_the_folder_gives_its_owner_nothing_of_roots(
    station: Path, data: Path, tmp_path: Path
) -> None:
    async with opened(tmp_path / "roots") as store:
        await store.outbox.put("badge", fact())
    (data / "edged.sqlite").symlink_to(tmp_path / "roots" / "edged.sqlite")
    status, out, err = await root_types("export", "facts", "-c", station)
    assert (status, out) == (1, "")
    assert "store.permission" in err


async def test_a_station_that_root_runs_is_its_owners(station: Path, data: Path) -> None:
    async with running("run", "-c", station, python=AS_ROOT) as daemon:
        await daemon.ready()
        status = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
        real, effective, *_ = next(line for line in status if line.startswith("Uid:")).split()[1:]
        assert (int(real), int(effective)) == (NOBODY.pw_uid, NOBODY.pw_uid)
        assert await daemon.end() == 0
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    assert await the_service_opens_it(data) == (0, KEY_BYTES)


async def test_a_persons_word_on_parked_facts_leaves_the_inbox_to_the_bridge(
    tmp_path: Path, data: Path
) -> None:
    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    named = str(load(file).inbox.folder)
    file.write_text(file.read_text().replace(named, str(data)))
    first, second = await parked_facts(data, count=2)
    for path in data.rglob("*"):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    status, out, err = await root_types("bridge", "--parked", "-c", file)
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [first, second]
    (data / "lock").unlink()  # so that it is made again
    assert (await root_types("bridge", "--retry", first, "-c", file))[::2] == (0, "")
    assert (await root_types("bridge", "--drop", second, "-c", file))[::2] == (0, "")
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}


async def test_a_bridge_that_root_runs_leaves_the_inbox_to_its_owner(data: Path) -> None:
    etc = data.parent / "etc"
    etc.mkdir(mode=0o755)
    file = write_bridge(etc, odoo_url="http://127.0.0.1:1", password="x")
    named = str(load(file).inbox.folder)
    file.write_text(file.read_text().replace(named, str(data)))
    make_badge_key(etc / "badge.key")
    for path in etc.rglob("*"):
        path.chmod(0o755)
    nowhere = "mqtt://127.0.0.1:1"
    async with running("bridge", "-c", file, python=AS_ROOT, EDGED_MQTT_URL=nowhere) as bridge:
        async with asyncio.timeout(60):
            while not (data / "control").exists():
                assert bridge.process.returncode is None
                await asyncio.sleep(0.05)
        assert await bridge.end() == 0
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}


async def test_a_folder_of_root_stays_roots(tmp_path: Path, members: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(data=tmp_path / "roots", port=0))
    assert await root_types("import", "-c", file, members) == (0, "1 member\n", "")
    assert owners(tmp_path / "roots") == {(0, 0)}


async def test_what_root_left_there_before_is_a_sentence(
    station: Path, data: Path, members: Path
) -> None:
    """As an earlier edged did: the owner cannot open it, and root must give it back."""
    async with opened(data) as store:
        await store.outbox.put("badge", fact())
    status, out, err = await root_types("import", "-c", station, members)
    assert (status, out) == (1, "")
    assert f"store.permission path={data}" in err
    assert "Traceback" not in err
