"""One machine for everything: a private broker and the bridge, run beside the daemon.

The one rule: they are neighbours, not parts. Each is a process of its own that is started again
when it dies; the station's screens and its outbox do not notice.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

from mqtt import tether
from mqtt.broker import BrokerFailed, BrokerMissing, PrivateBroker, child_environment
from mqtt.link import Address

log = logging.getLogger(__name__)

BACK_OFF_S = (0.25, 1.0, 5.0, 30.0)
STEADY_S = 60.0
STOP_S = 10.0


async def run(
    folder: Path,
    bridge: Path | None,
    hold: Callable[[list[Address]], Coroutine[None, None, None]],
) -> None:
    """Keep a broker (its files in `folder`), the bridge, and `hold` with the broker's address."""
    failures = _Failures()
    while True:
        failures.started()
        try:
            async with PrivateBroker(folder) as broker:
                log.info("private broker (%s) on 127.0.0.1:%d", broker.kind, broker.port)
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(hold([broker.address]))]
                    if bridge is not None:
                        tasks.append(group.create_task(_keep_bridge(bridge, broker.url)))
                    status = await broker.ended()
                    for task in tasks:
                        task.cancel()
            log.warning("the private broker ended with status %s", status)
        except (BrokerMissing, BrokerFailed) as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all
        except OSError as error:  # no room for its files, say; not from `hold`: that is in a group
            log.error("no private broker: %s", error)  # noqa: TRY400 - likewise
        await failures.wait()


async def _keep_bridge(config: Path, mqtt_url: str) -> None:
    """Run `edged bridge` until cancelled, again whenever it ends.

    The broker's address holds a password: it goes by the environment, which other users of the
    machine cannot read, not by the command line, which they can.
    """
    command = [sys.executable, "-I", tether.__file__, str(os.getpid())]
    command += [sys.executable, "-m", "edged", "bridge", "-c", str(config)]
    environment = {**child_environment(), "EDGED_MQTT_URL": mqtt_url}
    failures = _Failures()
    while True:
        failures.started()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        log.warning("the bridge ended with status %s", status)
        await failures.wait()


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class _Failures:
    """Waits 0.25, 1, 5, 30 s; begins again after a run that lasted."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0

    def started(self) -> None:
        self._since = asyncio.get_running_loop().time()

    async def wait(self) -> None:
        if asyncio.get_running_loop().time() - self._since > STEADY_S:
            self._count = 0
        seconds = BACK_OFF_S[min(self._count, len(BACK_OFF_S) - 1)]
        self._count += 1
        await asyncio.sleep(seconds)
