"""A station as the bridge sees one, and a bridge to kill.

::

    async with FakeStation(url, "demo", "entree") as station:
        fact = station.badge(employee=11)
        await station.settled()
"""

import asyncio
import hashlib
import json
import os
import random
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from bridge.config import BridgeConfig, load
from bridge.main import run
from devices.value import Value
from mqtt.link import Address, Link, Outgoing, Session
from mqtt.messages import Ack, Command, Envelope, Message, iso_ms
from mqtt.topics import DEFAULT_ROOT, StationTopics

KEY = "ab" * 32
ROOT = Path(__file__).parents[2]


def uuid7(rng: random.Random | None = None) -> str:
    """Only the shape matters here."""
    bits = rng.getrandbits(128) if rng else secrets.randbits(128)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"


@dataclass
class Row:
    envelope: Envelope
    body: bytes = field(repr=False)
    blob: bytes | None = field(default=None, repr=False)


class FakeStation:
    """Keeps its facts in a list and sends them as a real one does: in order, until the ack says
    `stored`. `unruly`: a random generator makes it send twice and out of order.
    """

    def __init__(
        self,
        url: str,
        site: str,
        name: str,
        *,
        epoch: str = "",
        first: int = 1,
        unruly: random.Random | None = None,
        resend_s: float = 1.0,
    ) -> None:
        self.topics = StationTopics(DEFAULT_ROOT, site, name)
        self.epoch = epoch or secrets.token_hex(4)
        self.rows: list[Row] = []
        self.ack = Value(Ack(epoch=self.epoch))
        self.acks = 0
        self.replays: list[int] = []
        self.boot = "boot-1"
        self.clock = "synced"
        self.started = datetime.now(UTC) - timedelta(hours=1)
        self.received: dict[str, bytes] = {}
        self.arrivals: list[str] = []
        self._first = first
        self._stored = first - 1
        self._unruly = unruly
        self._resend = resend_s
        self._wake = asyncio.Event()
        self.link = Link([Address.parse(url)], client_id=f"{site}-{name}")
        self.session: asyncio.Queue[Session] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.link.run(self._up))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    # --- making facts ---------------------------------------------------------------------

    def fact(
        self,
        kind: str,
        data: Message | dict[str, Any],
        *,
        at: datetime | None = None,
        up: int | None = None,
        blob: bytes | None = None,
        fact_id: str = "",
    ) -> Envelope:
        content = json.loads(data.model_dump_json()) if isinstance(data, Message) else data
        when = at or datetime.now(UTC)
        envelope = Envelope(
            id=fact_id or uuid7(),
            epoch=self.epoch,
            seq=self._first + len(self.rows),
            at=when,
            clock=self.clock,
            boot=self.boot,
            up=up if up is not None else round((when - self.started).total_seconds() * 1000),
            kind=kind,
            data=content,
        )
        self.rows.append(Row(envelope, envelope.model_dump_json().encode(), blob))
        self._wake.set()
        return envelope

    def badge(self, *, employee: int = 0, member: int = 0, **options: Any) -> Envelope:
        who = {"kind": "employee", "id": employee} if employee else {"kind": "member", "id": member}
        data = {"device": "door", "badge": "0" * 32, "who": who, "shown": "ok"}
        return self.fact("badge", data, **options)

    def photo(
        self, jpeg: bytes, member: int, *, blob: bytes | None = None, **options: Any
    ) -> Envelope:
        data = {
            "device": "portrait",
            "who": {"kind": "member", "id": member},
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "size": len(jpeg),
            "consent": {
                "at": iso_ms(datetime.now(UTC)),
                "text": "photo.consent/1",
                "language": "fr",
            },
        }
        return self.fact("photo", data, blob=jpeg if blob is None else blob, **options)

    # --- waiting --------------------------------------------------------------------------

    async def until(self, reached: Callable[[Ack], bool], within: float = 45) -> Ack:
        async with asyncio.timeout(within):
            async for ack in self.ack.changes():
                if ack.epoch == self.epoch and reached(ack):
                    return ack
        raise AssertionError

    async def settled(self, within: float = 45) -> Ack:
        """Everything made so far is done or parked."""
        last = self._first + len(self.rows) - 1
        return await self.until(lambda ack: ack.done >= last, within)

    # --- one connection -------------------------------------------------------------------

    async def _up(self, session: Session) -> None:
        await session.subscribe(
            self.topics.ack,
            self.topics.do("outbox", "replay"),
            self.topics.of_site.directory_head,
            self.topics.of_site.directory_shard("+"),
            self.topics.of_site.catalogue_head,
        )
        self.session.put_nowait(session)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(session))
            async for message in session.messages():
                message.done()
                if message.topic == self.topics.ack:
                    self.acks += 1
                    ack = Ack.model_validate_json(message.body)
                    if ack.epoch == self.epoch:
                        self._stored = max(self._stored, ack.stored)
                        self.ack.set(ack)
                    self._wake.set()
                elif message.topic == self.topics.do("outbox", "replay"):
                    await self._replay(session, message.body)
                else:
                    self.received[message.topic] = message.body
                    self.arrivals.append(message.topic)

    async def _replay(self, session: Session, body: bytes) -> None:
        command = Command.model_validate_json(body)
        self.replays.append(command.args["from"])
        have = max(command.args["from"], self._first)
        self._stored = have - 1
        answer = {"id": command.id, "ok": True, "result": {"epoch": self.epoch, "from": have}}
        assert command.reply_to is not None
        await session.publish(Outgoing(command.reply_to, json.dumps(answer).encode()))
        self._wake.set()

    async def _send(self, session: Session) -> None:
        sent = 0
        while True:
            self._wake.clear()
            rows = [row for row in self.rows if row.envelope.seq > max(sent, self._stored)]
            if rows:
                for row in self._order(rows[:50]):
                    if row.blob is not None:
                        await session.publish(Outgoing(self.topics.blob(row.envelope.id), row.blob))
                    fact = row.envelope
                    beside = {"id": fact.id, "seq": str(fact.seq), "epoch": fact.epoch}
                    topic = self.topics.fact(fact.kind)
                    await session.publish(Outgoing(topic, row.body, properties=beside))
                sent = rows[:50][-1].envelope.seq
                continue
            try:
                async with asyncio.timeout(self._resend):
                    await self._wake.wait()
            except TimeoutError:
                sent = 0

    def _order(self, rows: list[Row]) -> list[Row]:
        if self._unruly is None:
            return rows
        shuffled = rows + self._unruly.sample(rows, len(rows) // 3)
        self._unruly.shuffle(shuffled)
        return shuffled


def write_config(folder: Path, *, broker: str, odoo: str, password: str, extra: str = "") -> Path:
    """A bridge.toml with one site, `demo`, that syncs and tries again quickly."""
    (folder / "badge.key").write_text(KEY)
    (folder / "odoo.password").write_text(password + "\n")
    path = folder / "bridge.toml"
    path.write_text(
        f"""
[mqtt]
url = "{broker}"

[inbox]
folder = "{folder / "inbox"}"
min_free_mb = 1

[[site]]
name = "demo"
badge_key_file = "{folder / "badge.key"}"

[site.odoo]
url = "{odoo}"
db = "demo"
login = "bridge"
password_file = "{folder / "odoo.password"}"

[site.members]
every_s = 0.5
stop = [["ref", "=", "STOP"]]

[site.products]
every_s = 0.5

[site.apply]
again_s = 0.2
pause_s = 1
{extra}"""
    )
    return path


@asynccontextmanager
async def bridge_here(config: BridgeConfig) -> AsyncIterator[asyncio.Task[None]]:
    """The bridge in this process; what it raises is raised at the end."""
    task = asyncio.create_task(run(config))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


_RUN = """
import asyncio, os, signal, sys
from importlib import import_module
from pathlib import Path
from bridge.config import load
from bridge.main import run

def die_at(step):
    # "before:module:Class.method:n" or "after:…": SIGKILL ourselves at the n-th call.
    when, module, path, count = step.split(":")
    owner, name = path.split(".")
    cls = getattr(import_module(module), owner)
    real, left = getattr(cls, name), [int(count)]
    def enough():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    async def slow(*args, **kwargs):
        if when == "before": enough()
        result = await real(*args, **kwargs)
        if when == "after": enough()
        return result
    def fast(*args, **kwargs):
        if when == "before": enough()
        result = real(*args, **kwargs)
        if when == "after": enough()
        return result
    setattr(cls, name, slow if asyncio.iscoroutinefunction(real) else fast)

if sys.argv[2]:
    die_at(sys.argv[2])
asyncio.run(run(load(Path(sys.argv[1]))))
"""


class BridgeProcess:
    """The bridge as a process of its own, to be killed."""

    def __init__(self, config: Path) -> None:
        load(config)
        self._config = config
        self._log = config.with_suffix(".log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, die: str = "") -> None:
        """`die`: kill yourself ``before`` or ``after`` the n-th call of a method (see `_RUN`)."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(self._config), die],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
        )

    async def dead(self, within: float = 40) -> None:
        """Wait until it has killed itself."""
        assert self._process is not None
        await asyncio.to_thread(self._process.wait, within)
        self._process = None

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def close(self) -> None:
        await self.kill()
        self._log.close()
