"""One machine for everything: a private broker and the bridge, run beside the daemon.

The one rule: they are neighbours, not parts. Each is a process of its own that is restarted when
it dies; the station's screens and its outbox do not notice.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mqtt.broker import PrivateBroker

log = logging.getLogger(__name__)

BACK_OFF_S = (0.25, 1.0, 5.0, 30.0)
STOP_S = 10.0


@asynccontextmanager
async def private_broker(data: Path) -> AsyncIterator[str]:
    """A broker on a free port of 127.0.0.1; yields its URL."""
    async with PrivateBroker(data / "broker") as broker:
        log.info("private broker (%s) listens on 127.0.0.1", broker.kind)
        yield broker.url


async def keep_bridge(config: Path, mqtt_url: str) -> None:
    """Run `edged bridge` until cancelled, again whenever it ends.

    The broker's address holds a password: it goes by the environment, which other users of the
    machine cannot read, not by the command line, which they can.
    """
    command = [sys.executable, "-m", "edged", "bridge", "-c", str(config)]
    environment = {**os.environ, "EDGED_MQTT_URL": mqtt_url}
    # The child's notifications are not the unit's: systemd listens to the daemon.
    environment.pop("NOTIFY_SOCKET", None)
    failures = 0
    while True:
        started = asyncio.get_running_loop().time()
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        if asyncio.get_running_loop().time() - started > 60:
            failures = 0
        wait = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
        failures += 1
        log.warning("the bridge ended with status %s; again in %g s", code, wait)
        await asyncio.sleep(wait)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
