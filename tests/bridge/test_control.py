"""A person retries and drops parked facts, beside a bridge that runs and without one."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.bridging import BridgeProcess, uuid7
from support.delivered import World, world_in
from support.echo import until
from support.inboxes import fact, oldest, opened

from bridge import control
from bridge.inbox import parked_in


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


@pytest.fixture
async def bridge(world: World) -> AsyncIterator[BridgeProcess]:
    bridge = BridgeProcess(world.config)
    yield bridge
    await bridge.close()


async def edged(*args: object) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edged", *map(str, args),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def parked_fact(folder: Path) -> str:
    async with opened(folder) as inbox:
        await inbox.store([fact(1, "unheard-of")])
        await inbox.park(await oldest(inbox), "unknown kind")
        (parked,) = await inbox.parked()
        return parked.id


async def test_commands_go_to_the_running_bridge(world: World, bridge: BridgeProcess) -> None:
    """Which tells the station at once; and no other process has the file open for writing."""
    folder = world.folder / "inbox"
    bridge.start()
    async with world.station() as station:
        station.fact("unheard-of", {})
        station.fact("unheard-of", {})
        await station.until(lambda ack: len(ack.parked) == 2)
        first, second = (parked.id for parked in parked_in(folder))
        status, out, err = await edged("bridge", "--parked", "-c", world.config)
        assert (status, len(out.splitlines()), err) == (0, 2, "")
        told = await edged("bridge", "--drop", first, "-c", world.config)
        assert told == (0, f"{first} is dropped\n", "")
        await station.until(lambda ack: [p.seq for p in ack.parked] == [2])
        told = await edged("bridge", "--retry", second, "-c", world.config)
        assert told == (0, f"{second} will be tried again\n", "")
        status, _, err = await edged("bridge", "--retry", uuid7(), "-c", world.config)
        assert (status, "no parked fact" in err) == (2, True)
    assert oct((folder / "control").stat().st_mode)[-4:] == "0600"


async def test_without_a_bridge_the_command_does_it_itself(world: World) -> None:
    folder = world.folder / "inbox"
    parked = await parked_fact(folder)
    assert (await edged("bridge", "--retry", parked, "-c", world.config))[0] == 0
    assert parked_in(folder) == []
    async with opened(folder) as inbox:
        assert (await inbox.counts("demo"))["waiting"] == 1
    assert not (folder / "control").exists()


async def test_looking_for_parked_facts_makes_and_changes_nothing(world: World) -> None:
    folder = world.folder / "inbox"
    for options in (("--parked",), ("--retry", uuid7()), ("--drop", uuid7())):
        await edged("bridge", *options, "-c", world.config)
        assert not folder.exists()
    await parked_fact(folder)
    before = (folder / "inbox.sqlite").read_bytes(), (folder / "inbox.sqlite").stat().st_mtime_ns
    assert (await edged("bridge", "--parked", "-c", world.config))[0] == 0
    after = (folder / "inbox.sqlite").read_bytes(), (folder / "inbox.sqlite").stat().st_mtime_ns
    assert after == before
    assert not [file for file in folder.glob("inbox.sqlite-wal") if file.stat().st_size]


async def test_a_bridge_that_does_not_answer_is_a_sentence(
    world: World, bridge: BridgeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE_S", 1)
    folder = world.folder / "inbox"
    parked = await parked_fact(folder)
    async with opened(folder):  # holds the lock and has no socket
        status, out, err = await edged("bridge", "--retry", parked, "-c", world.config)
        assert (status, out) == (1, "")
        assert "is in use by a bridge that does not answer" in err
    bridge.start()
    await until((folder / "control").exists, seconds=60)
    assert bridge._process is not None
    os.kill(bridge._process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(control.NoAnswer):
            await control.ask(folder, "retry", parked)
    finally:
        os.kill(bridge._process.pid, signal.SIGCONT)
    assert [one.id for one in parked_in(folder)] == [parked]


async def test_a_socket_left_by_a_killed_bridge_is_replaced(
    world: World, bridge: BridgeProcess
) -> None:
    folder = world.folder / "inbox"
    bridge.start()
    await until((folder / "control").exists, seconds=60)
    await bridge.kill()
    with pytest.raises(control.NoAnswer):
        await control.ask(folder, "drop", uuid7())
    bridge.start()
    async with asyncio.timeout(60):
        while True:
            with suppress(control.NoAnswer):
                assert not await control.ask(folder, "drop", uuid7())
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[]\n", b'{"do": "prune", "fact": "x"}\n', b"\xff\n", b"null\n", b"x" * 9999],
)
async def test_what_is_no_command_is_not_obeyed(tmp_path: Path, line: bytes) -> None:
    asked = []

    async def act(verb: str, fact: str) -> bool:
        asked.append(fact)
        return {"retry": True}[verb]

    task = asyncio.create_task(control.serve(tmp_path, act))
    await until((tmp_path / "control").exists)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control"))
    writer.write(line)
    with suppress(ConnectionError):
        await reader.read()
    writer.close()
    assert await control.ask(tmp_path, "retry", "f") is True, "and the next one is"
    assert asked[-1] == "f"
    task.cancel()
    await asyncio.wait({task})


async def test_what_was_asked_by_somebody_who_has_gone_is_not_done(
    world: World, bridge: BridgeProcess
) -> None:
    """The bridge stood still, and whoever typed the command was told that it does not answer."""
    folder = world.folder / "inbox"
    fact_id = await parked_fact(folder)
    bridge.start()
    await until((folder / "control").exists)
    assert bridge._process is not None
    bridge._process.send_signal(signal.SIGSTOP)
    with closing(socket.socket(socket.AF_UNIX)) as unix:
        unix.connect(str(folder / "control"))
        unix.sendall(json.dumps({"do": "drop", "fact": fact_id}).encode() + b"\n")
    bridge._process.send_signal(signal.SIGCONT)
    assert not await control.ask(folder, "drop", uuid7())
    assert [fact.id for fact in parked_in(folder)] == [fact_id]
    assert await control.ask(folder, "drop", fact_id)


async def test_a_folder_with_a_long_name_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200)
    folder.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as unix, pytest.raises(OSError, match="too long"):
        unix.bind(str(folder / "control"))

    async def act(_verb: str, _fact: str) -> bool:
        return True

    task = asyncio.create_task(control.serve(folder, act))
    await until((folder / "control").exists)
    assert await control.ask(folder, "retry", "f")
    task.cancel()
    await asyncio.wait({task})


AS_ROOT = """
# What is imported late comes first, because a Python in root's own home is closed to others.
import concurrent.futures.thread, sys
from edged.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
async def test_root_leaves_no_file_of_its_own(world: World) -> None:
    folder = world.folder / "inbox"
    parked = await parked_fact(folder)
    nobody = 65534
    for file in (folder, *folder.rglob("*")):
        os.chown(file, nobody, nobody)
    for parent in (world.folder, *world.folder.parents):
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)
    for act in (("--parked",), ("--drop", parked)):
        command = ["-c", AS_ROOT, "bridge", *act, "-c", str(world.config)]
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        assert await process.wait() == 0
    assert {file.stat().st_uid for file in (folder, *folder.rglob("*"))} == {nobody}
