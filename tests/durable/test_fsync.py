"""Whoever is told "kept" is told after the fsync: asked of the kernel, one test for each promise.

A killed process leaves its writes with the kernel, so no test that kills one can see a missing
fsync; only a power cut could, or the list of system calls.
"""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from support.daemons import STATION, Daemon
from support.echo import until
from support.stores import opened
from support.strace import (
    ROOT,
    Call,
    between,
    called,
    durable,
    environment,
    injected,
    strace,
    traced,
)

from edged.transfer import kept_facts

CHILD = Path(__file__).with_name("promises.py")
STORE_LOG = "sync edged.sqlite-wal"
INBOX_LOG = "sync inbox.sqlite-wal"
DOOR = """
[badge_reader.door]
driver = "serial-scanner"
port = "{door}"
[screens.entrance]
reader = "door"
"""
BADGES = ("0420001234004", "0420001234011", "0420001234028")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def promised(name: str, folder: Path) -> list[Call]:
    return traced(CHILD, name, folder, output=folder.with_name("trace"))


def in_order(wanted: list[str], calls: list[str]) -> bool:
    left = iter(calls)
    return all(call in left for call in wanted)


# --- the station ---------------------------------------------------------------------------------


def test_a_fact_costs_one_fsync_and_a_hundred_together_share_one(folder: Path) -> None:
    trace = promised("facts", folder)
    assert between(trace, "one asked", "one promised") == [STORE_LOG]
    together = between(trace, "hundred asked", "hundred promised")
    assert together in ([STORE_LOG], [STORE_LOG] * 2)


async def test_a_fact_whose_fsync_fails_is_refused(folder: Path) -> None:
    async with opened(folder):
        pass  # made while the disk is sound
    failing = injected("?fdatasync,?fsync:error=EIO:when=5+")
    told = subprocess.run(
        [*failing, sys.executable, CHILD, "refused", folder],
        env=environment(), capture_output=True, text=True, check=True, timeout=55,
    ).stdout.split()  # fmt: skip
    kept = told.count("kept")
    assert 0 < kept < 10
    assert told == ["kept"] * kept + ["store.unwritable"] * (10 - kept)


def test_a_photo_is_on_the_disk_before_its_fact_and_goes_after_it(folder: Path) -> None:
    trace = promised("photo", folder)
    (file,) = {
        Path(call.paths[1]).name for call in trace if call.paths[1:] and "jpg" in call.paths[1]
    }
    assert between(trace, "asked", "promised") == [
        f"sync {file}.part",
        f"rename {file}.part {file}",
        "sync photos",
        STORE_LOG,
    ]
    assert between(trace, "promised", "in odoo") == [STORE_LOG, f"unlink {file}"]


def test_a_key_is_on_the_disk_before_it_is_used(folder: Path) -> None:
    """Its folder too, and the name of the folder, which is made with it."""
    trace = promised("key", folder)
    assert between(trace, "asked", "promised") == [
        f"mkdir {folder.name}",
        f"sync {folder.parent.name}",
        "sync badge.key.part",
        "rename badge.key.part badge.key",
        f"sync {folder.name}",
    ]


def test_a_store_made_anew_is_on_the_disk_before_it_has_the_name(folder: Path) -> None:
    trace = promised("damaged", folder)
    calls = between(trace, "asked", "promised")
    named = calls.index("rename edged.sqlite.new edged.sqlite")
    carried = ["sync edged.sqlite.new-wal", "sync edged.sqlite.new", "unlink edged.sqlite.new-wal"]
    assert in_order(carried, calls[:named])
    assert f"sync {folder.name}" in calls[named:]


@pytest.mark.parametrize(("name", "made"), [("photo", "photos"), ("inbox", "blobs")])
def test_the_folder_of_photos_is_on_the_disk_before_one_is(
    folder: Path, name: str, made: str
) -> None:
    calls = durable(promised(name, folder))
    made_at, used_at = calls.index(f"mkdir {made}"), calls.index(f"sync {made}")
    assert f"sync {folder.name}" in calls[made_at:used_at]


@pytest.mark.timeout(240)
async def test_a_badge_at_the_door_of_a_running_station(folder: Path, tmp_path: Path) -> None:
    master, slave = os.openpty()
    file, trace = tmp_path / "station.toml", tmp_path / "trace"
    text = STATION + DOOR
    file.write_text(text.format(data=folder, port=0, door=os.ttyname(slave)))
    process = await asyncio.create_subprocess_exec(
        *strace(trace), sys.executable, "-m", "edged", "run", "-c", str(file),
        env=environment(), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    daemon = Daemon(process)
    try:
        await daemon.ready()
        await daemon.device_is("door", "up")
        for number, badge in enumerate(BADGES, start=1):
            os.write(master, f"{badge}\r".encode())
            await until(partial(_holds, folder, number), seconds=60)
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(trace.read_text().split()[0]), signal.SIGTERM)
        await process.wait()
        os.close(master)
        os.close(slave)
    calls = called(trace)
    first, second, third = (
        next(n for n, call in enumerate(calls) if call.name == "read" and badge in call.text)
        for badge in BADGES
    )
    assert STORE_LOG in durable(calls[first:second])
    assert durable(calls[second:third]) == [STORE_LOG]


def _holds(folder: Path, facts: int) -> bool:
    return len(kept_facts(folder)) == facts


# --- the bridge ----------------------------------------------------------------------------------


def test_what_stations_send_is_on_the_disk_before_they_are_told(folder: Path) -> None:
    trace = promised("inbox", folder)
    assert between(trace, "facts asked", "facts promised") == [INBOX_LOG]
    (file,) = {Path(call.paths[1]).name for call in trace if call.name.startswith("rename")}
    assert between(trace, "facts promised", "blob promised") == [
        f"sync {file}.part",
        f"rename {file}.part {file}",
        "sync blobs",
        INBOX_LOG,
    ]
    assert between(trace, "done asked", "done promised") == [INBOX_LOG]
    assert between(trace, "done promised", "photo done promised") == [INBOX_LOG, f"unlink {file}"]


def test_what_becomes_of_a_parked_fact_is_on_the_disk_before_anybody_is_told(folder: Path) -> None:
    trace = promised("person", folder)
    for begin, end in [
        ("park asked", "park promised"),
        ("retry asked", "retry promised"),
        ("retry promised", "drop promised"),
    ]:
        assert between(trace, begin, end) == [INBOX_LOG]
