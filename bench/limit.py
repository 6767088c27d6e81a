"""How many attendances a second an Odoo takes: ``python -m bench.limit HOW URL PASSWORD FIRST N``.

The one rule: nothing stands between the calls and Odoo but the bridge's own wire. ``calls`` makes
those that the bridge makes for one badge; ``load`` gives 100 rows at once. Prints facts a second.
"""

import asyncio
import sys
import time
import uuid
from datetime import UTC, datetime

from bridge.effects import attendance
from bridge.odoo import Odoo, to_odoo
from bridge.profile import AttendanceNames, load
from bridge.standin.demo import NAME
from bridge.wire.jsonrpc import JsonRpc

ROWS = 100


async def measure(how: str, url: str, password: str, employees: range) -> float:
    wire = JsonRpc(url, NAME, "bridge", lambda: password)
    odoo, names = Odoo(NAME, wire), load("stock").attendance
    assert names is not None
    await wire.user()
    began = time.monotonic()
    if how == "calls":
        for employee in employees:
            passage = attendance.Passage(uuid.uuid4().hex, employee, to_odoo(datetime.now(UTC)))
            await attendance.bring(odoo, names, [passage])
    else:
        for place in range(0, len(employees), ROWS):
            await _load(odoo, names, employees[place : place + ROWS])
    taken = time.monotonic() - began
    await wire.close()
    return len(employees) / taken


async def _load(odoo: Odoo, names: AttendanceNames, employees: range) -> None:
    now = to_odoo(datetime.now(UTC))
    rows = [[f"edged.{uuid.uuid4().hex}", str(employee), now] for employee in employees]
    fields = ["id", f"{names.employee}/.id", names.check_in]
    answer = await odoo.call(names.model, "load", fields, rows, context={"tz": "UTC"})
    assert len(answer["ids"]) == len(rows), answer["messages"]


if __name__ == "__main__":
    how, url, password, first, count = sys.argv[1:]
    employees = range(int(first), int(first) + int(count))
    print(asyncio.run(measure(how, url, password, employees)))
