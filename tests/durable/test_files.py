"""Files that are whole or not there, folders held by one process, and the space kept free."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.damage import PAGE
from support.disks import fill, small_disk
from support.root import needs_root
from support.strace import environment, injected

from durable.errors import StoreBusy
from durable.files import lock_folder, make_folder, write_whole
from durable.reserve import SIZE, Reserve

WRITE = """
import pathlib, sys
from durable.files import write_whole
try:
    write_whole(pathlib.Path(sys.argv[1]), b"new")
except OSError:
    sys.exit(7)
"""
LOCK = """
import pathlib, sys
from durable.errors import StoreBusy
from durable.files import lock_folder
try:
    lock_folder(pathlib.Path(sys.argv[1]))
except StoreBusy as busy:
    sys.exit(str(busy))
print("held", flush=True)
sys.stdin.read()
"""
RENAME = "?rename,?renameat,?renameat2"


def started(code: str, path: Path, *under: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*under, sys.executable, "-c", code, str(path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(code: str, path: Path, *under: str) -> int:
    with started(code, path, *under) as process:
        process.communicate(timeout=50)
        return process.returncode


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- write_whole ---------------------------------------------------------------------------------


def test_a_file_is_its_owners_alone_and_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"longer than the new one")
    file.chmod(0o644)
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["key"]


def test_a_process_that_dies_before_the_rename_leaves_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "key"
    write_whole(file, b"old")
    assert ended(WRITE, file, *injected(f"{RENAME}:error=EIO:signal=KILL")) == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    assert (tmp_path / "key.part").read_bytes() == b"new", "it died before the moment in question"
    write_whole(file, b"a later one")
    assert file.read_bytes() == b"a later one"
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("fault", ["fsync:error=EIO:when=1", f"{RENAME}:error=EIO"])
def test_a_disk_that_refuses_leaves_the_old_content_and_no_draft(
    tmp_path: Path, fault: str
) -> None:
    file = tmp_path / "key"
    write_whole(file, b"old")
    assert ended(WRITE, file, *injected(fault)) == 7
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["key"]


def test_a_name_that_is_not_durable_is_an_error_too(tmp_path: Path) -> None:
    """The second fsync is the folder's."""
    assert ended(WRITE, tmp_path / "key", *injected("fsync:error=EIO:when=2")) == 7


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    make_folder(tmp_path / "srv" / "edged")
    assert (tmp_path / "srv" / "edged").stat().st_mode & 0o777 == 0o700
    (tmp_path / "srv" / "edged").chmod(0o750)
    make_folder(tmp_path / "srv" / "edged")
    assert (tmp_path / "srv" / "edged").stat().st_mode & 0o777 == 0o750, "it was there"


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(OSError, match="exists"):
        make_folder(tmp_path / "data")


def test_a_folder_is_held_by_one_process_until_it_lets_go(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "data")
    with started(LOCK, tmp_path / "data") as second:
        _, told = second.communicate(timeout=50)
        assert second.returncode == 1
    assert told == f"store.busy path={tmp_path / 'data'}\n"
    os.close(lock)
    assert ended(LOCK, tmp_path / "data") == 0


def test_the_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    with started(LOCK, tmp_path / "data") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy):
            lock_folder(tmp_path / "data")
        holder.kill()
        holder.wait(50)
    os.close(lock_folder(tmp_path / "data"))


def test_the_lock_stays_behind_when_a_program_is_started(tmp_path: Path) -> None:
    """Else the broker or the bridge would hold it after its station has gone."""
    lock = lock_folder(tmp_path)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as neighbour:
        os.close(lock)
        os.close(lock_folder(tmp_path))
        neighbour.kill()


# --- the reserve ---------------------------------------------------------------------------------


def test_four_megabytes_are_held_and_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    assert reserve.hold()
    occupied = (tmp_path / "reserve").stat()
    assert occupied.st_size == 4 * 1024 * 1024
    assert occupied.st_blocks * 512 >= occupied.st_size, "a hole occupies nothing"
    assert occupied.st_mode & 0o777 == 0o600
    reserve.release()
    assert not (tmp_path / "reserve").exists()
    assert not reserve.held
    assert reserve.hold()


@needs_root
@pytest.mark.parametrize(("room", "held"), [(2 * SIZE - PAGE, False), (2 * SIZE, True)])
def test_it_is_held_only_where_as_much_again_is_free(tmp_path: Path, room: int, held: bool) -> None:
    with small_disk(tmp_path / "disk") as disk:
        os.truncate(filler := fill(disk), filler.stat().st_size - room)
        assert Reserve(disk / "reserve").hold() is held
        assert (disk / "reserve").exists() is held
        # One that is whole is there already, however full the disk is now.
        fill(disk)
        assert Reserve(disk / "reserve").hold() is held


def test_half_a_reserve_is_filled(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"\0" * (SIZE // 2))
    assert Reserve(tmp_path / "reserve").hold()
    assert (tmp_path / "reserve").stat().st_size == SIZE


def test_a_disk_that_fills_up_meanwhile_leaves_no_half_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look at the room and our taking it: no test can time that on a real disk."""

    def no_room(fd: int, _offset: int, size: int) -> None:
        os.write(fd, b"\0" * (size // 2))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    assert not Reserve(tmp_path / "reserve").hold()
    assert names(tmp_path) == []
