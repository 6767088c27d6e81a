"""What systemd is told: ready, stopping, and alive (sd_notify(3)).

The one rule: the watchdog is fed only while every core task has shown life lately: the store, the
link, the screens' server, each screen. A daemon of which one hangs is restarted, also when it hangs
before its first sign of life; a daemon whose scale hangs is not.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

log = logging.getLogger(__name__)


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
    """Core tasks show life while they work; `feed` passes that on to systemd."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def watch(self, task: str) -> Callable[[], None]:
        """Watch `task` from now on. It must call what is returned at least every few seconds."""
        self._beat(task)
        return partial(self._beat, task)

    def _beat(self, task: str) -> None:
        self._beats[task] = time.monotonic()

    def silent(self, seconds: float) -> list[str]:
        """The tasks that have shown no life for more than this."""
        now = time.monotonic()
        return [task for task, beat in self._beats.items() if now - beat > seconds]

    async def feed(self) -> None:
        """Feed the watchdog at half its interval, for ever; returns at once when there is none."""
        interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        if not interval or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return
        told: list[str] = []
        while True:
            silent = self.silent(interval)
            if not silent:
                notify("WATCHDOG=1")
            elif silent != told:
                log.error("no sign of life for %g s: %s", interval, ", ".join(silent))
            told = silent
            await asyncio.sleep(interval / 2)
