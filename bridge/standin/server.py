"""The stand-in's HTTP: as much of it as an Odoo without a proxy speaks, and ways to go wrong.

The one rule: one request, one answer, ``Connection: close``.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from bridge.standin.database import Database
from bridge.standin.demo import USERS
from bridge.standin.rpc import CHANGING, Server, User

LARGEST = 64_000_000
HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 502: "Bad Gateway"}


@dataclass(slots=True)
class Faults:
    """What goes wrong next."""

    lose: int = 0
    """So many calls that change something are carried out, and their answers lost."""
    html: int = 0
    """So many calls are answered by a proxy's HTML page, and not carried out."""
    slow_s: float = 0.0
    """Every answer takes this much longer,"""
    slow_change_s: float = 0.0
    """and this much for each entry that the call changed."""


class StandIn:
    """``async with StandIn(database) as odoo``: `odoo.url` answers like an Odoo on 127.0.0.1.

    `state`: a file that keeps the records over a restart. `down()` and `up()` close and open the
    port. ``GET /standin/state`` is `state()` as JSON; ``POST /standin/faults`` sets `faults`.
    """

    def __init__(
        self,
        database: Database,
        *,
        users: Mapping[str, User] | None = None,
        state: Path | None = None,
        port: int = 0,
    ) -> None:
        self.database = database
        self.server = Server(database, users or USERS)
        self.faults = Faults()
        self.port = port
        self._file = state
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self._saved = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        if self._file is not None and self._file.exists():
            self.database.restore(self._file)
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()
        slow = [task for task in self._connections if task]
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow)

    async def up(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._listener is not None:
            self._listener.close()
            for writer in self._connections.values():
                writer.transport.abort()
            await self._listener.wait_closed()
            self._listener = None

    def state(self) -> dict[str, Any]:
        """What Odoo holds of what the stations told it."""
        db = self.database
        attendances = db.read("hr.attendance", db.search("hr.attendance", []), None)
        photos = [
            {
                "model": model,
                "id": number,
                "name": row["name"],
                "base64_chars": len(row["image_1920"]),
            }
            for model in ("res.partner", "hr.employee")
            for number, row in db.tables[model].items()
            if row.get("image_1920")
        ]
        return {
            "version": db.version,
            "attendances": [
                {
                    "id": row["id"],
                    "employee": row["employee_id"][1],
                    "check_in": row["check_in"],
                    "check_out": row["check_out"] or None,
                }
                for row in attendances
            ],
            "photos": photos,
            "members": len(db.search("res.partner", [["barcode", "!=", False]])),
            "products": len(db.search("product.product", [["to_weight", "=", True]])),
            "calls": dict(sorted(self.server.calls.items())),
            "faults": asdict(self.faults),
        }

    # --- HTTP -----------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections[task] = writer
        # Cancelled only by `__aexit__`; asyncio logs a handler that ends so as an error.
        quietly = asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
        try:
            with suppress(OSError, *quietly):
                await self._one(reader, writer)
        finally:
            del self._connections[task]
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.split("\r\n")
        method, path, *_ = [*request.split(" "), "", ""]
        headers = {
            k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)
        }
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST:
            await _send(writer, 400, b"")
            return
        body = await reader.readexactly(int(length))
        before = self.database.changes
        answer = self._answer(method, path.partition("?")[0], body)
        changed = self.database.changes - before
        await asyncio.sleep(self.faults.slow_s + self.faults.slow_change_s * changed)
        if answer is None:
            writer.transport.abort()
        else:
            await _send(writer, *answer)

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
        match method, path:
            case "POST", "/jsonrpc":
                return self._rpc(body)
            case "GET", "/standin/state":
                return 200, _json(self.state())
            case "POST", "/standin/faults":
                return self._set_faults(body)
        return 404, b"<html><body>Not Found</body></html>"

    def _rpc(self, body: bytes) -> tuple[int, bytes] | None:
        if self.faults.html > 0:
            self.faults.html -= 1
            return 502, HTML_502
        try:
            request = json.loads(body)
            args = request["params"]["args"]
        except (ValueError, TypeError, KeyError):
            return 400, b"<html><body>Bad Request</body></html>"
        answer = _json(self.server.answer(request))
        if self._file is not None and self.database.changes != self._saved:
            self._saved = self.database.changes
            self.database.save(self._file)
        if self.faults.lose > 0 and len(args) > 4 and args[4] in CHANGING:
            self.faults.lose -= 1
            return None
        return 200, answer

    def _set_faults(self, body: bytes) -> tuple[int, bytes]:
        known = {field.name for field in fields(Faults)}
        try:
            wanted = json.loads(body)
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict) or not known.issuperset(wanted):
            return 400, _json({"error": "lose, html: numbers of calls; slow_…: seconds"})
        for name, value in wanted.items():
            setattr(self.faults, name, value)
        return 200, _json(asdict(self.faults))


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    writer.write(
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    )
    writer.write(body)
    await writer.drain()
