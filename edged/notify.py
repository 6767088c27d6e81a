"""What systemd is told: ready, stopping, and alive (sd_notify(3)).

The one rule: the watchdog is fed only while every core task has shown life since the last time. A
daemon whose outbox or event loop hangs is restarted; one whose scale hangs is not.
"""

import asyncio
import os
import socket
import time


def notify(message: str) -> None:
    """Send one line to systemd; does nothing when it did not start us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect(address)
            sock.send(message.encode())
        except OSError:
            return  # systemd going away is no reason for a shop's station to stop


class Pulse:
    """Core tasks call `beat` while they live; `feed` passes that on to systemd."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def beat(self, task: str) -> None:
        self._beats[task] = time.monotonic()

    def alive(self, within: float) -> bool:
        """Whether every task that ever beat did so within the last `within` seconds."""
        now = time.monotonic()
        return all(now - beat <= within for beat in self._beats.values())

    async def feed(self) -> None:
        """Feed the watchdog at half its interval, for ever; returns at once when there is none."""
        interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        if not interval or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return
        while True:
            self.beat("loop")
            if self.alive(interval):
                notify("WATCHDOG=1")
            await asyncio.sleep(interval / 2)
