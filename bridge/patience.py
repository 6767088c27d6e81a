"""What the bridge does when its disk says no.

The one rule: an error of the disk ends no task. It is told once, and what failed is done again
until it works.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from durable.errors import StoreBusy, StoreError, StoreTooNew

T = TypeVar("T")

AGAIN_S = 5.0
DISK_ERRORS = (OSError, sqlite3.Error, StoreError)

log = logging.getLogger(__name__)


async def insist(who: str, step: Callable[[], Awaitable[T]]) -> T:
    """Do `step` until the disk lets it; `who` begins the one line that says that it does not."""
    told = False
    while True:
        try:
            return await step()
        except DISK_ERRORS as error:
            if isinstance(error, StoreError) and error.key == "store.closed":
                raise  # the thread that writes has ended: only a new start helps
            log.log(logging.DEBUG if told else logging.ERROR, "%s: %s", who, error)
            told = True
            await asyncio.sleep(AGAIN_S)


def needs_person(error: Exception) -> bool:
    """Whether to open the inbox again is of no use until somebody has corrected something. `error`
    is one of `DISK_ERRORS`.
    """
    if isinstance(error, StoreError):
        return error.needs_person
    return isinstance(error, PermissionError | NotADirectoryError | FileExistsError)


def why_not(error: Exception) -> str:
    """Why an inbox cannot be opened, for the person who runs the bridge: "… is", with what to do.

    `error` is one of `DISK_ERRORS`; the sentence follows the folder's name.
    """
    match error:
        case StoreBusy():
            return "is in use by another bridge. One folder is for one bridge."
        case StoreTooNew():
            return (
                f"was written by a newer bridge (schema {error.params['found']}; this one knows "
                f"{error.params['known']}). Install that version."
            )
        case StoreError(key="store.unreadable"):
            return (
                f"holds a damaged inbox.sqlite ({error.params['why']}). Keep inbox.sqlite* "
                "elsewhere and start again: the stations send what they still have."
            )
        case OSError():
            why = error.strerror
        case _:
            why = str(error)
    return f"cannot be used: {why}. The bridge's user must own it, on a disk with room."
