"""Root that keeps files for a service acts as the service's user.

The one rule: what a command makes in a folder belongs to the owner of that folder, also when root
typed the command, because files of root would shut the service out of its own folder.
"""

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from durable.errors import StoreError, refusal
from durable.files import make_folder


@contextlib.contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """In the block this process has the user and the groups of `folder`'s owner, if it is root.

    A folder that is missing belongs to the user whose home it is (the services' homes are their
    folders below /var/lib), and is made (0700). One that is nobody's home belongs to the owner of
    what it stands in. Nothing changes for a process that is not root, or where root is the owner.

    Read before the block what only root may read. It counts for every thread of the process, and
    for the programs that it starts. Raises `StoreError` (``store.permission``) when this root may
    not change its user, and `StoreFull` when the folder cannot be made.
    """
    groups, gids = os.getgroups(), os.getresgid()
    try:
        owner = _owner(folder) if os.geteuid() == 0 else None
        if owner is not None:
            owner.take_over()
    except PermissionError:
        raise StoreError("store.permission", path=str(folder)) from None
    except OSError as error:
        raise refusal(error, path=str(folder)) from error
    try:
        yield
    finally:
        if owner is not None:
            os.setresuid(0, 0, 0)
            os.setresgid(*gids)
            os.setgroups(groups)


@dataclass(frozen=True, slots=True)
class _Owner:
    uid: int
    gid: int
    groups: tuple[int, ...]

    def take_over(self) -> None:
        # The groups first and the user last, because only root can change groups. The real user
        # as well, so that a program that is started has no way back; the saved one is our own.
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, 0)


def _owner(folder: Path) -> _Owner | None:
    """Whose the files in `folder` are to be; None: root's."""
    for place in (folder.absolute(), *folder.absolute().parents):
        if not place.exists() and (user := _at_home(place)) is not None:
            make_folder(place)
            os.chown(place, user.pw_uid, user.pw_gid)
        if place.exists():
            found = place.stat()
            return None if found.st_uid == 0 else _with_groups(found.st_uid, found.st_gid)
    return None


def _at_home(place: Path) -> pwd.struct_passwd | None:
    return next((user for user in pwd.getpwall() if Path(user.pw_dir) == place), None)


def _with_groups(uid: int, gid: int) -> _Owner:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:  # a number without a name, as in a container
        return _Owner(uid, gid, (gid,))
    return _Owner(uid, user.pw_gid, tuple(os.getgrouplist(user.pw_name, user.pw_gid)))
