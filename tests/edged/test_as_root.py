"""Commands that root types, in the folder of a service: the service must still get in."""

import asyncio
import os
import pwd
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.stores import AT, fact, opened
from support.strace import environment

from bridge.config import load
from bridge.inbox import Inbox
from bridge.ledger import Item
from edged.demo.files import write_bridge
from mqtt.messages import Envelope
from mqtt.secrets import KEY_BYTES, make_badge_key
from store.envelope import Ids

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = pwd.getpwnam("nobody")
STATION = """
[station]
site = "demo"
name = "borne-1"
data = "{data}"
clock = "trusted"
[kiosk]
port = 0
"""
EDGED = """
# What is imported late comes first: a Python in root's own home is closed to others.
import concurrent.futures.thread, importlib.readers, logging.config, sys
import bridge.control, bridge.inbox, edged.daemon, uvicorn.protocols.http.h11_impl, uvicorn.server
from edged.cli import main
main(sys.argv[1:])
"""
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
    file.write_text(STATION.format(data=data))
    return file


@pytest.fixture
def members(tmp_path: Path) -> Path:
    """For root's eyes only."""
    file = tmp_path / "members.csv"
    file.write_text("badge;id;first_name;verdict\n0420001234004;12;Camille;ok\n")
    file.chmod(0o600)
    return file


async def python(code: str, *arguments: str | Path) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *map(str, arguments), env=environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def owners(folder: Path) -> set[tuple[int, int]]:
    """Of everything in it."""
    found = [path.stat() for path in folder.rglob("*")]
    return {(file.st_uid, file.st_gid) for file in found}


async def the_service_opens_it(data: Path) -> tuple[int, int]:
    """Members and bytes of the badge key, as the folder's owner finds them."""
    code = SERVICE.format(uid=NOBODY.pw_uid, gid=NOBODY.pw_gid)
    status, out, err = await python(code, data)
    assert (status, err) == (0, "")
    members, key_bytes = out.split()
    return int(members), int(key_bytes)


async def test_an_import_before_the_first_start_leaves_the_folder_to_its_owner(
    station: Path, data: Path, members: Path
) -> None:
    assert await python(EDGED, "import", "-c", station, members) == (0, "1 member\n", "")
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
    assert await python(EDGED, "import", "-c", station, members) == (0, "1 member\n", "")
    assert not (data / "badge.key").exists()
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}


async def test_an_export_of_a_store_in_use_leaves_nothing_of_root(
    station: Path, data: Path, members: Path, tmp_path: Path
) -> None:
    assert (await python(EDGED, "import", "-c", station, members))[0] == 0
    status, out, err = await python(EDGED, "export", "facts", "-c", station)
    assert (status, out, err) == (0, "", "")
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    target = tmp_path / "facts.csv"  # root's, where the owner of the data may not write
    assert (await python(EDGED, "export", "facts", "-o", target, "-c", station))[0] == 0
    assert target.owner() == "root"


async def test_a_link_in_the_folder_gives_its_owner_nothing_of_roots(
    station: Path, data: Path, tmp_path: Path
) -> None:
    async with opened(tmp_path / "roots") as store:
        await store.outbox.put("badge", fact())
    (data / "edged.sqlite").symlink_to(tmp_path / "roots" / "edged.sqlite")
    status, out, err = await python(EDGED, "export", "facts", "-c", station)
    assert (status, out) == (1, "")
    assert "store.permission" in err


async def test_a_station_that_root_runs_is_its_owners(station: Path, data: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EDGED, "run", "-c", str(station), env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said = ""
        async with asyncio.timeout(60):
            while "ready: " not in said:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        real, effective, *_ = next(line for line in status if line.startswith("Uid:")).split()[1:]
        assert (int(real), int(effective)) == (NOBODY.pw_uid, NOBODY.pw_uid)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    assert await the_service_opens_it(data) == (0, KEY_BYTES)


async def test_a_persons_word_on_parked_facts_leaves_the_inbox_to_the_bridge(
    tmp_path: Path, data: Path
) -> None:
    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    named = str(load(file).inbox.folder)
    file.write_text(file.read_text().replace(named, str(data)))
    inbox = await Inbox.open(data)
    fact_id = Ids().next()
    envelope = Envelope(
        id=fact_id, epoch="e", seq=1, at=AT, clock="synced", boot="b", up=1, kind="label", data={},
    )  # fmt: skip
    body = envelope.model_dump_json().encode()
    await inbox.store([Item("demo", "borne-1", "fact", "label", body)])
    (waiting,) = await inbox.waiting("demo", 1)
    await inbox.park(waiting, "refused")
    await inbox.close()
    for path in data.rglob("*"):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    status, out, err = await python(EDGED, "bridge", "--parked", "-c", file)
    assert (status, err) == (0, "")
    assert out.startswith(fact_id)
    (data / "lock").unlink()  # so that it is made again
    assert (await python(EDGED, "bridge", "--retry", fact_id, "-c", file))[::2] == (0, "")
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
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EDGED, "bridge", "-c", str(file),
        env=environment() | {"EDGED_MQTT_URL": "mqtt://127.0.0.1:1"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not (data / "control").exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert owners(data) == {(NOBODY.pw_uid, NOBODY.pw_gid)}


async def test_a_folder_of_root_stays_roots(tmp_path: Path, members: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(data=tmp_path / "roots"))
    assert await python(EDGED, "import", "-c", file, members) == (0, "1 member\n", "")
    assert owners(tmp_path / "roots") == {(0, 0)}


async def test_what_root_left_there_before_is_a_sentence(
    station: Path, data: Path, members: Path
) -> None:
    """As an earlier edged did: the owner cannot open it, and root must give it back."""
    async with opened(data) as store:
        await store.outbox.put("badge", fact())
    status, out, err = await python(EDGED, "import", "-c", station, members)
    assert (status, out) == (1, "")
    assert f"store.permission path={data}" in err
    assert "Traceback" not in err
