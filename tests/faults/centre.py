"""What stands at the centre: the stand-in Odoo with its staff, and the bridge.

The one rule: they are asked as people ask them, by RPC and by ``edged bridge --parked``.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.judge import Attendance, Parked
from faults.processes import ROOT, Process
from support.broker import free_port
from support.hands import Hands

from bridge.standin.demo import NAME, PASSWORD, ean13


@dataclass(frozen=True, slots=True)
class Person:
    """An employee of Odoo; nobody else has their first name."""

    id: int
    first_name: str
    badge: str


class Odoo(Process):
    """The stand-in, on one port for good. `keeps` its records over a restart."""

    def __init__(self, folder: Path, *, keeps: bool = True) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        state = ["--state", str(folder / "odoo.json")] if keeps else []
        super().__init__(folder / "odoo.log", "bridge.standin", "--port", str(self.port), *state)

    async def start(self) -> None:
        self.spawn()
        await self.says(r"http://")

    async def call(self, model: str, method: str, *args: Any, **named: Any) -> Any:
        """As the bridge's user; raises AssertionError when Odoo refuses."""
        parameters = [NAME, 8, PASSWORD, model, method, args, named]
        request = {"service": "object", "method": "execute_kw", "args": parameters}
        async with Hands.client() as client:
            response = await client.post(
                f"{self.url}/jsonrpc", json={"jsonrpc": "2.0", "params": request}, timeout=60
            )
        answer = response.json()
        assert "error" not in answer, answer["error"]
        return answer.get("result")

    async def go_wrong(self, **faults: float) -> None:
        """See `bridge.standin.Faults`."""
        async with Hands.client() as client:
            await client.post(f"{self.url}/standin/faults", json=faults)

    async def hire(self, numbers: Iterable[int]) -> list[Person]:
        """Employees with a badge each."""
        people = [(f"Agent{n:05d}", ean13(f"0417{n:08d}")) for n in numbers]
        rows = [{"name": f"{name} Essai", "barcode": badge} for name, badge in people]
        ids = await self.call("hr.employee", "create", rows)
        return [Person(number, *person) for number, person in zip(ids, people, strict=True)]

    async def attendances(self) -> list[Attendance]:
        fields = ["employee_id", "check_in", "check_out"]
        rows = await self.call("hr.attendance", "search_read", [], fields)
        return [
            Attendance(row["id"], row["employee_id"][0], row["check_in"], row["check_out"] or None)
            for row in rows
        ]


class Bridge(Process):
    """`edged bridge`, with its inbox in `folder`."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.folder = folder
        self._config = config
        super().__init__(config.with_suffix(".log"), "edged", "bridge", "-c", str(config))

    async def parked(self) -> list[Parked]:
        """``edged bridge --parked``."""
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edged", "bridge", "-c", str(self._config), "--parked"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await command.communicate()
        assert command.returncode == 0, complaint.decode()
        return [Parked(line.split()[0], line) for line in said.decode().splitlines()]
