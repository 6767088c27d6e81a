"""A broker of one's own, for the demo and the one-box shop: mosquitto, else iotcore.

The one rule: it is private. It listens on 127.0.0.1 only, lets in one user with a password made
for this run, and dies with the process that started it. It keeps nothing on disk: what may not be
lost waits in the station's store until the bridge has it.
"""

import asyncio
import base64
import getpass
import hashlib
import importlib.util
import os
import secrets
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from mqtt.address import Address
from mqtt.link import reach
from mqtt.packets import Down

USER = "edged"
HERE = Path(__file__).parent
START = 15.0
"""Seconds until a broker that still does not answer is given up."""
ATTEMPTS = 3
"""A free port may be taken between our look and the broker's start."""


class BrokerMissing(Exception):
    """No broker on this machine. `key` is for people, the sentence for the command line."""

    key = "broker.missing"

    def __init__(self) -> None:
        super().__init__(
            "No MQTT broker is installed. Install one of the two: "
            "`sudo apt install mosquitto`, or `pip install 'edged[demo]'` for the iotcore broker."
        )


class BrokerFailed(Exception):
    """The broker does not start. Its own words are in the file `log`."""

    key = "broker.failed"

    def __init__(self, log: Path) -> None:
        words = " / ".join(log.read_text(errors="replace").splitlines()[-3:]) or "no answer"
        super().__init__(f"The private MQTT broker does not start (see {log}): {words}")
        self.log = log


class PrivateBroker:
    """``async with PrivateBroker(folder) as broker``: `broker.address` and `broker.url` let one in.

    `folder` gets its configuration, password file and log. `port` 0 takes a free one.
    Raises `BrokerMissing` or `BrokerFailed`.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.kind: Literal["mosquitto", "iotcore"] = "mosquitto"
        self._free = port == 0
        self._password = secrets.token_urlsafe(16)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.kind}.log"

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port, user=USER, password=self._password)

    @property
    def url(self) -> str:
        """With the password in it: for configuration, not for logs."""
        return f"mqtt://{USER}:{self._password}@127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(ATTEMPTS):
            if self._free:
                self.port = _free_port()
            try:
                await self._start()
            except BrokerFailed:
                if not self._free or attempt == ATTEMPTS - 1:
                    raise
            else:
                return self
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def ended(self) -> int:
        """Wait for the broker's process to end by itself; its exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def _start(self) -> None:
        program = self._program()
        with self._log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(HERE / "tether.py"),
                str(os.getpid()),
                *program,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=child_environment(),
            )
        try:
            await self._answers(self._process)
        except BaseException:
            await self._stop()
            raise

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        """Returns when our own user is let in. Raises `BrokerFailed` when that will not happen."""
        asking = asyncio.create_task(self._let_in())
        dead = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({asking, dead}, timeout=START, return_when=asyncio.FIRST_COMPLETED)
            # Both may be done: then somebody else's broker is at that port, ours dead beside it.
            if dead.done() or not asking.done():
                raise BrokerFailed(self._log)
            await asking
        finally:
            for task in (asking, dead):
                task.cancel()
            await asyncio.wait({asking, dead})

    async def _let_in(self) -> None:
        while True:
            try:
                return await reach(self.address)
            except Down:
                await asyncio.sleep(0.05)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _program(self) -> list[str]:
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if mosquitto is not None:
            self.kind = "mosquitto"
            return [mosquitto, "-c", str(self._mosquitto_files())]
        if importlib.util.find_spec("iotcore") is not None:
            self.kind = "iotcore"
            return [sys.executable, "-I", str(HERE / "iotcore_child.py"), str(self._iotcore_file())]
        raise BrokerMissing

    def _mosquitto_files(self) -> Path:
        passwords = _private(
            self.folder / "passwords", f"{USER}:{mosquitto_hash(self._password)}\n"
        )
        return _private(
            self.folder / "mosquitto.conf",
            f"listener {self.port} 127.0.0.1\n"
            # Started as root it would become the user `mosquitto`, who cannot read our files.
            f"user {getpass.getuser()}\n"
            "allow_anonymous false\n"
            f"password_file {passwords}\n"
            "persistence false\n"
            # Not 0, "no limit": before 2.0.22 that ends the connection of whoever is refused a
            # publish (eclipse-mosquitto/mosquitto#3244).
            "max_queued_messages 1000000\n"
            "max_inflight_messages 200\n"
            "set_tcp_nodelay true\n"
            "log_dest stderr\n"
            "log_type error\nlog_type warning\nlog_type notice\n",
        )

    def _iotcore_file(self) -> Path:
        return _private(
            self.folder / "iotcore.toml",
            "id = 0\n"
            "[router]\n"
            "id = 0\nmax_connections = 1000\nmax_outgoing_packet_count = 200\n"
            "max_segment_size = 104857600\nmax_segment_count = 10\n"
            "[v5.1]\n"
            f'name = "edged"\nlisten = "127.0.0.1:{self.port}"\nnext_connection_delay_ms = 1\n'
            "[v5.1.connections]\n"
            "connection_timeout_ms = 5000\nmax_payload_size = 16777216\n"
            "max_inflight_count = 200\ndynamic_filters = true\n"
            "[v5.1.connections.auth]\n"
            f'{USER} = "{self._password}"\n',
        )


def child_environment() -> dict[str, str]:
    """Ours, less what is between systemd and us: mosquitto, too, would say READY there."""
    ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def mosquitto_hash(password: str) -> str:
    """A password as mosquitto's password file has it: ``$7$`` iterations, salt, PBKDF2-SHA512."""
    salt, iterations = secrets.token_bytes(12), 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    salt64, digest64 = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${iterations}${salt64}${digest64}"


def _private(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
