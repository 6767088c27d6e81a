"""What can go wrong with the store, as keys for a person.

The one rule: a fact that cannot be kept is refused with one of these, never dropped.
"""

import errno
import sqlite3


class StoreError(Exception):
    """`key` is a catalogue key such as ``store.busy``; `params` are the values it names.

    `needs_person`: to try again is of no use until somebody has corrected something.
    """

    needs_person = True

    def __init__(self, key: str, **params: str) -> None:
        details = " ".join(f"{name}={value}" for name, value in params.items())
        super().__init__(f"{key} {details}".rstrip())
        self.key = key
        self.params = params


class StoreFull(StoreError):
    """The disk takes nothing more now: full, read-only or failing. What was asked did not happen.

    Keys: ``store.full``, ``store.read_only``, ``store.unwritable``, ``store.corrupted``.
    """

    needs_person = False


class StoreBusy(StoreError):
    """Another process has this store open (``store.busy``)."""

    needs_person = False


class StoreTooNew(StoreError):
    """A newer edged wrote this store (``store.too_new``)."""


_REFUSALS = {
    sqlite3.SQLITE_FULL: "store.full",
    sqlite3.SQLITE_READONLY: "store.read_only",
    sqlite3.SQLITE_PERM: "store.read_only",
    sqlite3.SQLITE_IOERR: "store.unwritable",
    sqlite3.SQLITE_CANTOPEN: "store.unwritable",
    sqlite3.SQLITE_CORRUPT: "store.corrupted",
    sqlite3.SQLITE_NOTADB: "store.corrupted",
}


_ERRNOS = {
    errno.ENOSPC: "store.full",
    errno.EDQUOT: "store.full",
    errno.EROFS: "store.read_only",
}


def refusal(error: Exception, **params: str) -> Exception:
    """The `StoreError` behind an error of SQLite or of the system: ``store.no_folder`` where a file
    stands in the folder's place, else a `StoreFull`. Any other error as it is (a bug).
    """
    if isinstance(error, NotADirectoryError | FileExistsError):
        return StoreError("store.no_folder", **params)
    if isinstance(error, OSError):
        return StoreFull(_ERRNOS.get(error.errno or 0, "store.unwritable"), **params)
    key = _REFUSALS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return error if key is None else StoreFull(key, **params)


def damaged(error: Exception) -> bool:
    """Whether this error says that the file itself is broken."""
    cause = refusal(error)
    return isinstance(cause, StoreError) and cause.key == "store.corrupted"
