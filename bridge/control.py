"""A person's hand on the parked facts of a bridge that is running: a Unix socket in its folder.

The one rule: only the process that holds the folder's lock writes to the inbox. A command asks it
here, one JSON line each way; the socket is for the bridge's user alone (mode 0600).
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bridge.patience import DISK_ERRORS

NAME = "control"
LONGEST = 4096
PATIENCE_S = 10.0
GONE_S = 0.05
"""What was closed before this process looked is seen at once."""

Act = Callable[[str, str], Awaitable[bool]]
"""(verb, fact id) → whether such a fact was parked. Raises KeyError for a verb that is none."""


class NoAnswer(Exception):
    """Another process holds the folder, but does not answer; the message says how."""


async def serve(folder: Path, act: Act) -> None:
    """Obey commands for ever. Raises OSError when there can be no socket."""
    server = await asyncio.start_unix_server(
        lambda reader, writer: _serve_one(reader, writer, act), sock=_bound(folder), limit=LONGEST
    )
    try:
        await server.serve_forever()
    finally:
        server.close()
        with suppress(OSError):
            (folder / NAME).unlink()


def _bound(folder: Path) -> socket.socket:
    unix = socket.socket(socket.AF_UNIX)
    try:
        # Left by a bridge that was killed: who holds the lock is alone here.
        (folder / NAME).unlink(missing_ok=True)
        with _short(folder) as path:
            unix.bind(path)
        (folder / NAME).chmod(0o600)
    except BaseException:
        unix.close()
        raise
    return unix


async def _serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
            if await _has_gone(reader):
                return
            answer = await _answer(line, act)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    except (TimeoutError, ValueError, OSError):
        pass  # nobody there, or a line that is too long: the next one may be better
    finally:
        writer.close()


async def _has_gone(reader: asyncio.StreamReader) -> bool:
    """Whether nobody waits for an answer any more. They were told that there was none; what they
    asked for must not happen an hour later, when this process goes on.
    """
    try:
        async with asyncio.timeout(GONE_S):
            return not await reader.read(1)
    except TimeoutError:
        return False


async def _answer(line: bytes, act: Act) -> dict[str, object]:
    try:
        asked = json.loads(line)
        return {"found": await act(str(asked["do"]), str(asked["fact"]))}
    except (ValueError, LookupError, TypeError):
        return {"error": "not understood"}
    except DISK_ERRORS as error:
        return {"error": str(error)}


def is_served(folder: Path) -> bool:
    """Whether a bridge has its socket there. (One left by a killed bridge answers nobody, but then
    nobody holds the folder's lock either.)
    """
    return (folder / NAME).exists()


async def ask(folder: Path, verb: str, fact: str) -> bool:
    """Have the bridge that holds `folder` retry or drop a fact; whether it was parked.

    Raises `NoAnswer`.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            with _short(folder) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            writer.write(json.dumps({"do": verb, "fact": fact}).encode() + b"\n")
            answer = json.loads(await reader.readline())
            writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    if "found" not in answer:
        raise NoAnswer(str(answer.get("error", "not understood")))
    return bool(answer["found"])


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name for the socket in `folder`: a socket's own path has at most 107 bytes."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)
