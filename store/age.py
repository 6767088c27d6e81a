"""How long a store has been in use: seconds that a running station counted.

The one rule: no clock that can be set moves it. A Raspberry Pi starts with a time of last month;
what is kept "for 7 days" is kept while the station ran for 7 days (CLOCK_BOOTTIME, which counts
suspended time as well). Time in which the machine was off does not count.
"""

import sqlite3

from store.envelope import boot_id, uptime_ms
from store.schema import get_meta, set_meta

_KEY = "age"


class Age:
    """Goes on from where the process before left it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._boot = boot_id()
        self._began = uptime_ms() // 1000
        self._before = 0
        """The store's age when this process began."""
        try:
            age, boot, at = get_meta(connection, _KEY).split()
            self._before = int(age)
            if boot == self._boot:
                self._before += max(0, self._began - int(at))
        except ValueError:
            pass  # a new store, or one whose note is not ours: it is young again

    def __call__(self) -> int:
        """Seconds."""
        return self._before + uptime_ms() // 1000 - self._began

    def note(self, connection: sqlite3.Connection) -> None:
        """Write it down for the process that comes after this one."""
        set_meta(connection, _KEY, f"{self()} {self._boot} {uptime_ms() // 1000}")
