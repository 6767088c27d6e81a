"""What systemd hears: a daemon that is ready, and whose every core task lives."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from support.daemons import STATION
from support.echo import until

import edged.daemon
from edged.config import load
from edged.notify import Pulse, notify
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.weighing import Weighing
from mqtt.session import Session

FED = b"WATCHDOG=1"
MORE = """
[mqtt]
url = "mqtt://127.0.0.1:1"
[badge_reader.door]
driver = "serial-scanner"
port = "/dev/serial/by-id/none-1"
[scale.balance]
driver = "mettler-8217"
port = "/dev/serial/by-id/none-2"
[printer.labels]
driver = "escpos"
port = "/dev/serial/by-id/none-3"
[camera.portrait]
driver = "mjpeg"
url = "http://127.0.0.1:1/stream"
[screens.entrance]
reader = "door"
[screens.scale]
scale = "balance"
printer = "labels"
[screens.photo]
reader = "door"
camera = "portrait"
"""
TASKS = ["store", "server", "link", "screen entrance", "screen scale", "screen photo"]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield sock


def heard(sock: socket.socket) -> list[bytes]:
    words = []
    while True:
        try:
            words.append(sock.recv(200))
        except BlockingIOError:
            return words


def test_ready_is_said(systemd: socket.socket) -> None:
    notify("READY=1")
    assert heard(systemd) == [b"READY=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


async def test_the_watchdog_starves_when_a_core_task_stops(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    pulse = Pulse()
    alive = pulse.watch("outbox")
    feeding = asyncio.create_task(pulse.feed())
    await until(lambda: FED in heard(systemd))
    await until(lambda: "no sign of life for 0.4 s: outbox" in caplog.text)
    heard(systemd)
    await asyncio.sleep(1)
    assert heard(systemd) == []
    alive()
    await until(lambda: FED in heard(systemd))
    await until(lambda: caplog.text.count("no sign of life") == 2)  # once each time
    feeding.cancel()


def test_a_task_is_watched_before_its_first_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("edged.notify.time.monotonic", lambda: now)
    pulse = Pulse()
    pulse.watch("link")
    alive = pulse.watch("store")
    now += 14
    assert pulse.silent(15) == []
    alive()
    now += 2
    assert pulse.silent(15) == ["link"]


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[None]:
    """A station with all its screens and an uplink, whose devices and broker are all away."""
    file = folder / "station.toml"
    file.write_text(STATION.format(data=folder / "data", port=0) + MORE)
    task = asyncio.create_task(edged.daemon._run(load(file)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled(), task.exception()


async def blocked(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life come far more often than the tests' watchdogs look."""
    for name in (
        "edged.signs.STORE_LOOK_S",
        "edged.signs.SERVER_LOOK_S",
        "mqtt.link.ALIVE_S",
        "kiosk.screen.LIFE_S",
    ):
        monkeypatch.setattr(name, 0.1)


@pytest.mark.usefixtures("_often")
async def test_a_daemon_of_which_everything_lives_feeds_its_watchdog(
    tmp_path: Path,
    systemd: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "5000000")
    watched: list[str] = []
    watch = Pulse.watch

    def noted(pulse: Pulse, task: str) -> Any:
        watched.append(task)
        return watch(pulse, task)

    monkeypatch.setattr(Pulse, "watch", noted)
    async with daemon(tmp_path):
        words: list[bytes] = []
        async with asyncio.timeout(50):
            while words.count(FED) < 5:  # two intervals: longer than the grace at the start
                await asyncio.sleep(0.1)
                words += heard(systemd)
    assert any(word.startswith(b"READY=1") for word in words)
    assert sorted(watched) == sorted(TASKS)
    assert "no sign of life" not in caplog.text


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("task", TASKS)
async def test_a_core_task_that_hangs_starves_the_watchdog(
    tmp_path: Path,
    systemd: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    task: str,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    caplog.set_level(logging.ERROR)
    released = threading.Event()

    def held_up(_: object) -> dict[str, str]:
        released.wait()
        return {}

    match task:
        case "store":
            monkeypatch.setattr("store.directory._held", held_up)
        case "server":
            monkeypatch.setattr(Starlette, "__call__", blocked)
        case "link":
            monkeypatch.setattr(Session, "open", blocked)
        case _:
            screens: dict[str, Any] = {"entrance": Entrance, "scale": Weighing, "photo": Booth}
            monkeypatch.setattr(screens[task.removeprefix("screen ")], "run", blocked)
    async with daemon(tmp_path):
        try:
            # That only this one is silent.
            await until(lambda: f"no sign of life for 3 s: {task}\n" in caplog.text, seconds=50)
            heard(systemd)
            await asyncio.sleep(2)
            assert FED not in heard(systemd)
        finally:
            released.set()
