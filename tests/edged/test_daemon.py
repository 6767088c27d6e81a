"""The daemon as a process: what it survives, what it says when it cannot start."""

import errno
import socket
from pathlib import Path

import pytest
from starlette.applications import Starlette
from support.daemons import station
from support.disks import fill, small_disk
from support.root import needs_root

import edged.daemon
from store import Store

SCALE = """
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=482"
"""


async def test_it_stops_when_told_and_soon(tmp_path: Path) -> None:
    async with station(tmp_path, SCALE) as daemon:
        await daemon.ready()
        await daemon.device_is("balance", "up")
        assert await daemon.end() == 0


async def test_a_driver_without_its_library_stops_nothing_else(tmp_path: Path) -> None:
    camera = '[camera.portrait]\ndriver = "picamera2"\n'
    async with station(tmp_path, SCALE + camera) as daemon:
        await daemon.ready()
        refused = await daemon.device_is("portrait", "refused")
        assert refused["key"] == "device.missing_library"
        assert "picamera2" in refused["sentence"]
        await daemon.device_is("balance", "up")


async def test_a_station_without_devices_or_broker_is_a_station(tmp_path: Path) -> None:
    async with station(tmp_path) as daemon:
        await daemon.ready()
        assert await daemon.devices() == {}


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with station(tmp_path, SCALE, port=port) as daemon:
            said = await daemon.refusal()
    assert f"{port} is used by another program" in said
    assert "Traceback" not in said


async def test_a_port_for_root_alone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "error while attempting to bind on address")

    monkeypatch.setattr(edged.daemon, "serve", refused)
    with pytest.raises(
        edged.daemon.CannotStart, match=r"port: 80 is for root alone: take one from"
    ) as caught:
        await edged.daemon._serve(Starlette(), 80)
    assert caught.value.needs_person


async def test_a_private_broker_without_room_takes_nothing_down(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "broker").touch()  # where its folder should be
    async with station(tmp_path, SCALE + '[mqtt]\nbroker = "embedded"\n') as daemon:
        await daemon.ready()
        await daemon.device_is("balance", "up")
        assert daemon.process.returncode is None
        assert await daemon.end() == 0


async def test_a_store_that_another_process_holds_is_told(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", clock=lambda: "synced")
    async with station(tmp_path) as daemon:
        said = await daemon.refusal()
    await store.close()
    assert "store.busy" in said
    assert "Traceback" not in said


async def test_the_pages_answer_on_this_machine_only(tmp_path: Path) -> None:
    async with station(tmp_path) as daemon:
        await daemon.ready()
        port = int(daemon.url.rsplit(":", 1)[1])
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening


async def test_the_badge_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    async with station(tmp_path) as daemon:
        await daemon.ready()
    key = tmp_path / "data" / "badge.key"
    first = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    async with station(tmp_path) as daemon:
        await daemon.ready()
    assert key.read_text() == first


@needs_root
async def test_a_full_disk_at_the_start_is_told_and_the_station_comes_back_by_itself(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "data") as data:
        filler = fill(data)
        async with station(tmp_path, SCALE) as daemon:
            await daemon.ready()
            await daemon.device_is("balance", "up")
            assert "store.full" in daemon.words
            filler.unlink()
            await daemon.says("the disk takes facts again")
            await daemon.ready()
            await daemon.device_is("balance", "up")
            assert (data / "edged.sqlite").exists()
            assert await daemon.end() == 0
