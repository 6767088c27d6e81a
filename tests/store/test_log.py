"""The log (-wal) of a station that was killed: what stands in it alone is never lost, whatever
happens while the store is made whole."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.damage import damage, flip, pages_of
from support.disks import fill, small_disk
from support.root import needs_root
from support.stores import ack, opened, put
from support.strace import ROOT, environment, injected

from store.opening import FILE, LOG, open_file

OPEN = (
    "import sys, pathlib; from store.opening import open_file; open_file(pathlib.Path(sys.argv[1]))"
)
CALLS = ("rename", "unlink", "link", "fsync", "fdatasync")
"""All that a power cut makes a difference to: it finds what is there between two of them."""


async def card(folder: Path, *, wrong_file: bool) -> list[str]:
    """20 facts in the file, and 10 in a log whose first frame is wrong. In a `wrong_file` a page of
    another table is damaged as well. The facts' ids.
    """
    async with opened(folder / "running") as store:
        facts = await put(store.outbox, 20)
    (journal,) = pages_of(folder / "running" / FILE, "journal")
    async with opened(folder / "running") as store:
        for _ in range(10):
            facts += await put(store.outbox, 1)
        shutil.copytree(folder / "running", folder / "card", dirs_exist_ok=True)
    flip(folder / "card" / f"{FILE}-wal", 60)
    if wrong_file:
        damage(folder / "card" / FILE, at=journal)
    return [fact.id for fact in facts]


async def sent(folder: Path) -> list[str]:
    """The ids of all that waits in a store."""
    ids: list[str] = []
    async with opened(folder) as store:
        while rows := await store.outbox.waiting(0, 999):
            ids += [row.id for row in rows]
            await store.outbox.acknowledge(ack(rows[0].epoch, stored=rows[-1].seq))
    return ids


def killed_at(call: str, number: int, folder: Path) -> bool:
    """Open the store, and kill the process at this call; whether it came to that."""
    command = [*injected(f"?{call},?{call}at,?{call}at2:signal=KILL:when={number}"), sys.executable]
    ended = subprocess.run(
        [*command, "-c", OPEN, str(folder)],
        check=False, cwd=ROOT, env=environment(), timeout=60,
    )  # fmt: skip
    assert ended.returncode in (0, -signal.SIGKILL)
    return ended.returncode != 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong_file", [False, True])
async def test_a_kill_at_any_moment_of_a_rescue_costs_nothing_that_stood_in_the_log_alone(
    tmp_path: Path, wrong_file: bool, call: str
) -> None:
    facts = await card(tmp_path, wrong_file=wrong_file)
    killed = 0
    while killed_at(call, killed + 1, shutil.copytree(tmp_path / "card", tmp_path / str(killed))):
        assert await sent(tmp_path / str(killed)) == facts
        killed += 1
    assert await sent(tmp_path / str(killed)) == facts
    assert killed or (call == "rename" and not wrong_file)


@needs_root
async def test_a_rescue_without_room_costs_nothing_that_stood_in_the_log_alone(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "card") as folder:
        facts = await card(tmp_path, wrong_file=True)
        (folder / "reserve").unlink(missing_ok=True)
        filler = fill(folder)
        async with opened(folder, sheltered=True) as store:
            assert [epoch.last for epoch in store.outbox.kept()] == [20, 10]
        filler.unlink()
        assert await sent(folder) == facts


@pytest.mark.parametrize("wrong_file", [False, True])
async def test_a_log_is_kept_for_as_long_as_it_is_needed(tmp_path: Path, wrong_file: bool) -> None:
    facts = await card(tmp_path, wrong_file=wrong_file)
    log = (tmp_path / "card" / f"{FILE}-wal").read_bytes()
    assert await sent(tmp_path / "card") == facts
    assert not (tmp_path / "card" / LOG).exists()
    aside = list((tmp_path / "card").glob(f"{FILE}.corrupt-*-wal"))
    assert [file.read_bytes() for file in aside] == ([log] if wrong_file else [])


async def test_a_file_system_without_second_names_keeps_the_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FAT: no such disk can be made where the kernel has no module for it."""

    def no_links(*_names: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    facts = await card(tmp_path, wrong_file=True)
    log = (tmp_path / "card" / f"{FILE}-wal").read_bytes()
    monkeypatch.setattr("os.link", no_links)
    open_file(tmp_path / "card").writer.close()
    (aside,) = (tmp_path / "card").glob(f"{FILE}.corrupt-*-wal")
    assert aside.read_bytes() == log
    assert await sent(tmp_path / "card") == facts
