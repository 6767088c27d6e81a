"""What systemd hears."""

import asyncio
import socket
from pathlib import Path

import pytest

from edged.notify import Pulse, notify


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def heard(sock: socket.socket) -> list[bytes]:
    words = []
    while True:
        try:
            words.append(sock.recv(100))
        except BlockingIOError:
            return words


def test_ready_is_said(systemd: socket.socket) -> None:
    notify("READY=1")
    assert heard(systemd) == [b"READY=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


async def test_the_watchdog_starves_when_a_core_task_stops(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    pulse = Pulse()
    pulse.beat("outbox")
    feeding = asyncio.create_task(pulse.feed())
    await asyncio.sleep(0.1)
    assert b"WATCHDOG=1" in heard(systemd)
    await asyncio.sleep(1.0)  # "outbox" has not beaten for two intervals
    heard(systemd)
    await asyncio.sleep(0.6)
    assert heard(systemd) == []
    pulse.beat("outbox")
    await asyncio.sleep(0.3)
    assert b"WATCHDOG=1" in heard(systemd)
    feeding.cancel()
