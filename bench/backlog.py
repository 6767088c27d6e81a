"""A morning's facts after an outage: how fast they get to Odoo, beside what Odoo itself takes.

The one rule: both do the same work on the same stand-in Odoo, each from a process of its own. The
stand-in is held to the pace of a real server, which is several times slower than it is.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.eyes import Ears
from bench.row import Row
from bridge.standin import StandIn
from bridge.standin.demo import PASSWORD, stock
from edged.demo.stage import Stage
from mqtt.broker import PrivateBroker
from mqtt.messages import BadgeData, Who
from store import Store

FACTS = 500
ALONE = 100
CALL_S, CHANGE_S = 0.01, 0.0013
"""Odoo 19 on two cores: 8 to 12 ms a look-up, and 4 ms for each row of a load(), which changes
three entries of the stand-in. Odoo 16 to 18 take twice as long."""
LEAST = 0.8
"""Of what Odoo takes."""
LIMIT_S = 90.0


async def run(folder: Path) -> list[Row]:
    async with PrivateBroker(folder / "broker") as broker:
        stage = Stage(folder, mqtt_url=broker.url)
        stage.odoo = StandIn(stock())  # in memory: its file is not what is measured
        return await _measure(stage, broker.url)


async def _measure(stage: Stage, url: str) -> list[Row]:
    stage.odoo.faults.slow_s, stage.odoo.faults.slow_change_s = CALL_S, CHANGE_S
    employees = _hire(stage.odoo, 3 * FACTS)
    async with stage:
        alone = await _limit(stage, "calls", employees[:ALONE])
        batches = await _limit(stage, "load", employees[FACTS : 2 * FACTS])
        await _queue(stage.folder, employees[2 * FACTS :])
        drained = await _drain(stage, url)
        shown = len(stage.odoo.state()["attendances"])
        expected = ALONE + 2 * FACTS
        assert shown == expected, f"Odoo has {shown} of {expected} facts"
    what = f"backlog of {FACTS} employees' badges"
    return [
        Row("an Odoo's pace: badge by badge, one after the other", alone, "facts/s"),
        Row("  its batch limit: load() of 100 rows", batches, "facts/s"),
        Row(f"{what}: outbox → Odoo, beside that limit", drained, "facts/s", LEAST * batches,
            least=True),
    ]  # fmt: skip


def _hire(odoo: StandIn, count: int) -> list[int]:
    with odoo.database.transaction():
        return [
            odoo.database.create("hr.employee", {"name": f"Salarié {n}", "barcode": f"{n:010d}"})
            for n in range(count)
        ]


async def _limit(stage: Stage, how: str, employees: list[int]) -> float:
    """Facts a second that Odoo takes from `bench.limit` in a process of its own."""
    command = [sys.executable, "-m", "bench.limit", how, stage.odoo.url, PASSWORD]
    process = await asyncio.create_subprocess_exec(
        *command, str(employees[0]), str(len(employees)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return float(output)


async def _queue(folder: Path, employees: list[int]) -> None:
    store = await Store.open(folder / "station", clock=lambda: "synced")
    try:
        for employee in employees:
            who = Who(kind="employee", id=employee)
            data = BadgeData(device="door", badge="0" * 32, who=who, shown="ok")
            await store.outbox.put("badge", data)
    finally:
        await store.close()


async def _drain(stage: Stage, url: str) -> float:
    """Facts a second, from the station's birth to the ack that says that Odoo has the last."""
    topics = "edged/v1/demo"
    filters = (f"{topics}/borne-1/state", f"{topics}/borne-1/ack", f"{topics}/catalogue/head")
    async with Ears.open(url, *filters) as ears, _bridge(stage, url):
        await _until(ears, f"{topics}/catalogue/head")
        await stage.start()
        began = await _until(ears, f"{topics}/borne-1/state", online=True)
        ended = await _until(ears, f"{topics}/borne-1/ack", done=FACTS)
    return FACTS / (ended - began)


async def _until(ears: Ears, topic: str, **wanted: object) -> float:
    """When a message of this topic came with these values."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            for when, heard, body in ears.heard:
                if heard == topic and wanted.items() <= body.items():
                    return when
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _bridge(stage: Stage, url: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edged", "bridge", "-c", str(stage.folder / "bridge.toml"),
        env={**os.environ, "EDGED_MQTT_URL": url},
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
