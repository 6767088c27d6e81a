"""A person retries and drops parked facts, beside a bridge that runs and without one."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.bridging import BridgeProcess, during
from support.daemons import edged
from support.delivered import World
from support.echo import until
from support.inboxes import opened, parked_facts
from support.stations import uuid7

from bridge import control
from bridge.inbox import parked_in


@pytest.fixture
async def bridge(world: World) -> AsyncIterator[BridgeProcess]:
    bridge = BridgeProcess(world.config)
    yield bridge
    await bridge.close()


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
    (parked,) = await parked_facts(folder)
    assert (await edged("bridge", "--retry", parked, "-c", world.config))[0] == 0
    assert parked_in(folder) == []
    async with opened(folder) as inbox:
        assert (await inbox.counts("demo"))["waiting"] == 1
    assert not (folder / "control").exists()


async def test_commands_at_once_wait_for_each_other(world: World) -> None:
    """Each has the folder for a moment, and is no bridge that does not answer."""
    folder = world.folder / "inbox"
    parked = await parked_facts(folder, count=4)
    async with asyncio.TaskGroup() as group:
        done = [
            group.create_task(edged("bridge", "--retry", fact, "-c", world.config))
            for fact in parked
        ]
    assert [task.result()[0] for task in done] == [0, 0, 0, 0]
    assert parked_in(folder) == []


async def test_looking_for_parked_facts_makes_and_changes_nothing(world: World) -> None:
    folder = world.folder / "inbox"
    for options in (("--parked",), ("--retry", uuid7()), ("--drop", uuid7())):
        await edged("bridge", *options, "-c", world.config)
        assert not folder.exists()
    await parked_facts(folder)
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
    (parked,) = await parked_facts(folder)
    async with opened(folder):  # holds the lock and has no socket
        status, out, err = await edged("bridge", "--retry", parked, "-c", world.config)
        assert (status, out) == (1, "")
        assert "is in use by a bridge that does not answer" in err
    bridge.start()
    await until((folder / "control").exists, seconds=60)
    with bridge.standing_still(), pytest.raises(control.NoAnswer):
        await control.ask(folder, "retry", parked)
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

    async with during(control.serve(tmp_path, act)):
        await until((tmp_path / "control").exists)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control"))
        writer.write(line)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        assert await control.ask(tmp_path, "retry", "f") is True, "and the next one is"
    assert asked[-1] == "f"


async def test_what_was_asked_by_somebody_who_has_gone_is_not_done(
    world: World, bridge: BridgeProcess
) -> None:
    """The bridge stood still, and whoever typed the command was told that it does not answer."""
    folder = world.folder / "inbox"
    (fact_id,) = await parked_facts(folder)
    bridge.start()
    await until((folder / "control").exists)
    with bridge.standing_still(), closing(socket.socket(socket.AF_UNIX)) as unix:
        unix.connect(str(folder / "control"))
        unix.sendall(json.dumps({"do": "drop", "fact": fact_id}).encode() + b"\n")
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

    async with during(control.serve(folder, act)):
        await until((folder / "control").exists)
        assert await control.ask(folder, "retry", "f")
