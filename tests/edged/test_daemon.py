"""The daemon as a process: what it survives, what it says when it cannot start."""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from support.disks import fill
from support.hands import Hands

import edged.daemon
from store import Store

STATION = """
[station]
site = "demo"
name = "borne-1"
data = "{data}"
clock = "trusted"
[kiosk]
port = {port}
"""
SCALE = """
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=482"
"""


class Daemon:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.words = ""
        self.url = ""

    async def ready(self) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while not self.url:
                line = (await self.process.stderr.readline()).decode()
                assert line, f"it ended: {self.words}"
                self.words += line
                found = re.search(r"ready: (http://127\.0\.0\.1:\d+)/", line)
                self.url = found.group(1) if found else ""

    async def devices(self) -> dict[str, dict[str, Any]]:
        async with Hands.client() as client:
            told = json.loads((await client.get(f"{self.url}/status.json")).text)
        return {device["name"]: device for device in told["devices"]}

    async def device_is(self, name: str, state: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while (device := (await self.devices())[name])["state"] != state:
                await asyncio.sleep(0.05)
        return device

    async def end(self) -> int:
        """SIGTERM, and how it ended."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            return await self.process.wait()


@asynccontextmanager
async def running(folder: Path, text: str = "", *, port: int = 0) -> AsyncIterator[Daemon]:
    file = folder / "station.toml"
    file.write_text(STATION.format(data=folder / "data", port=port) + text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edged", "run", "-c", str(file), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Daemon(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_it_stops_when_told_and_soon(tmp_path: Path) -> None:
    async with running(tmp_path, SCALE) as daemon:
        await daemon.ready()
        await daemon.device_is("balance", "up")
        assert await daemon.end() == 0


async def test_a_driver_without_its_library_stops_nothing_else(tmp_path: Path) -> None:
    camera = '[camera.portrait]\ndriver = "picamera2"\n'
    async with running(tmp_path, SCALE + camera) as daemon:
        await daemon.ready()
        refused = await daemon.device_is("portrait", "refused")
        assert refused["key"] == "device.missing_library"
        assert "picamera2" in refused["sentence"]
        await daemon.device_is("balance", "up")


async def test_a_station_without_devices_or_broker_is_a_station(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.ready()
        assert await daemon.devices() == {}


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with running(tmp_path, SCALE, port=port) as daemon:
            assert daemon.process.stderr is not None
            said = (await daemon.process.stderr.read()).decode()
            assert await daemon.process.wait() == 1
    assert f"{port} is used by another program" in said
    assert "Traceback" not in said


async def test_a_port_for_root_alone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "error while attempting to bind on address")

    monkeypatch.setattr(edged.daemon, "serve", refused)
    with pytest.raises(
        edged.daemon.CannotStart, match=r"port: 80 is for root alone: take one from"
    ):
        await edged.daemon._serve(Starlette(), 80)


async def test_a_private_broker_without_room_takes_nothing_down(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "broker").touch()  # where its folder should be
    async with running(tmp_path, SCALE + '[mqtt]\nbroker = "embedded"\n') as daemon:
        await daemon.ready()
        await daemon.device_is("balance", "up")
        assert daemon.process.returncode is None
        assert await daemon.end() == 0


async def test_a_store_that_another_process_holds_is_told(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", clock=lambda: "synced")
    async with running(tmp_path) as daemon:
        assert daemon.process.stderr is not None
        said = (await daemon.process.stderr.read()).decode()
        assert await daemon.process.wait() == 1
    await store.close()
    assert "store.busy" in said
    assert "Traceback" not in said


async def test_the_pages_answer_on_this_machine_only(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.ready()
        port = int(daemon.url.rsplit(":", 1)[1])
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening


async def test_the_badge_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.ready()
    key = tmp_path / "data" / "badge.key"
    first = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    async with running(tmp_path) as daemon:
        await daemon.ready()
    assert key.read_text() == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
async def test_a_full_disk_at_the_start_is_told_and_the_station_comes_back_by_itself(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(data)], check=True)
    try:
        filler = fill(data)
        async with running(tmp_path, SCALE) as daemon:
            await daemon.ready()
            await daemon.device_is("balance", "up")
            assert "store.full" in daemon.words
            filler.unlink()
            assert daemon.process.stderr is not None
            async with asyncio.timeout(60):
                while "the disk takes facts again" not in daemon.words:
                    daemon.words += (await daemon.process.stderr.readline()).decode()
            daemon.url = ""
            await daemon.ready()
            await daemon.device_is("balance", "up")
            assert (data / "edged.sqlite").exists()
            assert await daemon.end() == 0
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)
