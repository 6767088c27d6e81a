"""Root acts as the owner of a service's folder, and is root again afterwards."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.root import needs_root
from support.strace import environment

from durable.errors import StoreError
from durable.owner import as_owner

NOBODY = pwd.getpwnam("nobody")
NAMELESS = 54321


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that its owner can get at: pytest's own are closed to all but root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


def me() -> tuple[object, ...]:
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


@needs_root
@pytest.mark.parametrize(("uid", "gid"), [(NOBODY.pw_uid, NOBODY.pw_gid), (NAMELESS, NAMELESS)])
def test_what_root_makes_belongs_to_the_folders_owner(reachable: Path, uid: int, gid: int) -> None:
    folder = reachable / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, uid, gid)
    before = me()
    with as_owner(folder):
        (folder / "file").touch()
        assert os.getgroups() == [gid]
        with pytest.raises(PermissionError):
            (reachable / "not ours").touch()
        child = subprocess.run(
            ["grep", "^[UG]id:", "/proc/self/status"], capture_output=True, text=True, check=True
        )
    assert child.stdout.split() == ["Uid:", *[str(uid)] * 4, "Gid:", *[str(gid)] * 4]
    made = (folder / "file").stat()
    assert (made.st_uid, made.st_gid) == (uid, gid)
    assert me() == before
    (reachable / "root's again").touch()


@needs_root
def test_root_is_root_again_after_an_error(reachable: Path) -> None:
    os.chown(reachable, NAMELESS, NAMELESS)
    before = me()
    with pytest.raises(FileNotFoundError), as_owner(reachable):
        (reachable / "none").read_bytes()
    assert me() == before


@needs_root
def test_a_missing_folder_belongs_to_who_owns_what_it_stands_in(reachable: Path) -> None:
    os.chown(reachable, NAMELESS, NAMELESS)
    with as_owner(reachable / "bridge" / "inbox"):
        (reachable / "bridge" / "inbox").mkdir(parents=True)
    assert (reachable / "bridge" / "inbox").stat().st_uid == NAMELESS


@needs_root
def test_a_missing_folder_belongs_to_the_user_whose_home_it_is(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = reachable / "lib" / "edged"
    user = pwd.struct_passwd(("edged", "x", NAMELESS, NAMELESS, "", str(home), "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [NOBODY, user])
    with as_owner(home / "bridge"):
        assert os.geteuid() == NAMELESS
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (NAMELESS, 0o700)
    assert (reachable / "lib").stat().st_uid == 0


@needs_root
def test_roots_own_folder_changes_nothing(tmp_path: Path) -> None:
    before = me()
    with as_owner(tmp_path / "not there yet"):
        assert me() == before
    assert not (tmp_path / "not there yet").exists()


@needs_root
def test_a_root_that_may_not_change_its_user_is_told(reachable: Path) -> None:
    """As in a container without that right."""
    os.chown(reachable, NAMELESS, NAMELESS)
    code = (
        "import pathlib, sys; from durable.owner import as_owner\n"
        "with as_owner(pathlib.Path(sys.argv[1])): pass"
    )
    told = subprocess.run(
        ["setpriv", "--bounding-set=-setuid", sys.executable, "-c", code, str(reachable)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert f"StoreError: store.permission path={reachable}" in told.stderr


def test_who_is_not_root_stays_who_they_are(reachable: Path) -> None:
    if was_root := os.geteuid() == 0:
        os.chown(reachable, NAMELESS, NAMELESS)
        os.seteuid(NOBODY.pw_uid)
    try:
        before = me()
        with as_owner(reachable):
            assert me() == before
        assert me() == before
    finally:
        if was_root:
            os.seteuid(0)


@needs_root
def test_a_home_that_cannot_be_made_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "edged"
    user = pwd.struct_passwd(("edged", "x", NAMELESS, NAMELESS, "", str(home), "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [user])
    with pytest.raises(StoreError, match=r"store\.no_folder"), as_owner(home):
        pass
